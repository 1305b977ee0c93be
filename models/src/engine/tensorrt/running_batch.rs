//! The sequences that are being decoded, and the steps that are in the stream for them.

use std::collections::{BTreeMap, VecDeque};

use belvedere_kernels::device::{Device, Memory, PinnedMemory};

use super::Networks;
use super::beam_group::BeamGroup;
use super::cross_source::CrossSource;
use super::open::smallest;
use super::row_state::{begin, staging_room};
use super::sequence::{RowPlan, Sequence, Stopwatch};
use super::staging::Staging;
use super::step_kernels::{BLOCK_ROWS, StepKind, open_step};
use super::step_ring::StepRing;
use super::step_variant::StepVariant;
use super::workspace::{Workspace, failed, failure};
use crate::ModelError;
use crate::decode::DecoderConfig;
use crate::engine::Ticket;

/// Rows of the batch, each free, taken or decoding. Slots never move: a sequence stays in its row until it ends, and the
/// step is as wide as the highest row that lives.
pub(super) struct RunningBatch<D: Device, N: Networks<D>> {
    pub(super) slots: Vec<Slot>,
    pub(super) groups: BTreeMap<Ticket, BeamGroup>,
    /// Of all rows; moves up with the one that needs most, down when nothing lives.
    pub(super) bucket: usize,
    /// Steps in the stream whose results have not been read, the oldest first.
    pub(super) enqueued: VecDeque<Enqueued<D::Event>>,
    /// Steps that were ever put into the stream: the device counts the same.
    steps: u64,
    variants: BTreeMap<StepKey, StepVariant<D, N::Network>>,
    pub(super) ring: StepRing<D>,
    /// Candidates of beam searches, for the host.
    pub(super) best: D::Pinned,
    /// Holds the number 1 for ever.
    pub(super) one: D::Pinned,
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
    /// Moved by the host.
    Held,
}

impl Slot {
    /// Whose the row is while steps are made for it.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        match self {
            Slot::Free | Slot::Reserved | Slot::Held => None,
            Slot::Row(sequence) => Some(sequence.ticket),
            Slot::Beam(ticket) => Some(*ticket),
        }
    }

    /// Whether there is something in the row's caches.
    pub(super) fn lives(&self) -> bool {
        !matches!(self, Slot::Free | Slot::Reserved)
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
    pub(super) step: u64,
    pub(super) rows: usize,
    pub(super) kind: StepKind,
    pub(super) tickets: Vec<Option<Ticket>>,
    pub(super) event: E,
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
        self.slots.iter().any(Slot::lives)
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

    /// The same, for the host to move itself.
    pub(super) fn hold(&mut self, count: usize) -> Option<Vec<usize>> {
        let rows = self.reserve(count)?;
        for row in &rows {
            self.slots[*row] = Slot::Held;
        }
        Some(rows)
    }

    /// Gives rows back.
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
        self.make_room(workspace, source.prompt, 0)?;
        let bucket = self.bucket(workspace)?;
        for row in rows {
            source.copy_to_row(workspace, &bucket, *row)?;
            let staging = self.staging.get_mut(*row).ok_or_else(|| failure("joining", "no such row"))?;
            begin(workspace, staging, *row, plan)?;
        }
        self.reset_masks(workspace)?;
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
        self.make_room(workspace, prompt, 0)?;
        let kind = match self.groups.values().map(|group| 2 * group.beams()).max() {
            None => StepKind::Greedy,
            Some(best) => StepKind::Beams { best },
        };
        let rows = self.run_step(workspace, networks, kind)?;
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

    /// Puts a step into the stream that leaves logits and chooses nothing. Returns how many rows they are of.
    pub(super) fn enqueue_silent_step(
        &mut self,
        workspace: &Workspace<D>,
        networks: &mut N,
    ) -> Result<usize, ModelError> {
        self.run_step(workspace, networks, StepKind::Silent)
    }

    /// Puts a step of all rows that live into the stream; returns its rows.
    fn run_step(
        &mut self,
        workspace: &Workspace<D>,
        networks: &mut N,
        kind: StepKind,
    ) -> Result<usize, ModelError> {
        let rows = smallest(&workspace.profiles.rows, self.live_rows());
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
        Ok(rows)
    }
}

/// What begins.
pub(super) enum Begun {
    Row(Ticket, Stopwatch),
    Beams(Box<BeamGroup>),
}
