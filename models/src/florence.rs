use std::time::Instant;

use crate::ModelError;
use crate::decode::{DecoderConfig, Generation, GenerationOptions, generate};
use crate::engine::{CancelToken, Engine, ImageFeatures, Pixels};

/// Where to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The best there is: what was chosen stands in [`Florence::device_description`].
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// TensorRT; an error where there is none.
    TensorRt,
}

/// How exactly to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32 throughout: the reference's tokens.
    Exact,
    /// Reduced where the machine is good at it: nearly the same results, sooner.
    #[default]
    Fast,
}

/// How to load a model.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Where to run.
    pub device: Device,
    /// How exactly.
    pub precision: Precision,
    /// CPU threads; `None` for as many as the process may use.
    pub threads: Option<usize>,
    /// The ONNX Runtime library file; `None` to search for it.
    pub runtime_library: Option<std::path::PathBuf>,
}

/// A loaded Florence-2: pictures and prompts in, token sequences out.
pub struct Florence {
    engine: Box<dyn Engine>,
    decoder: DecoderConfig,
}

impl Florence {
    /// Puts the decode loop on an engine; what `load` does once it has one.
    pub fn with_engine(engine: Box<dyn Engine>, decoder: DecoderConfig) -> Self {
        Self { engine, decoder }
    }

    /// What runs where and how, in one line for people.
    pub fn device_description(&self) -> String {
        self.engine.description()
    }

    /// Runs the vision tower on preprocessed pixels, once for any number of prompts. Returns the features and the
    /// time taken in ms.
    ///
    /// # Errors
    /// Pixels of another size than the model was loaded for, an engine failure, cancellation.
    pub fn encode_image(
        &mut self,
        pixels: Pixels<'_>,
        cancel: &CancelToken,
    ) -> Result<(ImageFeatures, f64), ModelError> {
        let clock = Instant::now();
        let features = self.engine.encode_image(pixels, cancel)?;
        Ok((features, clock.elapsed().as_secs_f64() * 1e3))
    }

    /// Answers prompts about one picture as one batch, in their order.
    ///
    /// # Errors
    /// Options out of range, a prompt that is too long, an engine failure, logits that are not finite, cancellation.
    pub fn generate<P: AsRef<[u32]>>(
        &mut self,
        features: &ImageFeatures,
        prompts: &[P],
        options: &GenerationOptions,
        cancel: &CancelToken,
    ) -> Result<Vec<Generation>, ModelError> {
        let prompts: Vec<&[u32]> = prompts.iter().map(AsRef::as_ref).collect();
        generate(self.engine.as_mut(), features, &prompts, &self.decoder, options, cancel)
    }
}
