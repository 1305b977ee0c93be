//! An engine whose logits come from a function of each row's history: for tests of everything above engines.

use std::sync::{Arc, Weak};

use super::{
    BatchLimits, CancelToken, DecodeBatch, Engine, ImageFeatures, KeptPrompt, Logits, NextRow, Pixels,
    StepRows,
};
use crate::ModelError;

/// Logits for one row: from the prompt and the tokens decoded so far, the start token included.
pub type Script = dyn Fn(&[u32], &[u32]) -> Vec<f32> + Send;

/// Runs a [`Script`] instead of a model. It keeps the contract of [`DecodeBatch`] and refuses callers that break it.
pub struct ScriptedEngine {
    script: Box<Script>,
    columns: usize,
    /// Rows of every call so far, the prefill's included.
    pub rows_per_call: Vec<usize>,
    /// Prompts that it has room to keep at the same time.
    pub room: usize,
    kept: Vec<Weak<Vec<u32>>>,
}

impl ScriptedEngine {
    /// An engine that answers every row with `columns` logits from `script`.
    pub fn new(columns: usize, script: impl Fn(&[u32], &[u32]) -> Vec<f32> + Send + 'static) -> Self {
        Self {
            script: Box::new(script),
            columns,
            rows_per_call: Vec::new(),
            room: usize::MAX,
            kept: Vec::new(),
        }
    }

    /// Features of no picture.
    pub fn features() -> ImageFeatures {
        ImageFeatures::new(1, 1, Arc::new(()))
    }
}

impl Engine for ScriptedEngine {
    fn description(&self) -> String {
        "scripted".to_owned()
    }

    fn precision(&self) -> &'static str {
        "exact"
    }

    fn encode_image(&mut self, _: Pixels<'_>, cancel: &CancelToken) -> Result<ImageFeatures, ModelError> {
        cancel.check()?;
        Ok(Self::features())
    }

    fn start<'e>(
        &'e mut self,
        _: &ImageFeatures,
        prompts: &[&[u32]],
        limits: BatchLimits,
        cancel: &CancelToken,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        cancel.check()?;
        let prompts = prompts.iter().map(|prompt| prompt.to_vec()).collect();
        Ok(Box::new(ScriptedBatch { engine: self, prompts, limits, rows: Vec::new(), logits: Vec::new() }))
    }

    fn keep(
        &mut self,
        _: &ImageFeatures,
        prompt: &[u32],
        cancel: &CancelToken,
    ) -> Result<KeptPrompt, ModelError> {
        cancel.check()?;
        self.kept.retain(|kept| kept.strong_count() > 0);
        if self.kept.len() >= self.room {
            let (doing, reason) = ("keeping a prompt".to_owned(), "no room is left".to_owned());
            return Err(ModelError::Engine { engine: "scripted", doing, reason });
        }
        let kept = Arc::new(prompt.to_vec());
        self.kept.push(Arc::downgrade(&kept));
        Ok(KeptPrompt::new(kept))
    }

    fn resume<'e>(
        &'e mut self,
        prompts: &[&KeptPrompt],
        limits: BatchLimits,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        let prompts: Option<Vec<Vec<u32>>> = prompts.iter().map(|kept| kept.storage().cloned()).collect();
        let prompts = prompts.ok_or_else(|| refusal("a prompt of another engine"))?;
        Ok(Box::new(ScriptedBatch { engine: self, prompts, limits, rows: Vec::new(), logits: Vec::new() }))
    }
}

struct ScriptedBatch<'e> {
    engine: &'e mut ScriptedEngine,
    prompts: Vec<Vec<u32>>,
    limits: BatchLimits,
    /// Item and history of every row of the last call.
    rows: Vec<(usize, Vec<u32>)>,
    logits: Vec<f32>,
}

impl ScriptedBatch<'_> {
    fn run(&mut self) -> Result<Logits<'_>, ModelError> {
        self.logits.clear();
        for (item, history) in &self.rows {
            if history.len() >= self.limits.max_length {
                return Err(refusal("a row is longer than the limit"));
            }
            let prompt = self.prompts.get(*item).map_or(&[][..], Vec::as_slice);
            let mut row = (self.engine.script)(prompt, history);
            row.resize(self.engine.columns, 0.0);
            self.logits.append(&mut row);
        }
        self.engine.rows_per_call.push(self.rows.len());
        Ok(Logits::new(&mut self.logits, self.engine.columns))
    }
}

impl DecodeBatch for ScriptedBatch<'_> {
    fn prefill(&mut self, tokens: &[u32]) -> Result<Logits<'_>, ModelError> {
        if tokens.is_empty() || !self.rows.is_empty() {
            return Err(refusal("prefill needs tokens and comes first"));
        }
        self.rows = (0..self.prompts.len()).map(|item| (item, tokens.to_vec())).collect();
        self.run()
    }

    fn force(&mut self, sequences: &[&[u32]], rows_per_item: usize) -> Result<Logits<'_>, ModelError> {
        if !self.rows.is_empty() || sequences.len() != self.prompts.len() * rows_per_item {
            return Err(refusal("force comes alone, with as many sequences as there are rows"));
        }
        let longest = sequences.iter().map(|sequence| sequence.len()).max().unwrap_or(0);
        self.logits.clear();
        for (row, sequence) in sequences.iter().enumerate() {
            let prompt = self.prompts.get(row / rows_per_item).map_or(&[][..], Vec::as_slice);
            for position in 0..longest {
                let history = sequence.get(..=position).unwrap_or(sequence);
                let mut logits = (self.engine.script)(prompt, history);
                logits.resize(self.engine.columns, 0.0);
                self.logits.append(&mut logits);
            }
        }
        self.engine.rows_per_call.push(sequences.len());
        Ok(Logits::new(&mut self.logits, self.engine.columns))
    }

    fn step(&mut self, rows: &[NextRow]) -> Result<Logits<'_>, ModelError> {
        // All items of a call have as many rows.
        let items = self.rows.chunk_by(|a, b| a.0 == b.0).count();
        let per_item = self.rows.len().checked_div(items).unwrap_or(0);
        if StepRows::new(rows, items, per_item, self.limits.beams).is_none() {
            return Err(refusal(StepRows::RULE));
        }
        let next: Option<Vec<_>> = rows
            .iter()
            .map(|row| {
                let (item, history) = self.rows.get(row.parent)?;
                Some((*item, history.iter().copied().chain([row.token]).collect()))
            })
            .collect();
        self.rows = next.ok_or_else(|| refusal("a parent that is not a row"))?;
        self.run()
    }
}

fn refusal(reason: &str) -> ModelError {
    ModelError::Engine { engine: "scripted", doing: "decode".to_owned(), reason: reason.to_owned() }
}
