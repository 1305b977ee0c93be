//! A model is loaded.

use std::path::Path;

use belvedere_kernels::{PreprocessPlan, PreprocessSpec};
use belvedere_models::engine::tensorrt::OnBuild;
use belvedere_models::evidence::Examiner;
use belvedere_models::{
    CancelToken, Checkpoint, Florence, GenerationOptions, LoadOptions, ScoreWeights, Tokenizer,
};

use super::{AnalysisError, Analyst};
use crate::config::ModelSettings;
use crate::prompter::Prompter;
use crate::{bundled, doctor, folders};

/// What loading is told by, and whom it tells.
#[derive(Debug, Clone, Default)]
pub struct Loading {
    /// Is told how far building engines has come.
    pub on_build: OnBuild,
    /// Ends it.
    pub cancel: CancelToken,
    /// Builds the model's engines anew, those that are there too.
    pub rebuild_engines: bool,
    /// Whether little memory and an early start count for more than speed, with the bundled model.
    pub spares_memory: bool,
}

impl Analyst {
    /// Loads the model of `settings`, the bundled one where none is named.
    ///
    /// # Errors
    /// The checkpoint or the engine; see [`AnalysisError::is_unavailable`].
    pub fn load(settings: &ModelSettings) -> Result<Analyst, AnalysisError> {
        Analyst::load_with(settings, Loading::default())
    }

    /// The same, where it can take long.
    ///
    /// # Errors
    /// As for [`load`](Self::load), and cancellation.
    pub fn load_with(settings: &ModelSettings, loading: Loading) -> Result<Analyst, AnalysisError> {
        let dir = match &settings.path {
            Some(dir) => dir.clone(),
            None => bundled::checkpoint()?,
        };
        let mut checkpoint = Checkpoint::open(&dir)?;
        let prompter = Prompter::of(&checkpoint)?;
        checkpoint.fit_to(prompter.tokenizer())?;
        let spec = checkpoint.preprocess_spec().clone();
        let options = LoadOptions {
            width: spec.width,
            height: spec.height,
            device: settings.device,
            precision: settings.precision,
            threads: settings.threads,
            scratch: folders::cache().map(|folder| folder.join("loading")),
            engines: folders::engines(),
            rebuild_engines: loading.rebuild_engines,
            // With the small bundled model OpenVINO takes as much memory as all else together, and half of the start.
            openvino: (settings.path.is_none() && loading.spares_memory).then_some(false),
            on_build: loading.on_build,
            cancel: loading.cancel,
            ..LoadOptions::default()
        };
        let florence =
            Florence::load(&checkpoint, &options).map_err(|error| match error.is_unavailable() {
                true => AnalysisError::Unavailable {
                    error: Box::new(error),
                    advice: doctor::advice(settings.device),
                },
                false => error.into(),
            })?;
        Analyst::over(florence, prompter, spec, settings)
    }

    /// A model that is loaded, with the rest of `settings` around it.
    ///
    /// # Errors
    /// No picture could be brought to the size of `spec`.
    pub(crate) fn over(
        florence: Florence,
        prompter: Prompter,
        spec: PreprocessSpec,
        settings: &ModelSettings,
    ) -> Result<Analyst, AnalysisError> {
        let weights = if settings.path.is_none() { ScoreWeights::BUNDLED } else { ScoreWeights::UNFITTED };
        Ok(Analyst {
            prompter,
            examiner: Examiner::new(weights, spec.width as usize, spec.height as usize),
            plan: PreprocessPlan::new(spec)?,
            options: GenerationOptions {
                beams: settings.beams,
                max_new_tokens: settings.max_new_tokens,
                ..florence.default_options()
            },
            is_bundled: settings.path.is_none(),
            form: settings.phrases,
            florence,
        })
    }
}

/// The tokenizer of a checkpoint's folder.
///
/// # Errors
/// It is missing, or does not fit the checkpoint.
pub fn tokenizer(dir: &Path, checkpoint: &Checkpoint) -> Result<Tokenizer, AnalysisError> {
    Ok(Tokenizer::open(&dir.join("tokenizer.json"), checkpoint.config().text.vocabulary)?)
}
