//! Beam searches in the running batch. Each beam has a row with the item's cross caches of its own, so that a search needs
//! no profiles that sequences do not need anyway; it reads them once for each beam instead of once.

use belvedere_kernels::device::{Device, PinnedMemory};
use belvedere_kernels::launch::BestToken;

use super::Networks;
use super::row_state::go_on;
use super::running_batch::{Enqueued, RunningBatch, Slot};
use super::sequence::Stopwatch;
use super::step_kernels::{StepKind, candidates, reorder};
use super::workspace::{Workspace, failed};
use crate::ModelError;
use crate::decode::{BeamSearch, Finished, Generation, Turn};
use crate::engine::{Ended, Ticket};

/// A search and the rows of its beams.
#[derive(Debug)]
pub(super) struct BeamGroup {
    pub(super) ticket: Ticket,
    pub(super) clock: Stopwatch,
    rows: Vec<usize>,
    search: BeamSearch,
    /// Tokens that are not the model's choice.
    prefix: usize,
    /// Steps made.
    fed: usize,
}

impl BeamGroup {
    pub(super) fn new(
        ticket: Ticket,
        clock: Stopwatch,
        rows: Vec<usize>,
        search: BeamSearch,
        prefix: usize,
    ) -> BeamGroup {
        BeamGroup { ticket, clock, rows, search, prefix, fed: 0 }
    }

    pub(super) fn beams(&self) -> usize {
        self.rows.len()
    }

    /// Places in the caches that the next step needs.
    pub(super) fn next_places(&self) -> usize {
        self.fed + 1
    }

    /// The step that comes next, 0 being the first whose token is free.
    pub(super) fn last_step(&self) -> usize {
        (self.fed + 1).saturating_sub(self.prefix)
    }
}

impl<D: Device, N: Networks<D>> RunningBatch<D, N> {
    /// Goes on with all searches that a step was made for, which was the last in the stream.
    pub(super) fn advance_groups(
        &mut self,
        workspace: &Workspace<D>,
        step: &Enqueued<D::Event>,
        ended: &mut Vec<Ended>,
    ) -> Result<(), ModelError> {
        let StepKind::Beams { best: count } = step.kind else { return Ok(()) };
        let mut parents: Vec<i32> = (0..step.rows as i32).collect();
        let mut over = Vec::new();
        let mut continued: Vec<(usize, Vec<u32>)> = Vec::new();
        let groups = self.groups.iter_mut().filter(|(ticket, _)| step.tickets.contains(&Some(**ticket)));
        for (ticket, group) in groups {
            group.fed += 1;
            group.clock.step(group.fed + 1, group.prefix);
            if group.fed < group.prefix {
                // The device has put the forced token there.
                continue;
            }
            let best: Vec<Vec<(f32, u32)>> = group
                .rows
                .iter()
                .map(|row| {
                    let mut bytes = vec![0; count * BestToken::BYTES];
                    let read = self.best.read(row * bytes.len(), &mut bytes);
                    read.map_err(failed("reading the candidates of a beam search"))?;
                    Ok(candidates(&bytes))
                })
                .collect::<Result<_, ModelError>>()?;
            match group.search.advance_best(&best) {
                Turn::Finished(Finished { token_ids, log_probs }) => {
                    over.push((*ticket, Generation { token_ids, log_probs, timing: group.clock.stop() }));
                }
                Turn::Continue(next) => {
                    for (row, next) in group.rows.iter().zip(&next) {
                        let parent = group.rows.get(next.parent).copied().unwrap_or(*row);
                        if let Some(place) = parents.get_mut(*row) {
                            *place = parent as i32;
                        }
                    }
                    let sequences = group.search.sequences().map(<[u32]>::to_vec);
                    continued.extend(group.rows.iter().copied().zip(sequences));
                }
            }
        }
        if parents.iter().enumerate().any(|(row, parent)| *parent != row as i32) {
            let bucket = self.bucket(workspace)?;
            reorder(workspace, &mut self.shared_staging, &bucket, &parents)?;
        }
        for (row, tokens) in continued {
            if let (Some(staging), Some(Slot::Beam(_))) = (self.staging.get_mut(row), self.slots.get(row)) {
                go_on(workspace, staging, row, &tokens)?;
            }
        }
        for (ticket, generation) in over {
            self.leave(workspace, ticket)?;
            ended.push(Ended { ticket, result: Ok(generation) });
        }
        Ok(())
    }
}
