//! Compiles the kernels as host C++: for Rust, and as a program of their own with sanitizers.

use std::path::PathBuf;

const CU: &str = "../cu";
const SHIM: &str = "src/shim";
/// Sums are made in the order that is written, as nvcc makes them.
const FLAGS: [&str; 2] = ["-ffp-contract=off", "-Wno-unknown-pragmas"];

fn main() {
    for folder in [CU, SHIM] {
        println!("cargo::rerun-if-changed={folder}");
    }
    // The kernels run in every test of the engine: slow ones would cost more than compiling them.
    let mut build = build();
    build.opt_level(2).file(format!("{SHIM}/runner.cpp")).compile("belvedere_kernels_host");
    sanitized();
}

fn build() -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").include(CU).include(SHIM).define("BELVEDERE_HOST", None).flags(FLAGS);
    build
}

/// The path of the program in BELVEDERE_SANITIZED_KERNELS; empty where this compiler makes none, and what it says in
/// BELVEDERE_SANITIZED_KERNELS_ERROR, for the test that needs it.
fn sanitized() {
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default().join("sanitized_kernels");
    let mut build = build();
    build.opt_level(1).debug(true).define("BELVEDERE_UNCHECKED", None);
    let mut compile = build.get_compiler().to_command();
    compile.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
    compile.arg(format!("{SHIM}/sanitized.cpp")).arg("-o").arg(&out);
    let (path, error) = match compile.output() {
        Ok(output) if output.status.success() => (out.display().to_string(), String::new()),
        Ok(output) => (String::new(), String::from_utf8_lossy(&output.stderr).replace('\n', " ")),
        Err(error) => (String::new(), error.to_string()),
    };
    println!("cargo::rustc-env=BELVEDERE_SANITIZED_KERNELS={path}");
    println!("cargo::rustc-env=BELVEDERE_SANITIZED_KERNELS_ERROR={error}");
}
