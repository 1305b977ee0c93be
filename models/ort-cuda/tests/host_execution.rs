//! That a session at bound addresses reads and writes where it is told, and what it refuses. Whether it computes the right
//! thing is shown by the stand-in of `models/tests`, which runs every graph this way.
//!
//! Needs an ONNX Runtime library, found as the program finds it (`ORT_DYLIB_PATH`, or installed).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use belvedere_kernels::device::{Device as _, DeviceSlice, Memory as _};
use belvedere_kernels_host::{HostDevice, HostMemory};
use belvedere_models::checkpoint::FlorenceConfig;
use belvedere_models::engine::ort::environment;
use belvedere_models::engine::tensorrt::{EngineGraphs, GraphName, Profile};
use belvedere_models::graph::Element;
use belvedere_models::synthetic::SyntheticModel;
use belvedere_ort_cuda::{GraphFiles, HostExecution, OrtCudaError, probe};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

const SIZE_PX: (u32, u32) = (96, 64);

fn model() -> SyntheticModel {
    let mut config = FlorenceConfig::small();
    config.text.vocabulary = 300;
    config.text.max_positions = 64;
    SyntheticModel::new(config, SIZE_PX)
}

/// A vision graph over two pictures.
fn vision() -> HostExecution {
    let model = model();
    let graphs = EngineGraphs::new(&model.config, &model, SIZE_PX, 2, Element::F32).unwrap();
    let files = GraphFiles::write(&graphs.requests()).unwrap();
    HostExecution::open(&environment(None).unwrap(), &files, GraphName::Vision, &Profile::vision(2)).unwrap()
}

/// Memory for every port, in their order.
fn memory(device: &HostDevice, execution: &HostExecution) -> (Vec<HostMemory>, Vec<DeviceSlice>) {
    let pieces: Vec<HostMemory> =
        execution.ports().iter().map(|port| device.allocate(port.bytes()).unwrap()).collect();
    let slices = pieces.iter().map(|piece| piece.slice()).collect();
    (pieces, slices)
}

/// Fills the pictures with one value, runs, and returns the features' bytes.
fn features(
    device: &HostDevice,
    execution: &mut HostExecution,
    slices: &[DeviceSlice],
    value: f32,
) -> Vec<u8> {
    let [pictures, features] = slices else { panic!("{} slices", slices.len()) };
    let fill =
        |bytes: &mut [u8]| bytes.chunks_exact_mut(4).for_each(|to| to.copy_from_slice(&value.to_ne_bytes()));
    device.with_bytes(*pictures, fill).unwrap();
    device.with_many(slices, |memory| execution.run(memory)).unwrap().unwrap();
    device.with_bytes(*features, |bytes| bytes.to_vec()).unwrap()
}

#[test]
fn a_run_reads_its_inputs_as_they_are_then_and_writes_its_outputs_where_they_lie() {
    let device = HostDevice::new();
    let mut execution = vision();
    let (_here, here) = memory(&device, &execution);
    let (_there, there) = memory(&device, &execution);
    let first = features(&device, &mut execution, &here, 0.5);
    let second = features(&device, &mut execution, &here, -1.0);
    assert_ne!(first, second);
    assert_eq!(features(&device, &mut execution, &there, 0.5), first);
    assert_eq!(features(&device, &mut execution, &here, -1.0), second);
    // The two pictures are alike.
    let (one, other) = first.split_at(first.len() / 2);
    assert!(one == other && one.iter().any(|byte| *byte != 0));
}

#[test]
fn memory_that_does_not_fit_is_refused() {
    let device = HostDevice::new();
    let mut execution = vision();
    let (_pieces, slices) = memory(&device, &execution);
    let mut run = |slices: &[DeviceSlice]| {
        let ran = device.with_many(slices, |memory| execution.run(memory)).unwrap();
        ran.unwrap_err().to_string()
    };
    assert!(run(&slices[..1]).contains("1 pieces of memory for 2 tensors"));
    let shorter = slices[1].part(0, slices[1].bytes() - 4).unwrap();
    assert!(run(&[slices[0], shorter]).contains("image_features"));
    let crooked = slices[0].part(4, slices[0].bytes() - 4).unwrap();
    assert!(run(&[crooked, slices[1]]).contains("pixel_values"));
}

/// Sides of tensors are computed on the CPU, by any provider; a graph in which that is left to do cannot be captured.
#[test]
fn at_fixed_shapes_no_side_is_computed_when_a_graph_runs() {
    let model = model();
    let graphs = EngineGraphs::new(&model.config, &model, SIZE_PX, 2, Element::F16).unwrap();
    let requests = graphs.requests();
    let files = GraphFiles::write(&requests).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let optimised = folder.path().join("optimised.onnx");
    let (mut before, mut looked_at) = (0, 0);
    for request in &requests {
        before += usize::from(request.graph.operators().contains("Shape"));
        for profile in request.profiles {
            let mut builder = Session::builder(&environment(None).unwrap()).unwrap();
            // What is optimised whatever the provider is.
            builder = builder.with_optimization_level(GraphOptimizationLevel::Level1).unwrap();
            builder = builder.with_optimized_model_path(&optimised).unwrap();
            for (symbol, side) in files.sides(request.name, profile).unwrap() {
                builder = builder.with_dimension_override(symbol, side as i64).unwrap();
            }
            builder.commit_from_file(files.path(request.name)).unwrap();
            let written = std::fs::read(&optimised).unwrap();
            // A node's operator is field 4 of its message.
            let has = |operator: &[u8]| {
                let field = [&[0x22, operator.len() as u8], operator].concat();
                written.windows(field.len()).any(|bytes| bytes == field)
            };
            assert!(has(b"MatMul"), "{profile}: the file is read wrongly");
            assert!(!has(b"Shape"), "{profile}: {} computes sides", request.name.as_str());
            looked_at += 1;
        }
    }
    assert!(before > 0 && looked_at > 5);
}

#[test]
fn without_a_cuda_provider_the_error_says_what_it_takes() {
    match probe(None) {
        Err(error @ OrtCudaError::Provider { .. }) => {
            let words = error.to_string();
            assert!(words.contains("CUDA") && words.contains("libcublas.so.13"), "{words}");
        }
        other => eprintln!("this machine has the provider, and says: {other:?}"),
    }
}
