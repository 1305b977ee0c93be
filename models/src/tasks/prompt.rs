//! A question to the model, ready to be encoded.

use super::input::{LocationBox, TaskInput};
use super::task::{InputKind, Task};
use crate::error::ModelError;
use crate::tokens::{Tokenizer, beginning};

/// How the two reference processors treat the text of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PromptStyle {
    /// White space around the input is removed, as in transformers.
    #[default]
    Trimmed,
    /// The input is kept as it is, as in the original remote code.
    Verbatim,
}

/// A task with its input, or a fine-tune's own prompt, rendered and split into tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    task: Option<Task>,
    input: TaskInput,
    text: String,
    token_ids: Vec<u32>,
}

impl Prompt {
    /// A prompt for `task`.
    ///
    /// `max_tokens` is what the model takes beside the picture: its `max_position_embeddings` less the image tokens
    /// (577 at 768 px).
    ///
    /// # Errors
    /// The input is not what the task takes, is empty, contains `<image>`, or has too many tokens.
    pub fn new(
        tokenizer: &Tokenizer,
        task: Task,
        input: TaskInput,
        style: PromptStyle,
        max_tokens: usize,
    ) -> Result<Self, ModelError> {
        let input_text = match (task.input(), &input) {
            (InputKind::Nothing, TaskInput::Nothing) => String::new(),
            (InputKind::Text, TaskInput::Text(text)) => shaped(text, style).to_owned(),
            (InputKind::Text, TaskInput::Phrases(phrases)) => {
                let phrases = phrases.iter().map(|phrase| shaped(phrase, style));
                let phrases: Vec<&str> = phrases.filter(|phrase| !phrase.trim().is_empty()).collect();
                phrases.join("<and>")
            }
            (InputKind::Region, TaskInput::Region(region)) => region.to_string(),
            (InputKind::Nothing | InputKind::Text, TaskInput::Region(_)) => {
                return Err(ModelError::UnexpectedInput { task, given: "region" });
            }
            (InputKind::Nothing | InputKind::Region, TaskInput::Text(_) | TaskInput::Phrases(_)) => {
                return Err(ModelError::UnexpectedInput { task, given: "text" });
            }
            (InputKind::Text, TaskInput::Nothing) => {
                return Err(ModelError::MissingInput { task, needed: "text" });
            }
            (InputKind::Region, TaskInput::Nothing) => {
                return Err(ModelError::MissingInput { task, needed: "region" });
            }
        };
        if task.input() == InputKind::Text && input_text.trim().is_empty() {
            return Err(ModelError::MissingInput { task, needed: "text" });
        }
        Self::encoded(tokenizer, Some(task), input, task.render(&input_text), max_tokens)
    }

    /// A fine-tune's own prompt, passed to the model as it is. Its answer is text.
    ///
    /// # Errors
    /// The text contains `<image>` or has too many tokens.
    pub fn free(tokenizer: &Tokenizer, text: &str, max_tokens: usize) -> Result<Self, ModelError> {
        Self::encoded(tokenizer, None, TaskInput::Text(text.to_owned()), text.to_owned(), max_tokens)
    }

    /// A prompt written as for the reference processors: a task name alone (`<OD>`), a task name and its input
    /// (`<OPEN_VOCABULARY_DETECTION>a car`), or anything else, which is a free prompt (spec section 6.2).
    ///
    /// # Errors
    /// Those of [`new`](Self::new) and [`free`](Self::free); [`ModelError::TaskNameNotAlone`] where the reference
    /// refuses a prompt; [`ModelError::RegionText`] where a region task is not followed by four location tokens.
    pub fn from_reference(
        tokenizer: &Tokenizer,
        prompt: &str,
        style: PromptStyle,
        max_tokens: usize,
    ) -> Result<Self, ModelError> {
        // The reference looks for tasks without input first.
        let named = |task: &&Task| prompt.contains(task.reference_name());
        let (alone, with_input): (Vec<Task>, Vec<Task>) =
            Task::ALL.iter().partition(|task| task.input() == InputKind::Nothing);
        if let Some(&task) = alone.iter().find(named) {
            if prompt != task.reference_name() {
                let name = task.reference_name();
                return Err(ModelError::TaskNameNotAlone { prompt: beginning(prompt), name });
            }
            return Self::new(tokenizer, task, TaskInput::Nothing, style, max_tokens);
        }
        let Some(&task) = with_input.iter().find(named) else {
            return Self::free(tokenizer, prompt, max_tokens);
        };
        let rest = prompt.replace(task.reference_name(), "");
        let input = match task.input() {
            InputKind::Region => TaskInput::Region(LocationBox::from_tokens(rest.trim())?),
            _ => TaskInput::Text(rest),
        };
        Self::new(tokenizer, task, input, style, max_tokens)
    }

    /// The task; `None` for a free prompt.
    pub fn task(&self) -> Option<Task> {
        self.task
    }

    /// The input as it was given.
    pub fn input(&self) -> &TaskInput {
        &self.input
    }

    /// The sentence that the model reads.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The complete encoder ids, `<s>` and `</s>` included.
    pub fn token_ids(&self) -> &[u32] {
        &self.token_ids
    }

    fn encoded(
        tokenizer: &Tokenizer,
        task: Option<Task>,
        input: TaskInput,
        text: String,
        max_tokens: usize,
    ) -> Result<Self, ModelError> {
        let token_ids = tokenizer.encode(&text)?;
        if token_ids.len() > max_tokens {
            return Err(ModelError::PromptTooLong {
                tokens: token_ids.len(),
                limit: max_tokens,
                text: beginning(&text),
            });
        }
        // `<image>` has no row in the original checkpoints' embedding and is no text in the native ones.
        let vocabulary = tokenizer.vocabulary();
        if let Some(id) = token_ids.iter().find(|id| **id == vocabulary.image || **id >= vocabulary.len) {
            let token = tokenizer.token(*id).unwrap_or_default();
            return Err(ModelError::PromptToken { token, text: beginning(&text) });
        }
        Ok(Self { task, input, text, token_ids })
    }
}

impl AsRef<[u32]> for Prompt {
    fn as_ref(&self) -> &[u32] {
        &self.token_ids
    }
}

fn shaped(text: &str, style: PromptStyle) -> &str {
    match style {
        PromptStyle::Trimmed => text.trim(),
        PromptStyle::Verbatim => text,
    }
}
