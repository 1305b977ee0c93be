//! Which model a command is about.

use std::path::PathBuf;

use belvedere_models::{Device, Precision};
use clap::Args;

use crate::config::ModelSettings;

/// Which model, and where it runs.
#[derive(Debug, Args)]
pub struct ModelChoice {
    /// The checkpoint's folder: config.json, tokenizer.json and safetensors as the hub ships them
    /// [default: the bundled model, which knows made-up street scenes only].
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// Where to run it: auto, cpu or tensorrt.
    #[arg(long, default_value = "auto", value_parser = parse_device, value_name = "DEVICE")]
    pub device: Device,

    /// fast (reduced where the machine is good at it) or exact (FP32, the reference's tokens).
    #[arg(long, default_value = "fast", value_parser = parse_precision, value_name = "PRECISION")]
    pub precision: Precision,

    /// CPU threads [default: as many as there are].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

impl ModelChoice {
    /// `fast` or `exact`.
    pub fn precision_name(&self) -> &'static str {
        match self.precision {
            Precision::Fast => "fast",
            Precision::Exact => "exact",
        }
    }

    /// As the configuration has it; greedy, answers of any length.
    pub fn settings(&self) -> ModelSettings {
        ModelSettings {
            path: self.model.clone(),
            device: self.device,
            precision: self.precision,
            threads: self.threads.map(usize::from),
            beams: 1,
            max_new_tokens: 1024,
            phrases: belvedere_models::PhraseForm::default(),
        }
    }
}

/// A device by its name.
pub(super) fn parse_device(word: &str) -> Result<Device, String> {
    match word {
        "auto" => Ok(Device::Auto),
        "cpu" => Ok(Device::Cpu),
        "tensorrt" => Ok(Device::TensorRt),
        _ => Err("choose auto, cpu or tensorrt".to_owned()),
    }
}

/// A precision by its name.
fn parse_precision(word: &str) -> Result<Precision, String> {
    match word {
        "fast" => Ok(Precision::Fast),
        "exact" => Ok(Precision::Exact),
        _ => Err("choose fast or exact".to_owned()),
    }
}
