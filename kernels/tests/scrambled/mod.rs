//! The hash that makes the pictures of the goldens, the same as in their scripts.

/// A 32-bit hash of `index`.
pub(crate) fn scrambled(index: u32) -> u32 {
    let x = (index ^ (index >> 16)).wrapping_mul(0x7feb352d);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846ca68b);
    x ^ (x >> 16)
}
