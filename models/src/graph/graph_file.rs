//! A finished graph, and how it is written as an ONNX model.

use std::collections::BTreeSet;
use std::path::Path;

use prost::Message;
use sha2::{Digest as _, Sha256};

#[cfg(test)]
use super::onnx::FLOAT;
use super::onnx::{
    DimensionProto, EXTERNAL, GraphProto, INT64, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use super::weight::Weight;
use super::weights_file::WeightsFile;
use super::{Dim, Element};
use crate::ModelError;
use crate::checkpoint::Weights;

const IR_VERSION: i64 = 8;
// Below this a weight stays inside the model file: a page of its own would be mostly empty.
const SMALLEST_EXTERNAL_BYTES: u64 = 1024;
// A piece of a weight at a time: a large one is not encoded into a second copy of itself.
const DIGEST_ELEMENTS: usize = 1 << 18;

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its element type; `None` is i64.
    pub element: Option<Element>,
    /// Its shape.
    pub shape: Vec<Dim>,
}

/// A graph whose weights are named but not read.
#[derive(Debug, Clone)]
pub struct Graph {
    name: String,
    opset: i64,
    nodes: Vec<NodeProto>,
    weights: Vec<Weight>,
    constants: Vec<TensorProto>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Graph {
    pub(super) fn new(
        name: String,
        opset: i64,
        nodes: Vec<NodeProto>,
        weights: Vec<Weight>,
        constants: Vec<TensorProto>,
        inputs: Vec<Port>,
        outputs: Vec<Port>,
    ) -> Graph {
        Graph { name, opset, nodes, weights, constants, inputs, outputs }
    }

    /// The graph's name: `vision`, `encoder`, `decoder`, `decoder_prefill`, `decoder_step`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Inputs, in order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// Outputs, in order.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// The operators it uses.
    pub fn operators(&self) -> BTreeSet<&str> {
        self.nodes.iter().map(|node| node.op_type.as_str()).collect()
    }

    /// Bytes of its weights.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.iter().map(Weight::bytes_long).sum()
    }

    /// SHA-256 of the graph with its weights: two graphs of one digest compute the same. Reads every weight.
    ///
    /// # Errors
    /// A weight that cannot be read.
    pub fn digest(&self, weights: &dyn Weights) -> Result<[u8; 32], ModelError> {
        let mut digest = Sha256::new();
        digest.update(self.opset.to_le_bytes());
        // The graph itself, not the model around it, which names the version that wrote it.
        let graph = self.declared().graph.unwrap_or_default().encode_to_vec();
        digest.update((graph.len() as u64).to_le_bytes());
        digest.update(graph);
        for weight in &self.weights {
            let elements = weight.read(weights)?;
            for piece in elements.chunks(DIGEST_ELEMENTS) {
                digest.update(weight.encode(piece));
            }
        }
        Ok(digest.finalize().into())
    }

    /// The model with its weights declared but not there.
    pub(super) fn declared(&self) -> ModelProto {
        self.model(self.weights.iter().map(declaration).collect())
    }

    /// The f32 constants of rank 0.
    #[cfg(test)]
    pub(super) fn scalars(&self) -> Vec<f32> {
        let scalars =
            self.constants.iter().filter(|tensor| tensor.dims.is_empty() && tensor.data_type == FLOAT);
        let bytes = scalars.filter_map(|tensor| tensor.raw_data.as_deref()?.try_into().ok());
        bytes.map(f32::from_le_bytes).collect()
    }

    pub(super) fn weights(&self) -> &[Weight] {
        &self.weights
    }

    pub(super) fn nodes(&self) -> &[NodeProto] {
        &self.nodes
    }

    /// The whole model in one piece of memory, weights included. For small models: ONNX files end at 2 GB.
    ///
    /// # Errors
    /// A weight that cannot be read.
    pub fn to_bytes(&self, weights: &dyn Weights) -> Result<Vec<u8>, ModelError> {
        let inside = |weight: &Weight| {
            let elements = weight.read(weights)?;
            Ok(TensorProto { raw_data: Some(weight.encode(&elements)), ..declaration(weight) })
        };
        let initializers = self.weights.iter().map(inside).collect::<Result<_, ModelError>>()?;
        Ok(self.model(initializers).encode_to_vec())
    }

    /// Writes the model without its weights, which go to (or are already in) `file`. `path` must be in the folder of
    /// that file. One tensor at a time is in memory.
    ///
    /// # Errors
    /// A weight that cannot be read, a file that cannot be written.
    pub fn write(
        &self,
        path: &Path,
        weights: &dyn Weights,
        file: &mut WeightsFile,
    ) -> Result<(), ModelError> {
        let bytes = self.to_bytes_beside(weights, file)?;
        file.flush()?;
        std::fs::write(path, bytes).map_err(ModelError::io(path))
    }

    /// The model without its weights, which go to (or are already in) `file`.
    ///
    /// # Errors
    /// A weight that cannot be read, a file that cannot be written.
    pub fn to_bytes_beside(
        &self,
        weights: &dyn Weights,
        file: &mut WeightsFile,
    ) -> Result<Vec<u8>, ModelError> {
        Ok(self.model(self.initializers_beside(weights, file, |_| true)?).encode_to_vec())
    }

    /// The weights that `wanted` names: the small ones with their elements, the others in `file`.
    pub(super) fn initializers_beside(
        &self,
        weights: &dyn Weights,
        file: &mut WeightsFile,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<TensorProto>, ModelError> {
        let wanted = self.weights.iter().filter(|weight| wanted(&weight.name));
        wanted
            .map(|weight| {
                let tensor = declaration(weight);
                if weight.bytes_long() < SMALLEST_EXTERNAL_BYTES {
                    let elements = weight.read(weights)?;
                    Ok(TensorProto { raw_data: Some(weight.encode(&elements)), ..tensor })
                } else {
                    let place = file.place(weight, weights)?;
                    Ok(outside(tensor, file, place))
                }
            })
            .collect()
    }

    pub(super) fn model(&self, mut initializers: Vec<TensorProto>) -> ModelProto {
        initializers.extend(self.constants.iter().cloned());
        ModelProto {
            ir_version: IR_VERSION,
            producer_name: "belvedere".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(GraphProto {
                node: self.nodes.clone(),
                name: self.name.clone(),
                initializer: initializers,
                input: self.inputs.iter().map(Port::proto).collect(),
                output: self.outputs.iter().map(Port::proto).collect(),
            }),
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: self.opset }],
        }
    }
}

/// `tensor` with its elements at `(offset, length)` of `file`.
pub(super) fn outside(tensor: TensorProto, file: &WeightsFile, (offset, length): (u64, u64)) -> TensorProto {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
    let external_data = vec![
        entry("location", file.file_name().to_owned()),
        entry("offset", offset.to_string()),
        entry("length", length.to_string()),
    ];
    TensorProto { data_location: EXTERNAL, external_data, ..tensor }
}

fn declaration(weight: &Weight) -> TensorProto {
    TensorProto {
        name: weight.name.clone(),
        dims: weight.shape.iter().map(|&side| side as i64).collect(),
        data_type: weight.element.onnx(),
        ..TensorProto::default()
    }
}

impl Port {
    fn proto(&self) -> ValueInfoProto {
        let dim = |dim: &Dim| match dim {
            Dim::Fixed(side) => DimensionProto { dim_value: Some(*side as i64), dim_param: None },
            Dim::Named(name) => DimensionProto { dim_value: None, dim_param: Some(name.clone()) },
        };
        let tensor_type = TensorTypeProto {
            elem_type: self.element.map_or(INT64, Element::onnx),
            shape: Some(TensorShapeProto { dim: self.shape.iter().map(dim).collect() }),
        };
        ValueInfoProto { name: self.name.clone(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
    }
}
