//! Graphs against what they promise.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;
use prost::Message;

use super::onnx::{ModelProto, TensorProto};
use super::*;
use crate::checkpoint::{Layout, TensorSpec};
use crate::synthetic::SyntheticModel;

const TARGETS: [Target; 2] = [Target::OnnxRuntime, Target::TensorRt];

fn all_graphs(
    config: &FlorenceConfig,
    target: Target,
    element: Element,
    (width, height): (u32, u32),
) -> Vec<Graph> {
    let options = GraphOptions {
        width,
        height,
        element,
        logit_rows: config.logit_rows(),
        untied_head: true,
        logits_bias: true,
        target,
    };
    let graphs = Graphs::new(config, options).unwrap();
    let mut list = vec![graphs.vision(&VisionShape::default()).unwrap(), graphs.encoder().unwrap()];
    list.extend(
        [Query::Prefill, Query::Step, Query::Any]
            .map(|query| graphs.decoder(&DecoderShape::new(query)).unwrap()),
    );
    list
}

pub(super) fn every_variant() -> Vec<Graph> {
    TARGETS.into_iter().flat_map(variants_for).collect()
}

fn variants_for(target: Target) -> Vec<Graph> {
    let (base, large) = (FlorenceConfig::base(), FlorenceConfig::large());
    [Element::F32, Element::F16]
        .into_iter()
        .flat_map(|element| {
            [all_graphs(&base, target, element, (768, 768)), all_graphs(&large, target, element, (320, 224))]
        })
        .flatten()
        .collect()
}

#[test]
fn the_operator_set_is_the_targets_and_every_value_is_made_before_it_is_used() {
    let of_target = |(target, opset)| {
        variants_for(target).into_iter().map(move |graph| (graph, opset)).collect::<Vec<_>>()
    };
    for (graph, opset) in [(Target::OnnxRuntime, 17), (Target::TensorRt, 20)].into_iter().flat_map(of_target)
    {
        let model = graph.declared();
        assert_eq!(model.opset_import.iter().map(|set| set.version).collect::<Vec<_>>(), [opset]);
        let proto = model.graph.unwrap();
        let mut known: HashSet<&str> = proto.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        known.extend(proto.input.iter().map(|port| port.name.as_str()));
        for node in &proto.node {
            assert!(
                node.input.iter().all(|input| known.contains(input.as_str())),
                "{}: {node:?}",
                graph.name()
            );
            assert!(node.output.iter().all(|output| known.insert(output)), "{}: {node:?}", graph.name());
        }
        assert!(proto.output.iter().all(|port| known.contains(port.name.as_str())));
    }
}

#[test]
fn ports_are_the_contract_with_the_engines() {
    let config = FlorenceConfig::base();
    let names = |ports: &[Port]| -> BTreeSet<String> { ports.iter().map(|port| port.name.clone()).collect() };
    let set = |fixed: &[&str], layered: &[&str]| -> BTreeSet<String> {
        let layers = layered.iter().flat_map(|name| (0..6).map(move |layer| format!("{name}.{layer}")));
        fixed.iter().map(|name| (*name).to_owned()).chain(layers).collect()
    };
    let graphs = all_graphs(&config, Target::OnnxRuntime, Element::F32, (768, 768));
    for (graph, other) in graphs.iter().zip(all_graphs(&config, Target::TensorRt, Element::F32, (768, 768))) {
        assert_eq!((graph.inputs(), graph.outputs()), (other.inputs(), other.outputs()));
    }
    let [vision, encoder, decoders @ ..] = &graphs[..] else { panic!("five graphs") };
    assert_eq!(names(vision.inputs()), set(&["pixel_values"], &[]));
    assert_eq!(names(vision.outputs()), set(&["image_features"], &[]));
    assert_eq!(vision.outputs()[0].shape, [Dim::from("batch"), 577.into(), 768.into()]);
    assert_eq!(
        names(encoder.inputs()),
        set(&["image_features", "image_index", "input_ids", "text_mask"], &[])
    );
    assert_eq!(names(encoder.outputs()), set(&["cross_mask"], &["cross_key", "cross_value"]));
    for (decoder, new_tokens) in decoders.iter().zip([Dim::Fixed(2), Dim::Fixed(1), Dim::from("new_tokens")])
    {
        let layered = ["past_key", "past_value", "cross_key", "cross_value"];
        let is_any = new_tokens == Dim::from("new_tokens");
        let first_logit: &[&str] = if is_any { &["first_logit"] } else { &[] };
        assert_eq!(
            names(decoder.inputs()),
            set(&[&["input_ids", "positions", "past_mask", "cross_mask"], first_logit].concat(), &layered)
        );
        assert_eq!(names(decoder.outputs()), set(&["logits"], &["new_key", "new_value"]));
        let logits = &decoder.outputs()[0];
        assert_eq!((&*logits.name, &logits.shape[1]), ("logits", &Dim::Fixed(51289)));
        assert_eq!(decoder.inputs()[0].shape[1], new_tokens);
    }
}

#[test]
fn channel_attention_is_scaled_by_the_actual_number_of_tokens() {
    let config = FlorenceConfig::base();
    for ((width, height), expected) in
        [((768, 768), [192.0, 96.0, 48.0, 24.0]), ((384, 384), [96.0, 48.0, 24.0, 12.0])]
    {
        let vision = &all_graphs(&config, Target::OnnxRuntime, Element::F32, (width, height))[0];
        let scales: Vec<f32> = vision.scalars();
        for root in expected {
            let scale = 1.0f32 / root;
            assert!(scales.contains(&scale), "1/{root} is not among {scales:?}");
        }
    }
}

#[test]
fn image_sizes_that_the_model_cannot_take_are_refused() {
    let config = FlorenceConfig::base();
    assert_eq!(config.feature_maps(768, 768).unwrap(), [(192, 192), (96, 96), (48, 48), (24, 24)]);
    assert_eq!(config.feature_maps(320, 224).unwrap(), [(56, 80), (28, 40), (14, 20), (7, 10)]);
    assert_eq!(config.image_tokens(768, 768).unwrap(), 577);
    assert_eq!(config.image_tokens(1, 1).unwrap(), 2);
    for (width, height) in [(0, 768), (768, 0), (1632, 64), (u32::MAX, u32::MAX)] {
        let error = config.image_tokens(width, height).unwrap_err();
        assert!(error.to_string().contains(&format!("{width}x{height}")), "{error}");
    }
    // 45 x 25 places fit the table, but not the text model's positions.
    let model = SyntheticModel::new(config, (1440, 800));
    let error = Graphs::new(&model.config, GraphOptions::new(&model.config, &model, 1440, 800)).unwrap_err();
    assert!(error.to_string().contains("1024 positions"), "{error}");
}

#[test]
fn graphs_in_one_file_share_their_weights() {
    let mut config = FlorenceConfig::small();
    config.text.vocabulary = 1000;
    let model = SyntheticModel::new(config, (64, 64));
    let dir = tempfile::tempdir().unwrap();
    let graphs = Graphs::new(&model.config, GraphOptions::new(&model.config, &model, 64, 64)).unwrap();
    graphs.export(dir.path(), &model).unwrap();
    let size = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().len();
    let parameters: usize =
        model.config.inventory().iter().map(|spec| spec.shape.iter().product::<usize>()).sum();
    let bytes = 4 * parameters as u64;
    // A page at most is lost before each weight.
    assert!(size("weights.bin") < bytes + 4096 * 400, "{} bytes for {bytes} of weights", size("weights.bin"));
    for name in ["vision", "encoder", "decoder_prefill", "decoder_step"] {
        let model =
            ModelProto::decode(&*std::fs::read(dir.path().join(format!("{name}.onnx"))).unwrap()).unwrap();
        for tensor in model.graph.unwrap().initializer {
            let offset = tensor.external_data.iter().find(|entry| entry.key == "offset");
            assert!(offset.is_none_or(|offset| offset.value.parse::<u64>().unwrap().is_multiple_of(4096)));
        }
    }
}

/// Weights of the real model's stage 0, under native names.
struct Fragment(BTreeMap<String, Vec<f32>>);

impl Fragment {
    fn read(model: &ModelProto, config: &FlorenceConfig) -> Fragment {
        let graph = model.graph.as_ref().unwrap();
        let tensors: BTreeMap<&str, &TensorProto> =
            graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
        let floats = |tensor: &TensorProto| -> Vec<f32> {
            let bytes = tensor.raw_data.as_ref().unwrap();
            bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
        };
        let mut weights = BTreeMap::new();
        for TensorSpec { name, shape } in config.inventory() {
            let original = Layout::Original.name_of(&name);
            if let Some(tensor) = tensors.get(original.as_str()) {
                weights.insert(name, floats(tensor));
            } else if let Some(scope) = original
                .strip_prefix("vision_tower.blocks.0.0.")
                .and_then(|rest| rest.strip_suffix(".weight"))
            {
                // Exported as an anonymous [in, out] operand of the MatMul whose node carries the module's path.
                let node = format!("/blocks.0/blocks.0.0/{}/MatMul", scope.replace('.', "/"));
                let node = graph.node.iter().find(|candidate| candidate.name == node).unwrap();
                let operand = tensors[node.input[1].as_str()];
                weights.insert(name, transposed(&floats(operand), shape[1], shape[0]));
            }
        }
        Fragment(weights)
    }
}

impl Weights for Fragment {
    fn read(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        self.0.get(name).cloned().ok_or_else(|| ModelError::UnknownTensor { tensor: name.to_owned() })
    }
}

static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();

/// A session of ONNX Runtime from the library that the environment names.
fn session(model: &[u8]) -> Session {
    let library = std::env::var_os("ORT_DYLIB_PATH")
        .expect("ORT_DYLIB_PATH must name the ONNX Runtime library; `make test` sets it");
    let environment = ENVIRONMENT.get_or_init(|| ort::init_from(library).unwrap().build().unwrap());
    Session::builder(environment).unwrap().commit_from_memory(model).unwrap()
}

fn run(session: &mut Session, pixels: &[f32], width: usize, height: usize) -> (Vec<i64>, Vec<f32>) {
    let pixels = TensorRef::from_array_view(([1, 3, height, width], pixels)).unwrap();
    let outputs = session.run(ort::inputs!["pixel_values" => pixels]).unwrap();
    let (shape, elements) = outputs[0].try_extract_tensor::<f32>().unwrap();
    (shape.to_vec(), elements.to_vec())
}

#[test]
fn stage_0_is_equal_to_the_real_models_fragment() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/fragments/vision_encoder_part1.onnx");
    let reference = std::fs::read(path).unwrap();
    let config = FlorenceConfig::base();
    let weights = Fragment::read(&ModelProto::decode(&*reference).unwrap(), &config);
    let mut reference = session(&reference);
    // 384 divides into windows; 200x136 needs padding to the right and below.
    let sizes = [(384, 384), (200, 136)];
    for ((width, height), target) in sizes.into_iter().flat_map(|size| TARGETS.map(|target| (size, target))) {
        let options = GraphOptions { target, ..GraphOptions::new(&config, &weights, width, height) };
        let graphs = Graphs::new(&config, options).unwrap();
        let stage = |channel_scale| {
            let shape = VisionShape { channel_scale, until_stage: Some(1), ..VisionShape::default() };
            session(&graphs.vision(&shape).unwrap().to_bytes(&weights).unwrap())
        };
        let (width, height) = (width as usize, height as usize);
        // Smooth and rough parts in the range of normalised pixels.
        let pixels: Vec<f32> = (0..3 * width * height)
            .map(|i| 2.0 * ((i % width) as f32 * 0.05).sin() + ((i * 7919) % 101) as f32 / 101.0 - 0.5)
            .collect();
        let (expected_shape, expected) = run(&mut reference, &pixels, width, height);
        let (shape, ours) = run(&mut stage(Some(1.0 / 56.0)), &pixels, width, height);
        assert_eq!(shape, expected_shape);
        let worst = |ours: &[f32]| ours.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst(&ours) < 1e-4, "{width}x{height}: {} apart", worst(&ours));
        // The fragment's scale is that of 224 pixels: at other sizes the right one must differ.
        let (_, right) = run(&mut stage(None), &pixels, width, height);
        assert!(worst(&right) > 1e-2, "{width}x{height}: the channel scale has no effect");
    }
}
