//! Memory of the host that stands for memory of a device.

use std::collections::BTreeMap;
use std::sync::Arc;

use belvedere_kernels::device::{DeviceError, DeviceSlice, Memory, MemoryInfo, PinnedMemory};

use crate::shared::Shared;

/// As CUDA aligns what it allocates.
const ALIGNMENT: usize = 256;

/// Everything that is allocated, by the address of its first byte.
#[derive(Debug)]
pub(crate) struct Memories {
    live: BTreeMap<u64, Block>,
    taken: usize,
    total: usize,
}

#[derive(Debug)]
struct Block {
    /// Longer than asked for, so that a part of it is aligned.
    bytes: Vec<u8>,
    offset: usize,
    len: usize,
    /// What is pinned is the host's, and takes nothing from the device.
    pinned: bool,
}

impl Block {
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.offset..self.offset + self.len]
    }
}

impl Memories {
    pub(crate) fn new(total: usize) -> Memories {
        Memories { live: BTreeMap::new(), taken: 0, total }
    }

    pub(crate) fn info(&self) -> MemoryInfo {
        MemoryInfo { free: self.total - self.taken, total: self.total }
    }

    pub(crate) fn allocate(&mut self, len: usize, pinned: bool) -> Result<DeviceSlice, String> {
        let free = self.total - self.taken;
        if len == 0 || (len > free && !pinned) {
            return Err(format!("{free} bytes are free"));
        }
        let bytes = vec![0; len + ALIGNMENT];
        let start = bytes.as_ptr().expose_provenance();
        let offset = start.next_multiple_of(ALIGNMENT) - start;
        let address = (start + offset) as u64;
        self.taken += if pinned { 0 } else { len };
        self.live.insert(address, Block { bytes, offset, len, pinned });
        Ok(DeviceSlice::new(address, len))
    }

    pub(crate) fn free(&mut self, slice: DeviceSlice) {
        if let Some(block) = self.live.remove(&slice.address()) {
            self.taken -= if block.pinned { 0 } else { block.len };
        }
    }

    /// The bytes of `slice`, if they lie inside one allocation that is alive.
    pub(crate) fn bytes(&mut self, slice: DeviceSlice) -> Result<&mut [u8], String> {
        let block = self.live.range_mut(..=slice.address()).next_back();
        block
            .and_then(|(address, block)| {
                let from = usize::try_from(slice.address() - address).ok()?;
                block.bytes().get_mut(from..from.checked_add(slice.bytes())?)
            })
            .ok_or_else(|| format!("{} bytes at {:#x} are not allocated", slice.bytes(), slice.address()))
    }

    /// The bytes of several slices, each in an allocation of its own that is alive.
    pub(crate) fn many(&mut self, slices: &[DeviceSlice]) -> Result<Vec<&mut [u8]>, String> {
        let mut of_allocation: BTreeMap<u64, (usize, DeviceSlice)> = BTreeMap::new();
        for (place, slice) in slices.iter().enumerate() {
            let not_there = || format!("{} bytes at {:#x} are not allocated", slice.bytes(), slice.address());
            let (address, _) = self.live.range(..=slice.address()).next_back().ok_or_else(not_there)?;
            if of_allocation.insert(*address, (place, *slice)).is_some() {
                return Err(format!("two slices lie in the allocation at {address:#x}"));
            }
        }
        let mut found: Vec<(usize, &mut [u8])> = Vec::with_capacity(slices.len());
        for (address, block) in &mut self.live {
            let Some((place, slice)) = of_allocation.get(address) else { continue };
            let from = (slice.address() - address) as usize;
            let bytes = from.checked_add(slice.bytes()).and_then(|to| block.bytes().get_mut(from..to));
            let not_there = || format!("{} bytes at {:#x} are not allocated", slice.bytes(), slice.address());
            found.push((*place, bytes.ok_or_else(not_there)?));
        }
        found.sort_by_key(|(place, _)| *place);
        Ok(found.into_iter().map(|(_, bytes)| bytes).collect())
    }

    /// Copies; the two may lie in one allocation but not overlap.
    pub(crate) fn copy(&mut self, to: DeviceSlice, from: DeviceSlice) -> Result<(), String> {
        let (a, b) = (to.address(), from.address());
        if a < b + from.bytes() as u64 && b < a + to.bytes() as u64 {
            return Err("source and target overlap".into());
        }
        let bytes = self.bytes(from)?.to_vec();
        self.bytes(to)?.copy_from_slice(&bytes);
        Ok(())
    }

    /// Where all allocations begin and how long they are. Nothing else uses their bytes while `self` is borrowed.
    pub(crate) fn ranges(&mut self) -> impl Iterator<Item = (u64, u64)> {
        self.live.values_mut().map(|block| {
            let bytes = block.bytes();
            (bytes.as_mut_ptr().expose_provenance() as u64, bytes.len() as u64)
        })
    }
}

/// Memory of a [`HostDevice`](crate::HostDevice). It panics when it is dropped while work on it is queued: on a GPU it would
/// be another's by the time the work is done.
#[derive(Debug)]
pub struct HostMemory {
    pub(crate) slice: DeviceSlice,
    pub(crate) owner: Arc<Shared>,
}

impl Memory for HostMemory {
    fn slice(&self) -> DeviceSlice {
        self.slice
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        let queued = self.owner.let_go(self.slice);
        if let Some(work) = queued
            && !std::thread::panicking()
        {
            panic!("memory is freed while {work} is queued that uses it");
        }
    }
}

/// Pinned memory of a [`HostDevice`](crate::HostDevice). What a kernel writes to it is there when the kernel has run, and what
/// is written here is what a copy finds when it is made.
#[derive(Debug)]
pub struct HostPinned(pub(crate) HostMemory);

impl Memory for HostPinned {
    fn slice(&self) -> DeviceSlice {
        self.0.slice
    }
}

impl HostPinned {
    fn part(&self, doing: &str, offset: usize, bytes: usize) -> Result<DeviceSlice, DeviceError> {
        let part = self.0.slice.part(offset, bytes);
        part.map_err(|error| Shared::error(format!("{doing} pinned memory"), error.to_string()))
    }
}

impl PinnedMemory for HostPinned {
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), DeviceError> {
        let part = self.part("reading", offset, into.len())?;
        self.0.owner.with_bytes(part, |bytes| into.copy_from_slice(bytes))
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), DeviceError> {
        let part = self.part("writing", offset, bytes.len())?;
        self.0.owner.with_bytes(part, |into| into.copy_from_slice(bytes))
    }
}
