//! A phrase that pictures are to be searched for.

use crate::error::ModelError;
use crate::tasks::{Prompt, PromptStyle, Task, TaskInput};
use crate::tokens::Tokenizer;

/// A phrase with everything that is asked about it in each picture, made once.
#[derive(Debug, Clone)]
pub struct WatchedPhrase {
    text: String,
    prompt: Prompt,
}

impl WatchedPhrase {
    /// Prepares `text`; `max_tokens` as for [`Prompt::new`].
    ///
    /// # Errors
    /// It is empty, or too long for the model.
    pub fn new(tokenizer: &Tokenizer, text: &str, max_tokens: usize) -> Result<WatchedPhrase, ModelError> {
        let input = TaskInput::Text(text.to_owned());
        let style = PromptStyle::default();
        let prompt = Prompt::new(tokenizer, Task::OpenVocabularyDetection, input, style, max_tokens)?;
        Ok(WatchedPhrase { text: text.to_owned(), prompt })
    }

    /// The phrase.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The question for its boxes.
    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }
}
