//! The model with all that it takes to ask it something: pictures in, answers out.

use std::path::{Path, PathBuf};
use std::time::Instant;

use belvedere_kernels::{ImageView, KernelError, PixelValues, PreprocessPlan};
use belvedere_models::{
    Answer, CancelToken, Checkpoint, Evidence, Florence, FoundPhrase, FoundRegion, Generation,
    GenerationOptions, ImageFeatures, LoadOptions, ModelError, ParseMode, PictureSize, Prompt, PromptStyle,
    Shape, Task, TaskInput, TaskOutput, Tokenizer, WatchedPhrase,
};

use belvedere_models::engine::Pixels;

use crate::bundled;
use crate::cache;
use crate::config::ModelSettings;
use crate::messages::TimingMs;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// The picture cannot be brought to the model's size.
    #[error(transparent)]
    Picture(#[from] KernelError),
    /// The checkpoint, the engine or the prompt is at fault, or the call was cancelled.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The bundled checkpoint cannot be unpacked.
    #[error("the bundled model cannot be written to {}: {reason}", dir.display())]
    Bundled {
        /// Its folder.
        dir: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl AnalysisError {
    /// Whether a device or a library that is needed is missing on this machine.
    pub fn is_unavailable(&self) -> bool {
        match self {
            AnalysisError::Model(error) => matches!(
                error,
                ModelError::RuntimeMissing { .. }
                    | ModelError::RuntimeUnusable { .. }
                    | ModelError::Request { what: "device", .. }
            ),
            _ => false,
        }
    }

    /// Whether the call was told to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, AnalysisError::Model(ModelError::Cancelled))
    }
}

/// What was found in one picture, prompt by prompt.
#[derive(Debug)]
pub struct Analysis {
    /// In the order of the prompts.
    pub answers: Vec<Found>,
    /// In the order of the phrases.
    pub phrases: Vec<FoundPhrase>,
    /// Where the time went; shared by all answers.
    pub timing: TimingMs,
}

/// The answer to one prompt.
#[derive(Debug)]
pub struct Found {
    /// Text and regions, in pixels of the picture.
    pub output: TaskOutput,
    /// The whole sequence.
    pub token_ids: Vec<u32>,
}

/// A loaded model. Owned by one thread.
pub struct Analyst {
    florence: Florence,
    tokenizer: Tokenizer,
    plan: PreprocessPlan,
    options: GenerationOptions,
    max_prompt_tokens: usize,
    is_bundled: bool,
}

impl Analyst {
    /// Loads the model of `settings`, the bundled one where none is named.
    ///
    /// # Errors
    /// The checkpoint or the engine; see [`AnalysisError::is_unavailable`].
    pub fn load(settings: &ModelSettings) -> Result<Analyst, AnalysisError> {
        let dir = match &settings.path {
            Some(dir) => dir.clone(),
            None => bundled::checkpoint()?,
        };
        let checkpoint = Checkpoint::open(&dir)?;
        let tokenizer = tokenizer(&dir, &checkpoint)?;
        let spec = checkpoint.preprocess_spec().clone();
        let options = LoadOptions {
            width: spec.width,
            height: spec.height,
            device: settings.device,
            precision: settings.precision,
            threads: settings.threads,
            scratch: cache::folder().map(|folder| folder.join("loading")),
            ..LoadOptions::default()
        };
        let image_tokens = checkpoint.config().image_tokens(spec.width, spec.height)?;
        let florence = Florence::load(&checkpoint, &options)?;
        Ok(Analyst {
            florence,
            tokenizer,
            plan: PreprocessPlan::new(spec)?,
            options: GenerationOptions {
                beams: settings.beams,
                max_new_tokens: settings.max_new_tokens,
                ..GenerationOptions::default()
            },
            max_prompt_tokens: checkpoint.config().text.max_positions.saturating_sub(image_tokens),
            is_bundled: settings.path.is_none(),
        })
    }

    /// What runs where and how, in one line.
    pub fn description(&self) -> String {
        self.florence.device_description()
    }

    /// Whether no model was named, and this is the bundled one.
    pub fn is_bundled(&self) -> bool {
        self.is_bundled
    }

    /// Lets every answer from now on have exactly `tokens` tokens after the start token, whatever the model would
    /// say: for measurements. A decoder with fewer positions still ends there.
    pub fn answer_with_exactly(&mut self, tokens: usize) {
        self.options.min_new_tokens = tokens;
        self.options.max_new_tokens = tokens;
    }

    /// A prompt for `task`.
    ///
    /// # Errors
    /// The input is not what the task takes, or too long for the model.
    pub fn prompt(&self, task: Task, input: TaskInput) -> Result<Prompt, AnalysisError> {
        let prompt =
            Prompt::new(&self.tokenizer, task, input, PromptStyle::default(), self.max_prompt_tokens)?;
        Ok(prompt)
    }

    /// A prompt of a fine-tune's own.
    ///
    /// # Errors
    /// It is too long for the model, or holds what is no text.
    pub fn free_prompt(&self, text: &str) -> Result<Prompt, AnalysisError> {
        Ok(Prompt::free(&self.tokenizer, text, self.max_prompt_tokens)?)
    }

    /// A phrase to look for in pictures.
    ///
    /// # Errors
    /// It is too long for the model.
    pub fn watched_phrase(&self, text: &str) -> Result<WatchedPhrase, AnalysisError> {
        Ok(WatchedPhrase::new(&self.tokenizer, text, self.max_prompt_tokens)?)
    }

    /// Asks `prompts` about one picture and looks for `phrases` in it: it is encoded once, everything is decoded as
    /// one batch.
    ///
    /// # Errors
    /// The model's, and cancellation.
    pub fn analyse(
        &mut self,
        picture: &ImageView<'_>,
        prompts: &[Prompt],
        phrases: &[&WatchedPhrase],
        mode: ParseMode,
        cancel: &CancelToken,
    ) -> Result<Analysis, AnalysisError> {
        let clock = Instant::now();
        let pixels = self.preprocess(picture)?;
        let preprocess = ms_since(clock);
        let (features, vision) = self.encode(&pixels, cancel)?;
        let questions = prompts.iter().chain(phrases.iter().map(|phrase| phrase.prompt()));
        let questions: Vec<&[u32]> = questions.map(Prompt::token_ids).collect();
        let mut generated = self.florence.generate(&features, &questions, &self.options, cancel)?;
        let about_phrases = generated.split_off(prompts.len().min(generated.len()));
        let size = PictureSize::new(picture.width(), picture.height());
        let mut timing = TimingMs { preprocess, vision, ..TimingMs::default() };
        let mut answers = Vec::with_capacity(prompts.len());
        for (prompt, Generation { token_ids, log_probs, timing: times }) in prompts.iter().zip(generated) {
            timing.encoder = times.encoder_ms;
            timing.decode = times.prefill_ms + times.decode_ms;
            let answer = Answer { token_ids: &token_ids, log_probs: &log_probs };
            let output = prompt.parse(&self.tokenizer, answer, size, mode)?;
            answers.push(Found { output, token_ids });
        }
        let found = phrases.iter().zip(&about_phrases);
        let phrases = found.map(|(phrase, generation)| self.found(phrase, generation, size));
        Ok(Analysis { answers, phrases: phrases.collect::<Result<_, _>>()?, timing })
    }

    fn found(
        &self,
        phrase: &WatchedPhrase,
        generation: &Generation,
        size: PictureSize,
    ) -> Result<FoundPhrase, AnalysisError> {
        let answer = Answer { token_ids: &generation.token_ids, log_probs: &generation.log_probs };
        let output = phrase.prompt().parse(&self.tokenizer, answer, size, ParseMode::Default)?;
        let regions = output.regions.iter().filter_map(|region| {
            let Shape::Box(box_px) = region.shape else { return None };
            let location = region.score.unwrap_or_default();
            let evidence = Evidence { location, label: 0.0, contrast: None, region: None, rival: None };
            Some(FoundRegion { box_px, score: location, evidence })
        });
        Ok(FoundPhrase { regions: regions.collect() })
    }

    /// The stage before the model: colour, size and normalisation.
    ///
    /// # Errors
    /// The picture cannot be brought to the model's size.
    pub fn preprocess(&mut self, picture: &ImageView<'_>) -> Result<PixelValues, AnalysisError> {
        Ok(self.plan.run(picture)?)
    }

    /// The vision stage; with its time in ms.
    ///
    /// # Errors
    /// The engine's, and cancellation.
    pub fn encode(
        &mut self,
        pixels: &PixelValues,
        cancel: &CancelToken,
    ) -> Result<(ImageFeatures, f64), AnalysisError> {
        let view =
            Pixels { width: pixels.width as usize, height: pixels.height as usize, data: &pixels.data };
        Ok(self.florence.encode_image(view, cancel)?)
    }

    /// The text stages, prompt by prompt.
    ///
    /// # Errors
    /// The engine's, and cancellation.
    pub fn generate(
        &mut self,
        features: &ImageFeatures,
        prompts: &[Prompt],
        cancel: &CancelToken,
    ) -> Result<Vec<Generation>, AnalysisError> {
        let token_ids: Vec<&[u32]> = prompts.iter().map(Prompt::token_ids).collect();
        Ok(self.florence.generate(features, &token_ids, &self.options, cancel)?)
    }

    /// The stage after the model.
    ///
    /// # Errors
    /// The tokenizer cannot decode.
    pub fn parse(
        &self,
        prompt: &Prompt,
        answer: Answer<'_>,
        picture: PictureSize,
        mode: ParseMode,
    ) -> Result<TaskOutput, AnalysisError> {
        Ok(prompt.parse(&self.tokenizer, answer, picture, mode)?)
    }
}

/// The tokenizer of a checkpoint's folder.
///
/// # Errors
/// It is missing, or does not fit the checkpoint.
pub fn tokenizer(dir: &Path, checkpoint: &Checkpoint) -> Result<Tokenizer, AnalysisError> {
    Ok(Tokenizer::open(&dir.join("tokenizer.json"), checkpoint.config().text.vocabulary)?)
}

fn ms_since(clock: Instant) -> f64 {
    clock.elapsed().as_secs_f64() * 1e3
}
