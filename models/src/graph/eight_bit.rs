//! The same graph with 8-bit weights, for ONNX Runtime alone.
//!
//! A decoder step reads every weight for a handful of rows: its time is the bytes of its weights. ONNX Runtime's
//! `MatMulNBits` (domain `com.microsoft`) multiplies with weights in 8 bits, a scale for every [`BLOCK`] of a row, and
//! quantises activations to 8 bits a block at a time (`accuracy_level` 4), which AVX2, AVX-512 VNNI and AMX machines
//! alike have instructions for.

use std::path::Path;

use prost::Message;

use super::attribute::int;
use super::graph_file::{Graph, outside};
use super::onnx::{NodeProto, OperatorSetIdProto, TensorProto, UINT8};
use super::weight::{Recipe, Weight};
use super::weights_file::WeightsFile;
use crate::ModelError;
use crate::checkpoint::Weights;

/// Elements that share a scale. The smallest common size: the finer, the nearer to the f32 weights. Blocks of 128 read a
/// tenth fewer bytes and were not measurably faster.
const BLOCK: usize = 32;
const DOMAIN: &str = "com.microsoft";
const ZERO_POINT: f32 = 128.0;

impl Graph {
    /// Like [`write`](Self::write), with every product with a weight matrix in 8 bits and everything else as it was.
    ///
    /// # Errors
    /// A weight that cannot be read, a file that cannot be written.
    pub fn write_eight_bit(
        &self,
        path: &Path,
        weights: &dyn Weights,
        file: &mut WeightsFile,
    ) -> Result<(), ModelError> {
        let mut nodes = self.nodes().to_vec();
        let mut tensors: Vec<TensorProto> = Vec::new();
        for node in &mut nodes {
            let matrix =
                node.input.get(1).and_then(|name| self.weights().iter().find(|weight| weight.name == *name));
            let Some(matrix) = matrix.and_then(|weight| rows_of(node, weight)) else { continue };
            let [outputs, inputs] = matrix.shape[..] else { continue };
            let blocks = inputs.div_ceil(BLOCK);
            let names = ["8bit", "scales"].map(|kind| format!("{}:{kind}", matrix.name));
            if !tensors.iter().any(|tensor| tensor.name == names[0]) {
                let (quantised, scales) = quantised(&matrix.read(weights)?, inputs);
                let quantised = file.append([quantised])?;
                let scales = file.append([matrix.encode(&scales)])?;
                let declared = tensor(&names[0], &[outputs, blocks, BLOCK], UINT8);
                tensors.push(outside(declared, file, quantised));
                let declared = tensor(&names[1], &[outputs, blocks], matrix.element.onnx());
                tensors.push(outside(declared, file, scales));
            }
            node.op_type = "MatMulNBits".to_owned();
            node.domain = DOMAIN.to_owned();
            node.input.truncate(1);
            node.input.extend(names);
            let attributes =
                [("K", inputs), ("N", outputs), ("bits", 8), ("block_size", BLOCK), ("accuracy_level", 4)];
            node.attribute = attributes.map(|(name, value)| int(name, value as i64)).to_vec();
        }
        let used = |name: &str| nodes.iter().any(|node| node.input.iter().any(|input| input == name));
        let mut initializers = self.initializers_beside(weights, file, used)?;
        initializers.extend(tensors);
        let mut model = self.model(initializers);
        model.opset_import.push(OperatorSetIdProto { domain: Some(DOMAIN.to_owned()), version: 1 });
        if let Some(graph) = &mut model.graph {
            graph.node = nodes;
        }
        file.flush()?;
        std::fs::write(path, model.encode_to_vec()).map_err(ModelError::io(path))
    }
}

/// The `[out, in]` weight that a node multiplies with, if that is what it does.
fn rows_of(node: &NodeProto, weight: &Weight) -> Option<Weight> {
    let recipe = match (node.op_type.as_str(), &weight.recipe) {
        ("MatMul", Recipe::Transposed { tensor, start, end, columns })
        | ("Gemm", Recipe::Rows { tensor, start, end, columns }) => {
            Recipe::Rows { tensor: tensor.clone(), start: *start, end: *end, columns: *columns }
        }
        _ => return None,
    };
    let Recipe::Rows { start, end, columns, .. } = recipe else { return None };
    Some(Weight { shape: vec![end - start, columns], recipe, ..weight.clone() })
}

/// Blocks of `inputs`-long rows to 0..=255 around 128, the last block of a row filled up with zeros, and one scale a
/// block: symmetric, so that a zero stays a zero.
fn quantised(elements: &[f32], inputs: usize) -> (Vec<u8>, Vec<f32>) {
    let blocks = inputs.div_ceil(BLOCK) * (elements.len() / inputs.max(1));
    let (mut bytes, mut scales) = (Vec::with_capacity(blocks * BLOCK), Vec::with_capacity(blocks));
    for block in elements.chunks(inputs.max(1)).flat_map(|row| row.chunks(BLOCK)) {
        let largest = block.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let scale = largest / 127.0;
        let inverse = if scale > 0.0 { scale.recip() } else { 0.0 };
        bytes.extend(
            block
                .iter()
                .map(|value| (value * inverse).round_ties_even().clamp(-127.0, 127.0) + ZERO_POINT)
                .map(|q| q as u8),
        );
        bytes.resize(bytes.len().next_multiple_of(BLOCK), ZERO_POINT as u8);
        scales.push(scale);
    }
    (bytes, scales)
}

fn tensor(name: &str, sides: &[usize], data_type: i32) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: sides.iter().map(|side| *side as i64).collect(),
        data_type,
        ..TensorProto::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantised_row_is_within_half_a_step_of_itself() {
        let row: Vec<f32> = (0..100).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
        let (bytes, scales) = quantised(&row, 50);
        assert_eq!((bytes.len(), scales.len()), (2 * 2 * BLOCK, 2 * 2));
        for (i, value) in row.iter().enumerate() {
            let (row, column) = (i / 50, i % 50);
            let scale = scales[row * 2 + column / BLOCK];
            let back = (f32::from(bytes[row * 2 * BLOCK + column]) - ZERO_POINT) * scale;
            assert!((back - value).abs() <= scale * 0.500_1, "{value} became {back}");
        }
    }

    #[test]
    fn a_block_of_zeros_stays_zero() {
        let (bytes, scales) = quantised(&[0.0; 40], 40);
        assert!(bytes.iter().all(|byte| *byte == 128) && scales == [0.0, 0.0]);
    }
}
