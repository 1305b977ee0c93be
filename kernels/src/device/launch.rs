//! A kernel with everything that it is called with.

use super::DeviceSlice;

/// One argument of a kernel, in the order of its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Argument {
    /// A pointer; the kernel stays inside the slice.
    Memory(DeviceSlice),
    /// `int`.
    I32(i32),
    /// `unsigned int`.
    U32(u32),
    /// `float`.
    F32(f32),
}

/// A kernel of `kernels/cu` and what it is to run on. Made by the types that know a kernel's parameters, run by a
/// [`Device`](super::Device).
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// Name of the `extern "C"` function.
    pub kernel: &'static str,
    /// Blocks in x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y, z.
    pub block: [u32; 3],
    /// In the order of the parameters.
    pub arguments: Vec<Argument>,
}
