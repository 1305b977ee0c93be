//! An input or output.

use crate::builder::owned;
use crate::shim::RawTensor;

/// Element types that our graphs have at their edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 16-bit float.
    F16,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// None of these.
    Other,
}

impl Element {
    /// Bytes of one element; `None` for [`Element::Other`].
    pub fn bytes(self) -> Option<usize> {
        match self {
            Element::F16 => Some(2),
            Element::F32 | Element::I32 => Some(4),
            Element::I64 => Some(8),
            Element::Other => None,
        }
    }
}

/// An input or output, as a network or an engine tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name in the graph.
    pub name: String,
    /// Whether it is an input.
    pub is_input: bool,
    /// Its element type.
    pub element: Element,
    /// Whether its memory is the device's.
    pub is_on_device: bool,
    /// Its shape; -1 for a side that a profile gives.
    pub shape: Vec<i64>,
}

impl TensorInfo {
    /// # Safety
    /// The name is null or a C string.
    pub(crate) unsafe fn new(raw: &RawTensor) -> TensorInfo {
        TensorInfo {
            // SAFETY: the caller promises it.
            name: unsafe { owned(raw.name) },
            is_input: raw.is_input != 0,
            element: match raw.element {
                0 => Element::F32,
                1 => Element::F16,
                2 => Element::I64,
                3 => Element::I32,
                _ => Element::Other,
            },
            is_on_device: raw.is_on_device != 0,
            shape: raw.shape(),
        }
    }
}
