//! Layers with the checkpoint's weights.

use super::{GraphBuilder, LAYER_NORM_EPSILON, Value, scaled};
use crate::graph::attribute::{float, int, ints};
use crate::graph::weight::{Folded, Recipe, Weight};
use crate::graph::{Element, Target};

impl GraphBuilder {
    /// y = x Wᵀ + b for tokens, with the checkpoint's `prefix.weight` and `prefix.bias`.
    pub(in crate::graph) fn linear(&mut self, x: &Value, prefix: &str) -> Value {
        let rows = self.outputs_of(prefix);
        self.linear_rows(x, prefix, 0, rows)
    }

    /// y = (x Wᵀ + b) times `factor`, likewise.
    pub(in crate::graph) fn linear_scaled(&mut self, x: &Value, prefix: &str, factor: f32) -> Value {
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
    pub(in crate::graph) fn linear_rows(
        &mut self,
        x: &Value,
        prefix: &str,
        start: usize,
        end: usize,
    ) -> Value {
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
    pub(in crate::graph) fn project(&mut self, x: &Value, tensor: &str) -> Value {
        let rows = self.weight_shape(tensor).first().copied().unwrap_or(1);
        let weight = self.weight_transposed(tensor, 0, rows, 1.0);
        self.matmul(x, &weight)
    }

    /// x Wᵀ for `[_, in]` and a `[out, in]` weight that is used in its stored order elsewhere too.
    pub(in crate::graph) fn project_shared(&mut self, x: &Value, weight: &Value) -> Value {
        self.op("Gemm", &[x, weight], vec![int("transB", 1)])
    }

    /// LayerNorm of tokens over the last axis, in f32 whatever the graph's type (specification section 8.1).
    pub(in crate::graph) fn layer_norm(&mut self, x: &Value, prefix: &str) -> Value {
        // Vectors whoever the target is: ONNX Runtime merges a sum with the norm behind it and then takes nothing else.
        let [scale, bias] = self.norm_weights(prefix, 1);
        self.normalised(x, &scale, &bias)
    }

    /// LayerNorm's weight and bias, for TensorRT with `rank` sides.
    pub(in crate::graph) fn norm_weights(&mut self, prefix: &str, rank: usize) -> [Value; 2] {
        ["weight", "bias"].map(|name| {
            let tensor = format!("{prefix}.{name}");
            let rows = self.weight_shape(&tensor).first().copied().unwrap_or(1);
            let weight = self.rows_of(&tensor, 0, rows, Element::F32);
            let shape = self.of_rank(weight.shape.clone(), rank);
            self.add_weight(Weight { shape, ..weight })
        })
    }

    /// A weight and a bias that change nothing, for what has `rank` sides.
    pub(in crate::graph) fn no_norm_weights(&mut self, channels: usize, rank: usize) -> [Value; 2] {
        let dims = self.of_rank(vec![channels], rank);
        [("ones", 1.0), ("zeros", 0.0)].map(|(name, value)| {
            let raw = Element::F32.encode(&vec![value; channels]);
            self.constant(format!("{name}_{channels}"), Element::F32.onnx(), &dims, raw)
        })
    }

    /// LayerNorm with given weights.
    pub(in crate::graph) fn normalised(&mut self, x: &Value, scale: &Value, bias: &Value) -> Value {
        self.in_f32(x, |g, x| {
            let attributes = vec![int("axis", -1), float("epsilon", LAYER_NORM_EPSILON)];
            g.op("LayerNormalization", &[x, scale, bias], attributes)
        })
    }

    /// Exact GELU: as one operator, or in the order of operators that ONNX Runtime and OpenVINO know as one.
    pub(in crate::graph) fn gelu(&mut self, x: &Value) -> Value {
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
    pub(in crate::graph) fn conv(
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
    pub(in crate::graph) fn depthwise_added(&mut self, x: &Value, prefix: &str) -> Value {
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
    pub(in crate::graph) fn pointwise(&mut self, x: &Value, folded: Folded) -> Value {
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
