//! Words to prompts, without the model.

use std::sync::Arc;

use belvedere_models::{Checkpoint, Prompt, PromptStyle, Task, TaskInput, Tokenizer, WatchedPhrase};

use crate::analyst::{self, AnalysisError};

/// Makes prompts for one checkpoint. It needs the tokenizer alone: prompts can be made while the model is busy. Cloning
/// gives another handle to the same tokenizer.
#[derive(Debug, Clone)]
pub struct Prompter {
    tokenizer: Arc<Tokenizer>,
    /// What the model takes beside the picture.
    max_tokens: usize,
}

impl Prompter {
    /// For a model that takes `max_tokens` tokens beside the picture.
    pub fn new(tokenizer: Tokenizer, max_tokens: usize) -> Prompter {
        Prompter { tokenizer: Arc::new(tokenizer), max_tokens }
    }

    /// For `checkpoint`; of its files only those without weights are read.
    ///
    /// # Errors
    /// The tokenizer is missing, or does not fit the checkpoint.
    pub fn of(checkpoint: &Checkpoint) -> Result<Prompter, AnalysisError> {
        let (config, spec) = (checkpoint.config(), checkpoint.preprocess_spec());
        let tokenizer = analyst::tokenizer(checkpoint.dir(), checkpoint)?;
        let image_tokens = config.image_tokens(spec.width, spec.height)?;
        Ok(Prompter::new(tokenizer, config.text.max_positions.saturating_sub(image_tokens)))
    }

    /// The checkpoint's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// A prompt for `task`.
    ///
    /// # Errors
    /// The input is not what the task takes, or too long for the model.
    pub fn prompt(&self, task: Task, input: TaskInput) -> Result<Prompt, AnalysisError> {
        Ok(Prompt::new(&self.tokenizer, task, input, PromptStyle::default(), self.max_tokens)?)
    }

    /// A prompt of a fine-tune's own.
    ///
    /// # Errors
    /// It is too long for the model, or holds what is no text.
    pub fn free_prompt(&self, text: &str) -> Result<Prompt, AnalysisError> {
        Ok(Prompt::free(&self.tokenizer, text, self.max_tokens)?)
    }

    /// A phrase to look for in pictures.
    ///
    /// # Errors
    /// It is too long for the model.
    pub fn watched_phrase(&self, text: &str) -> Result<WatchedPhrase, AnalysisError> {
        Ok(WatchedPhrase::new(&self.tokenizer, text, self.max_tokens)?)
    }
}
