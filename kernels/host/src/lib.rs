//! Belvedere's CUDA kernels without a GPU: the same `.cu` files compiled as C++, behind
//! [`belvedere_kernels::device::Device`]. For tests.
//!
//! [`HostDevice`] keeps a caller to what a GPU would demand: work is done later than it was asked for, memory is only what
//! was allocated, and a capture refuses what CUDA refuses. Kernels reach memory through bounds that are checked, so that a
//! mistake in one is an error of the launch.

mod capture;
pub mod cases;
mod device;
mod memory;
mod order;
mod random;
mod runner;
mod shared;
mod work;

pub use device::{HostDevice, HostEvent, HostGraph, HostStream};
pub use memory::{HostMemory, HostPinned};
