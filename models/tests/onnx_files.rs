//! Exported graphs before the judges of the format: `onnx.checker`, through Python, and ONNX Runtime.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use belvedere_models::checkpoint::FlorenceConfig;
use belvedere_models::graph::{Element, GraphOptions, Graphs};
use belvedere_models::synthetic::SyntheticModel;
use ort::environment::Environment;
use ort::session::Session;

#[track_caller]
fn accepted(folder: &Path) {
    let python = std::env::var_os("BELVEDERE_PYTHON")
        .expect("BELVEDERE_PYTHON must name a Python with onnx; run `make test`, which sets it up");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/check_onnx.py");
    let output = Command::new(python).arg(script).arg(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches("accepted").count(), 4, "{said}");
}

fn export(image_size: (u32, u32), element: Element, folder: &Path) {
    let model = SyntheticModel::new(FlorenceConfig::small(), image_size);
    let mut options = GraphOptions::new(&model.config, &model, image_size.0, image_size.1);
    options.element = element;
    Graphs::new(&model.config, options).unwrap().export(folder, &model).unwrap();
}

/// Opens every graph of the folder; weights come out of the file beside it.
fn loaded(environment: &Environment, folder: &Path) {
    let mut opened = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "onnx") {
            let session = Session::builder(environment).unwrap().commit_from_file(&path).unwrap();
            assert!(!session.outputs().is_empty(), "{}", path.display());
            opened += 1;
        }
    }
    assert_eq!(opened, 4);
}

#[test]
fn the_checker_accepts_exported_graphs_and_onnx_runtime_loads_them() {
    // 768 divides into windows at every stage, 320x224 at none but the first.
    let library =
        std::env::var_os("ORT_DYLIB_PATH").expect("ORT_DYLIB_PATH must name ONNX Runtime; run `make test`");
    let environment = ort::init_from(library).unwrap().build().unwrap();
    for image_size in [(768, 768), (320, 224)] {
        let folder = tempfile::tempdir().unwrap();
        export(image_size, Element::F32, folder.path());
        accepted(folder.path());
        loaded(&environment, folder.path());
    }
}

#[test]
fn the_checker_accepts_half_precision_graphs() {
    let folder = tempfile::tempdir().unwrap();
    export((768, 768), Element::F16, folder.path());
    accepted(folder.path());
}
