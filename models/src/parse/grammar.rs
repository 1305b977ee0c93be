//! The answer grammars of spec section 7.2, read from symbols and repaired where an answer breaks them.
//!
//! A label serves every shape up to the next label. A shape that is not complete where its run of location tokens
//! ends is dropped, and nothing of it reaches the next label or shape. A shape before the first label has an empty
//! one, except in grounding, where only a phrase can be grounded.

use super::UNGROUNDED;
use super::output::{Region, Shape};
use super::score::geometric_mean;
use super::symbols::{Location, Symbol};
use crate::tasks::PictureSize;

/// Corners of the smallest polygon that has an area.
const POLYGON_CORNERS: usize = 3;

/// ( label box+ )*
pub(super) fn labelled_boxes(symbols: &[Symbol], picture: PictureSize) -> Vec<Region> {
    runs(symbols).flat_map(|(label, run)| boxes_of(label, run, picture)).collect()
}

/// box*, whatever words are between.
pub(super) fn plain_boxes(symbols: &[Symbol], picture: PictureSize) -> Vec<Region> {
    runs(symbols).flat_map(|(_, run)| boxes_of("", run, picture)).collect()
}

/// ( phrase box+ )*, pronouns and the like left out.
pub(super) fn grounded_phrases(symbols: &[Symbol], picture: PictureSize) -> Vec<Region> {
    let grounded = runs(symbols).filter(|(label, _)| !label.is_empty() && !UNGROUNDED.contains(label));
    grounded.flat_map(|(label, run)| boxes_of(label, run, picture)).collect()
}

/// ( text quad )*
pub(super) fn labelled_quads(symbols: &[Symbol], picture: PictureSize) -> Vec<Region> {
    runs(symbols).flat_map(|(label, run)| quads_of(label, run, picture)).collect()
}

/// ( polygon ( `<sep>` polygon )* )*, objects in `<poly>` and `</poly>` or apart from each other by words.
pub(super) fn plain_polygons(symbols: &[Symbol], picture: PictureSize) -> Vec<Region> {
    let objects = Objects::read(symbols, picture, Outside::Polygons);
    objects.into_iter().map(|region| Region { label: String::new(), ..region }).collect()
}

/// ( label box+ )* and ( label polygon-object+ )*, mixed as they come.
pub(super) fn boxes_and_polygons(symbols: &[Symbol], picture: PictureSize) -> Vec<Region> {
    Objects::read(symbols, picture, Outside::Boxes)
}

/// Every run of locations with the label before it.
fn runs(symbols: &[Symbol]) -> impl Iterator<Item = (&str, &[Location])> {
    let mut label = "";
    symbols.iter().filter_map(move |symbol| match symbol {
        Symbol::Words { text, .. } => {
            label = text;
            None
        }
        Symbol::Locations(run) => Some((label, run.as_slice())),
        Symbol::Separator | Symbol::PolygonStart | Symbol::PolygonEnd => None,
    })
}

fn boxes_of(label: &str, run: &[Location], picture: PictureSize) -> impl Iterator<Item = Region> {
    run.as_chunks::<4>().0.iter().map(move |corners| {
        region(label, corners, Shape::Box(picture.box_px(corners.map(|location| location.bin))))
    })
}

fn quads_of(label: &str, run: &[Location], picture: PictureSize) -> impl Iterator<Item = Region> {
    run.as_chunks::<8>().0.iter().map(move |corners| {
        let [x1, y1, x2, y2, x3, y3, x4, y4] = corners.map(|location| location.bin);
        let (x, y) = (|bin| picture.x_px(bin), |bin| picture.y_px(bin));
        let shape = Shape::Quad([x(x1), y(y1), x(x2), y(y2), x(x3), y(y3), x(x4), y(y4)]);
        region(label, corners, shape)
    })
}

fn region<'a>(label: &str, locations: impl IntoIterator<Item = &'a Location>, shape: Shape) -> Region {
    let score = geometric_mean(locations.into_iter().map(|location| location.log_prob));
    Region { label: label.to_owned(), score, shape }
}

/// What a run of locations is that touches no polygon token.
#[derive(Clone, Copy, PartialEq)]
enum Outside {
    Boxes,
    Polygons,
}

/// The state machine for answers that may hold polygons.
struct Objects<'a> {
    picture: PictureSize,
    outside: Outside,
    label: &'a str,
    /// Runs of locations of the object being read.
    runs: Vec<&'a [Location]>,
    /// A polygon token is next to those runs.
    polygonal: bool,
    regions: Vec<Region>,
}

impl<'a> Objects<'a> {
    fn read(symbols: &'a [Symbol], picture: PictureSize, outside: Outside) -> Vec<Region> {
        let mut objects =
            Objects { picture, outside, label: "", runs: Vec::new(), polygonal: false, regions: Vec::new() };
        for symbol in symbols {
            match symbol {
                Symbol::Words { text, .. } => {
                    objects.finish();
                    objects.label = text;
                }
                Symbol::Locations(run) => objects.runs.push(run),
                Symbol::Separator => objects.polygonal = true,
                Symbol::PolygonStart => {
                    objects.finish();
                    objects.polygonal = true;
                }
                Symbol::PolygonEnd => {
                    objects.polygonal = true;
                    objects.finish();
                }
            }
        }
        // A sequence may be cut by the limit of tokens in the middle of an object.
        objects.finish();
        objects.regions
    }

    fn finish(&mut self) {
        let runs = std::mem::take(&mut self.runs);
        let polygonal = std::mem::take(&mut self.polygonal) || self.outside == Outside::Polygons;
        if polygonal {
            self.regions.extend(self.polygons(&runs));
        } else {
            let boxes = runs.into_iter().flat_map(|run| boxes_of(self.label, run, self.picture));
            self.regions.extend(boxes);
        }
    }

    /// One object of the runs that have an area; an odd last value of a run is dropped.
    fn polygons(&self, runs: &[&[Location]]) -> Option<Region> {
        let outlines =
            runs.iter().map(|run| run.as_chunks::<2>().0).filter(|points| points.len() >= POLYGON_CORNERS);
        let outlines: Vec<&[[Location; 2]]> = outlines.collect();
        let pixels = |points: &&[[Location; 2]]| -> Vec<f32> {
            points.iter().flat_map(|[x, y]| [self.picture.x_px(x.bin), self.picture.y_px(y.bin)]).collect()
        };
        let shape = Shape::Polygons(outlines.iter().map(pixels).collect());
        let locations = outlines.iter().flat_map(|points| points.as_flattened());
        (!outlines.is_empty()).then(|| region(self.label, locations, shape))
    }
}
