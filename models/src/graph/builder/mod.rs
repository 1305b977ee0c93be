//! Builds one ONNX graph, operator by operator.
//!
//! Methods are named for what the specification calls the step; each appends the operators and returns the result's
//! handle. Weights are only named here and read when the graph is written. A request for a weight that the model does
//! not have is kept and reported by [`GraphBuilder::finish`], so that the forward passes read without `?`.

mod layers;
mod operators;

use std::collections::{HashMap, HashSet};

use super::graph_file::{Graph, Port};
use super::onnx::{FLOAT, INT64, NodeProto, TensorProto};
use super::weight::{Recipe, Weight};
use super::{Dim, Element, GraphOptions, Target};
use crate::ModelError;
use crate::checkpoint::FlorenceConfig;
use crate::checkpoint::inventory::LM_HEAD;

/// LayerNorm's epsilon in tower and text model (specification sections 1.2 and 1.3).
const LAYER_NORM_EPSILON: f32 = 1e-5;

/// Sides of `[batch, tokens, channels]`.
const TOKENS_RANK: usize = 3;

/// A handle to a value of the graph under construction.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value(String);

pub(super) struct GraphBuilder {
    name: String,
    element: Element,
    target: Target,
    shapes: HashMap<String, Vec<usize>>,
    nodes: Vec<NodeProto>,
    weights: Vec<Weight>,
    constants: Vec<TensorProto>,
    known: HashSet<String>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    missing: Option<String>,
}

impl GraphBuilder {
    pub(super) fn new(name: &str, config: &FlorenceConfig, options: &GraphOptions) -> GraphBuilder {
        GraphBuilder {
            name: name.to_owned(),
            element: options.element,
            target: options.target,
            shapes: shapes(config),
            nodes: Vec::new(),
            weights: Vec::new(),
            constants: Vec::new(),
            known: HashSet::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            missing: None,
        }
    }

    pub(super) fn element(&self) -> Element {
        self.element
    }

    // ---- the graph's edges

    /// An input of the graph's own element type.
    pub(super) fn input(&mut self, name: &str, shape: &[Dim]) -> Value {
        self.typed_input(name, Some(self.element), shape)
    }

    pub(super) fn index_input(&mut self, name: &str, shape: &[Dim]) -> Value {
        self.typed_input(name, None, shape)
    }

    fn typed_input(&mut self, name: &str, element: Option<Element>, shape: &[Dim]) -> Value {
        self.inputs.push(Port { name: name.to_owned(), element, shape: shape.to_vec() });
        Value(name.to_owned())
    }

    /// Makes a value an output, under this name.
    pub(super) fn output(&mut self, value: Value, name: &str, element: Element, shape: &[Dim]) {
        for node in &mut self.nodes {
            for edge in node.input.iter_mut().chain(&mut node.output) {
                if *edge == value.0 {
                    name.clone_into(edge);
                }
            }
        }
        self.outputs.push(Port { name: name.to_owned(), element: Some(element), shape: shape.to_vec() });
    }

    /// # Errors
    /// A weight that the model does not have was asked for.
    pub(super) fn finish(self) -> Result<Graph, ModelError> {
        if let Some(tensor) = self.missing {
            return Err(ModelError::UnknownTensor { tensor });
        }
        let opset = self.target.opset();
        Ok(Graph::new(self.name, opset, self.nodes, self.weights, self.constants, self.inputs, self.outputs))
    }

    // ---- weights and constants

    fn weight_shape(&mut self, tensor: &str) -> Vec<usize> {
        match self.shapes.get(tensor) {
            Some(shape) => shape.clone(),
            None => {
                self.missing.get_or_insert_with(|| tensor.to_owned());
                vec![1]
            }
        }
    }

    fn add_weight(&mut self, weight: Weight) -> Value {
        let value = Value(weight.name.clone());
        if self.known.insert(weight.name.clone()) {
            self.weights.push(weight);
        }
        value
    }

    /// A tensor of the checkpoint as it is, in the element type asked for.
    pub(super) fn weight(&mut self, tensor: &str, element: Element) -> Value {
        let shape = self.weight_shape(tensor);
        self.weight_rows(tensor, 0, shape.first().copied().unwrap_or(1), element)
    }

    /// Rows `start..end` of a checkpoint tensor.
    pub(super) fn weight_rows(&mut self, tensor: &str, start: usize, end: usize, element: Element) -> Value {
        let weight = self.rows_of(tensor, start, end, element);
        self.add_weight(weight)
    }

    /// Rows `start..end` of a checkpoint tensor that are added to tokens.
    pub(super) fn weight_rows_beside_tokens(&mut self, tensor: &str, start: usize, end: usize) -> Value {
        let weight = self.rows_of(tensor, start, end, self.element);
        let shape = self.beside_tokens(weight.shape.clone());
        self.add_weight(Weight { shape, ..weight })
    }

    fn rows_of(&mut self, tensor: &str, start: usize, end: usize, element: Element) -> Weight {
        let mut shape = self.weight_shape(tensor);
        let columns = shape.get(1..).unwrap_or_default().iter().product();
        let whole = shape.first() == Some(&end) && start == 0;
        let name = if whole { tensor.to_owned() } else { format!("{tensor}[{start}..{end}]") };
        let name = if element == self.element { name } else { format!("{name}:{element:?}") };
        if let Some(rows) = shape.first_mut() {
            *rows = end.saturating_sub(start);
        }
        let recipe = Recipe::Rows { tensor: tensor.to_owned(), start, end, columns };
        Weight { name, shape, element, recipe }
    }

    /// Rows `start..end` of a linear layer's `[out, in]` weight as `[in, out]`, times `factor`.
    fn weight_transposed(&mut self, tensor: &str, start: usize, end: usize, factor: f32) -> Value {
        let shape = self.weight_shape(tensor);
        let columns = shape.get(1).copied().unwrap_or(1);
        let name = format!("{tensor}[{start}..{end}]^T");
        let recipe = Recipe::Transposed { tensor: tensor.to_owned(), start, end, columns };
        let shape = self.beside_tokens(vec![columns, end - start]);
        let weight = Weight { name, shape, element: self.element, recipe };
        self.add_weight(scaled(weight, factor))
    }

    /// A vector or matrix in the shape in which it meets tokens `[_, _, _]`: TensorRT's parser would make a layer for
    /// bringing it there.
    fn beside_tokens(&self, shape: Vec<usize>) -> Vec<usize> {
        self.of_rank(shape, TOKENS_RANK)
    }

    fn of_rank(&self, shape: Vec<usize>, rank: usize) -> Vec<usize> {
        match self.target {
            Target::OnnxRuntime => shape,
            Target::TensorRt => [vec![1; rank.saturating_sub(shape.len())], shape].concat(),
        }
    }

    /// The first `columns` of a `[1, _]` bias, in f32.
    pub(super) fn logits_bias(&mut self, tensor: &str, columns: usize) -> Value {
        let recipe = Recipe::Rows { tensor: tensor.to_owned(), start: 0, end: columns, columns: 1 };
        self.add_weight(Weight {
            name: tensor.to_owned(),
            shape: vec![columns],
            element: Element::F32,
            recipe,
        })
    }

    pub(super) fn image_positions(&mut self, height: usize, width: usize, channels: usize) -> Value {
        let recipe = Recipe::ImagePositions { height, width, channels };
        let name = format!("image_positions_{width}x{height}");
        let shape = self.beside_tokens(vec![height * width, channels]);
        self.add_weight(Weight { name, shape, element: self.element, recipe })
    }

    fn constant(&mut self, name: String, data_type: i32, dims: &[usize], raw: Vec<u8>) -> Value {
        if self.known.insert(name.clone()) {
            self.constants.push(TensorProto {
                dims: dims.iter().map(|&side| side as i64).collect(),
                data_type,
                name: name.clone(),
                raw_data: Some(raw),
                ..TensorProto::default()
            });
        }
        Value(name)
    }

    /// A vector of indices.
    pub(super) fn indices(&mut self, values: &[i64]) -> Value {
        let name = format!("indices{values:?}");
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, INT64, &[values.len()], raw)
    }

    /// A number in the graph's element type.
    pub(super) fn scalar(&mut self, value: f32) -> Value {
        self.scalar_of(value, self.element)
    }

    pub(super) fn scalar_of(&mut self, value: f32, element: Element) -> Value {
        let raw = element.encode(&[value]);
        self.constant(format!("scalar_{value:e}_{element:?}"), element.onnx(), &[], raw)
    }

    pub(super) fn table(&mut self, name: &str, dims: &[usize], values: &[f32]) -> Value {
        let raw = self.element.encode(values);
        self.constant(name.to_owned(), self.element.onnx(), dims, raw)
    }
}

/// The weight times a number.
fn scaled(weight: Weight, factor: f32) -> Weight {
    if factor == 1.0 {
        return weight;
    }
    let name = format!("{} x {factor:e}", weight.name);
    Weight { name, recipe: Recipe::Scaled { recipe: Box::new(weight.recipe), factor }, ..weight }
}

fn shapes(config: &FlorenceConfig) -> HashMap<String, Vec<usize>> {
    let mut shapes: HashMap<_, _> =
        config.inventory().into_iter().map(|spec| (spec.name, spec.shape)).collect();
    // Present where a fine-tune untied it.
    shapes.insert(LM_HEAD.to_owned(), vec![config.text.vocabulary, config.text.d_model]);
    shapes
}

impl Element {
    pub(super) fn onnx(self) -> i32 {
        match self {
            Element::F32 => FLOAT,
            Element::F16 => super::onnx::FLOAT16,
        }
    }

    pub(super) fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Element::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Element::F16 => {
                values.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes()).collect()
            }
        }
    }
}
