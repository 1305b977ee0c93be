//! A generated sequence and how to read it.

use super::output::{Region, TaskOutput};
use super::symbols::{said, symbols};
use super::{grammar, reference};
use crate::error::ModelError;
use crate::tasks::{AnswerKind, PictureSize, Prompt, Task};
use crate::tokens::{TokenKind, Tokenizer};

/// Which reading of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParseMode {
    /// Repairs what the original parsers get wrong: broken runs of location tokens, pads, runs of `<s>`, the asked
    /// region repeated behind a text, labels outside ASCII, inverted boxes. Every region has a score where
    /// log-probabilities are given.
    #[default]
    Default,
    /// The original parsers (`processing_florence2.py` of the `microsoft/Florence-2-*` checkpoints), artefacts
    /// included. As there, only object detection and dense captions have scores.
    ///
    /// One departure: a location above 999, which a model can only spell from letters, is taken as 999.
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
        let kind = self.task().map_or(AnswerKind::Text, Task::answer);
        read(kind, tokenizer, answer, picture, mode)
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
        read(self.answer(), tokenizer, answer, picture, mode)
    }
}

fn read(
    kind: AnswerKind,
    tokenizer: &Tokenizer,
    answer: Answer<'_>,
    picture: PictureSize,
    mode: ParseMode,
) -> Result<TaskOutput, ModelError> {
    match mode {
        ParseMode::Default => Ok(TaskOutput {
            text: text(kind, tokenizer, answer)?,
            regions: regions(kind, tokenizer, answer, picture)?,
        }),
        ParseMode::Reference => reference::read(kind, tokenizer, answer, picture),
    }
}

/// What was said, location tokens written out; for a region's text without the box that follows it.
fn text(kind: AnswerKind, tokenizer: &Tokenizer, answer: Answer<'_>) -> Result<String, ModelError> {
    let mut ids: Vec<u32> = said(tokenizer, answer.token_ids).map(|(_, id, _)| id).collect();
    if kind == AnswerKind::RegionText {
        let is_location = |id: &u32| matches!(tokenizer.vocabulary().kind(*id), TokenKind::Location(_));
        let words = ids.iter().rposition(|id| !is_location(id)).map_or(0, |last| last + 1);
        ids.truncate(words);
    }
    Ok(tokenizer.decode(&ids)?.trim().to_owned())
}

fn regions(
    kind: AnswerKind,
    tokenizer: &Tokenizer,
    answer: Answer<'_>,
    picture: PictureSize,
) -> Result<Vec<Region>, ModelError> {
    let grammar = match kind {
        AnswerKind::Text | AnswerKind::RegionText => return Ok(Vec::new()),
        AnswerKind::LabelledBoxes => grammar::labelled_boxes,
        AnswerKind::Boxes => grammar::plain_boxes,
        AnswerKind::Grounding => grammar::grounded_phrases,
        AnswerKind::BoxesOrPolygons => grammar::boxes_and_polygons,
        AnswerKind::Polygons => grammar::plain_polygons,
        AnswerKind::Quads => grammar::labelled_quads,
    };
    Ok(grammar(&symbols(tokenizer, answer)?, picture))
}
