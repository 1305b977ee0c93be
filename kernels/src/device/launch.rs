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

impl From<i32> for Argument {
    fn from(value: i32) -> Argument {
        Argument::I32(value)
    }
}

impl From<u32> for Argument {
    fn from(value: u32) -> Argument {
        Argument::U32(value)
    }
}

impl From<f32> for Argument {
    fn from(value: f32) -> Argument {
        Argument::F32(value)
    }
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

impl Launch {
    /// The memory among the arguments.
    pub fn memory(&self) -> impl Iterator<Item = DeviceSlice> {
        self.arguments.iter().filter_map(|argument| match argument {
            Argument::Memory(slice) => Some(*slice),
            _ => None,
        })
    }
}
