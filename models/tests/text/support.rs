//! The published tokenizer and answers written as text.

use std::path::PathBuf;
use std::sync::OnceLock;

use belvedere_models::{Answer, ParseMode, PictureSize, Region, Shape, Task, TaskOutput, Tokenizer};

/// Rows of the embedding of the published checkpoints.
pub(crate) const ROWS: usize = 51289;

pub(crate) fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

pub(crate) fn json(name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(testdata(name)).unwrap()).unwrap()
}

pub(crate) fn ids(value: &serde_json::Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

pub(crate) fn tokenizer() -> &'static Tokenizer {
    static TOKENIZER: OnceLock<Tokenizer> = OnceLock::new();
    TOKENIZER.get_or_init(|| Tokenizer::open(&testdata("tokenizer/tokenizer.json"), ROWS).unwrap())
}

/// `</s><s>`, the text, `</s>`: a whole generated sequence.
pub(crate) fn sequence(text: &str) -> Vec<u32> {
    let mut ids = vec![tokenizer().vocabulary().eos];
    ids.extend(tokenizer().encode(text).unwrap());
    ids
}

/// Location tokens written out.
pub(crate) fn locs(bins: impl IntoIterator<Item = u16>) -> String {
    bins.into_iter().map(|bin| format!("<loc_{bin}>")).collect()
}

pub(crate) const THOUSAND: PictureSize = PictureSize { width: 1000, height: 1000 };

/// What a task makes of an answer without log-probabilities about a picture of 1000x1000.
pub(crate) fn read(task: Task, text: &str, mode: ParseMode) -> TaskOutput {
    read_ids(task, &sequence(text), &[], THOUSAND, mode)
}

pub(crate) fn read_ids(
    task: Task,
    token_ids: &[u32],
    log_probs: &[f32],
    picture: PictureSize,
    mode: ParseMode,
) -> TaskOutput {
    task.parse(tokenizer(), Answer { token_ids, log_probs }, picture, mode).unwrap()
}

/// A box on bins of a picture of 1000x1000.
pub(crate) fn boxed(label: &str, bins: [u16; 4]) -> Region {
    Region { label: label.to_owned(), score: None, shape: Shape::Box(bins.map(middle)) }
}

pub(crate) fn quad(label: &str, bins: [u16; 8]) -> Region {
    Region { label: label.to_owned(), score: None, shape: Shape::Quad(bins.map(middle)) }
}

pub(crate) fn polygons(label: &str, outlines: &[&[u16]]) -> Region {
    let outlines = outlines.iter().map(|bins| bins.iter().map(|bin| middle(*bin)).collect());
    Region { label: label.to_owned(), score: None, shape: Shape::Polygons(outlines.collect()) }
}

fn middle(bin: u16) -> f32 {
    f32::from(bin) + 0.5
}
