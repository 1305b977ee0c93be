//! What an answer says, in pixels.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// The answer to one prompt about one picture.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct TaskOutput {
    /// The answer as text, location tokens written out where the task's answer consists of them.
    pub text: String,
    /// The parts of the picture that the answer names, in its order.
    pub regions: Vec<Region>,
}

/// A labelled part of the picture.
///
/// Serializes as `{"label", "score", "box" | "quad" | "polygons"}`, numbers with four decimals at most; `score` is left
/// out where there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// What it is; empty for tasks that do not say.
    pub label: String,
    /// Geometric mean of the probabilities of its location tokens, in [0, 1]; `None` where they are not known.
    pub score: Option<f32>,
    /// Where it is.
    pub shape: Shape,
}

/// Where a region is, in pixels of the original picture.
///
/// Coordinates are the reference's `f32` values to the last bit; transformers reports them truncated to integers,
/// which is `px as i32`.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// x1, y1, x2, y2.
    Box([f32; 4]),
    /// Four corners x, y: as read, clockwise from the top left.
    Quad([f32; 8]),
    /// The outlines of one object, each x, y, x, y, ...
    Polygons(Vec<Vec<f32>>),
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("label", &self.label)?;
        if let Some(score) = self.score {
            map.serialize_entry("score", &written(score))?;
        }
        match &self.shape {
            Shape::Box(corners_px) => map.serialize_entry("box", &corners_px.map(written))?,
            Shape::Quad(corners_px) => map.serialize_entry("quad", &corners_px.map(written))?,
            Shape::Polygons(outlines_px) => {
                let written = |px: &Vec<f32>| px.iter().copied().map(written).collect::<Vec<f64>>();
                map.serialize_entry("polygons", &outlines_px.iter().map(written).collect::<Vec<_>>())?;
            }
        }
        map.end()
    }
}

/// A number with four decimals at most. Coordinates are multiples of 0.0005 pixels, so this is their exact value
/// without the noise of binary fractions: 34.24 and not 34.239998.
fn written(number: f32) -> f64 {
    (f64::from(number) * 1e4).round() / 1e4
}
