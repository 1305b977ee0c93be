//! Exported graphs before the judges of the format: `onnx.checker` and ONNX Runtime, through Python.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use belvedere_models::checkpoint::FlorenceConfig;
use belvedere_models::graph::{Element, GraphOptions, Graphs};
use belvedere_models::synthetic::SyntheticModel;

#[track_caller]
fn accepted(folder: &Path, load: bool) {
    let python = std::env::var_os("BELVEDERE_PYTHON").expect(
        "BELVEDERE_PYTHON must name a Python with onnx and onnxruntime; run `make test`, which sets it up",
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/check_onnx.py");
    let mut command = Command::new(python);
    command.arg(script).arg(folder);
    if load {
        command.arg("--load");
    }
    let output = command.output().unwrap();
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

#[test]
fn the_checker_accepts_exported_graphs_and_onnx_runtime_loads_them() {
    // 768 divides into windows at every stage, 320x224 at none but the first.
    for image_size in [(768, 768), (320, 224)] {
        let folder = tempfile::tempdir().unwrap();
        export(image_size, Element::F32, folder.path());
        accepted(folder.path(), true);
    }
}

#[test]
fn the_checker_accepts_half_precision_graphs() {
    let folder = tempfile::tempdir().unwrap();
    export((768, 768), Element::F16, folder.path());
    accepted(folder.path(), false);
}
