//! Libraries that are there, are not there, or are something else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use belvedere_tensorrt::{Library, TensorRtError};

#[test]
fn what_was_tried_is_told_with_the_loaders_words() {
    let folder = tempfile::tempdir().unwrap();
    let error = Library::at(folder.path()).unwrap_err();
    let text = error.to_string();
    let TensorRtError::LibraryMissing { tried } = error else { panic!("{text}") };
    assert!(!tried.is_empty());
    for attempt in &tried {
        assert!(
            attempt.library.contains("libnvinfer.so.") || attempt.library.contains("libtensorrt_rtx.so.")
        );
        assert!(attempt.reason.contains("No such file"), "{attempt}");
        assert!(text.contains(&attempt.to_string()));
    }
}

#[test]
fn a_file_that_is_no_library_and_a_library_that_is_not_tensorrt_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libnvinfer.so.11");
    std::fs::write(&text, "not a library").unwrap();
    let error = Library::at(&text).unwrap_err().to_string();
    assert!(error.contains("libnvinfer.so.11") && !error.contains("getInferLibVersion"), "{error}");
    let error = Library::at(Path::new("libc.so.6")).unwrap_err().to_string();
    assert!(error.contains("getInferLibVersion"), "{error}");
}

/// TensorRT-RTX is pinned for x86_64 only.
#[cfg(target_arch = "x86_64")]
mod rtx {
    use belvedere_tensorrt::{BuildOptions, Builder, Flavour, Runtime, ShapeProfile};

    use super::*;

    fn library() -> Library {
        let folder = std::env::var_os("BELVEDERE_TENSORRT_RTX").expect(
            "BELVEDERE_TENSORRT_RTX must name the folder of TensorRT-RTX; run `make test`, which fetches it",
        );
        Library::at(Path::new(&folder)).unwrap()
    }

    #[test]
    fn a_library_says_what_it_is() {
        let library = library();
        assert_eq!(library.flavour(), Flavour::Rtx);
        assert_eq!(library.full_version(), "1.7.1.116");
        assert!(library.to_string().starts_with("TensorRT-RTX 1.7.1 ("), "{library}");
    }

    #[test]
    fn what_is_not_onnx_is_refused_with_the_graphs_name() {
        let mut builder = Builder::new(&library()).unwrap();
        let error = builder.parse("vision", b"not a model", "vision.onnx".as_ref()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, TensorRtError::NotParsed { messages, .. } if !messages.is_empty()), "{text}");
        assert!(text.starts_with("graph vision: TensorRT-RTX 1.7.1 does not parse it: "), "{text}");
    }

    /// One Relu over `x` of any number of rows, in ONNX's own bytes: opset 17, IR version 8.
    fn relu() -> Vec<u8> {
        fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
            [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat()
        }
        fn port(name: &str) -> Vec<u8> {
            let dims = [field(1, &field(2, b"rows")), field(1, &[1 << 3, 4])].concat();
            let tensor = [&[1 << 3, 1][..], &field(2, &dims)].concat();
            [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
        }
        let node = [field(1, b"x"), field(2, b"y"), field(3, b"relu"), field(4, b"Relu")].concat();
        let graph = [field(1, &node), field(2, b"g"), field(11, &port("x")), field(12, &port("y"))].concat();
        let opset = [2 << 3, 17];
        [&[1 << 3, 8][..], &field(7, &graph), &field(8, &opset)].concat()
    }

    fn options(capabilities: &[u32]) -> BuildOptions {
        BuildOptions {
            workspace_bytes: 1 << 26,
            optimization_level: None,
            auxiliary_streams: Some(0),
            capabilities: capabilities.to_vec(),
            is_detailed: false,
        }
    }

    fn rows(rows: usize) -> ShapeProfile {
        ShapeProfile::new().fixed("x", vec![rows, 4])
    }

    #[test]
    fn an_engine_is_built_and_told_of_on_the_way() {
        let mut builder = Builder::new(&library()).unwrap();
        let mut network = builder.parse("relu", &relu(), "relu.onnx".as_ref()).unwrap();
        assert_eq!(network.layers(), 1);
        let tensors = network.tensors();
        let seen: Vec<_> =
            tensors.iter().map(|tensor| (&*tensor.name, tensor.is_input, &tensor.shape[..])).collect();
        assert_eq!(seen, [("x", true, &[-1, 4][..]), ("y", false, &[-1, 4])]);
        let told = std::sync::Mutex::new(Vec::new());
        let listen = |phase: &str, done: f32| {
            told.lock().unwrap().push((phase.to_owned(), done));
            true
        };
        let built = network.build(&[rows(1), rows(8)], &options(&[86, 120]), None, &listen).unwrap();
        assert!(!built.plan.bytes().is_empty());
        // Asking TensorRT-RTX for measured times would look for a GPU.
        assert_eq!(built.timing_cache, None);
        let told = told.into_inner().unwrap();
        assert!(!told.is_empty() && told.is_sorted_by(|a, b| a.1 <= b.1), "{told:?}");
        assert!(told.iter().any(|(phase, _)| !phase.is_empty()));
    }

    #[test]
    fn a_listener_stops_a_build() {
        let mut builder = Builder::new(&library()).unwrap();
        let mut network = builder.parse("relu", &relu(), "relu.onnx".as_ref()).unwrap();
        let error = network.build(&[rows(1)], &options(&[89]), None, &|_, _| false).unwrap_err();
        assert!(matches!(error, TensorRtError::Stopped { ref graph } if graph == "relu"), "{error}");
        // The builder is as good as before.
        network.build(&[rows(1)], &options(&[89]), None, &|_, _| true).unwrap();
    }

    #[test]
    fn shapes_and_capabilities_that_do_not_fit_are_refused_with_their_names() {
        let mut builder = Builder::new(&library()).unwrap();
        let mut network = builder.parse("relu", &relu(), "relu.onnx".as_ref()).unwrap();
        let mut refused = |profile: ShapeProfile, capabilities: &[u32]| {
            let result = network.build(&[profile], &options(capabilities), None, &|_, _| true);
            result.map(|built| built.plan.bytes().len()).unwrap_err().to_string()
        };
        let error = refused(rows(1), &[87]);
        assert!(error.contains("graph relu") && error.contains("[87]"), "{error}");
        let error = refused(ShapeProfile::new().fixed("x", vec![1, 5]), &[89]);
        assert!(error.contains("graph relu"), "{error}");
        let error = refused(ShapeProfile::new().fixed("x", vec![1; 9]), &[89]);
        assert!(error.contains("tensor x"), "{error}");
    }

    /// Whether it can be built for is TensorRT-RTX's to say, and never ours.
    #[test]
    fn the_gpu_that_is_here_is_asked_for_of_the_library_itself() {
        let mut builder = Builder::new(&library()).unwrap();
        let mut network = builder.parse("relu", &relu(), "relu.onnx".as_ref()).unwrap();
        let this = options(&[BuildOptions::THIS_GPU]);
        let built = network.build(&[rows(1)], &this, None, &|_, _| true);
        match (built, belvedere_cuda::devices()) {
            (Err(error), Err(_)) => {
                let text = error.to_string();
                assert!(text.contains("graph relu") && !error_messages(&error).is_empty(), "{text}");
            }
            (built, gpus) => eprintln!("this machine has a driver: {gpus:?}, {:?}", built.err()),
        }
        // And beside others it is none of them.
        let error = network.build(&[rows(1)], &options(&[BuildOptions::THIS_GPU, 89]), None, &|_, _| true);
        assert!(error.is_err());
    }

    fn error_messages(error: &TensorRtError) -> &[String] {
        match error {
            TensorRtError::Refused { messages, .. } | TensorRtError::NotBuiltGraph { messages, .. } => {
                messages
            }
            _ => &[],
        }
    }

    #[test]
    fn bytes_that_are_no_engine_are_refused() {
        let mut runtime = Runtime::new(&library()).unwrap();
        let error = runtime.deserialize("vision", b"not an engine").unwrap_err().to_string();
        assert!(error.contains("engine of vision"), "{error}");
    }
}
