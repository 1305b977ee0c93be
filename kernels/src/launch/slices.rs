//! Checks that every launch makes.

use crate::KernelError;
use crate::device::{Argument, DeviceSlice};

/// Says which kernel an argument belongs to.
#[derive(Clone, Copy)]
pub(super) struct Arguments(pub(super) &'static str);

impl Arguments {
    /// `slice`, if it holds `counts` multiplied elements of `element_bytes` each and begins at a multiple of them.
    pub(super) fn memory(
        self,
        argument: &'static str,
        slice: DeviceSlice,
        counts: &[usize],
        element_bytes: usize,
    ) -> Result<Argument, KernelError> {
        let needed = counts.iter().try_fold(element_bytes, |bytes, count| bytes.checked_mul(*count));
        let fits = needed.is_some_and(|needed| needed <= slice.bytes());
        if !fits || !slice.address().is_multiple_of(element_bytes as u64) {
            let (kernel, at) = (self.0, slice.address());
            return Err(KernelError::Slice { kernel, argument, needed, got: slice.bytes(), at });
        }
        Ok(Argument::Memory(slice))
    }

    /// A number that a kernel takes in 32 bits: 1 to `most`.
    pub(super) fn count(self, argument: &'static str, value: usize, most: u32) -> Result<u32, KernelError> {
        match u32::try_from(value) {
            Ok(count) if (1..=most).contains(&count) => Ok(count),
            _ => Err(KernelError::Count { kernel: self.0, argument, got: value, most }),
        }
    }
}
