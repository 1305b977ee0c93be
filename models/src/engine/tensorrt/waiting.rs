//! Sequences that wait for a place in the running batch.

use std::sync::Arc;

use super::pool::Lease;
use super::sequence::{RowPlan, Stopwatch};
use crate::decode::BeamSearch;
use crate::engine::Ticket;

/// A sequence that has joined and does not run yet.
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    pub(super) clock: Stopwatch,
    pub(super) source: WaitingSource,
    pub(super) plan: RowPlan,
    /// A beam search, with its number of beams.
    pub(super) search: Option<(BeamSearch, usize)>,
}

impl Waiting {
    /// Rows that it takes.
    pub(super) fn rows(&self) -> usize {
        self.search.as_ref().map_or(1, |(_, beams)| *beams)
    }
}

/// What it is going to attend to, held until it has been copied.
#[derive(Clone)]
pub(super) enum WaitingSource {
    Prompt { features: Arc<Lease>, prompt: Arc<[u32]> },
    Kept { memory: Arc<Lease>, prompt: usize },
}
