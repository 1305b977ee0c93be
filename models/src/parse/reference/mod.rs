//! The original parsers, artefacts included: they work on the decoded text, character by character.
//!
//! Source: `processing_florence2.py` of `microsoft/Florence-2-large`, as described in spec section 7.3. Its regular
//! expressions are walked by hand, so that the time is linear whatever the text is.

mod boxes;
mod chunks;
mod polygons;
mod quads;
mod spans;

use super::answer::Answer;
use super::output::TaskOutput;
use crate::error::ModelError;
use crate::tasks::{AnswerKind, PictureSize};
use crate::tokens::Tokenizer;

use boxes::Labels;
use spans::SpannedText;

pub(super) fn read(
    kind: AnswerKind,
    tokenizer: &Tokenizer,
    answer: Answer<'_>,
    picture: PictureSize,
) -> Result<TaskOutput, ModelError> {
    let text = tokenizer.decode(answer.token_ids)?;
    let regions = match kind {
        AnswerKind::Text | AnswerKind::RegionText => Vec::new(),
        AnswerKind::LabelledBoxes if !answer.log_probs.is_empty() => {
            let spanned = SpannedText::decode(tokenizer, answer)?;
            boxes::read(spanned.text(), Labels::Kept, picture, Some(&spanned))
        }
        AnswerKind::LabelledBoxes => boxes::read(&text, Labels::Kept, picture, None),
        AnswerKind::Boxes => boxes::read(&text, Labels::Absent, picture, None),
        AnswerKind::Grounding => boxes::read(&text, Labels::Grounded, picture, None),
        AnswerKind::BoxesOrPolygons if text.contains("<poly>") => {
            polygons::read(&text, Labels::Kept, picture)
        }
        AnswerKind::BoxesOrPolygons => boxes::read(&text, Labels::Kept, picture, None),
        AnswerKind::Polygons => polygons::read(&text, Labels::Absent, picture),
        AnswerKind::Quads => quads::read(&text, picture),
    };
    Ok(TaskOutput { text: text.replace("<s>", "").replace("</s>", ""), regions })
}
