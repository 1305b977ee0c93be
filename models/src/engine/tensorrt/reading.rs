//! What steps have done to the rows, read behind them.

use belvedere_kernels::device::{Device, Memory};

use super::memory_plan::Purpose;
use super::running_batch::{Enqueued, RunningBatch, Slot};
use super::sequence::Observed;
use super::workspace::{Workspace, failed};
use super::{GraphName, Networks};
use crate::ModelError;
use crate::engine::{Ended, Ticket};

impl<D: Device, N: Networks<D>> RunningBatch<D, N> {
    /// Waits for the oldest step, and reads it and all others that have been made.
    pub(super) fn read(&mut self, workspace: &Workspace<D>) -> Result<Vec<Ended>, ModelError> {
        let mut ended = Vec::new();
        let Some(oldest) = self.enqueued.front() else { return Ok(ended) };
        let graph = GraphName::DecoderStep.as_str();
        let doing = |step: u64| format!("waiting for step {step} of graph {graph}");
        workspace.device.wait(&oldest.event).map_err(failed(doing(oldest.step)))?;
        while let Some(oldest) = self.enqueued.front() {
            if !workspace.device.is_past(&oldest.event).map_err(failed(doing(oldest.step)))? {
                break;
            }
            let Some(oldest) = self.enqueued.pop_front() else { break };
            self.read_step(workspace, &oldest, &mut ended)?;
        }
        Ok(ended)
    }

    fn read_step(
        &mut self,
        workspace: &Workspace<D>,
        enqueued: &Enqueued<D::Event>,
        ended: &mut Vec<Ended>,
    ) -> Result<(), ModelError> {
        let chosen = self.ring.read(enqueued.rows, enqueued.step)?;
        let mut broken_beams = Vec::new();
        for (row, (chosen, meant)) in chosen.into_iter().zip(&enqueued.tickets).enumerate() {
            let Some(slot) = self.slots.get_mut(row) else { continue };
            match slot {
                Slot::Row(sequence) if Some(sequence.ticket) == *meant => {
                    let observed = sequence.observe(chosen)?;
                    if observed == Observed::GoesOn {
                        continue;
                    }
                    let Slot::Row(sequence) = std::mem::replace(slot, Slot::Free) else { continue };
                    let (ticket, step) = (sequence.ticket, sequence.last_step());
                    let result = match observed {
                        Observed::NotFinite => {
                            self.wipe(workspace, row)?;
                            Err(ModelError::LogitsNotFinite { step, row, precision: self.precision })
                        }
                        Observed::Ended | Observed::GoesOn => Ok(sequence.finish()),
                    };
                    ended.push(Ended { ticket, result });
                }
                Slot::Beam(ticket) if Some(*ticket) == *meant && chosen.not_finite => {
                    broken_beams.push((*ticket, row));
                }
                _ => (),
            }
        }
        for (ticket, row) in broken_beams {
            if let Some(group) = self.groups.get(&ticket) {
                let step = group.last_step();
                self.leave(workspace, ticket)?;
                let result = Err(ModelError::LogitsNotFinite { step, row, precision: self.precision });
                ended.push(Ended { ticket, result });
            }
            self.wipe(workspace, row)?;
        }
        self.advance_groups(workspace, enqueued, ended)
    }

    /// Frees the rows of a sequence that nobody wants any more, if it is here.
    pub(super) fn leave(&mut self, workspace: &Workspace<D>, ticket: Ticket) -> Result<(), ModelError> {
        self.groups.remove(&ticket);
        for row in 0..self.slots.len() {
            if self.slots[row].ticket() == Some(ticket) {
                self.slots[row] = Slot::Free;
                self.stop(workspace, row)?;
            }
        }
        Ok(())
    }

    /// The same for a sequence of which steps may be in the stream that nobody reads any more: what they leave in its rows may
    /// be no numbers.
    pub(super) fn abandon(&mut self, workspace: &Workspace<D>, ticket: Ticket) -> Result<(), ModelError> {
        let own = |slot: &Slot| slot.ticket() == Some(ticket);
        let rows: Vec<usize> =
            (0..self.slots.len()).filter(|row| self.slots.get(*row).is_some_and(own)).collect();
        self.leave(workspace, ticket)?;
        rows.into_iter().try_for_each(|row| self.wipe(workspace, row))
    }

    /// Ends a row on the device, after what is in the stream.
    pub(super) fn stop(&self, workspace: &Workspace<D>, row: usize) -> Result<(), ModelError> {
        workspace.copy(workspace.row(Purpose::Done, row, 4)?, self.one.slice())
    }

    /// Takes everything out of a row's caches that is not a number: masked places have no weight, but no weight times
    /// infinity is not nothing.
    pub(super) fn wipe(&self, workspace: &Workspace<D>, row: usize) -> Result<(), ModelError> {
        let shape = &workspace.shape;
        for (purpose, row_bytes) in workspace.profiles.buckets.iter().flat_map(|bucket| {
            let (capacity, prompt) = (bucket.capacity, bucket.prompt);
            let source = shape.bucket_source(bucket);
            (0..shape.tensors()).flat_map(move |tensor| {
                [
                    (Purpose::SelfCache { capacity, tensor }, shape.row_bytes(capacity)),
                    (Purpose::CrossCache { prompt, tensor }, shape.row_bytes(source)),
                ]
            })
        }) {
            let zeros = workspace.first(Purpose::Zeros, row_bytes)?;
            workspace.copy(workspace.row(purpose, row, row_bytes)?, zeros)?;
        }
        Ok(())
    }
}
