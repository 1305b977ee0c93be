use std::borrow::Cow;

use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

use super::caches::{MASKED, SelfCaches};
use super::session::failure;
use crate::ModelError;
use crate::engine::{BatchLimits, DecodeBatch, Logits, NextRow, StepRows};

/// Self-attention caches that are kept from one batch for the next: those of 28 short answers of full-size base.
const KEPT_CACHES_BYTES: usize = 64 << 20;
/// Room for logits that is kept: 80 rows of the published vocabulary.
const KEPT_LOGITS_BYTES: usize = 16 << 20;

/// Cross keys and values of a batch, `[items, heads, source, head_dim]` each, and their mask `[items, 1, 1, source]`.
#[derive(Debug, Default)]
pub(super) struct CrossCaches {
    /// Key and value of layer 0, of layer 1, …
    pub(super) tensors: Vec<Vec<f32>>,
    pub(super) mask: Vec<f32>,
    pub(super) source: usize,
}

impl CrossCaches {
    /// One after the other, those with a shorter source padded with places that are masked: `heads` and `head_dim` are
    /// the decoder's. `None` for nothing at all.
    pub(super) fn joined(parts: &[&CrossCaches], heads: usize, head_dim: usize) -> Option<CrossCaches> {
        let source = parts.iter().map(|part| part.source).max()?;
        let tensors = parts.first()?.tensors.len();
        let mut joined = CrossCaches {
            tensors: vec![Vec::new(); tensors],
            mask: Vec::with_capacity(parts.len() * source),
            source,
        };
        for part in parts {
            joined.mask.extend_from_slice(&part.mask);
            joined.mask.resize(joined.mask.len() + source - part.source, MASKED);
            for (to, from) in joined.tensors.iter_mut().zip(&part.tensors) {
                to.reserve(heads * source * head_dim);
                for head in from.chunks_exact((part.source * head_dim).max(1)) {
                    to.extend_from_slice(head);
                    to.resize(to.len() + (source - part.source) * head_dim, 0.0);
                }
            }
        }
        Some(joined)
    }
}

/// The decoder session with everything that stays between its runs.
#[derive(Debug)]
pub(super) struct Decoder {
    pub(super) session: Session,
    pub(super) names: Names,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) head_dim: usize,
    pub(super) columns: usize,
    pub(super) caches: SelfCaches,
    pub(super) cross: CrossCaches,
    pub(super) logits: Vec<f32>,
}

/// Names of the decoder's inputs and outputs, made once.
#[derive(Debug)]
pub(super) struct Names {
    past: Vec<String>,
    cross: Vec<String>,
    new: Vec<String>,
}

impl Names {
    pub(super) fn new(layers: usize) -> Self {
        let both = |kind: &str| -> Vec<String> {
            (0..layers).flat_map(|l| [format!("{kind}_key.{l}"), format!("{kind}_value.{l}")]).collect()
        };
        Self { past: both("past"), cross: both("cross"), new: both("new") }
    }

    pub(super) fn cross(&self) -> &[String] {
        &self.cross
    }
}

/// Sequences being decoded by the `ort` engine.
pub(super) struct OrtBatch<'e> {
    decoder: &'e mut Decoder,
    limits: BatchLimits,
    items: usize,
    /// Rows of the last run, for each item.
    rows_per_item: usize,
    ids: Vec<i64>,
    positions: Vec<i64>,
}

impl<'e> OrtBatch<'e> {
    pub(super) fn new(decoder: &'e mut Decoder, items: usize, limits: BatchLimits) -> Self {
        decoder.caches.reset(items * limits.beams);
        Self { decoder, limits, items, rows_per_item: 0, ids: Vec::new(), positions: Vec::new() }
    }

    /// Runs `tokens` new tokens for every row; `self.ids` holds them.
    fn run(&mut self, tokens: usize, wanted: Wanted) -> Result<Logits<'_>, ModelError> {
        let rows = self.items * self.rows_per_item;
        let from = self.decoder.caches.length();
        // The prefill has a row an item, and the steps after it one for each beam.
        let most_rows = self.items * self.limits.beams;
        if from + tokens >= self.limits.max_length || !self.decoder.caches.make_room(tokens, most_rows) {
            return Err(refusal(format!("{} tokens are more than the batch was started for", from + tokens)));
        }
        self.positions.clear();
        for _ in 0..rows {
            self.positions.extend((from..from + tokens).map(|position| position as i64));
        }
        self.decoder.run([self.items, rows, tokens], &self.ids, &self.positions, wanted)?;
        Ok(Logits::new(&mut self.decoder.logits, self.decoder.columns))
    }

    /// Drops the items that no row belongs to any more.
    fn keep_items(&mut self, keep: &[usize]) {
        if keep.len() == self.items {
            return;
        }
        let cross = &mut self.decoder.cross;
        let items = self.items;
        for tensor in cross.tensors.iter_mut().chain([&mut cross.mask]) {
            let size = tensor.len() / items.max(1);
            for (to, from) in keep.iter().enumerate() {
                if to != *from {
                    tensor.copy_within(from * size..(from + 1) * size, to * size);
                }
            }
            tensor.truncate(keep.len() * size);
        }
        self.items = keep.len();
    }
}

impl Drop for OrtBatch<'_> {
    /// Large buffers go back to the system: a crowded picture is rare, and the process lives long.
    fn drop(&mut self) {
        self.decoder.cross = CrossCaches::default();
        self.decoder.caches.give_back_above(KEPT_CACHES_BYTES);
        if self.decoder.logits.capacity() * size_of::<f32>() > KEPT_LOGITS_BYTES {
            self.decoder.logits = Vec::new();
        }
    }
}

/// Whose logits a run is to give.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The last new token's.
    Last,
    /// Those of all new tokens.
    All,
}

impl Decoder {
    fn run(
        &mut self,
        [items, rows, tokens]: [usize; 3],
        ids: &[i64],
        positions: &[i64],
        wanted: Wanted,
    ) -> Result<(), ModelError> {
        let doing = "running graph decoder";
        let shape = |sides: [usize; 4]| sides.map(|side| side as i64).to_vec();
        let capacity = self.caches.capacity();
        let past = shape([rows, self.heads, capacity, self.head_dim]);
        let cross = shape([items, self.heads, self.cross.source, self.head_dim]);

        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::with_capacity(5 + 4 * self.layers);
        let sides = vec![rows as i64, tokens as i64];
        for (name, values) in [("input_ids", ids), ("positions", positions)] {
            let tensor = TensorRef::from_array_view((sides.clone(), values)).map_err(failure(doing))?;
            inputs.push((name.into(), tensor.into()));
        }
        let (first_logit, logit_rows) = match wanted {
            Wanted::Last => ([-1_i64], rows),
            Wanted::All => ([0], rows * tokens),
        };
        let tensor =
            TensorRef::from_array_view(([1_usize], first_logit.as_slice())).map_err(failure(doing))?;
        inputs.push(("first_logit".into(), tensor.into()));
        let mut floats = |name: &str, sides: &[i64], values| -> Result<_, ModelError> {
            let tensor = TensorRef::from_array_view((sides.to_vec(), values)).map_err(failure(doing))?;
            inputs.push((name.to_owned().into(), tensor.into()));
            Ok(())
        };
        floats("past_mask", &shape([rows, 1, 1, capacity]), self.caches.mask(rows))?;
        floats("cross_mask", &shape([items, 1, 1, self.cross.source]), &self.cross.mask)?;
        for (index, (past_name, cross_name)) in self.names.past.iter().zip(&self.names.cross).enumerate() {
            floats(past_name, &past, self.caches.tensor(index, rows))?;
            floats(cross_name, &cross, self.cross.tensors.get(index).map_or(&[], Vec::as_slice))?;
        }

        let mut outputs = self.session.run(inputs).map_err(failure(doing))?;
        for (index, name) in self.names.new.iter().enumerate() {
            let output = outputs.get(name.as_str()).ok_or_else(|| refusal(format!("no output {name}")))?;
            let (_, values) = output.try_extract_tensor::<f32>().map_err(failure(doing))?;
            self.caches.append(index, tokens, values);
        }
        self.caches.advance(tokens);
        let logits = outputs.get_mut("logits").ok_or_else(|| refusal("no output logits".to_owned()))?;
        let (_, values) = logits.try_extract_tensor::<f32>().map_err(failure(doing))?;
        if values.len() != logit_rows * self.columns {
            return Err(refusal(format!(
                "{} logits for {logit_rows} rows of {}",
                values.len(),
                self.columns
            )));
        }
        self.logits.clear();
        self.logits.extend_from_slice(values);
        Ok(())
    }
}

impl DecodeBatch for OrtBatch<'_> {
    fn prefill(&mut self, tokens: &[u32]) -> Result<Logits<'_>, ModelError> {
        if tokens.is_empty() || self.rows_per_item != 0 {
            return Err(refusal("prefill needs tokens and comes first".to_owned()));
        }
        self.rows_per_item = 1;
        self.ids.clear();
        for _ in 0..self.items {
            self.ids.extend(tokens.iter().map(|token| i64::from(*token)));
        }
        self.run(tokens.len(), Wanted::Last)
    }

    fn force(&mut self, sequences: &[&[u32]], rows_per_item: usize) -> Result<Logits<'_>, ModelError> {
        let longest = sequences.iter().map(|sequence| sequence.len()).max().unwrap_or(0);
        let is_right = sequences.len() == self.items * rows_per_item
            && (1..=self.limits.beams).contains(&rows_per_item)
            && sequences.iter().all(|sequence| !sequence.is_empty());
        if !is_right || self.rows_per_item != 0 {
            let reason = "force comes alone, with as many sequences as there are rows, and none empty";
            return Err(refusal(reason.to_owned()));
        }
        self.rows_per_item = rows_per_item;
        self.ids.clear();
        for sequence in sequences {
            self.ids.extend(sequence.iter().map(|token| i64::from(*token)));
            // Later tokens are not seen by earlier ones: any may stand behind the end.
            self.ids.resize(self.ids.len() + longest - sequence.len(), 1);
        }
        self.run(longest, Wanted::All)
    }

    fn step(&mut self, rows: &[NextRow]) -> Result<Logits<'_>, ModelError> {
        if self.rows_per_item == 0 {
            return Err(refusal("a step before the prefill".to_owned()));
        }
        let step = StepRows::new(rows, self.items, self.rows_per_item, self.limits.beams);
        let step = step.ok_or_else(|| refusal(StepRows::RULE.to_owned()))?;
        let parents: Vec<usize> = rows.iter().map(|row| row.parent).collect();
        self.decoder.caches.select(&parents);
        self.keep_items(&step.items);
        self.rows_per_item = step.rows_per_item;
        self.ids.clear();
        self.ids.extend(rows.iter().map(|row| i64::from(row.token)));
        self.run(1, Wanted::Last)
    }
}

fn refusal(reason: String) -> ModelError {
    ModelError::Engine { engine: "ort", doing: "decode".to_owned(), reason }
}
