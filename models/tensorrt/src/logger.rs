//! TensorRT's messages: to the log, and errors to whoever asked for what failed.

use std::collections::VecDeque;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::TensorRtError;
use crate::library::Library;

/// More errors than this about one thing tell nothing new.
const KEPT: usize = 16;

/// Nor does the memory of more profiles than this, of which nobody may ever ask.
const KEPT_BYTES: usize = 1024;

/// What TensorRT writes to. Cheap to clone.
///
/// It is never freed. TensorRT keeps the first logger that it is given for the whole process, and gives it up when no builder,
/// runtime or refitter is left, whoever made them: where a model is loaded beside another, that is after everything is gone that
/// was made with it. What stays behind is some hundred bytes for each builder and runtime.
#[derive(Clone, Debug)]
pub(crate) struct Logger {
    library: Library,
    object: NonNull<c_void>,
    heard: &'static Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    errors: VecDeque<String>,
    activation_bytes: VecDeque<u64>,
}

/// How the builder tells the memory of a profile. No function does before an engine is deserialised, which takes a GPU.
const ACTIVATION: (&str, &str) = ("Total Activation Memory: ", " bytes");

// SAFETY: the object is called by TensorRT from any thread, which its interface asks of every logger; it does nothing but
// call `log` below, which only touches the mutex. Rust only passes the pointer on.
unsafe impl Send for Logger {}
// SAFETY: as above.
unsafe impl Sync for Logger {}

impl Logger {
    pub(crate) fn new(library: &Library) -> Result<Logger, TensorRtError> {
        let heard: &'static Mutex<Heard> = Box::leak(Box::default());
        let user = std::ptr::from_ref(heard).cast_mut().cast();
        // SAFETY: `log` takes a `user` that points to what it heard, and this one is never freed.
        let object = unsafe { (library.shim().logger_create)(log, user) };
        let object = NonNull::new(object).ok_or_else(|| library.not_made("logger", Vec::new()))?;
        Ok(Logger { library: library.clone(), object, heard })
    }

    pub(crate) fn library(&self) -> &Library {
        &self.library
    }

    pub(crate) fn object(&self) -> *mut c_void {
        self.object.as_ptr()
    }

    /// The errors since it was last asked, oldest first.
    pub(crate) fn said(&self) -> Vec<String> {
        self.heard().errors.drain(..).collect()
    }

    /// The memory of each profile that was built since it was last asked, in bytes.
    pub(crate) fn activation_bytes(&self) -> Vec<u64> {
        self.heard().activation_bytes.drain(..).collect()
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
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
            push(&mut heard().errors, message.to_owned(), KEPT);
        }
        2 => tracing::warn!(target: "tensorrt", "{message}"),
        3 => {
            tracing::debug!(target: "tensorrt", "{message}");
            let number = message.strip_prefix(ACTIVATION.0).and_then(|rest| rest.strip_suffix(ACTIVATION.1));
            if let Some(bytes) = number.and_then(|number| number.parse::<u64>().ok()) {
                push(&mut heard().activation_bytes, bytes, KEPT_BYTES);
            }
        }
        _ => tracing::trace!(target: "tensorrt", "{message}"),
    }
}

/// Puts `new` behind the others, of which the oldest goes where there are `most`.
fn push<T>(to: &mut VecDeque<T>, new: T, most: usize) {
    if to.len() == most {
        to.pop_front();
    }
    to.push_back(new);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn tell(heard: &Mutex<Heard>, severity: i32, message: &str) {
        let message = std::ffi::CString::new(message).unwrap();
        let user = std::ptr::from_ref(heard).cast_mut().cast();
        // SAFETY: `user` points to what is heard, and the message is a C string.
        unsafe { log(user, severity, message.as_ptr()) };
    }

    #[test]
    fn what_nobody_asks_for_stays_bounded() {
        let heard = Mutex::<Heard>::default();
        for number in 0..KEPT_BYTES + 3 {
            tell(&heard, 1, &format!("error {number}"));
            tell(&heard, 3, &format!("Total Activation Memory: {number} bytes"));
        }
        let heard = heard.into_inner().unwrap();
        assert_eq!((heard.errors.len(), heard.errors.back()), (KEPT, Some(&"error 1026".to_owned())));
        let bytes = (heard.activation_bytes.front(), heard.activation_bytes.back());
        assert_eq!((heard.activation_bytes.len(), bytes), (KEPT_BYTES, (Some(&3), Some(&1026))));
    }
}
