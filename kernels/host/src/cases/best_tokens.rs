//! `best_tokens_scan` and `best_tokens_choose`.

use std::collections::BTreeSet;

use belvedere_kernels::launch::{BestToken, BestTokens, RowLimits, RowMode};

use super::beams::{state, words};
use super::{Machine, bytes_of, values_of};
use crate::random::Random;

/// The best tokens of random rows, compared with a full sort of float64 log-softmax with the bans taken out.
///
/// # Errors
/// What differs, or what the machine says.
pub fn best_tokens(machine: &mut dyn Machine, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let most = random.one_of(&[5, 300, 5000]);
    let (rows, vocabulary) = (1 + random.below(4), 1 + random.below(most));
    let columns = vocabulary + random.below(50);
    let (count, ngram) = (1 + random.below(32), random.below(5));
    let history_length = 1 + random.below(40);
    let (eos, few) = (random.below(vocabulary), 1 + random.below(vocabulary.min(4)));
    let what = format!("seed {seed}: {count} best of [{rows}, {vocabulary} of {columns}]");

    let lengths: Vec<usize> = (0..rows).map(|_| 1 + random.below(history_length)).collect();
    let history: Vec<i32> = (0..rows * history_length).map(|_| random.below(few) as i32).collect();
    let done: Vec<i32> = (0..rows).map(|_| i32::from(random.below(6) == 0)).collect();
    let least: Vec<usize> = (0..rows).map(|_| random.below(20)).collect();
    let mut logits = vec![f32::NAN; rows * columns];
    for row in logits.chunks_exact_mut(columns) {
        let (steps, most) = (random.one_of(&[2, 40, 1 << 20]), random.one_of(&[0.0, 20.0]));
        for logit in row.iter_mut().take(vocabulary) {
            *logit = super::random_logit(&mut random, steps, most);
        }
        if random.below(12) == 0 {
            row[random.below(vocabulary)] = random.one_of(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        }
    }

    let mut state = state(machine, rows, history_length)?;
    state.history = machine.put(&bytes_of(history.iter().copied(), i32::to_ne_bytes))?;
    state.position =
        machine.put(&bytes_of(lengths.iter().map(|length| *length as i64 - 1), i64::to_ne_bytes))?;
    state.done = machine.put(&bytes_of(done.iter().copied(), i32::to_ne_bytes))?;
    let limits = least.iter().flat_map(|least| {
        let least_length = *least as i32;
        RowLimits { max_length: 99, least_length, mode: RowMode::Generate, forced_eos: None }.entry()
    });
    state.limits = machine.put(&bytes_of(limits, i32::to_ne_bytes))?;
    let best = BestTokens {
        logits: machine.put(&bytes_of(logits.iter().copied(), f32::to_ne_bytes))?,
        columns,
        vocabulary,
        no_repeat_ngram: ngram,
        eos: eos as i32,
        count,
        scratch: machine
            .put(&vec![0xa5; BestTokens::scratch_bytes(rows, vocabulary, count).next_multiple_of(16)])?,
        best: machine.put_pinned(&vec![0xa5; rows * count * BestToken::BYTES])?,
    };
    for launch in best.launches(&state).map_err(words)? {
        machine.run(&launch)?;
    }
    let got = values_of(&machine.get(best.best)?, BestToken::from_bytes);
    for (row, got) in got.chunks(count).enumerate() {
        let tokens = &history[row * history_length..][..lengths[row]];
        let row_logits = &logits[row * columns..][..vocabulary];
        let early = tokens.len() < least[row];
        let expected = if done[row] != 0 {
            vec![BestToken::None; count]
        } else {
            sorted(row_logits, &banned(tokens, ngram, early.then_some(eos)), count)
        };
        for (place, (got, expected)) in got.iter().zip(&expected).enumerate() {
            let close = match (got, expected) {
                (BestToken::Token { id, log_prob }, BestToken::Token { id: other, log_prob: right }) => {
                    id == other && (log_prob - right).abs() <= 1e-5
                }
                (got, expected) => got == expected,
            };
            if !close {
                return Err(format!("{what}: row {row}, place {place}: got {got:?}, expected {expected:?}"));
            }
        }
    }
    machine.clear();
    Ok(())
}

fn banned(tokens: &[i32], ngram: usize, eos: Option<usize>) -> BTreeSet<usize> {
    let mut banned: BTreeSet<usize> = eos.into_iter().collect();
    if ngram > 0 && tokens.len() >= ngram {
        let tail = &tokens[tokens.len() + 1 - ngram..];
        let repeated = tokens.windows(ngram).filter(|gram| &gram[..ngram - 1] == tail);
        banned.extend(repeated.map(|gram| gram[ngram - 1] as usize));
    }
    banned
}

fn sorted(logits: &[f32], banned: &BTreeSet<usize>, count: usize) -> Vec<BestToken> {
    if logits.iter().any(|logit| !logit.is_finite()) {
        return vec![BestToken::NotFinite; count];
    }
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - f64::from(most)).exp()).sum();
    let mut order: Vec<usize> = (0..logits.len()).filter(|id| !banned.contains(id)).collect();
    // Stable: equals stay in the order of their ids.
    order.sort_by(|a, b| logits[*b].partial_cmp(&logits[*a]).unwrap_or(std::cmp::Ordering::Equal));
    let token = |id: &usize| {
        let log_prob = f64::from(logits[*id]) - f64::from(most) - sum.ln();
        BestToken::Token { id: *id as u32, log_prob: log_prob as f32 }
    };
    order.iter().map(token).chain(std::iter::repeat(BestToken::None)).take(count).collect()
}
