//! `parse_description_with_polygons` of the original.

use super::super::output::{Region, Shape};
use super::boxes::Labels;
use super::chunks;
use crate::tasks::PictureSize;

const SEPARATOR: &str = "<sep>";
const START: &str = "<poly>";
const END: &str = "</poly>";

pub(super) fn read(text: &str, labels: Labels, picture: PictureSize) -> Vec<Region> {
    let text = chunks::without_specials(text);
    let read_chunk = |chunk| read_chunk(chunk, picture);
    match labels {
        Labels::Absent => chunks::unlabelled(&text, token).flat_map(read_chunk).collect(),
        Labels::Kept | Labels::Grounded => chunks::labelled(&text, token).flat_map(read_chunk).collect(),
    }
}

fn token(text: &str) -> Option<usize> {
    let fixed = [SEPARATOR, START, END].into_iter().find(|token| text.starts_with(token));
    fixed.map(str::len).or_else(|| chunks::location(text).map(|(_, len)| len))
}

fn read_chunk(chunk: &str, picture: PictureSize) -> Vec<Region> {
    let labelled = without_broken_location(chunk);
    let label = match (labelled.find("<loc_"), labelled.find(START)) {
        (Some(location), Some(start)) => labelled.get(..location.min(start)),
        (Some(end), None) | (None, Some(end)) => labelled.get(..end),
        (None, None) => None,
    };
    let Some(label) = label.and_then(chunks::label) else { return Vec::new() };
    let objects: Vec<&str> =
        if chunk.contains(START) && chunk.contains(END) { enclosed(chunk).collect() } else { vec![chunk] };
    let outlines =
        objects.into_iter().map(|object| outlines(object, picture)).filter(|outlines| !outlines.is_empty());
    outlines
        .map(|outlines| Region { label: label.to_owned(), score: None, shape: Shape::Polygons(outlines) })
        .collect()
}

/// `re.sub(r"^loc_\d+>", "", chunk)`: what a location token broken off before the label leaves of itself.
fn without_broken_location(chunk: &str) -> &str {
    let digits = chunk.strip_prefix("loc_");
    let after = digits.map(|digits| (digits.trim_start_matches(|c: char| c.is_ascii_digit()), digits));
    match after {
        Some((after, digits)) if after.len() < digits.len() => after.strip_prefix('>').unwrap_or(chunk),
        _ => chunk,
    }
}

/// Matches of `<poly>(.*?)</poly>`.
fn enclosed(chunk: &str) -> impl Iterator<Item = &str> {
    let mut rest = chunk;
    std::iter::from_fn(move || {
        let (object, after) = rest.split_once(START)?.1.split_once(END)?;
        rest = after;
        Some(object)
    })
}

/// The runs of locations that end at a separator or at the end of the object; an odd last value is dropped.
fn outlines(object: &str, picture: PictureSize) -> Vec<Vec<f32>> {
    let mut outlines = Vec::new();
    let mut rest = object;
    while let Some(at) = rest.find("<loc_") {
        rest = &rest[at..];
        let run: Vec<(u16, usize)> = chunks::locations(rest).collect();
        let Some((_, end)) = run.last() else {
            rest = &rest[1..];
            continue;
        };
        rest = &rest[*end..];
        if rest.is_empty() || rest.starts_with(SEPARATOR) {
            let points = run.as_chunks::<2>().0.iter();
            outlines.push(points.flat_map(|[(x, _), (y, _)]| [picture.x_px(*x), picture.y_px(*y)]).collect());
        }
    }
    outlines
}
