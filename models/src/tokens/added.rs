//! The tokens that Florence-2 adds to BART's vocabulary, in the order in which the original processor adds them.
//!
//! The `microsoft/Florence-2-*` repositories ship a tokenizer without them; the original `processing_florence2.py`
//! adds them at load time (spec section 6.1).

use super::vocabulary::LOCATION_BINS;

/// The placeholder of the native processor for one image embedding. Never generated, never embedded as text.
pub(super) const IMAGE: &str = "<image>";

/// Every added token in the reference's order, `<image>` last.
pub(super) fn in_reference_order() -> impl Iterator<Item = String> {
    const BEFORE: [&str; 4] = ["<od>", "</od>", "<ocr>", "</ocr>"];
    const AFTER: [&str; 20] = [
        "<cap>",
        "</cap>",
        "<ncap>",
        "</ncap>",
        "<dcap>",
        "</dcap>",
        "<grounding>",
        "</grounding>",
        "<seg>",
        "</seg>",
        "<sep>",
        "<region_cap>",
        "</region_cap>",
        "<region_to_desciption>",
        "</region_to_desciption>",
        "<proposal>",
        "</proposal>",
        "<poly>",
        "</poly>",
        "<and>",
    ];
    let locations = (0..LOCATION_BINS).map(location);
    let before = BEFORE.into_iter().map(str::to_owned);
    before.chain(locations).chain(AFTER.into_iter().chain([IMAGE]).map(str::to_owned))
}

/// The location token of a bin.
pub(super) fn location(bin: u16) -> String {
    format!("<loc_{bin}>")
}
