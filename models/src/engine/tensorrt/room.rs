//! The bucket that a running batch is in.

use belvedere_kernels::device::Device;

use super::beam_group::BeamGroup;
use super::bucket_move::move_rows;
use super::row_state::mask_reset;
use super::running_batch::{RunningBatch, Slot};
use super::workspace::{Workspace, failed, failure};
use super::{Bucket, Networks};
use crate::ModelError;

impl<D: Device, N: Networks<D>> RunningBatch<D, N> {
    /// Writes the masks of all rows anew, from the tokens that they hold.
    pub(super) fn reset_masks(&self, workspace: &Workspace<D>) -> Result<(), ModelError> {
        let reset = mask_reset(workspace, self.bucket(workspace)?.capacity, self.slots.len())?;
        workspace.device.launch(&workspace.decode, &reset).map_err(failed("past_mask"))
    }

    /// Moves to the smallest bucket that holds a prompt, `places` in the caches and everything that lives, if the present
    /// one does not.
    pub(super) fn make_room(
        &mut self,
        workspace: &Workspace<D>,
        prompt: usize,
        places: usize,
    ) -> Result<(), ModelError> {
        let buckets = &workspace.profiles.buckets;
        if !self.is_live() {
            self.bucket = 0;
        }
        let places = self.next_places().fold(places, usize::max);
        let holds = |bucket: &Bucket| bucket.prompt >= prompt && bucket.capacity >= places;
        let present = buckets.iter().skip(self.bucket).position(holds).map(|at| at + self.bucket);
        let Some(needed) = present else {
            let reason =
                format!("no bucket has room for {places} tokens and a prompt of {prompt}: {buckets:?}");
            return Err(failure("decoding", reason));
        };
        if needed != self.bucket {
            let (from, to) = (self.bucket(workspace)?, buckets[needed]);
            let rows = if self.is_live() { self.live_rows() } else { 0 };
            move_rows(workspace, &from, &to, rows, self.slots.len())?;
            self.bucket = needed;
        }
        Ok(())
    }

    pub(super) fn bucket(&self, workspace: &Workspace<D>) -> Result<Bucket, ModelError> {
        let bucket = workspace.profiles.buckets.get(self.bucket).copied();
        bucket.ok_or_else(|| failure("decoding", "there is no such bucket"))
    }

    /// Places that rows need for the next step.
    pub(super) fn next_places(&self) -> impl Iterator<Item = usize> {
        let rows = self.slots.iter().filter_map(|slot| match slot {
            Slot::Row(sequence) => sequence.next_places(),
            _ => None,
        });
        rows.chain(self.groups.values().map(BeamGroup::next_places))
    }

    /// Rows up to the highest one that lives.
    pub(super) fn live_rows(&self) -> usize {
        self.slots.iter().rposition(Slot::lives).map_or(0, |row| row + 1)
    }
}
