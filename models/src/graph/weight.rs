//! A weight of a graph: which checkpoint tensor it comes from, and what is done to it on the way.

use super::Element;
use crate::ModelError;
use crate::checkpoint::Weights;
use crate::checkpoint::inventory::PROJECTOR;

/// A weight, described. Its elements are read only while it is written out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weight {
    /// Its name in the graph.
    pub(super) name: String,
    /// Its shape in the graph.
    pub(super) shape: Vec<usize>,
    pub(super) element: Element,
    pub(super) recipe: Recipe,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Recipe {
    /// Rows `start..end` (of `columns` elements each) of a checkpoint tensor.
    Rows { tensor: String, start: usize, end: usize, columns: usize },
    /// The same rows, transposed to `[columns, end - start]`: what MatMul takes on its right.
    Transposed { tensor: String, start: usize, end: usize, columns: usize },
    /// What is added to the last feature map: learned 2-D positions and frame 0 of the cosine table
    /// (specification section 3.5, steps 1 and 2).
    ImagePositions { height: usize, width: usize, channels: usize },
}

impl Weight {
    pub(super) fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    pub(super) fn bytes_long(&self) -> u64 {
        (self.elements() * self.element.bytes()) as u64
    }

    /// Reads the weight in its graph shape.
    pub(super) fn read(&self, weights: &dyn Weights) -> Result<Vec<f32>, ModelError> {
        let elements = match &self.recipe {
            Recipe::Rows { tensor, start, end, columns } => {
                let mut elements = weights.read(tensor)?;
                elements.truncate(end * columns);
                elements.drain(..(start * columns).min(elements.len()));
                elements
            }
            Recipe::Transposed { tensor, start, end, columns } => {
                let elements = weights.read(tensor)?;
                let rows = elements.get(start * columns..end * columns).unwrap_or_default();
                transposed(rows, end - start, *columns)
            }
            Recipe::ImagePositions { height, width, channels } => {
                image_positions(weights, *height, *width, *channels)?
            }
        };
        if elements.len() == self.elements() {
            Ok(elements)
        } else {
            let reason =
                format!("weight {}: {} elements for shape {:?}", self.name, elements.len(), self.shape);
            Err(ModelError::Graph { graph: "weights".to_owned(), reason })
        }
    }

    /// The elements as ONNX stores them: little-endian, in the weight's type.
    pub(super) fn encode(&self, elements: &[f32]) -> Vec<u8> {
        self.element.encode(elements)
    }
}

/// `[rows, columns]` to `[columns, rows]`.
pub(crate) fn transposed(elements: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let mut out = vec![0.0; elements.len()];
    for row_tile in (0..rows).step_by(TILE) {
        for column_tile in (0..columns).step_by(TILE) {
            for column in column_tile..(column_tile + TILE).min(columns) {
                for row in row_tile..(row_tile + TILE).min(rows) {
                    out[column * rows + row] = elements[row * columns + column];
                }
            }
        }
    }
    out
}

fn image_positions(
    weights: &dyn Weights,
    height: usize,
    width: usize,
    channels: usize,
) -> Result<Vec<f32>, ModelError> {
    let table = |name: &str| weights.read(&format!("{PROJECTOR}.image_position_embed.{name}.weight"));
    let (rows, columns) = (table("row_embeddings")?, table("column_embeddings")?);
    let half = channels / 2;
    let mut out = Vec::with_capacity(height * width * channels);
    for row in rows.chunks_exact(half).take(height) {
        for column in columns.chunks_exact(half).take(width) {
            // Frame 0 of the cosine table: sin 0 in the even places, cos 0 in the odd ones.
            let both = column.iter().chain(row).enumerate();
            out.extend(both.map(|(place, value)| value + (place % 2) as f32));
        }
    }
    Ok(out)
}
