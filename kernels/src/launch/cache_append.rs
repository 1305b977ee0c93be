//! New keys and values into the caches.

use super::element::CacheElement;
use super::slices::Arguments;
use super::{DecodeState, PastMask};
use crate::KernelError;
use crate::device::{DeviceSlice, Launch};

/// Memory of one pair in the table of [`CacheAppend`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachePair {
    /// What the graph made of the token, `[R, heads, 1, head_size]`.
    pub new: DeviceSlice,
    /// Where it belongs, `[R, heads, capacity, head_size]`.
    pub cache: DeviceSlice,
}

/// Puts a step's keys and values into place `position[r]` of each row's caches and opens that place in the mask. Rows that
/// are done or whose caches are full are left alone.
///
/// To be appended after the graph and before [`NextToken`](super::NextToken), which advances the positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheAppend {
    /// Element of keys, values, caches and mask.
    pub element: CacheElement,
    /// [`CacheAppend::table`] of all layers' keys and values, in device memory: u64 `[pairs, 2]`. Addresses in it must stay
    /// good while launches are queued.
    pub table: DeviceSlice,
    /// Pairs in the table: twice the decoder's layers.
    pub pairs: usize,
    /// Heads of the decoder's attention.
    pub heads: usize,
    /// Elements of a head.
    pub head_size: usize,
    /// Mask over the caches, `[R, capacity]`.
    pub mask: PastMask,
}

impl CacheAppend {
    /// The bytes of the table for `pairs`.
    ///
    /// # Errors
    /// [`KernelError::Slice`]: a slice is smaller than `rows` rows need.
    pub fn table(
        element: CacheElement,
        pairs: &[CachePair],
        [rows, heads, capacity, head_size]: [usize; 4],
    ) -> Result<Vec<u8>, KernelError> {
        let arguments = Arguments("cache_append");
        let mut table = Vec::with_capacity(16 * pairs.len());
        for pair in pairs {
            arguments.memory("new", pair.new, &[rows, heads, head_size], element.bytes())?;
            arguments.memory("cache", pair.cache, &[rows, heads, capacity, head_size], element.bytes())?;
            table.extend(pair.new.address().to_ne_bytes());
            table.extend(pair.cache.address().to_ne_bytes());
        }
        Ok(table)
    }

    /// For the rows of `state`.
    ///
    /// # Errors
    /// [`KernelError::Slice`] and [`KernelError::Count`] for what does not fit together.
    pub fn launch(&self, state: &DecodeState) -> Result<Launch, KernelError> {
        let kernel = self.element.kernel("cache_append_f16", "cache_append_f32");
        let arguments = Arguments(kernel);
        let rows = arguments.count("rows", state.rows, MOST_BLOCKS)?;
        let pairs = arguments.count("pairs", self.pairs, MOST_BLOCKS)?;
        let heads = arguments.count("heads", self.heads, u32::MAX)?;
        let head_size = arguments.count("head_size", self.head_size, u32::MAX / heads)?;
        let capacity = arguments.count("capacity", self.mask.capacity, i32::MAX as u32)?;
        Ok(Launch {
            kernel,
            grid: [pairs, rows, 1],
            block: [128, 1, 1],
            arguments: vec![
                arguments.memory("table", self.table, &[self.pairs, 2], 8)?,
                arguments.memory("position", state.position, &[state.rows], 8)?,
                arguments.memory("done", state.done, &[state.rows], 4)?,
                self.mask.argument(arguments, self.element, state.rows)?,
                rows.into(),
                heads.into(),
                capacity.into(),
                head_size.into(),
            ],
        })
    }
}

/// Blocks that every device takes in y and z.
pub(super) const MOST_BLOCKS: u32 = 65535;
