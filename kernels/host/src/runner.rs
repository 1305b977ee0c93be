//! Kernels called through C.

use std::ffi::{c_char, c_int};

use belvedere_kernels::device::{Argument, Launch};

use crate::memory::Memories;

#[repr(C)]
struct RawArgument {
    kind: u32,
    bits: u32,
    address: u64,
    bytes: u64,
}

impl RawArgument {
    fn new(argument: &Argument) -> RawArgument {
        let number = |kind, bits| RawArgument { kind, bits, address: 0, bytes: 0 };
        match *argument {
            Argument::Memory(slice) => {
                RawArgument { kind: 0, bits: 0, address: slice.address(), bytes: slice.bytes() as u64 }
            }
            Argument::I32(value) => number(1, value as u32),
            Argument::U32(value) => number(2, value),
            Argument::F32(value) => number(3, value.to_bits()),
        }
    }
}

#[repr(C)]
struct RawRange {
    address: u64,
    bytes: u64,
}

unsafe extern "C" {
    fn belvedere_has_kernel(name: *const c_char, name_bytes: u64) -> c_int;

    fn belvedere_run_kernel(
        name: *const c_char,
        name_bytes: u64,
        grid: *const u32,
        block: *const u32,
        arguments: *const RawArgument,
        argument_count: u64,
        ranges: *const RawRange,
        range_count: u64,
        error: *mut c_char,
        error_bytes: u64,
    ) -> c_int;
}

/// Whether there is a kernel of this name.
pub(crate) fn knows(kernel: &str) -> bool {
    // SAFETY: the function reads `name_bytes` bytes from `name`, and these are both those of `kernel`.
    unsafe { belvedere_has_kernel(kernel.as_ptr().cast(), kernel.len() as u64) != 0 }
}

/// Runs a launch to its end on this thread.
pub(crate) fn run(launch: &Launch, memories: &mut Memories) -> Result<(), String> {
    let arguments: Vec<RawArgument> = launch.arguments.iter().map(RawArgument::new).collect();
    let ranges: Vec<RawRange> =
        memories.ranges().map(|(address, bytes)| RawRange { address, bytes }).collect();
    let mut error = [0_u8; 300];
    // SAFETY: the function reads the name, three numbers each of grid and block, and the arguments and ranges, all with the
    // lengths given here; it writes `error` within its length. Beyond that it reads and writes through addresses among the
    // arguments and in memory, but each only after finding it inside one of `ranges` (`Array` in shim/host_device.h is the
    // kernels' only way to memory, and checks every index). These are the buffers of `memories`, which are alive, and whose
    // bytes nobody else uses because `memories` is borrowed mutably until the function has returned; it keeps no pointer and
    // starts no thread. Any bytes are valid for them. It is `noexcept`: no exception unwinds into Rust.
    let failed = unsafe {
        belvedere_run_kernel(
            launch.kernel.as_ptr().cast(),
            launch.kernel.len() as u64,
            launch.grid.as_ptr(),
            launch.block.as_ptr(),
            arguments.as_ptr(),
            arguments.len() as u64,
            ranges.as_ptr(),
            ranges.len() as u64,
            error.as_mut_ptr().cast(),
            error.len() as u64,
        )
    };
    if failed == 0 {
        return Ok(());
    }
    let end = error.iter().position(|byte| *byte == 0).unwrap_or(error.len());
    Err(String::from_utf8_lossy(&error[..end]).into_owned())
}
