//! The table of functions that `cpp/shim.cpp` exports, once for each TensorRT it was compiled for.

use std::ffi::{c_char, c_void};

use crate::Flavour;

pub(crate) const MAX_RANK: usize = 8;

/// Mirrors `Tensor`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct RawTensor {
    pub(crate) name: *const c_char,
    pub(crate) is_input: i32,
    pub(crate) element: i32,
    pub(crate) is_on_device: i32,
    pub(crate) rank: i32,
    pub(crate) shape: [i64; MAX_RANK],
}

impl RawTensor {
    pub(crate) const EMPTY: RawTensor = RawTensor {
        name: std::ptr::null(),
        is_input: 0,
        element: -1,
        is_on_device: 0,
        rank: 0,
        shape: [0; MAX_RANK],
    };

    /// The shape; -1 stands for a side that is not known.
    pub(crate) fn shape(&self) -> Vec<i64> {
        let rank = usize::try_from(self.rank).unwrap_or(0).min(MAX_RANK);
        self.shape.iter().copied().take(rank).collect()
    }
}

/// Mirrors `ConfigOptions`.
#[repr(C)]
pub(crate) struct RawConfigOptions {
    pub(crate) workspace_bytes: u64,
    pub(crate) optimization_level: i32,
    pub(crate) auxiliary_streams: i32,
    pub(crate) is_detailed: i32,
}

/// Mirrors `ParserMessage`.
#[repr(C)]
pub(crate) struct RawParserMessage {
    pub(crate) description: *const c_char,
    pub(crate) node: *const c_char,
    pub(crate) operator: *const c_char,
}

/// Mirrors `ProgressListener`.
#[repr(C)]
pub(crate) struct RawProgressListener {
    pub(crate) user: *mut c_void,
    pub(crate) started: unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char, i32),
    pub(crate) stepped: unsafe extern "C" fn(*mut c_void, *const c_char, i32) -> i32,
    pub(crate) finished: unsafe extern "C" fn(*mut c_void, *const c_char),
}

/// Mirrors `Bytes`.
#[repr(C)]
pub(crate) struct RawBytes {
    pub(crate) data: *const c_void,
    pub(crate) length: usize,
}

pub(crate) type RawLog = unsafe extern "C" fn(*mut c_void, i32, *const c_char);
pub(crate) type RawSink = unsafe extern "C" fn(*mut c_void, *const c_char);

/// Mirrors `Kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Kind {
    Builder,
    Network,
    Parser,
    Config,
    HostMemory,
    Runtime,
    Engine,
    Context,
    TimingCache,
}

/// Mirrors `Extent`.
#[derive(Clone, Copy)]
#[repr(i32)]
pub(crate) enum Extent {
    Least,
    Best,
    Most,
}

type Object = *mut c_void;

/// Mirrors `Shim`: what each function does stands there.
#[repr(C)]
pub(crate) struct Shim {
    pub(crate) bytes: u32,
    pub(crate) header_version: i32,
    pub(crate) is_rtx: i32,
    pub(crate) tensor_bytes: u32,
    pub(crate) logger_create: unsafe extern "C" fn(RawLog, *mut c_void) -> Object,
    pub(crate) progress_create: unsafe extern "C" fn(*const RawProgressListener) -> Object,
    pub(crate) progress_destroy: unsafe extern "C" fn(Object),
    pub(crate) builder_create: unsafe extern "C" fn(Object, Object) -> Object,
    pub(crate) network_create: unsafe extern "C" fn(Object) -> Object,
    pub(crate) network_layers: unsafe extern "C" fn(Object) -> i32,
    pub(crate) network_io: unsafe extern "C" fn(Object, i32, *mut RawTensor) -> i32,
    pub(crate) parser_create: unsafe extern "C" fn(Object, Object, Object) -> Object,
    pub(crate) parser_parse: unsafe extern "C" fn(Object, *const c_void, usize, *const c_char) -> i32,
    pub(crate) parser_error: unsafe extern "C" fn(Object, i32, *mut RawParserMessage) -> i32,
    pub(crate) config_create: unsafe extern "C" fn(Object, *const RawConfigOptions) -> Object,
    pub(crate) config_set_progress: unsafe extern "C" fn(Object, Object),
    pub(crate) config_set_capabilities: unsafe extern "C" fn(Object, *const i32, i32) -> i32,
    pub(crate) profile_create: unsafe extern "C" fn(Object) -> Object,
    pub(crate) profile_set: unsafe extern "C" fn(Object, *const c_char, i32, *const i64, i32) -> i32,
    pub(crate) config_add_profile: unsafe extern "C" fn(Object, Object) -> i32,
    pub(crate) timing_cache_use: unsafe extern "C" fn(Object, *const c_void, usize) -> Object,
    pub(crate) timing_cache_serialize: unsafe extern "C" fn(Object) -> Object,
    pub(crate) build: unsafe extern "C" fn(Object, Object, Object) -> Object,
    pub(crate) host_memory_view: unsafe extern "C" fn(Object) -> RawBytes,
    pub(crate) runtime_create: unsafe extern "C" fn(Object, Object) -> Object,
    pub(crate) engine_deserialize: unsafe extern "C" fn(Object, *const c_void, usize) -> Object,
    pub(crate) engine_io: unsafe extern "C" fn(Object, i32, *mut RawTensor) -> i32,
    pub(crate) engine_profiles: unsafe extern "C" fn(Object) -> i32,
    pub(crate) engine_profile_shape:
        unsafe extern "C" fn(Object, *const c_char, i32, i32, *mut RawTensor) -> i32,
    pub(crate) engine_scratch_bytes: unsafe extern "C" fn(Object, i32) -> i64,
    pub(crate) engine_layers: unsafe extern "C" fn(Object) -> i32,
    pub(crate) engine_inspect: unsafe extern "C" fn(Object, RawSink, *mut c_void) -> i32,
    pub(crate) context_create: unsafe extern "C" fn(Object) -> Object,
    pub(crate) context_set_scratch: unsafe extern "C" fn(Object, *mut c_void, i64),
    pub(crate) context_set_profile: unsafe extern "C" fn(Object, i32, *mut c_void) -> i32,
    pub(crate) context_set_shape: unsafe extern "C" fn(Object, *const c_char, *const i64, i32) -> i32,
    pub(crate) context_shape: unsafe extern "C" fn(Object, *const c_char, *mut RawTensor) -> i32,
    pub(crate) context_bind: unsafe extern "C" fn(Object, *const c_char, *mut c_void) -> i32,
    pub(crate) context_missing: unsafe extern "C" fn(Object, *mut *const c_char) -> i32,
    pub(crate) context_is_capturable: unsafe extern "C" fn(Object, *mut c_void) -> i32,
    pub(crate) enqueue: unsafe extern "C" fn(Object, *mut c_void) -> i32,
    pub(crate) destroy: unsafe extern "C" fn(i32, Object),
}

#[cfg(any(tensorrt_10, tensorrt_11, tensorrt_rtx))]
unsafe extern "C" {
    #[cfg(tensorrt_11)]
    safe fn belvedere_tensorrt_11() -> &'static Shim;
    #[cfg(tensorrt_10)]
    safe fn belvedere_tensorrt_10() -> &'static Shim;
    #[cfg(tensorrt_rtx)]
    safe fn belvedere_tensorrt_rtx() -> &'static Shim;
}

/// Every shim in this binary, in the order in which their libraries are looked for.
pub(crate) fn compiled() -> Vec<(Flavour, &'static Shim)> {
    vec![
        #[cfg(tensorrt_11)]
        (Flavour::TensorRt11, belvedere_tensorrt_11()),
        #[cfg(tensorrt_10)]
        (Flavour::TensorRt10, belvedere_tensorrt_10()),
        #[cfg(tensorrt_rtx)]
        (Flavour::Rtx, belvedere_tensorrt_rtx()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;

    #[test]
    fn both_sides_of_the_boundary_have_the_same_structures() {
        for (flavour, shim) in compiled() {
            assert_eq!(shim.bytes as usize, size_of::<Shim>());
            assert_eq!(shim.tensor_bytes as usize, size_of::<RawTensor>());
            assert_eq!(shim.is_rtx != 0, flavour == Flavour::Rtx);
            assert_eq!(Version::from_number(shim.header_version).major, flavour.soname_major());
        }
    }
}
