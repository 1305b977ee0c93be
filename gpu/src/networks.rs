//! What runs the graphs, and the model on it.

use std::path::PathBuf;

use belvedere_models::decode::DecoderConfig;
use belvedere_models::graph::Element;
use belvedere_models::{Checkpoint, Device, Florence, LoadOptions, Precision};
use belvedere_ort_cuda::{Capturing, OrtCudaOptions};
use clap::{Args, ValueEnum};

/// Sequences that run at once.
const ROWS: usize = 8;

/// As on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Where {
    /// TensorRT or TensorRT-RTX, whichever is found.
    Tensorrt,
    /// The engine for GPUs with its graphs on ONNX Runtime's CUDA provider.
    OnnxruntimeCuda,
    /// The CPU's engine.
    Cpu,
}

#[derive(Debug, Args)]
pub(crate) struct On {
    /// What runs the graphs.
    #[arg(long, value_enum, default_value = "tensorrt")]
    pub(crate) device: Where,
    /// The folder of TensorRT's engine files.
    #[arg(long)]
    engines: Option<PathBuf>,
    /// Computes in FP32.
    #[arg(long)]
    pub(crate) exact: bool,
    /// Who captures steps on ONNX Runtime's CUDA provider: engine, provider or nobody.
    #[arg(long, default_value_t)]
    capturing: Capturing,
}

impl On {
    /// The model of a checkpoint, at the size that it asks for.
    pub(crate) fn load(&self, checkpoint: &Checkpoint) -> anyhow::Result<Florence> {
        let precision = if self.exact { Precision::Exact } else { Precision::Fast };
        match self.device {
            Where::Tensorrt => self.florence(checkpoint, Device::TensorRt, precision),
            Where::Cpu => self.florence(checkpoint, Device::Cpu, precision),
            Where::OnnxruntimeCuda => {
                let spec = checkpoint.preprocess_spec();
                let options = OrtCudaOptions {
                    size_px: (spec.width, spec.height),
                    element: if self.exact { Element::F32 } else { Element::F16 },
                    rows: ROWS,
                    capturing: self.capturing,
                    library: None,
                };
                let engine = belvedere_ort_cuda::engine(checkpoint, &options)?;
                Ok(Florence::with_engine(engine, DecoderConfig::new(checkpoint.config())))
            }
        }
    }

    /// The same on the CPU, in FP32.
    pub(crate) fn reference(&self, checkpoint: &Checkpoint) -> anyhow::Result<Florence> {
        self.florence(checkpoint, Device::Cpu, Precision::Exact)
    }

    fn florence(
        &self,
        checkpoint: &Checkpoint,
        device: Device,
        precision: Precision,
    ) -> anyhow::Result<Florence> {
        let spec = checkpoint.preprocess_spec();
        let options = LoadOptions {
            width: spec.width,
            height: spec.height,
            device,
            precision,
            engines: self.engines.clone(),
            ..LoadOptions::default()
        };
        Ok(Florence::load(checkpoint, &options)?)
    }
}
