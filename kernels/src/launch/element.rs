//! The type of the numbers that a network takes.

/// What caches, masks and pixel values are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheElement {
    /// IEEE 754 binary16.
    F16,
    /// IEEE 754 binary32.
    F32,
}

impl CacheElement {
    /// Bytes of one.
    pub fn bytes(self) -> usize {
        match self {
            CacheElement::F16 => 2,
            CacheElement::F32 => 4,
        }
    }

    /// One of two kernels.
    pub(super) fn kernel(self, f16: &'static str, f32: &'static str) -> &'static str {
        match self {
            CacheElement::F16 => f16,
            CacheElement::F32 => f32,
        }
    }
}
