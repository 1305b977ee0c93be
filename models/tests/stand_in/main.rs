//! The engine for GPUs on a stand-in: its own kernels as C++ on the host, the graphs through ONNX Runtime, everything with
//! the bindings, the order and the lateness of a GPU. What comes out must be what the CPU engine says.
//!
//! Needs an ONNX Runtime library, found as the program finds it (`ORT_DYLIB_PATH`, or installed).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod any_order;
mod frames;
mod goldens;
mod half;
mod joining;
mod logits;
mod memory;
mod models;
mod ort_networks;
mod shots;
mod trouble;
