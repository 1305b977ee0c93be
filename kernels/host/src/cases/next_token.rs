//! `next_token_scan` and `next_token_choose`.

use std::collections::BTreeSet;

use belvedere_kernels::launch::{ChosenToken, DecodeState, NextToken, RowLimits, RowMode};

use super::{Machine, bytes_of, same, values_of};
use crate::random::Random;

/// A row as the reference keeps it.
struct Row {
    tokens: Vec<u32>,
    forced: Vec<i32>,
    limits: RowLimits,
    done: bool,
    /// Of the token to be fed.
    position: usize,
}

struct Rules {
    ngram: usize,
    eos: u32,
    vocabulary: usize,
}

/// Runs a batch of random rows for some steps on random logits, and compares the whole state and every entry of the ring with
/// rows that are decoded one by one.
///
/// # Errors
/// What differs, or what the machine says.
pub fn next_token(machine: &mut dyn Machine, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let rows = 1 + random.below(5) + 40 * (random.below(20) / 19);
    let most = random.one_of(&[5, 300, 5000]);
    let vocabulary = 1 + random.below(most);
    let columns = vocabulary + random.below(3) * random.below(100);
    let history_length = 2 + random.below(40);
    let ring_steps = 1 << random.below(3);
    let rules = Rules { ngram: random.below(5), eos: random.below(vocabulary) as u32, vocabulary };
    let few = 1 + random.below(vocabulary.min(4));
    let mut batch: Vec<Row> =
        (0..rows).map(|_| random_row(&mut random, &rules, history_length, few)).collect();
    let what =
        format!("seed {seed}: {rows} rows, {vocabulary} of {columns} columns, history {history_length}");

    let words = |error: belvedere_kernels::KernelError| error.to_string();
    let memory = machine.put(&vec![0; DecodeState::bytes(rows, history_length)])?;
    let mut state = DecodeState::inside(memory, rows, history_length).map_err(words)?;
    let last = |row: &Row| i64::from(row.tokens.last().copied().unwrap_or(0));
    state.token = machine.put(&bytes_of(batch.iter().map(last), i64::to_ne_bytes))?;
    state.position = machine.put(&bytes_of(batch.iter().map(|row| row.position as i64), i64::to_ne_bytes))?;
    state.done = machine.put(&bytes_of(batch.iter().map(|row| i32::from(row.done)), i32::to_ne_bytes))?;
    let limits = batch.iter().flat_map(|row| row.limits.entry());
    state.limits = machine.put(&bytes_of(limits, i32::to_ne_bytes))?;
    let forced = batch.iter().flat_map(|row| row.forced.iter().copied());
    state.forced = machine.put(&bytes_of(forced, i32::to_ne_bytes))?;
    state.history = machine.put(&bytes_of(histories(&batch, history_length), i32::to_ne_bytes))?;
    let first_step = u32::MAX - random.below(3) as u32;
    state.step = machine.put(&first_step.to_ne_bytes())?;

    for step in 0..1 + random.below(6) {
        let logits = random_logits(&mut random, rows, vocabulary, columns);
        let choose = NextToken {
            logits: machine.put(&bytes_of(logits.iter().copied(), f32::to_ne_bytes))?,
            columns,
            vocabulary,
            no_repeat_ngram: rules.ngram,
            eos: rules.eos as i32,
            scratch: machine.put(&vec![0xa5; NextToken::scratch_bytes(rows, vocabulary)])?,
            ring: machine.put_pinned(&vec![0xa5; ring_steps * rows * ChosenToken::BYTES])?,
            ring_steps,
        };
        for launch in choose.launches(&state).map_err(words)? {
            machine.run(&launch)?;
        }
        let number = first_step.wrapping_add(step as u32);
        let ring = values_of(&machine.get(choose.ring)?, ChosenToken::from_bytes);
        let entries = ring.chunks(rows).nth(number as usize % ring_steps).unwrap_or_default();
        for (index, (row, got)) in batch.iter_mut().zip(entries).enumerate() {
            let expected = row.advance(&logits[index * columns..][..columns], &rules);
            let at = || format!("{what}: row {index} at step {step}");
            let close = (got.log_prob - expected.log_prob).abs() <= 1e-5 || got.log_prob == expected.log_prob;
            if !close {
                return Err(format!("{}: log-prob {}, expected {}", at(), got.log_prob, expected.log_prob));
            }
            same(at, ChosenToken { log_prob: expected.log_prob, ..*got }, expected)?;
        }
        let at = |part: &str| format!("{what}: {part} after step {step}");
        same(
            || at("history"),
            values_of(&machine.get(state.history)?, i32::from_ne_bytes),
            histories(&batch, history_length),
        )?;
        let tokens = batch.iter().map(last).collect();
        same(|| at("token"), values_of(&machine.get(state.token)?, i64::from_ne_bytes), tokens)?;
        let positions: Vec<i64> = batch.iter().map(|row| row.position as i64).collect();
        same(|| at("position"), values_of(&machine.get(state.position)?, i64::from_ne_bytes), positions)?;
        let done: Vec<bool> = batch.iter().map(|row| row.done).collect();
        same(|| at("done"), values_of(&machine.get(state.done)?, |b| i32::from_ne_bytes(b) != 0), done)?;
        same(|| at("step"), machine.get(state.step)?, number.wrapping_add(1).to_ne_bytes().to_vec())?;
    }
    machine.clear();
    Ok(())
}

/// The first tokens of each row, and what is behind them.
fn histories(batch: &[Row], history_length: usize) -> Vec<i32> {
    let row = |row: &Row| -> Vec<i32> {
        (0..history_length).map(|i| row.tokens.get(i).map_or(-7, |token| *token as i32)).collect()
    };
    batch.iter().flat_map(row).collect()
}

fn random_row(random: &mut Random, rules: &Rules, history_length: usize, few: usize) -> Row {
    // Few different tokens, so that n-grams repeat.
    let length = 1 + random.below(history_length);
    let tokens: Vec<u32> = (0..length).map(|_| random.below(few) as u32).collect();
    // Also a token that there is not.
    let mut forced = vec![-1; history_length];
    for token in &mut forced {
        if random.below(5) == 0 {
            *token = random.below(rules.vocabulary + 1) as i32;
        }
    }
    let limits = RowLimits {
        max_length: (length + random.below(10)) as i32,
        least_length: random.below(history_length) as i32,
        mode: if random.below(3) == 0 { RowMode::Score } else { RowMode::Generate },
        forced_eos: (random.below(2) == 0).then_some(rules.eos as i32),
    };
    let position = tokens.len() - 1;
    Row { tokens, forced, limits, done: random.below(6) == 0, position }
}

/// Rounded, so that there are equals; in some rows one that is no number. What belongs to no token is none either.
fn random_logits(random: &mut Random, rows: usize, vocabulary: usize, columns: usize) -> Vec<f32> {
    let mut logits = vec![f32::NAN; rows * columns];
    for row in logits.chunks_exact_mut(columns) {
        let steps = random.one_of(&[3, 60, 1 << 20]);
        for logit in row.iter_mut().take(vocabulary) {
            *logit = (random.below(2 * steps + 1) as f32 - steps as f32) * (20.0 / steps as f32);
        }
        if random.below(15) == 0 {
            let bad = random.one_of(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN]);
            row[random.below(vocabulary)] = bad;
        }
    }
    logits
}

impl Row {
    /// Spec 4.6 and 4.7 for one row and one step.
    fn advance(&mut self, logits: &[f32], rules: &Rules) -> ChosenToken {
        let Rules { ngram, eos, vocabulary } = *rules;
        let length = self.tokens.len();
        let nothing = ChosenToken {
            token: None,
            log_prob: 0.0,
            done: true,
            not_finite: false,
            position: self.position as i32,
        };
        if self.done || length >= self.forced.len() {
            return nothing;
        }
        let logits: Vec<f64> = logits.iter().take(vocabulary).map(|logit| f64::from(*logit)).collect();
        if logits.iter().any(|logit| !logit.is_finite()) {
            self.done = true;
            return ChosenToken { not_finite: true, ..nothing };
        }
        let mut banned = BTreeSet::new();
        if self.limits.mode == RowMode::Generate {
            if ngram > 0 && length >= ngram {
                let tail = &self.tokens[length + 1 - ngram..];
                let ends = (ngram - 1..length).filter(|end| &self.tokens[end + 1 - ngram..*end] == tail);
                banned.extend(ends.map(|end| self.tokens[end] as usize));
            }
            if (length as i32) < self.limits.least_length {
                banned.insert(eos as usize);
            }
        }
        let allowed = || (0..vocabulary).filter(|id| !banned.contains(id));
        let most = allowed().map(|id| logits[id]).fold(f64::NEG_INFINITY, f64::max);
        let log_sum = allowed().map(|id| (logits[id] - most).exp()).sum::<f64>().ln();
        let log_prob = |id: usize| logits.get(id).map_or(f64::NEG_INFINITY, |logit| logit - most - log_sum);
        let best = allowed().find(|id| logits[*id] == most);

        let last = length as i32 + 1 == self.limits.max_length;
        let forced = self.limits.forced_eos.filter(|_| last).unwrap_or(self.forced[length]);
        let (token, log_prob) = match (usize::try_from(forced), self.limits.mode) {
            (Ok(token), RowMode::Generate) => (token, 0.0),
            (Ok(token), RowMode::Score) => (token, log_prob(token)),
            (Err(_), _) => (best.unwrap_or(0), best.map_or(f64::NEG_INFINITY, log_prob)),
        };
        self.tokens.push(token as u32);
        let ended = self.limits.mode == RowMode::Generate && token == eos as usize;
        self.done =
            ended || length as i32 + 1 >= self.limits.max_length || self.tokens.len() == self.forced.len();
        if !self.done {
            self.position = length;
        }
        ChosenToken {
            token: Some(token as u32),
            log_prob: log_prob as f32,
            done: self.done,
            not_finite: false,
            position: length as i32,
        }
    }
}
