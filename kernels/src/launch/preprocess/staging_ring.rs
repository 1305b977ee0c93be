//! Pinned memory between the host, which fills it, and a stream, which reads it later.

use super::frame_room::FrameRoom;
use crate::KernelError;
use crate::device::{Device, DeviceSlice, Memory, PinnedMemory};

/// Pinned memory in slots. One is filled while the device reads the others, and never before it has read what the slot held.
pub(super) struct StagingRing<D: Device> {
    pinned: D::Pinned,
    slot_bytes: usize,
    /// Behind all that reads each slot.
    read: [Option<D::Event>; FrameRoom::SLOTS],
    /// The slot that was taken last.
    current: usize,
}

impl<D: Device> StagingRing<D> {
    pub(super) fn new(device: &D, slot_bytes: usize) -> Result<Self, KernelError> {
        let pinned = device.pinned(FrameRoom::SLOTS * slot_bytes)?;
        Ok(StagingRing { pinned, slot_bytes, read: Default::default(), current: 0 })
    }

    /// Goes on to the next slot, and waits until what it holds has been read.
    pub(super) fn advance(&mut self, device: &D) -> Result<(), KernelError> {
        self.current = (self.current + 1) % FrameRoom::SLOTS;
        match self.read.get_mut(self.current).and_then(Option::take) {
            Some(read) => Ok(device.wait(&read)?),
            None => Ok(()),
        }
    }

    /// Puts `bytes` at `offset` of the slot.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), KernelError> {
        self.part(offset, bytes.len())?;
        Ok(self.pinned.write(self.current * self.slot_bytes + offset, bytes)?)
    }

    /// `bytes` from `offset` of the slot on, as the device sees them.
    pub(super) fn part(&self, offset: usize, bytes: usize) -> Result<DeviceSlice, KernelError> {
        let slot = self.pinned.slice().part(self.current * self.slot_bytes, self.slot_bytes)?;
        Ok(slot.part(offset, bytes)?)
    }

    /// All that reads the slot is in `stream`.
    pub(super) fn mark(&mut self, device: &D, stream: &D::Stream) -> Result<(), KernelError> {
        let event = device.record(stream)?;
        if let Some(read) = self.read.get_mut(self.current) {
            *read = Some(event);
        }
        Ok(())
    }

    /// Waits until everything has been read.
    pub(super) fn wait(&mut self, device: &D) -> Result<(), KernelError> {
        for read in &mut self.read {
            if let Some(read) = read.take() {
                device.wait(&read)?;
            }
        }
        Ok(())
    }
}
