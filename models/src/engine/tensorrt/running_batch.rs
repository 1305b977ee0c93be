//! The sequences that are being decoded, and the steps that are in the stream for them.

use std::collections::{BTreeMap, VecDeque};

use belvedere_kernels::device::{Device, Memory, PinnedMemory};

use super::beam_group::BeamGroup;
use super::bucket_move::move_rows;
use super::cross_source::CrossSource;
use super::memory_plan::Purpose;
use super::open::smallest;
use super::row_state::{begin, mask_reset, staging_room};
use super::sequence::{Observed, RowPlan, Sequence, Stopwatch};
use super::staging::Staging;
use super::step_kernels::{BLOCK_ROWS, StepKind, open_step};
use super::step_ring::StepRing;
use super::step_variant::StepVariant;
use super::workspace::{Workspace, failed, failure};
use super::{Bucket, Networks};
use crate::ModelError;
use crate::decode::DecoderConfig;
use crate::engine::{Ended, Ticket};

/// Rows of the batch, each free, taken or decoding. Slots never move: a sequence stays in its row until it ends, and the
/// step is as wide as the highest row that lives.
pub(super) struct RunningBatch<D: Device, N: Networks<D>> {
    pub(super) slots: Vec<Slot>,
    pub(super) groups: BTreeMap<Ticket, BeamGroup>,
    /// Of all rows; moves up with the one that needs most, down when nothing lives.
    bucket: usize,
    /// Steps in the stream whose results have not been read, the oldest first.
    enqueued: VecDeque<Enqueued<D::Event>>,
    /// Steps that were ever put into the stream: the device counts the same.
    steps: u64,
    variants: BTreeMap<StepKey, StepVariant<D, N::Network>>,
    ring: StepRing<D>,
    /// Candidates of beam searches, for the host.
    pub(super) best: D::Pinned,
    /// Holds the number 1 for ever.
    one: D::Pinned,
    pub(super) staging: Vec<Staging<D>>,
    /// For what concerns all rows.
    pub(super) shared_staging: Staging<D>,
    steps_ahead: usize,
    pub(super) decoder: DecoderConfig,
    pub(super) precision: &'static str,
}

/// What a row is used for.
#[derive(Debug)]
pub(super) enum Slot {
    Free,
    /// Promised to a sequence whose prompt is being encoded.
    Reserved,
    /// A sequence that the device continues by itself.
    Row(Sequence),
    /// One beam of a search.
    Beam(Ticket),
}

impl Slot {
    /// Whose the row is while steps are made for it.
    fn ticket(&self) -> Option<Ticket> {
        match self {
            Slot::Free | Slot::Reserved => None,
            Slot::Row(sequence) => Some(sequence.ticket),
            Slot::Beam(ticket) => Some(*ticket),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct StepKey {
    rows: usize,
    bucket: usize,
    kind: StepKind,
}

/// A step in the stream and what it meant when it was put there: by the time its result is read, a row may belong to
/// another sequence, whose result it is not.
pub(super) struct Enqueued<E> {
    step: u64,
    pub(super) rows: usize,
    pub(super) kind: StepKind,
    pub(super) tickets: Vec<Option<Ticket>>,
    event: E,
}

impl<D: Device, N: Networks<D>> RunningBatch<D, N> {
    pub(super) fn new(
        workspace: &Workspace<D>,
        decoder: DecoderConfig,
        precision: &'static str,
        steps_ahead: usize,
    ) -> Result<Self, ModelError> {
        let device = &workspace.device;
        let rows = smallest(&workspace.profiles.rows, usize::MAX);
        let mut one = device.pinned(4).map_err(failed("reserving pinned memory"))?;
        one.write(0, &1_i32.to_ne_bytes()).map_err(failed("writing pinned memory"))?;
        let (bytes, pieces) = staging_room(workspace);
        let staging = (0..rows).map(|_| Staging::new(device, bytes, pieces));
        let best = device.pinned(super::step_kernels::best_bytes(rows));
        let batch = Self {
            slots: (0..rows).map(|_| Slot::Free).collect(),
            groups: BTreeMap::new(),
            bucket: 0,
            enqueued: VecDeque::new(),
            steps: 0,
            variants: BTreeMap::new(),
            ring: StepRing::new(device, &workspace.profiles.rows)?,
            best: best.map_err(failed("reserving pinned memory"))?,
            one,
            staging: staging.collect::<Result<_, _>>()?,
            shared_staging: Staging::new(device, 4 * rows, 1)?,
            steps_ahead,
            decoder,
            precision,
        };
        for row in 0..rows {
            batch.stop(workspace, row)?;
        }
        Ok(batch)
    }

    pub(super) fn set_steps_ahead(&mut self, steps: usize) {
        self.steps_ahead = steps;
    }

    /// Forgets everything that runs.
    pub(super) fn clear(&mut self) {
        self.groups.clear();
        self.enqueued.clear();
        self.slots.fill_with(|| Slot::Free);
    }

    /// Whether any row is being decoded.
    pub(super) fn is_live(&self) -> bool {
        self.slots.iter().any(|slot| slot.ticket().is_some())
    }

    /// The `count` lowest free rows of one block, now taken; `None` where there are fewer.
    pub(super) fn reserve(&mut self, count: usize) -> Option<Vec<usize>> {
        let blocks = (0..self.slots.len()).step_by(BLOCK_ROWS);
        let rows = blocks.into_iter().find_map(|first| {
            let free = |row: &usize| matches!(self.slots.get(*row), Some(Slot::Free));
            let rows: Vec<usize> = (first..first + BLOCK_ROWS).filter(free).take(count).collect();
            (rows.len() == count).then_some(rows)
        })?;
        for row in &rows {
            self.slots[*row] = Slot::Reserved;
        }
        Some(rows)
    }

    /// Gives a reserved row back.
    pub(super) fn free(&mut self, rows: &[usize]) {
        for row in rows {
            if let Some(slot) = self.slots.get_mut(*row) {
                *slot = Slot::Free;
            }
        }
    }

    /// Lets a sequence begin in reserved rows: its own, or those of all beams of `group`. Everything is put into the
    /// stream; what `source` reads must have been waited for there.
    pub(super) fn begin(
        &mut self,
        workspace: &Workspace<D>,
        rows: &[usize],
        source: &CrossSource,
        plan: &RowPlan,
        begun: Begun,
    ) -> Result<(), ModelError> {
        self.make_room(workspace, source.prompt)?;
        let bucket = self.bucket(workspace)?;
        for row in rows {
            source.copy_to_row(workspace, &bucket, *row)?;
            let staging = self.staging.get_mut(*row).ok_or_else(|| failure("joining", "no such row"))?;
            begin(workspace, staging, *row, plan)?;
        }
        let reset = mask_reset(workspace, bucket.capacity, self.slots.len())?;
        workspace.device.launch(&workspace.decode, &reset).map_err(failed("past_mask"))?;
        match begun {
            Begun::Row(ticket, clock) => {
                if let Some(slot) = rows.first().and_then(|row| self.slots.get_mut(*row)) {
                    *slot = Slot::Row(Sequence::new(ticket, clock, plan));
                }
            }
            Begun::Beams(group) => {
                for row in rows {
                    if let Some(slot) = self.slots.get_mut(*row) {
                        *slot = Slot::Beam(group.ticket);
                    }
                }
                self.groups.insert(group.ticket, *group);
            }
        }
        Ok(())
    }

    /// Says when the prompts of sequences were encoded, where that was not known when they began.
    pub(super) fn encoded(&mut self, tickets: &[Ticket], at: std::time::Instant) {
        for slot in &mut self.slots {
            if let Slot::Row(sequence) = slot
                && tickets.contains(&sequence.ticket)
            {
                sequence.clock.encode(at);
            }
        }
        for (ticket, group) in &mut self.groups {
            if tickets.contains(ticket) {
                group.clock.encode(at);
            }
        }
    }

    /// Moves to the smallest bucket that holds a prompt and everything that lives, if the present one does not.
    fn make_room(&mut self, workspace: &Workspace<D>, prompt: usize) -> Result<(), ModelError> {
        let buckets = &workspace.profiles.buckets;
        if !self.is_live() {
            self.bucket = 0;
        }
        let places = self.next_places().max().unwrap_or(0);
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
    fn next_places(&self) -> impl Iterator<Item = usize> {
        let rows = self.slots.iter().filter_map(|slot| match slot {
            Slot::Row(sequence) => sequence.next_places(),
            _ => None,
        });
        rows.chain(self.groups.values().map(BeamGroup::next_places))
    }

    /// Rows up to the highest one that lives.
    fn live_rows(&self) -> usize {
        self.slots.iter().rposition(|slot| slot.ticket().is_some()).map_or(0, |row| row + 1)
    }

    /// Whether another step should be put into the stream. A beam search needs to look at each before the next.
    pub(super) fn wants_step(&self) -> bool {
        let ahead = if self.groups.is_empty() { self.steps_ahead } else { 1 };
        self.enqueued.len() < ahead && self.next_places().next().is_some()
    }

    /// Puts a step into the stream.
    pub(super) fn enqueue_step(
        &mut self,
        workspace: &Workspace<D>,
        networks: &mut N,
    ) -> Result<(), ModelError> {
        let prompt = self.bucket(workspace)?.prompt;
        self.make_room(workspace, prompt)?;
        let rows = smallest(&workspace.profiles.rows, self.live_rows());
        let kind = match self.groups.values().map(|group| 2 * group.beams()).max() {
            None => StepKind::Greedy,
            Some(best) => StepKind::Beams { best },
        };
        let bucket = self.bucket(workspace)?;
        let variant = match self.variants.entry(StepKey { rows, bucket: self.bucket, kind }) {
            std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let ring = self.ring.slice(rows).ok_or_else(|| failure("decoding", "no ring"))?;
                let best = self.best.slice();
                place.insert(open_step(
                    workspace,
                    networks,
                    &self.decoder,
                    rows,
                    &bucket,
                    kind,
                    [ring, best],
                )?)
            }
        };
        variant.run(workspace, self.steps)?;
        let event = workspace.device.record(&workspace.decode).map_err(failed("marking a step"))?;
        let tickets = self.slots.iter().take(rows).map(Slot::ticket).collect();
        self.enqueued.push_back(Enqueued { step: self.steps, rows, kind, tickets, event });
        self.steps += 1;
        for slot in &mut self.slots {
            if let Slot::Row(sequence) = slot {
                sequence.enqueue_step();
            }
        }
        Ok(())
    }

    /// Waits for the oldest step, and reads it and all others that have been made.
    pub(super) fn read(&mut self, workspace: &Workspace<D>) -> Result<Vec<Ended>, ModelError> {
        let mut ended = Vec::new();
        let Some(oldest) = self.enqueued.front() else { return Ok(ended) };
        let doing = |step: u64| format!("waiting for step {step}");
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

    /// Ends a row on the device, after what is in the stream.
    fn stop(&self, workspace: &Workspace<D>, row: usize) -> Result<(), ModelError> {
        workspace.copy(workspace.row(Purpose::Done, row, 4)?, self.one.slice())
    }

    /// Takes everything out of a row's caches that is not a number: masked places have no weight, but no weight times
    /// infinity is not nothing.
    fn wipe(&self, workspace: &Workspace<D>, row: usize) -> Result<(), ModelError> {
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

/// What begins.
pub(super) enum Begun {
    Row(Ticket, Stopwatch),
    Beams(Box<BeamGroup>),
}
