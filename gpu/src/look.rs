//! What is here.

use anyhow::{Context as _, bail};
use belvedere_cuda::{CudaDevice, devices};
use belvedere_models::engine::ort::RuntimeLibrary;
use belvedere_tensorrt::{BuildOptions, Builder, Library, Runtime, ShapeProfile};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Look {
    /// Which part must be there for an exit code of 0.
    #[arg(long, value_enum)]
    need: Option<Part>,
    /// Lets TensorRT build one layer for the GPU that is here, and opens it: whether it runs here at all, be the GPU among those
    /// that engines are built for or not.
    #[arg(long)]
    build: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Gpu,
    Tensorrt,
    CudaProvider,
}

impl Look {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let parts = [
            (Part::Gpu, "GPU", gpu()),
            (Part::Tensorrt, "TensorRT", tensorrt(self.build)),
            (Part::CudaProvider, "ONNX Runtime's CUDA provider", cuda_provider()),
        ];
        let mut is_missing = false;
        for (part, name, found) in parts {
            match found {
                Ok(words) => println!("{name}: {words}"),
                Err(error) => {
                    println!("{name}: not here: {error:#}");
                    is_missing |= self.need == Some(part);
                }
            }
        }
        if is_missing {
            bail!("what is needed is not here");
        }
        Ok(())
    }
}

fn gpu() -> anyhow::Result<String> {
    let facts = devices()?;
    if facts.is_empty() {
        bail!("the driver finds none");
    }
    CudaDevice::open(0)?;
    let lines: Vec<String> = facts.iter().map(ToString::to_string).collect();
    Ok(format!("{}; it takes the kernels", lines.join("; ")))
}

fn tensorrt(build: bool) -> anyhow::Result<String> {
    let library = Library::find()?;
    let found = format!("{} {}, {}", library.flavour(), library.full_version(), library.path().display());
    if !build {
        return Ok(found);
    }
    let device = CudaDevice::open(0)?;
    device.make_current()?;
    let bytes = one_layer(&library).with_context(|| format!("{found} does not run on this GPU"))?;
    Ok(format!("{found}; it built one layer for this GPU in {bytes} bytes and opens it"))
}

/// Bytes of an engine that was built for the GPU that is here, read again and opened.
fn one_layer(library: &Library) -> anyhow::Result<usize> {
    let options = BuildOptions {
        workspace_bytes: 1 << 26,
        optimization_level: None,
        auxiliary_streams: Some(0),
        capabilities: vec![BuildOptions::THIS_GPU],
        is_detailed: false,
    };
    let mut builder = Builder::new(library)?;
    let mut network = builder.parse("relu", &relu(), "relu.onnx".as_ref())?;
    let profile = ShapeProfile::new().fixed("x", vec![1, 4]);
    let built = network.build(&[profile], &options, None, &|_, _| true)?;
    Runtime::new(library)?.deserialize("relu", built.plan.bytes())?.context()?;
    Ok(built.plan.bytes().len())
}

/// One Relu over `x` of any number of rows, in ONNX's own bytes: opset 17, IR version 8.
fn relu() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let port = |name: &str| {
        let dims = [field(1, &field(2, b"rows")), field(1, &[1 << 3, 4])].concat();
        let tensor = [&[1 << 3, 1][..], &field(2, &dims)].concat();
        [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
    };
    let node = [field(1, b"x"), field(2, b"y"), field(3, b"relu"), field(4, b"Relu")].concat();
    let graph = [field(1, &node), field(2, b"g"), field(11, &port("x")), field(12, &port("y"))].concat();
    [&[1 << 3, 8][..], &field(7, &graph), &field(8, &[2 << 3, 17])].concat()
}

fn cuda_provider() -> anyhow::Result<String> {
    let library = RuntimeLibrary::load(None)?;
    let words = belvedere_ort_cuda::probe(None)?;
    Ok(format!("{words}, of ONNX Runtime {}, {}", library.version, library.path.display()))
}
