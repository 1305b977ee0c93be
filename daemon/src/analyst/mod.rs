//! The model with all that it takes to ask it something: pictures in, answers out.

mod analysis;
mod error;
mod loading;
mod stages;

use belvedere_kernels::{PreprocessPlan, RgbImage};
use belvedere_models::engine::DeviceMemory;
use belvedere_models::evidence::Examiner;
use belvedere_models::{
    CancelToken, Florence, GenerationOptions, PhraseForm, Prompt, Task, TaskInput, WatchedPhrase,
};

pub use analysis::{Analysis, Found, Inquiry};
pub use error::AnalysisError;
pub use loading::{Loading, tokenizer};

use crate::prompter::Prompter;

/// The start, the forced first token, a free one, the end.
const WARM_UP_TOKENS: usize = 4;

/// A loaded model. Owned by one thread.
pub struct Analyst {
    florence: Florence,
    prompter: Prompter,
    plan: PreprocessPlan,
    options: GenerationOptions,
    is_bundled: bool,
    form: PhraseForm,
    examiner: Examiner,
}

impl Analyst {
    /// Runs every stage once on a blank picture, so that the first frame finds all memory taken and every graph run.
    ///
    /// # Errors
    /// The model's, which no picture would be spared; cancellation.
    pub fn warm_up(&mut self, cancel: &CancelToken) -> Result<(), AnalysisError> {
        let blank = RgbImage { width: 64, height: 64, pixels: vec![127; 64 * 64 * 3] };
        let (features, _) = self.encode(&blank.view()?, cancel)?;
        let prompt = self.prompt(Task::Caption, TaskInput::Nothing)?;
        let options = GenerationOptions { max_new_tokens: WARM_UP_TOKENS, ..self.options.clone() };
        self.florence.generate(&features, &[prompt.token_ids()], &options, cancel)?;
        Ok(())
    }

    /// What runs where and how, in one line.
    pub fn description(&self) -> String {
        self.florence.device_description()
    }

    /// Whether no model was named, and this is the bundled one.
    pub fn is_bundled(&self) -> bool {
        self.is_bundled
    }

    /// The memory of the device that runs the model, where it has its own.
    pub fn device_memory(&mut self) -> Option<DeviceMemory> {
        self.florence.device_memory()
    }

    /// Lets every answer from now on have exactly `tokens` tokens after the start token, whatever the model would
    /// say: for measurements. A decoder with fewer positions still ends there.
    pub fn answer_with_exactly(&mut self, tokens: usize) {
        self.options.min_new_tokens = tokens;
        self.options.max_new_tokens = tokens;
    }

    /// Lets every region of a phrase be asked back, not only where there is doubt: for measurements.
    pub fn check_every_region(&mut self) {
        self.examiner.check_every_region();
    }

    /// Makes prompts for this model, wherever they are wanted.
    pub fn prompter(&self) -> &Prompter {
        &self.prompter
    }

    /// A prompt for `task`.
    ///
    /// # Errors
    /// The input is not what the task takes, or too long for the model.
    pub fn prompt(&self, task: Task, input: TaskInput) -> Result<Prompt, AnalysisError> {
        self.prompter.prompt(task, input)
    }

    /// A prompt of a fine-tune's own.
    ///
    /// # Errors
    /// It is too long for the model, or holds what is no text.
    pub fn free_prompt(&self, text: &str) -> Result<Prompt, AnalysisError> {
        self.prompter.free_prompt(text)
    }

    /// A phrase to look for in pictures.
    ///
    /// # Errors
    /// It is too long for the model.
    pub fn watched_phrase(&self, text: &str) -> Result<WatchedPhrase, AnalysisError> {
        self.prompter.watched_phrase(text)
    }
}
