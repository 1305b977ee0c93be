//! The operators, one by one.

use super::{GraphBuilder, Value};
use crate::graph::attribute::{int, ints};
use crate::graph::onnx::{AttributeProto, INT32, NodeProto};
use crate::graph::{Element, Target};

impl GraphBuilder {
    pub(in crate::graph) fn op(
        &mut self,
        op_type: &str,
        inputs: &[&Value],
        attributes: Vec<AttributeProto>,
    ) -> Value {
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

    pub(in crate::graph) fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Add", &[a, b], vec![])
    }

    pub(in crate::graph) fn scale(&mut self, x: &Value, factor: f32) -> Value {
        let factor = self.scalar(factor);
        self.op("Mul", &[x, &factor], vec![])
    }

    pub(in crate::graph) fn matmul(&mut self, a: &Value, b: &Value) -> Value {
        self.op("MatMul", &[a, b], vec![])
    }

    /// One side may be -1 (what is left over); 0 copies the input's side.
    pub(in crate::graph) fn reshape(&mut self, x: &Value, shape: &[i64]) -> Value {
        let shape = self.indices(shape);
        self.op("Reshape", &[x, &shape], vec![])
    }

    pub(in crate::graph) fn transpose(&mut self, x: &Value, order: &[i64]) -> Value {
        self.op("Transpose", &[x], vec![ints("perm", order)])
    }

    pub(in crate::graph) fn concat(&mut self, parts: &[&Value], axis: i64) -> Value {
        self.op("Concat", parts, vec![int("axis", axis)])
    }

    pub(in crate::graph) fn gather(&mut self, table: &Value, which: &Value, axis: i64) -> Value {
        self.op("Gather", &[table, which], vec![int("axis", axis)])
    }

    /// One of the places of an axis, which is then gone. By an i32: TensorRT's parser would make a layer for turning an i64
    /// into one.
    pub(in crate::graph) fn pick(&mut self, x: &Value, axis: i64, place: i32) -> Value {
        let which = self.constant(format!("place_{place}"), INT32, &[], place.to_le_bytes().to_vec());
        self.gather(x, &which, axis)
    }

    /// The last place of an axis, which stays with side 1. Of a side that is not known a slice would cost TensorRT's parser
    /// some thirty layers.
    pub(in crate::graph) fn last_place(&mut self, x: &Value, axis: i64) -> Value {
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
    pub(in crate::graph) fn slice(&mut self, x: &Value, axis: i64, start: i64, end: i64) -> Value {
        let (start, end) = (self.indices(&[start]), self.indices(&[end]));
        self.slice_between(x, axis, &start, &end)
    }

    pub(in crate::graph) fn slice_between(
        &mut self,
        x: &Value,
        axis: i64,
        start: &Value,
        end: &Value,
    ) -> Value {
        let axis = self.indices(&[axis]);
        self.op("Slice", &[x, start, end, &axis], vec![])
    }

    /// The side of one axis, as a vector of one index.
    pub(in crate::graph) fn side(&mut self, x: &Value, axis: i64) -> Value {
        let shape = self.op("Shape", &[x], vec![]);
        let axis = self.indices(&[axis]);
        self.gather(&shape, &axis, 0)
    }

    pub(in crate::graph) fn cast(&mut self, x: &Value, to: Element) -> Value {
        self.op("Cast", &[x], vec![int("to", i64::from(to.onnx()))])
    }

    /// Zeros around a value: `pads` holds the number before each axis, then the number after each.
    pub(in crate::graph) fn pad(&mut self, x: &Value, pads: &[i64]) -> Value {
        let pads = self.indices(pads);
        self.op("Pad", &[x, &pads], vec![])
    }

    /// Softmax over the last axis, in f32 whatever the graph's type.
    pub(in crate::graph) fn softmax(&mut self, x: &Value) -> Value {
        self.in_f32(x, |g, x| g.op("Softmax", &[x], vec![int("axis", -1)]))
    }

    /// The mean over one axis, which stays with side 1; in f32 whatever the graph's type.
    pub(in crate::graph) fn mean(&mut self, x: &Value, axis: i64) -> Value {
        self.in_f32(x, |g, x| match g.target {
            Target::OnnxRuntime => g.op("ReduceMean", &[x], vec![ints("axes", &[axis]), int("keepdims", 1)]),
            // From operator set 18 on.
            Target::TensorRt => {
                let axes = g.indices(&[axis]);
                g.op("ReduceMean", &[x, &axes], vec![int("keepdims", 1)])
            }
        })
    }

    pub(super) fn in_f32(
        &mut self,
        x: &Value,
        body: impl FnOnce(&mut GraphBuilder, &Value) -> Value,
    ) -> Value {
        match self.element {
            Element::F32 => body(self, x),
            Element::F16 => {
                let wide = self.cast(x, Element::F32);
                let result = body(self, &wide);
                self.cast(&result, Element::F16)
            }
        }
    }
}
