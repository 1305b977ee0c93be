//! What GPUs there are, for people.

use std::fmt;

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUdevice_attribute};

use crate::CudaError;
use crate::driver;
use crate::memory_info::memory_info;

/// What the driver says of one GPU.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceFacts {
    /// Its number, from 0.
    pub ordinal: usize,
    /// Its name.
    pub name: String,
    /// Compute capability, major and minor.
    pub compute_capability: (u32, u32),
    /// Its memory.
    pub total_bytes: usize,
    /// What of it can be had; `None` where the GPU cannot be opened.
    pub free_bytes: Option<usize>,
    /// The CUDA that the driver is for, major and minor.
    pub driver_cuda: (u32, u32),
    /// Whether it shares its memory with the host, as a Jetson's does.
    pub integrated: bool,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Bytes a second between it and its memory, at best; `None` where the driver does not tell.
    pub bandwidth_bytes: Option<f64>,
}

impl fmt::Display for DeviceFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GIB: f64 = (1_u64 << 30) as f64;
        let (major, minor) = self.compute_capability;
        let memory = if self.integrated { "shared with the host" } else { "of its own" };
        write!(f, "{}, compute capability {major}.{minor}", self.name)?;
        write!(f, ", {:.1} GiB {memory}", self.total_bytes as f64 / GIB)?;
        if let Some(free) = self.free_bytes {
            write!(f, " ({:.1} free)", free as f64 / GIB)?;
        }
        write!(f, ", {} multiprocessors", self.multiprocessors)?;
        if let Some(bandwidth) = self.bandwidth_bytes {
            write!(f, ", {:.0} GB/s", bandwidth / 1e9)?;
        }
        write!(f, ", driver for CUDA {}.{}", self.driver_cuda.0, self.driver_cuda.1)
    }
}

/// All GPUs that the driver finds, which may be none.
///
/// # Errors
/// [`CudaError`]: no driver, in the loader's words; an old one; or one that does not answer.
pub fn devices() -> Result<Vec<DeviceFacts>, CudaError> {
    let version = driver::initialise()?;
    let fail = |error| CudaError::Driver { doing: "asking for GPUs".into(), reason: driver::reason(error) };
    let count = result::device::get_count().map_err(fail)?;
    (0..count).map(|ordinal| facts(ordinal, version).map_err(fail)).collect()
}

fn facts(ordinal: i32, version: i32) -> Result<DeviceFacts, DriverError> {
    let device = result::device::get(ordinal)?;
    let number = |attribute: CUdevice_attribute| {
        // SAFETY: `device` was returned by the driver.
        let value = unsafe { result::device::get_attribute(device, attribute) };
        value.map(|value| u32::try_from(value).unwrap_or(0))
    };
    let major = number(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = number(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    let integrated = number(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_INTEGRATED)? != 0;
    let clock_khz = number(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE).unwrap_or(0);
    let bus_bits = number(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH).unwrap_or(0);
    // Two transfers a cycle.
    let bandwidth = 2.0 * f64::from(clock_khz) * 1e3 * f64::from(bus_bits) / 8.0;
    Ok(DeviceFacts {
        ordinal: usize::try_from(ordinal).unwrap_or(0),
        name: result::device::get_name(device)?,
        compute_capability: (major, minor),
        // SAFETY: `device` was returned by the driver.
        total_bytes: unsafe { result::device::total_mem(device) }?,
        free_bytes: free_bytes(device, integrated).ok(),
        driver_cuda: ((version / 1000) as u32, (version % 1000 / 10) as u32),
        integrated,
        multiprocessors: number(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        bandwidth_bytes: (bandwidth > 0.0).then_some(bandwidth),
    })
}

/// Only a context knows; one is made for a moment where nobody has one.
fn free_bytes(device: sys::CUdevice, integrated: bool) -> Result<usize, DriverError> {
    let before = result::ctx::get_current()?.unwrap_or(std::ptr::null_mut());
    // SAFETY: `device` was returned by the driver; the context is released once, after its last use here, and what was current
    // on this thread before is again.
    unsafe {
        let context = result::primary_ctx::retain(device)?;
        let memory = result::ctx::set_current(context).and_then(|()| memory_info(integrated));
        let _ = result::ctx::set_current(before);
        result::primary_ctx::release(device)?;
        memory.map(|memory| memory.free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_fit_on_a_line() {
        let facts = DeviceFacts {
            ordinal: 0,
            name: "Orin".into(),
            compute_capability: (8, 7),
            total_bytes: 8 << 30,
            free_bytes: Some(3 << 29),
            driver_cuda: (12, 6),
            integrated: true,
            multiprocessors: 8,
            bandwidth_bytes: Some(102.4e9),
        };
        let expected = "Orin, compute capability 8.7, 8.0 GiB shared with the host (1.5 free), 8 multiprocessors, \
                        102 GB/s, driver for CUDA 12.6";
        assert_eq!(facts.to_string(), expected);
    }

    #[test]
    fn without_a_driver_there_are_words_and_no_panic() {
        match devices() {
            Err(error @ CudaError::NoDriver { .. }) => {
                let words = error.to_string();
                assert!(words.starts_with("no NVIDIA driver: libcuda.so.1"), "{words}");
                assert_eq!(crate::CudaDevice::open(0).unwrap_err(), error);
            }
            other => eprintln!("this machine has a driver: {other:?}"),
        }
    }
}
