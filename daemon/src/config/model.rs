//! `[model]`

use belvedere_models::{Device, PhraseForm, Precision};

use super::reader::{Read, Reader};
use super::settings::ModelSettings;

/// Where an answer is cut off unless the configuration says otherwise: the longest answers of the
/// reference's own examples (dense captions, OCR of a page) fit.
const MAX_NEW_TOKENS: usize = 1024;

pub(super) fn read(table: &Reader<'_>) -> Read<ModelSettings> {
    let path = table.string("path").map(|path| path.map(Into::into));
    let device = table.one_of(
        "device",
        &[("auto", Device::Auto), ("cpu", Device::Cpu), ("tensorrt", Device::TensorRt)],
        Device::Auto,
    );
    let precision =
        table.one_of("precision", &[("fast", Precision::Fast), ("exact", Precision::Exact)], Precision::Fast);
    let threads = table.whole_number("threads", 1..=1024);
    let beams = table.whole_number("beams", 1..=16);
    let phrases = table.one_of(
        "phrases",
        &[("each", PhraseForm::Each), ("grouped", PhraseForm::Grouped)],
        PhraseForm::default(),
    );
    let max_new_tokens = table.whole_number("max_new_tokens", 1..=1024);
    Some(ModelSettings {
        path: path?,
        device: device?,
        precision: precision?,
        threads: threads?,
        beams: beams?.unwrap_or(1),
        phrases: phrases?,
        max_new_tokens: max_new_tokens?.unwrap_or(MAX_NEW_TOKENS),
    })
}
