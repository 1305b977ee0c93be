//! Builds one ONNX graph, operator by operator.
//!
//! Methods are named for what the specification calls the step; each appends the operators and returns the result's
//! handle. Weights are only named here and read when the graph is written. A request for a weight that the model does
//! not have is kept and reported by [`GraphBuilder::finish`], so that the forward passes read without `?`.

use std::collections::{HashMap, HashSet};

use super::attribute::{float, int, ints};
use super::graph_file::{Graph, Port};
use super::onnx::{AttributeProto, FLOAT, INT32, INT64, NodeProto, TensorProto};
use super::weight::{Folded, Recipe, Weight};
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

    // ---- operators

    pub(super) fn op(&mut self, op_type: &str, inputs: &[&Value], attributes: Vec<AttributeProto>) -> Value {
        let name = format!("{op_type}_{}", self.nodes.len());
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: op_type.to_owned(),
            attribute: attributes,
            domain: String::new(),
        });
        Value(name)
    }

    pub(super) fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Add", &[a, b], vec![])
    }

    pub(super) fn scale(&mut self, x: &Value, factor: f32) -> Value {
        let factor = self.scalar(factor);
        self.op("Mul", &[x, &factor], vec![])
    }

    pub(super) fn matmul(&mut self, a: &Value, b: &Value) -> Value {
        self.op("MatMul", &[a, b], vec![])
    }

    /// One side may be -1 (what is left over); 0 copies the input's side.
    pub(super) fn reshape(&mut self, x: &Value, shape: &[i64]) -> Value {
        let shape = self.indices(shape);
        self.op("Reshape", &[x, &shape], vec![])
    }

    pub(super) fn transpose(&mut self, x: &Value, order: &[i64]) -> Value {
        self.op("Transpose", &[x], vec![ints("perm", order)])
    }

    pub(super) fn concat(&mut self, parts: &[&Value], axis: i64) -> Value {
        self.op("Concat", parts, vec![int("axis", axis)])
    }

    pub(super) fn gather(&mut self, table: &Value, which: &Value, axis: i64) -> Value {
        self.op("Gather", &[table, which], vec![int("axis", axis)])
    }

    /// One of the places of an axis, which is then gone. By an i32: TensorRT's parser would make a layer for turning an i64
    /// into one.
    pub(super) fn pick(&mut self, x: &Value, axis: i64, place: i32) -> Value {
        let which = self.constant(format!("place_{place}"), INT32, &[], place.to_le_bytes().to_vec());
        self.gather(x, &which, axis)
    }

    /// The last place of an axis, which stays with side 1. Of a side that is not known a slice would cost TensorRT's parser
    /// some thirty layers.
    pub(super) fn last_place(&mut self, x: &Value, axis: i64) -> Value {
        match self.target {
            Target::OnnxRuntime => self.slice(x, axis, -1, i64::MAX),
            Target::TensorRt => {
                let last =
                    self.constant("last_place".to_owned(), INT32, &[1], (-1_i32).to_le_bytes().to_vec());
                self.gather(x, &last, axis)
            }
        }
    }

    /// `start..end` of one axis; negative numbers count from the end, `i64::MAX` is the end.
    pub(super) fn slice(&mut self, x: &Value, axis: i64, start: i64, end: i64) -> Value {
        let (start, end) = (self.indices(&[start]), self.indices(&[end]));
        self.slice_between(x, axis, &start, &end)
    }

    pub(super) fn slice_between(&mut self, x: &Value, axis: i64, start: &Value, end: &Value) -> Value {
        let axis = self.indices(&[axis]);
        self.op("Slice", &[x, start, end, &axis], vec![])
    }

    /// The side of one axis, as a vector of one index.
    pub(super) fn side(&mut self, x: &Value, axis: i64) -> Value {
        let shape = self.op("Shape", &[x], vec![]);
        let axis = self.indices(&[axis]);
        self.gather(&shape, &axis, 0)
    }

    pub(super) fn cast(&mut self, x: &Value, to: Element) -> Value {
        self.op("Cast", &[x], vec![int("to", i64::from(to.onnx()))])
    }

    /// Zeros around a value: `pads` holds the number before each axis, then the number after each.
    pub(super) fn pad(&mut self, x: &Value, pads: &[i64]) -> Value {
        let pads = self.indices(pads);
        self.op("Pad", &[x, &pads], vec![])
    }

    /// y = x Wᵀ + b for tokens, with the checkpoint's `prefix.weight` and `prefix.bias`.
    pub(super) fn linear(&mut self, x: &Value, prefix: &str) -> Value {
        let rows = self.outputs_of(prefix);
        self.linear_rows(x, prefix, 0, rows)
    }

    /// y = (x Wᵀ + b) times `factor`, likewise.
    pub(super) fn linear_scaled(&mut self, x: &Value, prefix: &str, factor: f32) -> Value {
        match self.target {
            Target::OnnxRuntime => {
                let y = self.linear(x, prefix);
                self.scale(&y, factor)
            }
            Target::TensorRt => {
                let rows = self.outputs_of(prefix);
                self.linear_rows_scaled(x, prefix, 0, rows, factor)
            }
        }
    }

    /// The outputs `start..end` of a linear layer.
    pub(super) fn linear_rows(&mut self, x: &Value, prefix: &str, start: usize, end: usize) -> Value {
        self.linear_rows_scaled(x, prefix, start, end, 1.0)
    }

    fn linear_rows_scaled(
        &mut self,
        x: &Value,
        prefix: &str,
        start: usize,
        end: usize,
        factor: f32,
    ) -> Value {
        let weight = self.weight_transposed(&format!("{prefix}.weight"), start, end, factor);
        let bias = self.rows_of(&format!("{prefix}.bias"), start, end, self.element);
        let shape = self.beside_tokens(bias.shape.clone());
        let bias = self.add_weight(scaled(Weight { shape, ..bias }, factor));
        let product = self.matmul(x, &weight);
        self.add(&product, &bias)
    }

    fn outputs_of(&mut self, prefix: &str) -> usize {
        self.weight_shape(&format!("{prefix}.weight")).first().copied().unwrap_or(1)
    }

    /// A linear layer without bias, for tokens.
    pub(super) fn project(&mut self, x: &Value, tensor: &str) -> Value {
        let rows = self.weight_shape(tensor).first().copied().unwrap_or(1);
        let weight = self.weight_transposed(tensor, 0, rows, 1.0);
        self.matmul(x, &weight)
    }

    /// x Wᵀ for `[_, in]` and a `[out, in]` weight that is used in its stored order elsewhere too.
    pub(super) fn project_shared(&mut self, x: &Value, weight: &Value) -> Value {
        self.op("Gemm", &[x, weight], vec![int("transB", 1)])
    }

    /// LayerNorm of tokens over the last axis, in f32 whatever the graph's type (specification section 8.1).
    pub(super) fn layer_norm(&mut self, x: &Value, prefix: &str) -> Value {
        // Vectors whoever the target is: ONNX Runtime merges a sum with the norm behind it and then takes nothing else.
        let [scale, bias] = self.norm_weights(prefix, 1);
        self.normalised(x, &scale, &bias)
    }

    /// LayerNorm's weight and bias, for TensorRT with `rank` sides.
    pub(super) fn norm_weights(&mut self, prefix: &str, rank: usize) -> [Value; 2] {
        ["weight", "bias"].map(|name| {
            let tensor = format!("{prefix}.{name}");
            let rows = self.weight_shape(&tensor).first().copied().unwrap_or(1);
            let weight = self.rows_of(&tensor, 0, rows, Element::F32);
            let shape = self.of_rank(weight.shape.clone(), rank);
            self.add_weight(Weight { shape, ..weight })
        })
    }

    /// A weight and a bias that change nothing, for what has `rank` sides.
    pub(super) fn no_norm_weights(&mut self, channels: usize, rank: usize) -> [Value; 2] {
        let dims = self.of_rank(vec![channels], rank);
        [("ones", 1.0), ("zeros", 0.0)].map(|(name, value)| {
            let raw = Element::F32.encode(&vec![value; channels]);
            self.constant(format!("{name}_{channels}"), Element::F32.onnx(), &dims, raw)
        })
    }

    /// LayerNorm with given weights.
    pub(super) fn normalised(&mut self, x: &Value, scale: &Value, bias: &Value) -> Value {
        self.in_f32(x, |g, x| {
            let attributes = vec![int("axis", -1), float("epsilon", LAYER_NORM_EPSILON)];
            g.op("LayerNormalization", &[x, scale, bias], attributes)
        })
    }

    /// Softmax over the last axis, in f32 whatever the graph's type.
    pub(super) fn softmax(&mut self, x: &Value) -> Value {
        self.in_f32(x, |g, x| g.op("Softmax", &[x], vec![int("axis", -1)]))
    }

    /// The mean over one axis, which stays with side 1; in f32 whatever the graph's type.
    pub(super) fn mean(&mut self, x: &Value, axis: i64) -> Value {
        self.in_f32(x, |g, x| match g.target {
            Target::OnnxRuntime => g.op("ReduceMean", &[x], vec![ints("axes", &[axis]), int("keepdims", 1)]),
            // From operator set 18 on.
            Target::TensorRt => {
                let axes = g.indices(&[axis]);
                g.op("ReduceMean", &[x, &axes], vec![int("keepdims", 1)])
            }
        })
    }

    fn in_f32(&mut self, x: &Value, body: impl FnOnce(&mut GraphBuilder, &Value) -> Value) -> Value {
        match self.element {
            Element::F32 => body(self, x),
            Element::F16 => {
                let wide = self.cast(x, Element::F32);
                let result = body(self, &wide);
                self.cast(&result, Element::F16)
            }
        }
    }

    /// Exact GELU: as one operator, or in the order of operators that ONNX Runtime and OpenVINO know as one.
    pub(super) fn gelu(&mut self, x: &Value) -> Value {
        if self.target == Target::TensorRt {
            return self.op("Gelu", &[x], vec![]);
        }
        let (root, one, half) = (self.scalar(std::f32::consts::SQRT_2), self.scalar(1.0), self.scalar(0.5));
        let scaled = self.op("Div", &[x, &root], vec![]);
        let erf = self.op("Erf", &[&scaled], vec![]);
        let shifted = self.op("Add", &[&erf, &one], vec![]);
        let product = self.op("Mul", &[x, &shifted], vec![]);
        self.op("Mul", &[&product, &half], vec![])
    }

    /// 2-D convolution with the checkpoint's `prefix.weight` `[out, in / groups, k, k]` and bias.
    pub(super) fn conv(
        &mut self,
        x: &Value,
        prefix: &str,
        stride: usize,
        padding: usize,
        groups: usize,
    ) -> Value {
        let tensor = format!("{prefix}.weight");
        let side = self.weight_shape(&tensor).get(2).map_or(1, |&side| side as i64);
        let weight = self.weight(&tensor, self.element);
        let bias = self.weight(&format!("{prefix}.bias"), self.element);
        self.conv_of(x, [&weight, &bias], side, stride, padding, groups)
    }

    /// x + the depthwise 3x3 convolution of x: one convolution.
    pub(super) fn depthwise_added(&mut self, x: &Value, prefix: &str) -> Value {
        let tensor = format!("{prefix}.weight");
        let shape = self.weight_shape(&tensor);
        let channels = shape.first().copied().unwrap_or(1);
        let name = format!("{tensor}+1");
        let recipe = Recipe::AddedToInput { tensor };
        let weight = self.add_weight(Weight { name, shape, element: self.element, recipe });
        let bias = self.weight(&format!("{prefix}.bias"), self.element);
        self.conv_of(x, [&weight, &bias], 3, 1, 1, channels)
    }

    /// A linear layer on each place of a map `[_, in, _, _]`, with what is folded into it.
    pub(super) fn pointwise(&mut self, x: &Value, folded: Folded) -> Value {
        let shape = self.weight_shape(&format!("{}.weight", folded.linear));
        let outputs = shape.first().copied().unwrap_or(1);
        let name = |of: &str| match &folded.norm {
            Some(norm) => format!("{}.{of} after {norm}", folded.linear),
            None => format!("{}.{of} of places", folded.linear),
        };
        let matrix = Weight {
            name: name("weight"),
            shape: [shape, vec![1, 1]].concat(),
            element: self.element,
            recipe: Recipe::Folded(folded.clone()),
        };
        let bias = Weight {
            name: name("bias"),
            shape: vec![outputs],
            element: self.element,
            recipe: Recipe::FoldedBias(folded),
        };
        let [matrix, bias] = [matrix, bias].map(|weight| self.add_weight(weight));
        self.conv_of(x, [&matrix, &bias], 1, 1, 0, 1)
    }

    fn conv_of(
        &mut self,
        x: &Value,
        [weight, bias]: [&Value; 2],
        side: i64,
        stride: usize,
        padding: usize,
        groups: usize,
    ) -> Value {
        let attributes = vec![
            ints("kernel_shape", &[side; 2]),
            ints("strides", &[stride as i64; 2]),
            ints("pads", &[padding as i64; 4]),
            int("group", groups as i64),
        ];
        self.op("Conv", &[x, weight, bias], attributes)
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
