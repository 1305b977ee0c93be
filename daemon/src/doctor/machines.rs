//! Every kind of machine, and what is said of it.

use belvedere_models::Device;

use super::*;

/// A desktop without a GPU, on which the CPU runs the model.
fn plain() -> Facts {
    let codec = |codec: &str, element: &str| CodecDecoders {
        codec: codec.to_owned(),
        elements: vec![element.to_owned()],
    };
    Facts {
        machine: Machine { architecture: "x86_64".to_owned(), ..Machine::default() },
        jetson: None,
        nvidia: Nvidia::default(),
        gpus: Found::missing("libcuda.so.1: cannot open shared object file: No such file or directory"),
        cuda_failure: Some(CudaFailure::NoLibrary),
        tensorrt: TensorRt {
            built_for: vec!["TensorRT 10.3.0".to_owned()],
            library: Found::missing("no usable TensorRT library; tried libnvinfer.so.10: cannot open"),
            files: Vec::new(),
        },
        onnx_runtime: Found::Here(OnnxRuntime {
            path: "/usr/lib/libonnxruntime.so".into(),
            version: "1.24.1".to_owned(),
            providers: vec!["CPU".to_owned()],
        }),
        decoders: Found::Here(vec![
            codec("H.264", "avdec_h264"),
            codec("H.265", "avdec_h265"),
            codec("MJPEG", "jpegdec"),
        ]),
        engines: Engines::default(),
    }
}

fn gpus(name: &str, compute_capability: (u32, u32)) -> Found<Gpus> {
    let devices = vec![Gpu {
        name: name.to_owned(),
        compute_capability,
        memory_bytes: 8 << 30,
        free_bytes: Some(5 << 30),
        is_memory_shared: false,
    }];
    Found::Here(Gpus { cuda: "12.6".to_owned(), devices })
}

fn node(path: &str) -> DeviceNode {
    DeviceNode { path: path.into(), is_usable: true, group: None }
}

/// A desktop with a GPU and everything it needs.
fn desktop() -> Facts {
    let mut facts = plain();
    facts.nvidia = Nvidia {
        pci: vec!["10de:2684".to_owned()],
        kernel_driver: Some("560.35.03".to_owned()),
        nodes: ["/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm"].map(node).to_vec(),
    };
    facts.gpus = gpus("NVIDIA GeForce RTX 4090", (8, 9));
    facts.cuda_failure = None;
    facts.tensorrt.library = Found::Here(TensorRtLibrary {
        path: "libnvinfer.so.10".into(),
        flavour: "TensorRT".to_owned(),
        version: "10.7.0".to_owned(),
        parser_missing: None,
    });
    if let Found::Here(codecs) = &mut facts.decoders {
        codecs[0].elements.insert(0, "nvh264dec".to_owned());
    }
    facts
}

/// A Jetson with everything it needs.
fn orin(l4t: &str) -> Facts {
    let mut facts = desktop();
    facts.machine.architecture = "aarch64".to_owned();
    facts.jetson = Some(Jetson { board: "NVIDIA Jetson Orin Nano".to_owned(), l4t: Some(l4t.to_owned()) });
    facts.nvidia =
        Nvidia { nodes: ["/dev/nvmap", "/dev/nvhost-ctrl-gpu"].map(node).to_vec(), ..Nvidia::default() };
    facts.gpus = gpus("Orin", (8, 7));
    if let Found::Here(codecs) = &mut facts.decoders {
        codecs[0].elements = vec!["nvv4l2decoder".to_owned()];
    }
    facts
}

/// What is missing where `device` is asked for.
fn missing(facts: &Facts, device: Device) -> String {
    let diagnosis = Diagnosis::of(facts, device);
    assert!(!diagnosis.can_run(), "{diagnosis:#?}");
    let missing = diagnosis.findings.iter().filter(|finding| finding.level == Level::Missing);
    missing.map(|finding| format!("{finding}\n")).collect()
}

#[track_caller]
fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

#[test]
fn a_machine_without_a_gpu_runs_on_the_cpu_and_lacks_nothing() {
    for device in [Device::Auto, Device::Cpu] {
        let diagnosis = Diagnosis::of(&plain(), device);
        assert!(diagnosis.can_run() && matches!(diagnosis.choice, Choice::Cpu(_)), "{diagnosis:#?}");
        assert_eq!(diagnosis.findings, []);
    }
    let Choice::Cpu(why) = Diagnosis::of(&plain(), Device::Auto).choice else { panic!("not the CPU") };
    assert_says(&why, &["no NVIDIA GPU"]);
    assert_says(&missing(&plain(), Device::TensorRt), &["there is no NVIDIA GPU", "\"auto\""]);
}

#[test]
fn a_desktop_with_everything_runs_on_tensorrt_unless_the_cpu_is_asked_for() {
    for device in [Device::Auto, Device::TensorRt] {
        let diagnosis = Diagnosis::of(&desktop(), device);
        assert_eq!(diagnosis.findings, []);
        let Choice::TensorRt(why) = diagnosis.choice else { panic!("not TensorRT") };
        assert_says(&why, &["RTX 4090"]);
    }
    assert!(matches!(Diagnosis::of(&desktop(), Device::Cpu).choice, Choice::Cpu(_)));
}

#[test]
fn a_gpu_without_the_drivers_library_is_told_the_loaders_words_and_the_package() {
    let facts = Facts { gpus: plain().gpus, ..desktop() };
    assert_says(
        &missing(&facts, Device::TensorRt),
        &["libcuda.so.1: cannot open", "libcuda1", "libnvidia-compute"],
    );
    let diagnosis = Diagnosis::of(&facts, Device::Auto);
    assert!(diagnosis.can_run(), "the CPU is still there");
    assert!(diagnosis.findings.iter().any(|finding| finding.about == "CUDA"), "but it is said");
}

#[test]
fn a_driver_that_is_there_and_fails_is_told_what_mends_it_and_not_to_be_installed() {
    let with = |cuda_failure| Facts {
        gpus: Found::missing("the driver's words"),
        cuda_failure: Some(cuda_failure),
        ..desktop()
    };
    for (failure, words) in [
        (CudaFailure::DriverTooOld, "driver 560 or later"),
        (CudaFailure::Mismatch, "start the machine again"),
        (CudaFailure::Refuses, "nvidia-smi"),
        (CudaFailure::NoAnswer, "hangs"),
    ] {
        let said = missing(&with(failure), Device::TensorRt);
        assert_says(&said, &["the driver's words", words]);
        assert!(!said.contains("install the driver's library"), "{said}");
    }
    let mut facts = with(CudaFailure::Refuses);
    facts.nvidia.nodes.retain(|node| !node.path.ends_with("nvidia-uvm"));
    assert_says(&missing(&facts, Device::TensorRt), &["nvidia-modprobe -u -c 0"]);
}

#[test]
fn the_packages_are_those_that_the_program_was_built_for() {
    let mut facts = desktop();
    facts.tensorrt.library = plain().tensorrt.library;
    facts.tensorrt.built_for = vec!["TensorRT 11.0.1".to_owned(), "TensorRT-RTX 1.2.0".to_owned()];
    let said = missing(&facts, Device::TensorRt);
    assert_says(&said, &["libnvinfer11 and libnvonnxparsers11", "unpack TensorRT-RTX 1.2.0"]);
    assert!(!said.contains("libnvinfer10"), "{said}");
}

#[test]
fn a_gpu_without_a_kernel_driver_is_told_to_load_it() {
    let facts = Facts { nvidia: Nvidia { pci: desktop().nvidia.pci, ..Nvidia::default() }, ..desktop() };
    assert_says(
        &missing(&facts, Device::TensorRt),
        &["kernel driver is not loaded", "nvidia-driver", "modprobe"],
    );
}

#[test]
fn a_gpu_without_tensorrt_is_told_the_loaders_words_the_packages_and_the_variable() {
    let mut facts = desktop();
    facts.tensorrt.library = plain().tensorrt.library;
    let said = missing(&facts, Device::TensorRt);
    assert_says(&said, &["libnvinfer.so.10: cannot open", "libnvinfer10", "BELVEDERE_TENSORRT_LIBRARY"]);
}

#[test]
fn a_tensorrt_that_is_too_old_is_named() {
    let mut facts = desktop();
    facts.tensorrt.library = plain().tensorrt.library;
    facts.tensorrt.files = vec!["libnvinfer.so.8.6.1".to_owned()];
    assert_says(&missing(&facts, Device::TensorRt), &["what is here is libnvinfer.so.8.6.1", "10.3"]);
}

#[test]
fn a_tensorrt_without_its_parser_builds_nothing() {
    let mut facts = desktop();
    if let Found::Here(library) = &mut facts.tensorrt.library {
        library.parser_missing = Some("libnvonnxparser.so.10: cannot open".to_owned());
    }
    let said = missing(&facts, Device::TensorRt);
    assert_says(&said, &["libnvonnxparser.so.10: cannot open", "libnvonnxparsers10"]);
}

#[test]
fn a_program_built_without_headers_is_told_how_to_build_it() {
    let mut facts = desktop();
    facts.tensorrt.built_for.clear();
    assert_says(&missing(&facts, Device::TensorRt), &["headers were not installed", "TENSORRT_INCLUDE_DIR"]);
}

#[test]
fn a_gpu_older_than_turing_is_refused_by_its_name() {
    let facts = Facts { gpus: gpus("Tesla P4", (6, 1)), ..desktop() };
    assert_says(&missing(&facts, Device::TensorRt), &["Tesla P4", "6.1", "7.5"]);
}

#[test]
fn jetpack_6_1_and_later_run_on_tensorrt() {
    for l4t in ["36.4.0", "36.4.3", "38.2.0", "39.2"] {
        let diagnosis = Diagnosis::of(&orin(l4t), Device::TensorRt);
        assert!(diagnosis.can_run(), "{l4t}: {diagnosis:#?}");
        assert_eq!(diagnosis.findings, []);
    }
}

#[test]
fn jetpack_5_is_refused_with_one_next_step_to_upgrade() {
    let mut facts = orin("35.4.1");
    facts.tensorrt = plain().tensorrt;
    let said = missing(&facts, Device::TensorRt);
    assert_says(&said, &["JetPack 5.1 (L4T 35.4.1)", "upgrade", "6.1"]);
    assert_eq!(said.matches("->").count(), 1, "{said}");
    assert!(Diagnosis::of(&facts, Device::Auto).can_run(), "on the CPU");
}

#[test]
fn a_container_without_devices_is_told_how_to_be_started() {
    let mut facts = desktop();
    facts.machine.container = Some("docker".to_owned());
    facts.nvidia.nodes.clear();
    facts.gpus = plain().gpus;
    let said = missing(&facts, Device::TensorRt);
    assert_says(&said, &["this container (docker)", "/dev/nvidia0", "--gpus all"]);

    let mut facts = orin("36.4.3");
    facts.machine.container = Some("docker".to_owned());
    facts.nvidia.nodes.clear();
    let said = missing(&facts, Device::TensorRt);
    assert_says(&said, &["/dev/nvmap", "--runtime nvidia"]);
}

#[test]
fn a_user_who_may_not_use_the_devices_is_told_which_group_to_join() {
    let mut facts = orin("36.4.3");
    facts.nvidia.nodes[0] =
        DeviceNode { is_usable: false, group: Some("video".to_owned()), ..node("/dev/nvmap") };
    assert_says(&missing(&facts, Device::TensorRt), &["/dev/nvmap", "usermod -aG video"]);
}

#[test]
fn a_machine_without_onnx_runtime_cannot_use_its_cpu() {
    let mut facts = plain();
    facts.onnx_runtime = Found::missing("no ONNX Runtime library: looked at /usr/lib/libonnxruntime.so");
    for device in [Device::Auto, Device::Cpu] {
        assert_says(&missing(&facts, device), &["looked at /usr/lib", "ORT_DYLIB_PATH"]);
    }
    let facts = Facts { onnx_runtime: facts.onnx_runtime, ..desktop() };
    let diagnosis = Diagnosis::of(&facts, Device::Auto);
    assert!(diagnosis.can_run(), "TensorRT needs none");
    assert_eq!(diagnosis.findings[0].level, Level::Note);
}

#[test]
fn without_gstreamer_no_camera_can_be_watched() {
    let facts = Facts { decoders: Found::missing("no answer within 30 s"), ..plain() };
    assert_says(&missing(&facts, Device::Auto), &["GStreamer", "no answer within 30 s"]);
}

#[test]
fn a_gpu_whose_decoders_are_not_there_is_noted() {
    for (facts, word) in [(desktop(), "libnvcuvid"), (orin("36.4.3"), "nvidia-l4t-gstreamer")] {
        let facts = Facts { decoders: plain().decoders, ..facts };
        let diagnosis = Diagnosis::of(&facts, Device::Auto);
        assert!(diagnosis.can_run());
        assert_eq!(diagnosis.findings[0].level, Level::Note);
        assert_says(&diagnosis.findings[0].next, &[word]);
    }
}

#[test]
fn the_report_has_everything_in_it_for_people_and_for_machines() {
    let report = Report::new(orin("36.4.3"), Device::Auto);
    let text = report.text();
    assert_says(
        &text,
        &["Orin", "8.7", "JetPack 6.1 or 6.2", "TensorRT 10.7.0", "1.24.1", "nvv4l2decoder", "auto"],
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["facts"]["jetson"]["l4t"], "36.4.3");
    assert_eq!(json["diagnosis"]["choice"]["runs_on"], "tensorrt");
    assert_eq!(json["facts"]["gpus"]["devices"][0]["name"], "Orin");
    let json = serde_json::to_value(Report::new(plain(), Device::TensorRt)).unwrap();
    assert_eq!(json["diagnosis"]["choice"]["runs_on"], "nothing");
    assert!(json["facts"]["gpus"]["missing"].as_str().unwrap().contains("libcuda"));
}

#[test]
fn a_user_beside_the_service_is_told_where_the_services_engines_are() {
    let mut facts = desktop();
    assert!(!Report::new(facts.clone(), Device::Auto).text().contains("the service's"));
    facts.engines.of_service = Some("/var/cache/belvedere/engines".into());
    assert_says(
        &Report::new(facts, Device::Auto).text(),
        &["/var/cache/belvedere/engines", "sudo -u belvedere env CACHE_DIRECTORY=/var/cache/belvedere "],
    );
}
