//! What is here.

use anyhow::bail;
use belvedere_cuda::{CudaDevice, devices};
use belvedere_models::engine::ort::RuntimeLibrary;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Look {
    /// Which part must be there for an exit code of 0.
    #[arg(long, value_enum)]
    need: Option<Part>,
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
            (Part::Tensorrt, "TensorRT", tensorrt()),
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

fn tensorrt() -> anyhow::Result<String> {
    let library = belvedere_tensorrt::Library::find()?;
    Ok(format!("{} {}, {}", library.flavour(), library.full_version(), library.path().display()))
}

fn cuda_provider() -> anyhow::Result<String> {
    let library = RuntimeLibrary::load(None)?;
    let words = belvedere_ort_cuda::probe(None)?;
    Ok(format!("{words}, of ONNX Runtime {}, {}", library.version, library.path.display()))
}
