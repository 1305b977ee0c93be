//! Where steps leave what they chose, for the host to read behind them.

use std::collections::BTreeMap;

use belvedere_kernels::device::{Device, DeviceSlice, Memory, PinnedMemory};
use belvedere_kernels::launch::ChosenToken;

use super::workspace::failed;
use crate::ModelError;

/// Steps that a ring holds. More than can be in the stream unread.
pub(super) const RING_STEPS: usize = 16;

/// One ring for each number of rows that steps have: in a single one, entries of different widths would lie over each
/// other.
pub(super) struct StepRing<D: Device> {
    rings: BTreeMap<usize, D::Pinned>,
}

impl<D: Device> StepRing<D> {
    pub(super) fn new(device: &D, rows: &[usize]) -> Result<StepRing<D>, ModelError> {
        let ring = |rows: &usize| {
            let bytes = RING_STEPS * rows * ChosenToken::BYTES;
            Ok((*rows, device.pinned(bytes).map_err(failed("reserving the ring of results"))?))
        };
        Ok(StepRing { rings: rows.iter().map(ring).collect::<Result<_, ModelError>>()? })
    }

    /// For steps of `rows` rows.
    pub(super) fn slice(&self, rows: usize) -> Option<DeviceSlice> {
        self.rings.get(&rows).map(Memory::slice)
    }

    /// What a step that has been made did to its rows. The event behind it must have passed.
    pub(super) fn read(&self, rows: usize, step: u64) -> Result<Vec<ChosenToken>, ModelError> {
        let Some(ring) = self.rings.get(&rows) else { return Ok(Vec::new()) };
        let at = (step % RING_STEPS as u64) as usize * rows * ChosenToken::BYTES;
        let mut bytes = vec![0; rows * ChosenToken::BYTES];
        ring.read(at, &mut bytes).map_err(failed(format!("reading the result of step {step}")))?;
        Ok(bytes.as_chunks().0.iter().map(|entry| ChosenToken::from_bytes(*entry)).collect())
    }
}
