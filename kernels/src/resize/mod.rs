//! Pillow's `BICUBIC` resize, bit for bit, with each pass in SIMD.
//!
//! The reference is `src/libImaging/Resample.c` of Pillow 13.0: two passes of 22-bit fixed-point weighted sums
//! with an 8-bit picture between them. Integer sums wrap and associate, so the order in which taps are added,
//! and splitting a weight into digits, change nothing.
//!
//! Both passes see the picture as [`Quads`]: 32-bit words of four samples that are neighbours *along the axis
//! being summed*, 16 lanes of them *across* it. Four taps of 16 outputs are then one load, and
//! three dot-product instructions with AVX-512 VNNI, or a few `vpmaddwd` with AVX2.

mod bicubic;
mod lanes;
mod pack;
mod rows;
mod weights;
mod window;

pub use bicubic::BicubicResize;
pub(crate) use bicubic::vertical_first;
pub(crate) use rows::{ChromaTerms, RgbRows, interleave};
pub(crate) use weights::WeightTable;

/// Outputs summed side by side.
pub(crate) const LANES: usize = 16;

/// Source quads of the vertical pass that one strip of 16 rows becomes.
pub(crate) const STRIP_QUADS: usize = LANES / 4;

/// For each lane four neighbouring samples, the first in the lowest byte.
pub(crate) type Quads = [u32; LANES];

#[cfg(test)]
mod tests;
