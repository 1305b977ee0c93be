//! The engine for GPUs on the CUDA provider.

use std::path::Path;

use belvedere_cuda::{CudaDevice, devices};
use belvedere_models::checkpoint::Checkpoint;
use belvedere_models::engine::Engine;
use belvedere_models::engine::ort::environment;
use belvedere_models::engine::tensorrt::{DeviceEngine, EngineGraphs};
use belvedere_models::graph::Element;

use crate::bound_session::load_cuda;
use crate::{Capturing, OrtCudaError, OrtCudaNetworks};

/// How to make the engine.
#[derive(Debug, Clone)]
pub struct OrtCudaOptions<'a> {
    /// Width and height of the pictures in pixels.
    pub size_px: (u32, u32),
    /// In which the graphs compute.
    pub element: Element,
    /// Sequences that run at once.
    pub rows: usize,
    /// Who captures steps.
    pub capturing: Capturing,
    /// The library file of ONNX Runtime, with its providers beside it; `None` to search for it.
    pub library: Option<&'a Path>,
}

/// The engine of a checkpoint on the first GPU.
///
/// # Errors
/// No driver or GPU, no ONNX Runtime, weights that cannot be read, too little memory.
pub fn engine(
    checkpoint: &Checkpoint,
    options: &OrtCudaOptions<'_>,
) -> Result<Box<dyn Engine>, OrtCudaError> {
    let OrtCudaOptions { size_px, element, rows, capturing, library } = *options;
    let ordinal = devices()?.first().map_or(0, |facts| facts.ordinal);
    let device = CudaDevice::open(ordinal)?;
    device.make_current()?;
    let environment = environment(library)?;
    let config = checkpoint.config();
    let graphs = EngineGraphs::new(config, checkpoint, size_px, rows, element)?;
    let networks = OrtCudaNetworks::new(&environment, &graphs.requests(), &device, ordinal, capturing)?;
    let engine = DeviceEngine::new(device, networks, config, size_px, graphs.profiles(), element)?;
    Ok(Box::new(engine))
}

/// Whether the CUDA provider of ONNX Runtime, `library` or the one that is found, can be loaded and there is a GPU; which.
///
/// # Errors
/// What is missing, in the words of whoever misses it.
pub fn probe(library: Option<&Path>) -> Result<String, OrtCudaError> {
    load_cuda(&environment(library)?, 0)?;
    let facts = devices()?;
    let gpu = facts.first().map_or_else(|| "no GPU".to_owned(), ToString::to_string);
    Ok(format!("can be loaded, for {gpu}"))
}
