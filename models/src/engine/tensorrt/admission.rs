//! From waiting to running: prompts are encoded beside the running batch, and their sequences begin between two of its
//! steps.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use belvedere_kernels::device::Device;

use super::Networks;
use super::beam_group::BeamGroup;
use super::cross_source::{CrossPlace, CrossSource};
use super::device_engine::DeviceEngine;
use super::open::smallest;
use super::pool::Lease;
use super::prompt_encoder::PromptItem;
use super::running_batch::Begun;
use super::waiting::{Waiting, WaitingSource};
use super::workspace::{failed, failure};
use crate::ModelError;
use crate::engine::Ticket;

/// Sequences on their way into the running batch, `E` marking places in streams.
pub(super) struct Admission<E> {
    /// In the order of joining, which is the order of beginning.
    pub(super) waiting: VecDeque<Waiting>,
    /// Prompts in the encoders' stream.
    encoding: Option<Encoding<E>>,
    /// Sequences that have begun, and the mark that their prompts are encoded, not yet seen to be passed.
    unseen: Option<(E, Vec<Ticket>)>,
    /// After the last copy out of the encoder's results and of kept prompts.
    copied: Option<E>,
}

impl<E> Default for Admission<E> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), encoding: None, unseen: None, copied: None }
    }
}

struct Encoding<E> {
    encoded: E,
    /// Tokens that the prompts are padded to.
    prompt: usize,
    begins: Vec<Begins>,
}

/// A sequence with a place, whose prompt is an item of the encoder's run.
struct Begins {
    item: usize,
    rows: Vec<usize>,
    waiting: Waiting,
}

impl<E> Admission<E> {
    /// Takes out a sequence that nobody wants any more; returns the rows that were promised to it.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Vec<usize> {
        self.waiting.retain(|waiting| waiting.ticket != ticket);
        let Some(encoding) = &mut self.encoding else { return Vec::new() };
        let at = encoding.begins.iter().position(|begins| begins.waiting.ticket == ticket);
        at.map(|at| encoding.begins.swap_remove(at).rows).unwrap_or_default()
    }
}

impl<D: Device, N: Networks<D>> DeviceEngine<D, N> {
    /// Lets everyone begin for whom there is a place.
    pub(super) fn admit(&mut self) -> Result<(), ModelError> {
        loop {
            if let Some(Encoding { encoded, .. }) = &self.admission.encoding {
                let device = &self.workspace.device;
                // Where nothing runs, the decoder's stream can as well wait for the encoder.
                if !self.batch.is_live() || device.is_past(encoded).map_err(failed("admitting"))? {
                    self.begin_encoded()?;
                }
            }
            let Some(first) = self.admission.waiting.front() else { break };
            let is_kept = matches!(first.source, WaitingSource::Kept { .. });
            if !is_kept && self.admission.encoding.is_some() {
                break;
            }
            let Some(rows) = self.batch.reserve(first.rows()) else { break };
            let Some(first) = self.admission.waiting.pop_front() else { break };
            match first.source.clone() {
                WaitingSource::Kept { memory, prompt } => self.begin_kept(first, &rows, &memory, prompt)?,
                WaitingSource::Prompt { .. } => self.encode_with(first, rows)?,
            }
        }
        if self.admission.encoding.is_some() && !self.batch.is_live() {
            self.begin_encoded()?;
            return self.admit();
        }
        Ok(())
    }

    /// Puts a sequence's prompt into the encoders' stream, with those of as many behind it as there are places for.
    fn encode_with(&mut self, first: Waiting, rows: Vec<usize>) -> Result<(), ModelError> {
        let most = smallest(&self.workspace.profiles.prompts, usize::MAX);
        let mut items: Vec<(Arc<Lease>, Arc<[u32]>)> = Vec::new();
        let mut begins = Vec::new();
        let mut next = Some((first, rows));
        while let Some((mut waiting, rows)) = next.take() {
            let WaitingSource::Prompt { features, prompt } = waiting.source.clone() else { break };
            // Several sequences may be about one prompt: judged answers, say.
            let same =
                |(known, text): &(Arc<Lease>, Arc<[u32]>)| Arc::ptr_eq(known, &features) && *text == prompt;
            let item = items.iter().position(same).unwrap_or(items.len());
            if item == items.len() {
                items.push((features, prompt));
            }
            waiting.clock.admit();
            begins.push(Begins { item, rows, waiting });
            let Some(waiting) = self.admission.waiting.front() else { break };
            let WaitingSource::Prompt { features, prompt } = &waiting.source else { break };
            let is_known = items.iter().any(|(known, text)| Arc::ptr_eq(known, features) && text == prompt);
            if !is_known && items.len() == most {
                break;
            }
            let Some(rows) = self.batch.reserve(waiting.rows()) else { break };
            next = self.admission.waiting.pop_front().map(|waiting| (waiting, rows));
        }
        self.await_copies()?;
        let slices = items.iter().map(|(lease, _)| self.features_slice(lease));
        let slices: Vec<_> = slices.collect::<Result<_, _>>()?;
        let prompts: Vec<PromptItem<'_>> = slices
            .iter()
            .zip(&items)
            .map(|(features, (_, prompt))| PromptItem { features: *features, prompt })
            .collect();
        let prompt = self.prompts.encode(&self.workspace, &mut self.networks, &prompts)?;
        let encoded = self.workspace.device.record(&self.workspace.encode).map_err(failed("admitting"))?;
        self.admission.encoding = Some(Encoding { encoded, prompt, begins });
        Ok(())
    }

    /// Lets the encoders' stream wait until nothing that it writes is still to be copied.
    pub(super) fn await_copies(&mut self) -> Result<(), ModelError> {
        match &self.admission.copied {
            Some(copied) => {
                let workspace = &self.workspace;
                workspace.device.stream_wait(&workspace.encode, copied).map_err(failed("admitting"))
            }
            None => Ok(()),
        }
    }

    /// Lets the sequences begin whose prompts are in the encoders' stream; the decoder's stream waits for them.
    pub(super) fn begin_encoded(&mut self) -> Result<(), ModelError> {
        let Some(Encoding { encoded, prompt, begins }) = self.admission.encoding.take() else {
            return Ok(());
        };
        let device = &self.workspace.device;
        let is_past = device.is_past(&encoded).map_err(failed("admitting"))?;
        let now = Instant::now();
        device.stream_wait(&self.workspace.decode, &encoded).map_err(failed("admitting"))?;
        let mut tickets = Vec::new();
        for Begins { item, rows, mut waiting } in begins {
            if is_past {
                waiting.clock.encode(now);
            }
            tickets.push(waiting.ticket);
            let source = CrossSource { prompt, place: CrossPlace::Encoded(item) };
            self.begin(waiting, &rows, &source)?;
        }
        if !is_past {
            self.admission.unseen = Some((encoded, tickets));
        }
        self.mark_copied()
    }

    fn begin_kept(
        &mut self,
        mut waiting: Waiting,
        rows: &[usize],
        memory: &Lease,
        prompt: usize,
    ) -> Result<(), ModelError> {
        let slice = self.kept.get(&prompt).and_then(|pool| pool.slice(memory));
        let slice = slice.ok_or_else(|| failure("resuming a kept prompt", "it has no memory"))?;
        waiting.clock.admit();
        self.begin(waiting, rows, &CrossSource { prompt, place: CrossPlace::Kept(slice) })?;
        self.mark_copied()
    }

    fn begin(
        &mut self,
        Waiting { ticket, clock, plan, search, .. }: Waiting,
        rows: &[usize],
        source: &CrossSource,
    ) -> Result<(), ModelError> {
        let begun = match search {
            None => Begun::Row(ticket, clock),
            Some((search, _)) => {
                let prefix = plan.prefix.len();
                Begun::Beams(Box::new(BeamGroup::new(ticket, clock, rows.to_vec(), search, prefix)))
            }
        };
        self.batch.begin(&self.workspace, rows, source, &plan, begun)
    }

    fn mark_copied(&mut self) -> Result<(), ModelError> {
        let workspace = &self.workspace;
        let copied = workspace.device.record(&workspace.decode).map_err(failed("admitting"))?;
        self.admission.copied = Some(copied);
        Ok(())
    }

    /// Waits for the encoder where sequences have begun that nobody saw encoded, so that its time is told from that of
    /// their steps.
    pub(super) fn note_encoded(&mut self) -> Result<(), ModelError> {
        let Some((encoded, tickets)) = self.admission.unseen.take() else { return Ok(()) };
        self.workspace.device.wait(&encoded).map_err(failed("waiting for the encoder"))?;
        self.batch.encoded(&tickets, Instant::now());
        Ok(())
    }
}
