//! One object of TensorRT's, destroyed when dropped.

use std::ffi::c_void;
use std::ptr::NonNull;

use crate::logger::Logger;
use crate::shim::{Kind, Shim};

/// Owns what the library made, and knows the logger that it was made with.
#[derive(Debug)]
pub(crate) struct Object {
    kind: Kind,
    pointer: NonNull<c_void>,
    logger: Logger,
}

// SAFETY: TensorRT's objects are bound to no thread; what may be called at the same time from several is for the types
// that hold one to rule.
unsafe impl Send for Object {}
// SAFETY: whoever shares one by reference asks nothing of it through that reference but under a mutex (an engine), or only
// keeps it alive (an engine its runtime); everything else is asked with exclusive access.
unsafe impl Sync for Object {}

impl Object {
    /// # Safety
    /// `pointer` is null or an object of `kind` that the logger's library made and nobody else destroys.
    pub(crate) unsafe fn new(kind: Kind, pointer: *mut c_void, logger: &Logger) -> Option<Object> {
        let pointer = NonNull::new(pointer)?;
        Some(Object { kind, pointer, logger: logger.clone() })
    }

    pub(crate) fn pointer(&self) -> *mut c_void {
        self.pointer.as_ptr()
    }

    pub(crate) fn logger(&self) -> &Logger {
        &self.logger
    }

    pub(crate) fn shim(&self) -> &'static Shim {
        self.logger.library().shim()
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: `new` was promised that it is ours and of this kind. The library is never unloaded.
        unsafe { (self.shim().destroy)(self.kind as i32, self.pointer.as_ptr()) }
    }
}
