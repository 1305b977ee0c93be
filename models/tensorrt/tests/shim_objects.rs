//! The shim before the compiler, with the headers that `scripts/tensorrt-headers.sh` fetches.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn headers() -> PathBuf {
    let folder = std::env::var_os("BELVEDERE_TENSORRT_HEADERS").expect(
        "BELVEDERE_TENSORRT_HEADERS must name TensorRT's headers; run `make test`, which fetches them",
    );
    folder.into()
}

/// Compiles the shim as the build does, with every warning an error. `first` is searched for headers before `second`.
#[track_caller]
fn compiled(name: &str, first: &Path, second: &Path, more: &[&str], folder: &Path) -> PathBuf {
    let object = folder.join(format!("{name}.o"));
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(std::env::var_os("CXX").unwrap_or_else(|| "c++".into()))
        // Without optimisation more of the headers' inline functions stay behind.
        .args([
            "-std=c++17",
            "-O0",
            "-fPIC",
            "-fvisibility=hidden",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
        ])
        .args(more)
        .arg(format!("-DBELVEDERE_SHIM=belvedere_{name}"))
        .args([format!("-Dnvinfer1=nvinfer1_{name}"), format!("-Dnvonnxparser=nvonnxparser_{name}")])
        .arg("-I")
        .arg(crate_folder.join("cpp/cuda"))
        .arg("-isystem")
        .arg(first)
        .arg("-isystem")
        .arg(second)
        .arg("-c")
        .arg(crate_folder.join("cpp/shim.cpp"))
        .arg("-o")
        .arg(&object)
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}:\n{}", String::from_utf8_lossy(&output.stderr));
    object
}

fn symbols(object: &Path, which: &str) -> Vec<String> {
    let output = Command::new("nm").args(["--format=posix", which]).arg(object).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

#[test]
fn the_shim_compiles_without_a_warning_and_needs_nothing_of_tensorrt_or_cuda() {
    let (headers, folder) = (headers(), tempfile::tempdir().unwrap());
    for name in ["tensorrt-11", "tensorrt-rtx"] {
        let include = headers.join(name);
        let object = compiled(&name.replace('-', "_"), &include, &include, &[], folder.path());
        let needed = symbols(&object, "--undefined-only");
        assert!(needed.iter().any(|symbol| symbol == "__gxx_personality_v0"), "{needed:?}");
        for symbol in needed {
            let is_of_the_language = symbol == "_GLOBAL_OFFSET_TABLE_"
                || symbol.starts_with("__cxa_")
                || symbol.starts_with("__gxx_")
                || symbol.starts_with("_Zn")
                || symbol.starts_with("_Zd")
                || symbol.starts_with("_ZSt")
                || symbol.starts_with("_ZTVN10__cxxabiv1")
                || symbol == "_Unwind_Resume";
            assert!(is_of_the_language, "{name} needs {symbol}");
        }
    }
}

#[test]
fn objects_for_two_versions_share_no_symbol_of_tensorrts() {
    let (headers, folder) = (headers(), tempfile::tempdir().unwrap());
    let of = |name: &str| -> std::collections::BTreeSet<String> {
        let include = headers.join(name);
        let object = compiled(&name.replace('-', "_"), &include, &include, &[], folder.path());
        symbols(&object, "--defined-only").into_iter().filter(|symbol| symbol.contains("nv")).collect()
    };
    let (eleven, rtx) = (of("tensorrt-11"), of("tensorrt-rtx"));
    assert!(!eleven.is_empty() && !rtx.is_empty());
    assert_eq!(eleven.intersection(&rtx).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// No registry has TensorRT 10's headers. What stands under `#if` for it is at least read by a compiler, with the headers
/// of 11 under the version of 10.3; that it is right is for a build on a Jetson to show.
#[test]
fn what_is_written_for_tensorrt_10_compiles() {
    let (headers, folder) = (headers(), tempfile::tempdir().unwrap());
    let version = "#ifndef NV_INFER_VERSION_H\n#define NV_INFER_VERSION_H\n#define NV_TENSORRT_MAJOR 10\n\
                   #define NV_TENSORRT_MINOR 3\n#define NV_TENSORRT_PATCH 0\n#define NV_TENSORRT_BUILD 26\n#endif\n";
    std::fs::write(folder.path().join("NvInferVersion.h"), version).unwrap();
    let eleven = headers.join("tensorrt-11");
    // The flag of 10 is still there in 11, deprecated.
    compiled("tensorrt_10", folder.path(), &eleven, &["-Wno-deprecated-declarations"], folder.path());
}
