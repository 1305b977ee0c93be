//! What TensorRT 10.3's parser takes, held against every graph.
//!
//! From onnx-tensorrt's `docs/operators.md` and `docs/Changelog.md`. The document as of 10.3 could not be had; the nearest
//! is that of 10.6 (commit 0137504e2b25fe5253bd85d26b073378fb67805b), in which every operator stands with the types below.
//! What the changelog says of 10.4, 10.5 and 10.6 (axes of Pad as a tensor, window functions, STFT, plug-ins, optional
//! outputs) is used nowhere here, so that what 10.6 takes of this list 10.3 took. The operator sets go to 20, the first with
//! Gelu, from 10.0 on; i64 became a type of its own with 9.0, and with it there is an answer to where it may be used.
//! Restrictions are those of 8.4, where they are stricter.
//!
//! How many layers an operator becomes was read in the parser's sources of that commit (`onnxOpImporters.cpp`) and counted
//! with TensorRT-RTX 1.7.

use std::collections::{HashMap, HashSet};

use super::onnx::{FLOAT, FLOAT16, INT32, INT64, NodeProto};
use super::tests::every_variant;
use super::*;

/// `TensorProto.DataType.BOOL`.
const BOOL: i32 = 9;

/// An operator and what it may be used with.
struct Rule {
    operator: &'static str,
    /// Types of its data: of all inputs but those of `constant` and `index`.
    types: &'static [i32],
    /// Inputs that must be initializers.
    constant: &'static [usize],
    /// Inputs that are i64 (or i32, where the operator has both) whatever the data.
    index: &'static [usize],
}

const FLOATS: &[i32] = &[FLOAT, FLOAT16];
const NUMBERS: &[i32] = &[FLOAT, FLOAT16, INT64];
const ANY: &[i32] = &[FLOAT, FLOAT16, INT64, BOOL];

const fn rule(
    operator: &'static str,
    types: &'static [i32],
    constant: &'static [usize],
    index: &'static [usize],
) -> Rule {
    Rule { operator, types, constant, index }
}

/// No If, Loop or Scan: the daemon's loop is outside.
const RULES: [Rule; 23] = [
    rule("Add", NUMBERS, &[], &[]),
    rule("Cast", ANY, &[], &[]),
    rule("Clip", FLOATS, &[], &[]),
    rule("Concat", ANY, &[], &[]),
    // 2-D or 3-D, weights an initializer.
    rule("Conv", FLOATS, &[1, 2], &[]),
    rule("Div", NUMBERS, &[], &[]),
    rule("Erf", FLOATS, &[], &[]),
    rule("Gather", NUMBERS, &[], &[1]),
    // From operator set 20 on.
    rule("Gelu", FLOATS, &[], &[]),
    rule("Gemm", FLOATS, &[], &[]),
    // Only the first output.
    rule("LayerNormalization", FLOATS, &[1, 2], &[]),
    rule("Less", NUMBERS, &[], &[]),
    rule("MatMul", FLOATS, &[], &[]),
    rule("Mul", NUMBERS, &[], &[]),
    rule("Pad", NUMBERS, &[1], &[1]),
    // Axes an initializer; in operator set 17 they are an attribute.
    rule("ReduceMean", NUMBERS, &[1], &[1]),
    rule("Reshape", ANY, &[], &[1]),
    rule("Shape", ANY, &[], &[]),
    // Axes an initializer before 10.3.
    rule("Slice", ANY, &[3], &[1, 2, 3]),
    rule("Softmax", FLOATS, &[], &[]),
    rule("Sub", NUMBERS, &[], &[]),
    rule("Transpose", ANY, &[], &[]),
    // Axes constant before 10.7.
    rule("Unsqueeze", ANY, &[1], &[1]),
];

/// More sides than this no tensor of TensorRT's has.
const MAX_RANK: usize = 8;

fn rule_of(node: &NodeProto) -> &'static Rule {
    let found = RULES.iter().find(|rule| rule.operator == node.op_type);
    found.unwrap_or_else(|| panic!("{} is no operator that TensorRT 10.3 is known to parse", node.op_type))
}

/// Element types of all values of a graph, and the names of its initializers.
fn typed(graph: &Graph) -> (HashMap<String, i32>, HashSet<String>) {
    let proto = graph.declared().graph.unwrap();
    let initializers: HashSet<String> = proto.initializer.iter().map(|tensor| tensor.name.clone()).collect();
    let mut types: HashMap<String, i32> =
        proto.initializer.into_iter().map(|tensor| (tensor.name, tensor.data_type)).collect();
    types.extend(
        graph.inputs().iter().map(|port| (port.name.clone(), port.element.map_or(INT64, Element::onnx))),
    );
    for node in graph.nodes() {
        let to = node.attribute.iter().find(|attribute| attribute.name == "to").and_then(|to| to.i);
        let output = match &*node.op_type {
            "Cast" => to.unwrap() as i32,
            "Shape" => INT64,
            "Less" => BOOL,
            _ => types[&node.input[0]],
        };
        types.insert(node.output[0].clone(), output);
    }
    (types, initializers)
}

#[test]
fn every_operator_is_one_that_tensorrt_10_3_parses_with_types_that_it_takes() {
    for graph in every_variant() {
        let (types, initializers) = typed(&graph);
        for node in graph.nodes() {
            let (rule, place) = (rule_of(node), || format!("{}: {}", graph.name(), node.name));
            assert_eq!(node.output.len(), 1, "{}", place());
            let mut of_data = HashSet::new();
            for (number, input) in node.input.iter().enumerate() {
                let element = types[input];
                if rule.index.contains(&number) {
                    let is_index = element == INT64 || (element == INT32 && node.op_type == "Gather");
                    assert!(is_index, "{} input {number} is of type {element}", place());
                } else {
                    assert!(rule.types.contains(&element), "{} input {number} is of type {element}", place());
                    of_data.insert(element);
                }
                if rule.constant.contains(&number) {
                    assert!(initializers.contains(input), "{} input {number} is computed", place());
                }
            }
            // A strongly typed network converts nothing by itself.
            assert_eq!(of_data.len(), 1, "{} mixes types", place());
        }
        for port in graph.outputs() {
            assert_eq!(Some(types[&port.name]), port.element.map(Element::onnx), "{}", port.name);
        }
    }
}

#[test]
fn no_tensor_has_more_sides_than_tensorrt_knows() {
    for graph in every_variant() {
        let proto = graph.declared().graph.unwrap();
        let constants: HashMap<_, _> =
            proto.initializer.iter().map(|tensor| (&*tensor.name, tensor)).collect();
        let mut longest = 0;
        for node in proto.node.iter().filter(|node| node.op_type == "Reshape") {
            if let Some(shape) = constants.get(&*node.input[1]) {
                longest = longest.max(shape.dims[0] as usize);
            }
        }
        longest = proto.initializer.iter().map(|tensor| tensor.dims.len()).fold(longest, usize::max);
        assert!((4..=MAX_RANK).contains(&longest), "{}: {longest}", graph.name());
    }
}

#[test]
fn layer_norm_softmax_and_mean_are_islands_of_f32() {
    let mut seen = HashSet::new();
    for graph in every_variant() {
        let (types, _) = typed(&graph);
        if !types.values().any(|element| *element == FLOAT16) {
            continue;
        }
        for node in graph.nodes() {
            if ["LayerNormalization", "Softmax", "ReduceMean"].contains(&&*node.op_type) {
                assert_eq!(types[&node.input[0]], FLOAT, "{}: {}", graph.name(), node.name);
                seen.insert(node.op_type.clone());
            } else if ["MatMul", "Conv", "Gemm", "Erf", "Gelu"].contains(&&*node.op_type) {
                // And nothing that is dear is left in f32 behind one.
                assert_eq!(types[&node.input[0]], FLOAT16, "{}: {}", graph.name(), node.name);
            }
        }
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn whole_numbers_only_index() {
    // Where an operator may take i64: (operator, input).
    let index_inputs = [
        ("Gather", 1),
        ("Reshape", 1),
        ("Slice", 1),
        ("Slice", 2),
        ("Slice", 3),
        ("Pad", 1),
        ("ReduceMean", 1),
        ("Unsqueeze", 1),
        ("Cast", 0),
        ("Shape", 0),
        ("Less", 0),
        ("Less", 1),
    ];
    // Those that give i64 when they take it, for shapes and positions.
    let passing = ["Gather", "Concat", "Unsqueeze"];
    for graph in every_variant() {
        let model = graph.declared();
        let proto = model.graph.as_ref().unwrap();
        let inputs =
            graph.inputs().iter().filter(|port| port.element.is_none()).map(|port| port.name.clone());
        let mut whole: HashSet<String> = inputs.collect();
        whole.extend(proto.initializer.iter().filter(|t| t.data_type == onnx::INT64).map(|t| t.name.clone()));
        for node in &proto.node {
            let op = node.op_type.as_str();
            let data_is_whole = node.input.first().is_some_and(|input| whole.contains(input));
            for (place, input) in node.input.iter().enumerate() {
                if whole.contains(input) && !(passing.contains(&op) && data_is_whole) {
                    assert!(
                        index_inputs.contains(&(op, place)),
                        "{}: {} input {place}",
                        graph.name(),
                        node.name
                    );
                }
            }
            if op == "Shape" || (passing.contains(&op) && data_is_whole) {
                whole.extend(node.output.iter().cloned());
            }
        }
        assert!(graph.outputs().iter().all(|port| !whole.contains(&port.name)));
    }
}
