//! Compiles the kernels as host C++.

fn main() {
    let cu = "../cu";
    for folder in [cu, "src/shim"] {
        println!("cargo::rerun-if-changed={folder}");
    }
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("src/shim/runner.cpp")
        .include(cu)
        .include("src/shim")
        .define("BELVEDERE_HOST", None)
        // The kernels run in every test of the engine: slow ones would cost more than compiling them.
        .opt_level(2)
        // Sums are made in the order that is written, as nvcc makes them.
        .flag("-ffp-contract=off")
        .flag("-Wno-unknown-pragmas")
        .compile("belvedere_kernels_host");
}
