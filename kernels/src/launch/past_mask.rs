//! The mask over the self-attention caches.

use super::cache_append::MOST_BLOCKS;
use super::element::CacheElement;
use super::slices::Arguments;
use crate::KernelError;
use crate::device::{Argument, DeviceSlice, Launch};

/// Where the mask lies: `[R, capacity]`, added to attention's scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastMask {
    /// The mask.
    pub memory: DeviceSlice,
    /// Places of a row's caches.
    pub capacity: usize,
}

impl PastMask {
    const THREADS: u32 = 256;

    /// Writes whole rows from their positions, i64 `[rows]`: 0 over the `position[r]` places that are filled, `masked` over
    /// the others. What [`CacheAppend`](super::CacheAppend) opens step by step comes out the same; a row is emptied by
    /// setting its position to 0 before.
    ///
    /// # Errors
    /// [`KernelError::Slice`] and [`KernelError::Count`] for what does not fit together.
    pub fn reset(
        &self,
        element: CacheElement,
        position: DeviceSlice,
        rows: usize,
        masked: f32,
    ) -> Result<Launch, KernelError> {
        let kernel = element.kernel("past_mask_f16", "past_mask_f32");
        let arguments = Arguments(kernel);
        let capacity = arguments.count("capacity", self.capacity, i32::MAX as u32)?;
        Ok(Launch {
            kernel,
            grid: [capacity.div_ceil(Self::THREADS), arguments.count("rows", rows, MOST_BLOCKS)?, 1],
            block: [Self::THREADS, 1, 1],
            arguments: vec![
                arguments.memory("position", position, &[rows], 8)?,
                self.argument(arguments, element, rows)?,
                capacity.into(),
                masked.into(),
            ],
        })
    }

    pub(super) fn argument(
        &self,
        arguments: Arguments,
        element: CacheElement,
        rows: usize,
    ) -> Result<Argument, KernelError> {
        arguments.memory("mask", self.memory, &[rows, self.capacity], element.bytes())
    }
}
