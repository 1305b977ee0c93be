//! Logits for the host, one step at a time: for what compares engines, not for answering.

use belvedere_kernels::device::{Device, Memory, PinnedMemory};

use super::cross_source::{CrossPlace, CrossSource};
use super::device_engine::DeviceEngine;
use super::memory_plan::Purpose;
use super::open::smallest;
use super::prompt_encoder::PromptItem;
use super::row_state::go_on;
use super::step_kernels::reorder;
use super::workspace::{failed, failure};
use super::{Networks, workspace::Workspace};
use crate::ModelError;
use crate::engine::{BatchLimits, DecodeBatch, Logits, NextRow};

/// Rows of the running batch that the host moves itself. Sequences in flight stand still meanwhile: a step without a
/// choice at its end leaves them as they are.
pub(super) struct DeviceBatch<'e, D: Device, N: Networks<D>> {
    engine: &'e mut DeviceEngine<D, N>,
    limits: BatchLimits,
    /// Rows that belong to each item.
    places: Vec<Vec<usize>>,
    /// Of the last call: item, row of the batch, and what was fed.
    rows: Vec<(usize, usize, Vec<u32>)>,
    on_host: D::Pinned,
    logits: Vec<f32>,
    /// A row has had logits that are not numbers, and so may have its caches.
    is_spoiled: bool,
}

impl<'e, D: Device, N: Networks<D>> DeviceBatch<'e, D, N> {
    /// With one item for each of `sources`.
    pub(super) fn new(
        engine: &'e mut DeviceEngine<D, N>,
        items: usize,
        limits: BatchLimits,
    ) -> Result<Self, ModelError> {
        let bytes = engine.batch.slots.len() * engine.workspace.shape.columns * 4;
        let on_host = engine.workspace.device.pinned(bytes).map_err(failed("reserving pinned memory"))?;
        let (places, rows, logits) = (Vec::with_capacity(items), Vec::new(), Vec::new());
        let mut batch = Self { engine, limits, places, rows, on_host, logits, is_spoiled: false };
        for _ in 0..items {
            let places = batch.engine.batch.hold(limits.beams).ok_or_else(|| {
                let have = batch.engine.batch.slots.len();
                let reason = format!("{items} items of {} rows each, with {have} in all", limits.beams);
                ModelError::Request { what: "batch", reason }
            })?;
            batch.places.push(places);
        }
        Ok(batch)
    }

    /// Encodes prompts, one for each item.
    pub(super) fn encode(&mut self, prompts: &[PromptItem<'_>]) -> Result<(), ModelError> {
        let encoded = self.encode_all(prompts);
        self.engine.unless_lost(encoded)
    }

    fn encode_all(&mut self, prompts: &[PromptItem<'_>]) -> Result<(), ModelError> {
        let at_once = smallest(&self.engine.workspace.profiles.prompts, usize::MAX);
        for (chunk, prompts) in prompts.chunks(at_once).enumerate() {
            let engine = &mut *self.engine;
            engine.begin_waiting()?;
            engine.await_copies()?;
            let prompt = engine.prompts.encode(&engine.workspace, &mut engine.networks, prompts)?;
            let Workspace { device, encode, decode, .. } = &engine.workspace;
            let encoded = device.record(encode).map_err(failed("decode"))?;
            device.stream_wait(decode, &encoded).map_err(failed("decode"))?;
            for item in 0..prompts.len() {
                self.attend(
                    chunk * at_once + item,
                    &CrossSource { prompt, place: CrossPlace::Encoded(item) },
                )?;
            }
        }
        Ok(())
    }

    /// Lets an item's rows attend to what was encoded.
    pub(super) fn attend(&mut self, item: usize, source: &CrossSource) -> Result<(), ModelError> {
        let engine = &mut *self.engine;
        engine.batch.make_room(&engine.workspace, source.prompt, 0)?;
        let bucket = engine.batch.bucket(&engine.workspace)?;
        for row in self.places.get(item).into_iter().flatten() {
            source.copy_to_row(&engine.workspace, &bucket, *row)?;
        }
        engine.mark_copied()
    }

    /// Feeds the last token of each of `self.rows`, whose caches hold the others, and gives their logits.
    fn run(&mut self) -> Result<(), ModelError> {
        let ran = self.run_rows();
        self.is_spoiled |= self.logits.iter().any(|logit| !logit.is_finite());
        self.engine.unless_lost(ran)
    }

    fn run_rows(&mut self) -> Result<(), ModelError> {
        let engine = &mut *self.engine;
        let workspace = &engine.workspace;
        let longest = self.rows.iter().map(|(_, _, tokens)| tokens.len()).max().unwrap_or(0);
        if longest == 0 || longest >= self.limits.max_length {
            let reason = format!("{longest} tokens, the batch was started for {}", self.limits.max_length);
            return Err(failure("decode", reason));
        }
        let prompt = engine.batch.bucket(workspace)?.prompt;
        engine.batch.make_room(workspace, prompt, longest)?;
        for place in self.places.iter().flatten() {
            let row = self.rows.iter().find(|(_, row, _)| row == place);
            match (row, engine.batch.staging.get_mut(*place)) {
                (Some((_, row, tokens)), Some(staging)) => go_on(workspace, staging, *row, tokens)?,
                _ => engine.batch.stop(workspace, *place)?,
            }
        }
        engine.batch.reset_masks(workspace)?;
        let rows = engine.batch.enqueue_silent_step(workspace, &mut engine.networks)?;
        let columns = workspace.shape.columns;
        let from = workspace.first(Purpose::Logits, rows * columns * 4)?;
        let to = self.on_host.slice().part(0, from.bytes()).map_err(failed("reading logits"))?;
        workspace.copy(to, from)?;
        let doing = "reading logits";
        let event = workspace.device.record(&workspace.decode).map_err(failed(doing))?;
        workspace.device.wait(&event).map_err(failed(doing))?;
        let mut bytes = vec![0; columns * 4];
        for (_, row, _) in &self.rows {
            self.on_host.read(row * bytes.len(), &mut bytes).map_err(failed(doing))?;
            self.logits.extend(bytes.as_chunks().0.iter().map(|value| f32::from_ne_bytes(*value)));
        }
        Ok(())
    }

    fn columns(&self) -> usize {
        self.engine.workspace.shape.columns
    }
}

impl<D: Device, N: Networks<D>> DecodeBatch for DeviceBatch<'_, D, N> {
    fn prefill(&mut self, tokens: &[u32]) -> Result<Logits<'_>, ModelError> {
        if tokens.is_empty() || !self.rows.is_empty() {
            return Err(failure("decode", "prefill needs tokens and comes first"));
        }
        for length in 1..=tokens.len() {
            let first =
                self.places.iter().enumerate().filter_map(|(item, places)| {
                    Some((item, *places.first()?, tokens.get(..length)?.to_vec()))
                });
            self.rows = first.collect();
            self.logits.clear();
            self.run()?;
        }
        let columns = self.columns();
        Ok(Logits::new(&mut self.logits, columns))
    }

    fn force(&mut self, sequences: &[&[u32]], rows_per_item: usize) -> Result<Logits<'_>, ModelError> {
        let is_right = sequences.len() == self.places.len() * rows_per_item
            && (1..=self.limits.beams).contains(&rows_per_item)
            && sequences.iter().all(|sequence| !sequence.is_empty());
        if !is_right || !self.rows.is_empty() {
            let reason = "force comes alone, with as many sequences as there are rows, and none empty";
            return Err(failure("decode", reason));
        }
        let columns = self.columns();
        let longest = sequences.iter().map(|sequence| sequence.len()).max().unwrap_or(0);
        let mut all = vec![0.0; sequences.len() * longest * columns];
        for length in 1..=longest {
            let fed = sequences.iter().enumerate().filter_map(|(index, sequence)| {
                let (item, beam) = (index / rows_per_item, index % rows_per_item);
                let row = *self.places.get(item)?.get(beam)?;
                Some((index, (item, row, sequence.get(..length)?.to_vec())))
            });
            let (indices, rows): (Vec<usize>, Vec<_>) = fed.unzip();
            self.rows = rows;
            self.logits.clear();
            self.run()?;
            for (index, from) in indices.into_iter().zip(self.logits.chunks_exact(columns)) {
                let at = (index * longest + length - 1) * columns;
                if let Some(to) = all.get_mut(at..at + columns) {
                    to.copy_from_slice(from);
                }
            }
        }
        self.logits = all;
        Ok(Logits::new(&mut self.logits, columns))
    }

    fn step(&mut self, rows: &[NextRow]) -> Result<Logits<'_>, ModelError> {
        let refuse =
            || failure("decode", "rows must stand together by item, as many for each, at most the beams");
        let mut next: Vec<(usize, usize, Vec<u32>)> = Vec::with_capacity(rows.len());
        let mut parents: Vec<i32> = (0..self.engine.batch.slots.len() as i32).collect();
        for NextRow { parent, token } in rows {
            let (item, from, tokens) = self.rows.get(*parent).ok_or_else(refuse)?;
            let beam = next.iter().filter(|(other, _, _)| other == item).count();
            let row = self.places.get(*item).and_then(|places| places.get(beam)).ok_or_else(refuse)?;
            if let Some(place) = parents.get_mut(*row) {
                *place = *from as i32;
            }
            next.push((*item, *row, [tokens.as_slice(), &[*token]].concat()));
        }
        let groups: Vec<usize> = next.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len).collect();
        let items: Vec<usize> = next.chunk_by(|a, b| a.0 == b.0).map(|group| group[0].0).collect();
        let ascending = items.windows(2).all(|pair| pair[0] < pair[1]);
        if next.is_empty() || !ascending || groups.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(refuse());
        }
        if parents.iter().enumerate().any(|(row, parent)| *parent != row as i32) {
            let bucket = self.engine.batch.bucket(&self.engine.workspace)?;
            let engine = &mut *self.engine;
            reorder(&engine.workspace, &mut engine.batch.shared_staging, &bucket, &parents)?;
        }
        self.rows = next;
        self.logits.clear();
        self.run()?;
        let columns = self.columns();
        Ok(Logits::new(&mut self.logits, columns))
    }
}

impl<D: Device, N: Networks<D>> Drop for DeviceBatch<'_, D, N> {
    fn drop(&mut self) {
        for place in self.places.iter().flatten() {
            // Where the device refuses, it refuses everything that follows too.
            let _ = self.engine.batch.stop(&self.engine.workspace, *place);
            if self.is_spoiled {
                let _ = self.engine.batch.wipe(&self.engine.workspace, *place);
            }
        }
        for places in std::mem::take(&mut self.places) {
            self.engine.batch.free(&places);
        }
        // The steps have opened the place of the next token in the masks of sequences that stood still.
        let _ = self.engine.batch.reset_masks(&self.engine.workspace);
    }
}
