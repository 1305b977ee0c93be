//! `parse_description_with_bboxes` and `parse_phrase_grounding` of the original.

use super::super::UNGROUNDED;
use super::super::output::{Region, Shape};
use super::chunks;
use super::spans::SpannedText;
use crate::tasks::PictureSize;

/// What becomes of the text before a run of tokens.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Labels {
    /// It is the label.
    Kept,
    /// It is the label, unless it names nothing that a box could show.
    Grounded,
    /// It is no part of a chunk.
    Absent,
}

pub(super) fn read(
    text: &str,
    labels: Labels,
    picture: PictureSize,
    spanned: Option<&SpannedText>,
) -> Vec<Region> {
    // The original adds up the lengths of the chunks it has seen, not what is between them: after text that is in
    // no chunk, scores are those of other tokens.
    let mut chunk_at = if text.starts_with("<s>") { 3 } else { 0 };
    let text = chunks::without_specials(text);
    let token = |text: &str| chunks::location(text).map(|(_, len)| len);
    let mut regions = Vec::new();
    let mut read_chunk = |chunk: &str| {
        regions.extend(read_chunk(chunk, labels, picture, spanned, chunk_at));
        chunk_at += chunk.chars().count();
    };
    match labels {
        Labels::Absent => chunks::unlabelled(&text, token).for_each(&mut read_chunk),
        Labels::Kept | Labels::Grounded => chunks::labelled(&text, token).for_each(&mut read_chunk),
    }
    regions
}

/// The boxes of one chunk; `chunk_at` is where the original believes it to be, in characters of the spanned text.
fn read_chunk(
    chunk: &str,
    labels: Labels,
    picture: PictureSize,
    spanned: Option<&SpannedText>,
    chunk_at: usize,
) -> Vec<Region> {
    let (prefix, run) = chunk.split_at(chunk.find('<').unwrap_or(chunk.len()));
    let Some(label) = chunks::label(prefix) else { return Vec::new() };
    if labels == Labels::Grounded && UNGROUNDED.contains(&label) {
        return Vec::new();
    }
    let label: String = label.chars().filter(char::is_ascii).collect();
    let locations: Vec<(u16, usize)> = chunks::locations(run).collect();
    let run_at = chunk_at + prefix.chars().count();
    let mut box_at = run_at;
    let boxes = locations.as_chunks::<4>().0.iter().map(|corners| {
        let [(x1, _), (y1, _), (x2, _), (y2, end)] = *corners;
        let span = box_at..run_at + end;
        box_at = span.end;
        Region {
            label: label.clone(),
            score: spanned.and_then(|spanned| spanned.score(span)),
            shape: Shape::Box([picture.x_px(x1), picture.y_px(y1), picture.x_px(x2), picture.y_px(y2)]),
        }
    });
    boxes.collect()
}
