//! Beam search: rows that continue others.

use super::DecodeState;
use super::cache_append::MOST_BLOCKS;
use super::element::CacheElement;
use super::slices::Arguments;
use crate::KernelError;
use crate::device::{Argument, DeviceSlice, Launch};

/// Which row continues which, as the host has chosen. Rows come in groups, the beams of an item beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parents {
    /// i32 `[R]`: the row whose sequence is continued; one of the same group, or the row itself.
    pub memory: DeviceSlice,
    /// Rows of a group, 1 to 16; R is a multiple of it.
    pub group: usize,
}

impl Parents {
    /// Rows that a thread can hold: `MOST_IN_GROUP`.
    const MOST_IN_GROUP: u32 = 16;

    /// Groups, rows of a group, and the argument.
    fn check(&self, arguments: Arguments, rows: usize) -> Result<(u32, u32, Argument), KernelError> {
        let group = arguments.count("group", self.group, Self::MOST_IN_GROUP)?;
        if !rows.is_multiple_of(self.group) {
            return Err(KernelError::Groups { kernel: arguments.0, rows, group });
        }
        let groups = arguments.count("groups", rows / self.group, MOST_BLOCKS)?;
        Ok((groups, group, arguments.memory("parents", self.memory, &[rows], 4)?))
    }
}

/// Gives every row the self-attention caches of its parent, in place. To be appended after
/// [`CacheAppend`](super::CacheAppend), whose step counts as filled, and before the rows are told their next tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheReorder {
    /// [`CacheReorder::table`] of all caches, in device memory: u64 `[caches]`.
    pub table: DeviceSlice,
    /// Caches in the table: twice the decoder's layers.
    pub caches: usize,
    /// Element of the caches.
    pub element: CacheElement,
    /// Heads of the decoder's attention.
    pub heads: usize,
    /// Places of a row's caches.
    pub capacity: usize,
    /// Elements of a head.
    pub head_size: usize,
    /// Who continues whom. What the mask shows does not change: rows of a group are equally long.
    pub parents: Parents,
}

impl CacheReorder {
    const THREADS: usize = 256;

    /// The bytes of the table for `caches`, each `[rows, heads, capacity, head_size]`.
    ///
    /// # Errors
    /// [`KernelError::Slice`]: a slice is smaller than that, or not aligned to 16 bytes where heads are a multiple of them.
    pub fn table(
        element: CacheElement,
        caches: &[DeviceSlice],
        [rows, heads, capacity, head_size]: [usize; 4],
    ) -> Result<Vec<u8>, KernelError> {
        let arguments = Arguments("cache_reorder");
        let mut table = Vec::with_capacity(8 * caches.len());
        let head_bytes = head_size.saturating_mul(element.bytes());
        let unit = Self::unit(head_bytes);
        for cache in caches {
            arguments.memory("cache", *cache, &[rows, heads, capacity, head_bytes / unit], unit)?;
            table.extend(cache.address().to_ne_bytes());
        }
        Ok(table)
    }

    /// Bytes that a thread moves at a time.
    fn unit(head_bytes: usize) -> usize {
        if head_bytes.is_multiple_of(16) { 16 } else { 2 }
    }

    /// For the rows of `state`.
    ///
    /// # Errors
    /// [`KernelError::Slice`], [`KernelError::Count`] and [`KernelError::Groups`] for what does not fit together.
    pub fn launch(&self, state: &DecodeState) -> Result<Launch, KernelError> {
        let arguments = Arguments("cache_reorder");
        let rows = arguments.count("rows", state.rows, u32::MAX)?;
        let caches = arguments.count("caches", self.caches, MOST_BLOCKS)?;
        let (groups, group, parents) = self.parents.check(arguments, state.rows)?;
        let head_bytes = self.head_size.saturating_mul(self.element.bytes());
        let unit = Self::unit(head_bytes);
        let row_bytes = self.heads.saturating_mul(self.capacity).saturating_mul(head_bytes);
        let blocks = (row_bytes / unit).div_ceil(Self::THREADS);
        Ok(Launch {
            kernel: arguments.0,
            grid: [arguments.count("row", blocks, i32::MAX as u32)?, caches, groups],
            block: [Self::THREADS as u32, 1, 1],
            arguments: vec![
                arguments.memory("table", self.table, &[self.caches], 8)?,
                parents,
                arguments.memory("position", state.position, &[state.rows], 8)?,
                rows.into(),
                group.into(),
                arguments.count("heads", self.heads, u32::MAX)?.into(),
                arguments.count("capacity", self.capacity, i32::MAX as u32)?.into(),
                arguments.count("head_bytes", head_bytes, i32::MAX as u32)?.into(),
            ],
        })
    }
}
