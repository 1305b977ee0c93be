//! A range of memory, as a kernel sees it.

/// Where a range of memory begins and how long it is. It keeps nothing alive: the memory is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceSlice {
    address: u64,
    bytes: usize,
}

/// A range that is not inside the memory it was asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bytes {offset} to {offset} + {bytes} of {of}")]
pub struct SliceError {
    /// First byte asked for.
    pub offset: usize,
    /// Bytes asked for.
    pub bytes: usize,
    /// Bytes there are.
    pub of: usize,
}

impl DeviceSlice {
    /// `bytes` from `address` on. For implementations of a device: an address from nowhere is refused by none of them
    /// before a kernel runs into it.
    pub fn new(address: u64, bytes: usize) -> DeviceSlice {
        DeviceSlice { address, bytes }
    }

    /// `bytes` from `offset` on.
    ///
    /// # Errors
    /// They are not all inside.
    pub fn part(self, offset: usize, bytes: usize) -> Result<DeviceSlice, SliceError> {
        match offset.checked_add(bytes) {
            Some(end) if end <= self.bytes => {
                Ok(DeviceSlice { address: self.address + offset as u64, bytes })
            }
            _ => Err(SliceError { offset, bytes, of: self.bytes }),
        }
    }

    /// Address of the first byte, as the device counts them.
    pub fn address(self) -> u64 {
        self.address
    }

    /// Length in bytes.
    pub fn bytes(self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_never_leaves_the_whole() {
        let whole = DeviceSlice::new(4096, 100);
        assert_eq!(whole.part(40, 60).map(|part| (part.address(), part.bytes())), Ok((4136, 60)));
        assert_eq!(whole.part(100, 0).map(DeviceSlice::bytes), Ok(0));
        for (offset, bytes) in [(41, 60), (101, 0), (usize::MAX, 1), (1, usize::MAX)] {
            assert_eq!(whole.part(offset, bytes), Err(SliceError { offset, bytes, of: 100 }));
        }
    }
}
