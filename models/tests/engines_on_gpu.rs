//! Engines on a GPU: built there, run, captured, and compared with ONNX Runtime on the CPU; or, with
//! `BELVEDERE_NETWORKS=onnxruntime-cuda`, the same graphs on its CUDA provider. `make gpu-test` runs it; no other machine can.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use belvedere_cuda::{CudaDevice, CudaMemory};
use belvedere_kernels::device::{Device, Memory, PinnedMemory};
use belvedere_models::engine::ort::environment;
use belvedere_models::engine::tensorrt::{
    EngineFiles, EngineGraphs, EngineRequest, GpuIdentity, GraphName, Network, Networks, OnBuild, Profile,
    TensorRtBuilder, TensorRtNetworks,
};
use belvedere_models::graph::{Element, Port};
use belvedere_models::{CancelToken, Checkpoint};
use belvedere_ort_cuda::{Capturing, OrtCudaNetworks};
use belvedere_tensorrt::Library;
use half::f16;
use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;

/// What one input holds. Indices are small enough for every table that they look into.
#[derive(Clone)]
enum Values {
    Half(Vec<f16>),
    Index(Vec<i64>),
}

impl Values {
    fn of(port: &Port, elements: usize, random: &mut fastrand::Rng) -> Values {
        match (&*port.name, port.element) {
            // Nothing is masked: the cache is full.
            ("past_mask" | "cross_mask", _) => Values::Half(vec![f16::ZERO; elements]),
            (_, Some(_)) => {
                Values::Half((0..elements).map(|_| f16::from_f32(random.f32() * 2.0 - 1.0)).collect())
            }
            ("image_index", None) => Values::Index(vec![0; elements]),
            ("text_mask", None) => Values::Index(vec![1; elements]),
            (_, None) => Values::Index((0..elements).map(|_| random.i64(0..50)).collect()),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Values::Half(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::Index(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    fn input(&self, shape: Vec<usize>) -> SessionInputValue<'static> {
        match self {
            Values::Half(values) => Tensor::from_array((shape, values.clone())).unwrap().into(),
            Values::Index(values) => Tensor::from_array((shape, values.clone())).unwrap().into(),
        }
    }
}

fn floats(bytes: &[u8], element: Element) -> Vec<f32> {
    match element {
        Element::F16 => bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
        Element::F32 => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
    }
}

fn size(port: &Port, profile: &Profile) -> (Vec<usize>, usize) {
    let shape = profile.shape(port).unwrap();
    let elements = shape.iter().product();
    (shape, elements)
}

fn bytes_of(port: &Port, elements: usize) -> usize {
    elements * port.element.map_or(8, Element::bytes)
}

fn upload(device: &CudaDevice, memory: &CudaMemory, bytes: &[u8]) {
    let stream = device.stream().unwrap();
    let mut pinned = device.pinned(bytes.len()).unwrap();
    pinned.write(0, bytes).unwrap();
    device
        .copy(
            &stream,
            memory.slice().part(0, bytes.len()).unwrap(),
            pinned.slice().part(0, bytes.len()).unwrap(),
        )
        .unwrap();
    device.wait(&device.record(&stream).unwrap()).unwrap();
}

fn download(device: &CudaDevice, memory: &CudaMemory, length: usize) -> Vec<u8> {
    let stream = device.stream().unwrap();
    let pinned = device.pinned(length).unwrap();
    device
        .copy(&stream, pinned.slice().part(0, length).unwrap(), memory.slice().part(0, length).unwrap())
        .unwrap();
    device.wait(&device.record(&stream).unwrap()).unwrap();
    let mut bytes = vec![0; length];
    pinned.read(0, &mut bytes).unwrap();
    bytes
}

/// The outputs as ONNX Runtime computes them in the same precision.
fn expected(request: &EngineRequest<'_>, profile: &Profile, inputs: &[Values]) -> Vec<Vec<f32>> {
    let model = request.graph.to_bytes(request.weights).unwrap();
    let mut session =
        Session::builder(&environment(None).unwrap()).unwrap().commit_from_memory(&model).unwrap();
    let ports = request.graph.inputs().iter();
    let given: Vec<(String, SessionInputValue<'_>)> = ports
        .zip(inputs)
        .map(|(port, values)| (port.name.clone(), values.input(size(port, profile).0)))
        .collect();
    let outputs = session.run(given).unwrap();
    let of_port = |port: &Port| match port.element.unwrap() {
        Element::F16 => outputs[&*port.name]
            .try_extract_tensor::<f16>()
            .unwrap()
            .1
            .iter()
            .map(|value| value.to_f32())
            .collect(),
        Element::F32 => outputs[&*port.name].try_extract_tensor::<f32>().unwrap().1.to_vec(),
    };
    request.graph.outputs().iter().map(of_port).collect()
}

/// The bundled model: in this repository, or where a machine has it to which the program was carried.
fn tiny() -> Checkpoint {
    let models = std::env::var_os("BELVEDERE_MODELS").map(PathBuf::from);
    let models = models.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).to_owned());
    Checkpoint::open(models.join("tiny")).unwrap()
}

fn graphs(checkpoint: &Checkpoint) -> EngineGraphs<'_> {
    let spec = checkpoint.preprocess_spec();
    EngineGraphs::new(checkpoint.config(), checkpoint, (spec.width, spec.height), 4, Element::F16).unwrap()
}

/// Without a GPU it is shown at least that what the engines are compared with is there, and makes sense.
#[test]
fn onnx_runtime_computes_what_engines_are_compared_with() {
    let checkpoint = tiny();
    let graphs = graphs(&checkpoint);
    let mut random = fastrand::Rng::with_seed(7);
    for request in graphs.requests() {
        let profile = &request.profiles[0];
        let inputs: Vec<Values> = request
            .graph
            .inputs()
            .iter()
            .map(|port| Values::of(port, size(port, profile).1, &mut random))
            .collect();
        let outputs = expected(&request, profile, &inputs);
        assert_eq!(outputs.len(), request.graph.outputs().len());
        assert!(outputs.iter().flatten().all(|value| value.is_finite()));
        assert!(outputs.iter().any(|output| output.iter().any(|value| value.abs() > 0.01)));
    }
}

#[test]
#[ignore = "needs a GPU"]
fn engines_compute_what_onnx_runtime_does_plainly_and_captured() {
    let device = CudaDevice::open(0).unwrap();
    device.make_current().unwrap();
    let checkpoint = tiny();
    let graphs = graphs(&checkpoint);
    let requests = graphs.requests();
    if std::env::var("BELVEDERE_NETWORKS").is_ok_and(|networks| networks == "onnxruntime-cuda") {
        let environment = environment(None).unwrap();
        let capturing = Capturing::Engine;
        let mut networks = OrtCudaNetworks::new(&environment, &requests, &device, 0, capturing).unwrap();
        return compare_all(&device, &mut networks, &requests);
    }
    let library = Library::find().unwrap();
    let gpu = GpuIdentity::from(&belvedere_cuda::devices().unwrap()[0]);
    let mut builder = TensorRtBuilder::new(library.clone(), gpu, None);
    let folder = tempfile::tempdir().unwrap();
    let files = EngineFiles::new(Some(folder.path().to_owned()));
    // The second time they come out of the files.
    let mut networks = None;
    for _ in 0..2 {
        let (on_build, cancel) = (OnBuild::default(), CancelToken::new());
        networks = Some(
            TensorRtNetworks::open(&library, &requests, &files, &mut builder, &on_build, &cancel).unwrap(),
        );
    }
    compare_all(&device, &mut networks.unwrap(), &requests);
}

fn compare_all<N: Networks<CudaDevice>>(
    device: &CudaDevice,
    networks: &mut N,
    requests: &[EngineRequest<'_>],
) {
    println!("{}", networks.description());
    let mut random = fastrand::Rng::with_seed(7);
    for request in requests {
        for profile in request.profiles {
            compare(device, networks, request, profile, &mut random);
        }
    }
}

fn compare<N: Networks<CudaDevice>>(
    device: &CudaDevice,
    networks: &mut N,
    request: &EngineRequest<'_>,
    profile: &Profile,
    random: &mut fastrand::Rng,
) {
    let (name, stream): (GraphName, _) = (request.name, device.stream().unwrap());
    let scratch_bytes = networks.scratch_bytes(name, profile).unwrap();
    let scratch = device.allocate(scratch_bytes.max(1)).unwrap();
    let scratch = (scratch.slice().part(0, scratch_bytes).unwrap(), scratch);
    let mut network = networks.open(name, profile, scratch.0).unwrap();
    let mut memory = Vec::new();
    let mut inputs = Vec::new();
    for port in request.graph.inputs().iter().chain(request.graph.outputs()) {
        let (_, elements) = size(port, profile);
        let bytes = bytes_of(port, elements);
        let piece = device.allocate(bytes).unwrap();
        network.bind(&port.name, piece.slice().part(0, bytes).unwrap()).unwrap();
        if memory.len() < request.graph.inputs().len() {
            let values = Values::of(port, elements, random);
            upload(device, &piece, &values.bytes());
            inputs.push(values);
        }
        memory.push(piece);
    }
    let results = |memory: &[CudaMemory]| -> Vec<Vec<f32>> {
        let outputs = request.graph.outputs().iter().zip(&memory[request.graph.inputs().len()..]);
        outputs
            .map(|(port, piece)| {
                let bytes = bytes_of(port, size(port, profile).1);
                floats(&download(device, piece, bytes), port.element.unwrap())
            })
            .collect()
    };
    let finish = || device.wait(&device.record(&stream).unwrap()).unwrap();
    network.enqueue(&stream).unwrap();
    finish();
    let plain = results(&memory);
    device.begin_capture(&stream).unwrap();
    let enqueued = network.enqueue(&stream);
    let graph = device.end_capture(&stream);
    enqueued.unwrap();
    let graph = graph.unwrap();
    device.replay(&stream, &graph).unwrap();
    finish();
    assert_eq!(results(&memory), plain, "{name:?} ({profile}): captured, it computes something else");

    let expected = expected(request, profile, &inputs);
    for ((port, found), expected) in request.graph.outputs().iter().zip(&plain).zip(&expected) {
        let place = format!("{name:?} ({profile}), {}", port.name);
        assert_eq!(found.len(), expected.len(), "{place}");
        assert!(found.iter().all(|value| value.is_finite()), "{place}: not finite");
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let scale = (dot(found, found) * dot(expected, expected)).sqrt();
        // A mask of nothing but zeros is equal or not.
        let cosine = if scale == 0.0 { f64::from(found == expected) } else { dot(found, expected) / scale };
        println!("{place}: cosine {cosine:.6}");
        assert!(cosine > 0.999, "{place}: cosine {cosine}");
    }
}
