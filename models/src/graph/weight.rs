//! A weight of a graph: which checkpoint tensor it comes from, and what is done to it on the way.

use super::Element;
use crate::ModelError;
use crate::checkpoint::Weights;
use crate::checkpoint::inventory::PROJECTOR;

/// Places of a depthwise filter, 3 x 3.
const DEPTHWISE_PLACES: usize = 9;

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
    /// Another one, times a number.
    Scaled { recipe: Box<Recipe>, factor: f32 },
    /// The matrix of a linear layer with what stands around it.
    Folded(Folded),
    /// What is added behind a folded matrix.
    FoldedBias(Folded),
    /// A depthwise convolution that gives its input added to what it makes of it: one more in the middle of each filter.
    AddedToInput { tensor: String },
}

/// A linear layer that takes up the LayerNorm in front of it and scales some of its outputs:
/// W (g n + h) + b = (W diag g) n + (W h + b), for n normalised, g and h the norm's weight and bias.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Folded {
    /// Of `{linear}.weight` and `{linear}.bias`.
    pub(super) linear: String,
    /// Of `{norm}.weight` and `{norm}.bias`, where one is taken up.
    pub(super) norm: Option<String>,
    /// So many outputs from the first on, times a number.
    pub(super) scaled: (usize, f32),
}

impl Folded {
    fn matrix(&self, weights: &dyn Weights) -> Result<Vec<f32>, ModelError> {
        let mut matrix = weights.read(&format!("{}.weight", self.linear))?;
        let scale = match &self.norm {
            Some(norm) => weights.read(&format!("{norm}.weight"))?,
            None => Vec::new(),
        };
        let inputs = matrix.len() / self.outputs(weights)?.max(1);
        for (output, row) in matrix.chunks_mut(inputs.max(1)).enumerate() {
            let factor = self.factor(output);
            row.iter_mut().for_each(|weight| *weight *= factor);
            row.iter_mut().zip(&scale).for_each(|(weight, scale)| *weight *= scale);
        }
        Ok(matrix)
    }

    fn bias(&self, weights: &dyn Weights) -> Result<Vec<f32>, ModelError> {
        let mut bias = weights.read(&format!("{}.bias", self.linear))?;
        if let Some(norm) = &self.norm {
            let matrix = weights.read(&format!("{}.weight", self.linear))?;
            let shift = weights.read(&format!("{norm}.bias"))?;
            for (bias, row) in bias.iter_mut().zip(matrix.chunks(shift.len().max(1))) {
                let shifted: f64 = row.iter().zip(&shift).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                *bias = (f64::from(*bias) + shifted) as f32;
            }
        }
        bias.iter_mut().enumerate().for_each(|(output, bias)| *bias *= self.factor(output));
        Ok(bias)
    }

    fn outputs(&self, weights: &dyn Weights) -> Result<usize, ModelError> {
        Ok(weights.read(&format!("{}.bias", self.linear))?.len())
    }

    fn factor(&self, output: usize) -> f32 {
        let (scaled, factor) = self.scaled;
        if output < scaled { factor } else { 1.0 }
    }
}

impl Recipe {
    fn read(&self, weights: &dyn Weights) -> Result<Vec<f32>, ModelError> {
        match self {
            Recipe::Rows { tensor, start, end, columns } => {
                let mut elements = weights.read(tensor)?;
                elements.truncate(end * columns);
                elements.drain(..(start * columns).min(elements.len()));
                Ok(elements)
            }
            Recipe::Transposed { tensor, start, end, columns } => {
                let elements = weights.read(tensor)?;
                let rows = elements.get(start * columns..end * columns).unwrap_or_default();
                Ok(transposed(rows, end - start, *columns))
            }
            Recipe::ImagePositions { height, width, channels } => {
                image_positions(weights, *height, *width, *channels)
            }
            Recipe::Scaled { recipe, factor } => {
                let mut elements = recipe.read(weights)?;
                elements.iter_mut().for_each(|element| *element *= factor);
                Ok(elements)
            }
            Recipe::Folded(folded) => folded.matrix(weights),
            Recipe::FoldedBias(folded) => folded.bias(weights),
            Recipe::AddedToInput { tensor } => {
                let mut filters = weights.read(tensor)?;
                for filter in filters.chunks_mut(DEPTHWISE_PLACES) {
                    if let Some(middle) = filter.get_mut(DEPTHWISE_PLACES / 2) {
                        *middle += 1.0;
                    }
                }
                Ok(filters)
            }
        }
    }
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
        let elements = self.recipe.read(weights)?;
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
