//! TensorRT's messages: to the log, and errors to whoever asked for what failed.

use std::collections::VecDeque;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::TensorRtError;
use crate::library::Library;

/// More errors than this about one thing tell nothing new.
const KEPT: usize = 16;

/// What TensorRT writes to. Lives longer than everything that was made with it.
#[derive(Clone, Debug)]
pub(crate) struct Logger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    library: Library,
    object: NonNull<c_void>,
    // Its address is TensorRT's: boxed so that it stays where it is.
    heard: Box<Mutex<Heard>>,
}

#[derive(Debug, Default)]
struct Heard {
    errors: VecDeque<String>,
    activation_bytes: Vec<u64>,
}

/// How the builder tells the memory of a profile. No function does before an engine is deserialised, which takes a GPU.
const ACTIVATION: (&str, &str) = ("Total Activation Memory: ", " bytes");

// SAFETY: the object is called by TensorRT from any thread, which its interface asks of every logger; it does nothing but
// call `log` below, which only touches the mutex. Rust passes the pointer on and destroys it once.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Logger {
    pub(crate) fn new(library: &Library) -> Result<Logger, TensorRtError> {
        let heard = Box::<Mutex<Heard>>::default();
        let user = std::ptr::from_ref::<Mutex<Heard>>(&heard).cast_mut().cast();
        // SAFETY: `log` takes a `user` that points to what it heard, and this one lives in `Inner` as long as the object.
        let object = unsafe { (library.shim().logger_create)(log, user) };
        let object = NonNull::new(object).ok_or_else(|| library.not_made("logger", Vec::new()))?;
        Ok(Logger(Arc::new(Inner { library: library.clone(), object, heard })))
    }

    pub(crate) fn library(&self) -> &Library {
        &self.0.library
    }

    pub(crate) fn object(&self) -> *mut c_void {
        self.0.object.as_ptr()
    }

    /// The errors since it was last asked, oldest first.
    pub(crate) fn said(&self) -> Vec<String> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).errors.drain(..).collect()
    }

    /// The memory of each profile that was built since it was last asked, in bytes.
    pub(crate) fn activation_bytes(&self) -> Vec<u64> {
        std::mem::take(&mut self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).activation_bytes)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: made by this shim, destroyed once, and everything that was made with it held a clone of the `Arc`.
        unsafe { (self.library.shim().logger_destroy)(self.object.as_ptr()) }
    }
}

/// # Safety
/// `user` points to a mutex of [`Heard`], `message` to a C string.
unsafe extern "C" fn log(user: *mut c_void, severity: i32, message: *const c_char) {
    if message.is_null() {
        return;
    }
    // SAFETY: the caller promises a C string, which lives as long as the call.
    let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    let message = message.trim();
    // SAFETY: the caller promises it.
    let heard = || unsafe { &*user.cast::<Mutex<Heard>>() }.lock().unwrap_or_else(PoisonError::into_inner);
    match severity {
        0 | 1 => {
            tracing::error!(target: "tensorrt", "{message}");
            let errors = &mut heard().errors;
            if errors.len() == KEPT {
                errors.pop_front();
            }
            errors.push_back(message.to_owned());
        }
        2 => tracing::warn!(target: "tensorrt", "{message}"),
        3 => {
            tracing::debug!(target: "tensorrt", "{message}");
            let number = message.strip_prefix(ACTIVATION.0).and_then(|rest| rest.strip_suffix(ACTIVATION.1));
            heard().activation_bytes.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        _ => tracing::trace!(target: "tensorrt", "{message}"),
    }
}
