//! The engine of a checkpoint on this machine's GPU.

use belvedere_cuda::{CudaDevice, DeviceFacts, devices};
use belvedere_kernels::device::Device as _;
use belvedere_tensorrt::Library;

use super::{DeviceEngine, EngineFiles, EngineGraphs, GpuIdentity, TensorRtBuilder, TensorRtNetworks};
use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::engine::Engine;
use crate::florence::{LoadOptions, Precision};
use crate::graph::Element;

/// Sequences that run at once, where memory allows. A step reads all weights for however many there are: eight cost
/// little more than one.
const ROWS: usize = 8;

/// What the engine needs of a machine.
#[derive(Debug)]
pub(crate) struct GpuMachine {
    library: Library,
    gpu: DeviceFacts,
}

impl GpuMachine {
    /// TensorRT and the first GPU. Loads the library and asks the driver, and takes no memory of the GPU.
    ///
    /// # Errors
    /// One of the two is not there: which, and in whose words.
    pub(crate) fn find() -> Result<GpuMachine, ModelError> {
        let gpu = devices().map_err(|error| missing(error.to_string()))?.into_iter().next();
        let gpu = gpu.ok_or_else(|| missing("the driver finds no GPU".to_owned()))?;
        Ok(GpuMachine { library: Library::find().map_err(ModelError::TensorRt)?, gpu })
    }

    /// The engine of a checkpoint, with engine files that are built first where there are none.
    ///
    /// # Errors
    /// Weights that cannot be read, an engine that cannot be built or opened, too little memory, cancellation.
    pub(crate) fn load(
        self,
        checkpoint: &Checkpoint,
        options: &LoadOptions,
    ) -> Result<Box<dyn Engine>, ModelError> {
        let GpuMachine { library, gpu } = self;
        let (config, size_px) = (checkpoint.config(), (options.width, options.height));
        let element = match options.precision {
            Precision::Exact => Element::F32,
            Precision::Fast => Element::F16,
        };
        if let Some(scratch) = &options.scratch {
            std::fs::create_dir_all(scratch).map_err(ModelError::io(scratch))?;
        }
        let device = CudaDevice::open(gpu.ordinal).map_err(|error| missing(error.to_string()))?;
        device.make_current().map_err(|error| missing(error.to_string()))?;
        tracing::info!(device = device.description(), tensorrt = %library.path().display(), "found");
        let graphs = EngineGraphs::new(config, checkpoint, size_px, ROWS, element)?;
        let mut builder =
            TensorRtBuilder::new(library.clone(), GpuIdentity::from(&gpu), options.scratch.clone());
        let networks = TensorRtNetworks::open(
            &library,
            &graphs.requests(),
            &EngineFiles::new(options.engines.clone()).rebuilding(options.rebuild_engines),
            &mut builder,
            &options.on_build,
            &options.cancel,
        )?;
        options.cancel.check()?;
        let (profiles, frame_px) = (graphs.profiles(), options.largest_frame_px);
        let engine =
            DeviceEngine::for_frames(device, networks, config, size_px, profiles, element, frame_px)?;
        Ok(Box::new(engine))
    }
}

fn missing(reason: String) -> ModelError {
    ModelError::Request { what: "device", reason }
}
