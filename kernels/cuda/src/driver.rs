//! The driver's library, and its answers in words.

use std::ffi::CStr;
use std::mem::ManuallyDrop;
use std::sync::OnceLock;

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys;

use crate::CudaError;

/// As much as the PTX needs (ISA 8.5), and what JetPack 6.1 has.
const NEEDED_VERSION: i32 = 12060;

/// Loads and initialises the driver, once; its version of CUDA. Nothing of `cudarc` may be called before this has succeeded: it
/// panics where there is no library, or not the functions it looks for.
pub(crate) fn initialise() -> Result<i32, CudaError> {
    static DRIVER: OnceLock<Result<i32, CudaError>> = OnceLock::new();
    DRIVER.get_or_init(load).clone()
}

fn load() -> Result<i32, CudaError> {
    // SAFETY: the driver's library runs initialisers of its own when it is loaded, which have no demands on the process; it is
    // the same library that `cudarc` loads next. It is never unloaded: it starts threads.
    let library = unsafe { libloading::Library::new("libcuda.so.1") };
    let _kept = ManuallyDrop::new(library.map_err(|error| CudaError::NoDriver { words: words(&error) })?);
    let found = result::init().and_then(|()| {
        let mut version = 0;
        // SAFETY: the function writes one number to where it is told.
        unsafe { sys::cuDriverGetVersion(&raw mut version) }.result().map(|()| version)
    });
    let found = found.map_err(|error| {
        let reason = format!("{}{}", reason(error), hint(error.0));
        CudaError::Driver { doing: "starting".into(), reason }
    })?;
    if found < NEEDED_VERSION {
        return Err(CudaError::DriverTooOld { found, needed: NEEDED_VERSION });
    }
    Ok(found)
}

/// What can be done about a driver that does not start, where its own words do not tell.
fn hint(code: sys::CUresult) -> &'static str {
    match code {
        // `cudarc` asks for `libcuda.so` first, which the driver's packages need not install and CUDA's compiler brings.
        sys::CUresult::CUDA_ERROR_STUB_LIBRARY => {
            ": this libcuda.so is the CUDA toolkit's stub, to link with and not to run; take its folder, named stubs, out of \
             LD_LIBRARY_PATH or the loader's configuration"
        }
        _ => "",
    }
}

/// The loader's words, which the error keeps as its source.
fn words(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// The driver's name for a mistake, and its words.
pub(crate) fn reason(error: DriverError) -> String {
    let text = |of: Result<&CStr, DriverError>| {
        of.map_or_else(|_| format!("{:?}", error.0), |text| text.to_string_lossy().into_owned())
    };
    format!("{} ({})", text(error.error_string()), text(error.error_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolkits_stub_in_the_drivers_place_is_told_as_such() {
        let said = hint(sys::CUresult::CUDA_ERROR_STUB_LIBRARY);
        assert!(said.contains("stub") && said.contains("LD_LIBRARY_PATH"), "{said}");
        assert_eq!(hint(sys::CUresult::CUDA_ERROR_NO_DEVICE), "");
    }

    #[test]
    fn without_a_driver_the_loader_says_why() {
        match initialise() {
            Err(CudaError::NoDriver { words }) => assert!(words.contains("libcuda.so.1"), "{words}"),
            other => eprintln!("this machine has a driver: {other:?}"),
        }
    }
}
