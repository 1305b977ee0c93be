//! Pinned memory that uploads go through.

use belvedere_kernels::device::{Device, DeviceSlice, PinnedMemory};

use super::workspace::failed;
use crate::ModelError;

/// Pinned memory between the host and a stream. It is never written while a copy from it has still to be made.
pub(super) struct Staging<D: Device> {
    pinned: D::Pinned,
    /// After the last copy from it.
    sent: Option<D::Event>,
}

/// Copies begin at multiples of this.
const ALIGNMENT_BYTES: usize = 16;

impl<D: Device> Staging<D> {
    /// With room for `bytes` in up to `pieces` pieces.
    pub(super) fn new(device: &D, bytes: usize, pieces: usize) -> Result<Staging<D>, ModelError> {
        let room = bytes + pieces * ALIGNMENT_BYTES;
        let pinned = device.pinned(room.max(1)).map_err(failed("reserving pinned memory"))?;
        Ok(Staging { pinned, sent: None })
    }

    /// Appends copies of `pieces` to where they belong.
    pub(super) fn upload(
        &mut self,
        device: &D,
        stream: &D::Stream,
        pieces: &[(DeviceSlice, &[u8])],
    ) -> Result<(), ModelError> {
        let doing = "uploading";
        self.wait(device)?;
        let mut offset = 0;
        for (to, bytes) in pieces {
            self.pinned.write(offset, bytes).map_err(failed(doing))?;
            let from = belvedere_kernels::device::Memory::slice(&self.pinned).part(offset, bytes.len());
            device.copy(stream, *to, from.map_err(failed(doing))?).map_err(failed(doing))?;
            offset = (offset + bytes.len()).next_multiple_of(ALIGNMENT_BYTES);
        }
        self.sent = Some(device.record(stream).map_err(failed(doing))?);
        Ok(())
    }

    /// Waits until what was uploaded is where it belongs.
    pub(super) fn wait(&mut self, device: &D) -> Result<(), ModelError> {
        match self.sent.take() {
            Some(sent) => device.wait(&sent).map_err(failed("uploading")),
            None => Ok(()),
        }
    }
}
