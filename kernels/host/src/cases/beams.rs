//! `best_tokens_scan` and `best_tokens_choose`, `cache_reorder`, `beam_advance`.

use std::collections::BTreeSet;

use belvedere_kernels::KernelError;
use belvedere_kernels::device::DeviceSlice;
use belvedere_kernels::launch::{
    BeamAdvance, BestToken, BestTokens, CacheElement, CacheReorder, DecodeState, Parents, RowLimits, RowMode,
};

use super::{Machine, bytes_of, same, values_of};
use crate::random::Random;

fn words(error: KernelError) -> String {
    error.to_string()
}

/// A state in which only some entries are memory.
fn state(machine: &mut dyn Machine, rows: usize, history_length: usize) -> Result<DecodeState, String> {
    let memory = machine.put(&vec![0; DecodeState::bytes(rows, history_length)])?;
    DecodeState::inside(memory, rows, history_length).map_err(words)
}

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
        let steps = random.one_of(&[2, 40, 1 << 20]);
        for logit in row.iter_mut().take(vocabulary) {
            let value = (random.below(2 * steps + 1) as f32 - steps as f32) * (20.0 / steps as f32);
            *logit = if value == 0.0 && random.below(2) == 0 { -0.0 } else { value };
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

/// Moves random caches and histories from parents to rows, and compares all of their memory.
///
/// # Errors
/// What differs, or what the machine says.
pub fn beams(machine: &mut dyn Machine, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let element = random.one_of(&[CacheElement::F16, CacheElement::F32]);
    let (group, groups) = (1 + random.below(16), 1 + random.below(3));
    let (heads, head_size) = (1 + random.below(4), random.one_of(&[1, 3, 8, 20, 64]));
    let (capacity, caches) = (1 + random.below(20), 1 + random.below(3));
    let (rows, history_length) = (group * groups, 1 + random.below(300));
    let what =
        format!("seed {seed}: {groups} x {group} rows of [{heads}, {capacity}, {head_size}] {element:?}");

    let most = capacity.min(history_length);
    let position: Vec<i64> = (0..rows).map(|_| random.below(most) as i64).collect();
    let parents: Vec<usize> = (0..rows).map(|row| row / group * group + random.below(group)).collect();
    let chosen: Vec<i32> = (0..rows).map(|_| random.below(1000) as i32 - 100).map(|id| id.max(-1)).collect();
    let token: Vec<i64> = (0..rows).map(|_| random.below(1000) as i64).collect();
    let history: Vec<i32> = (0..rows * history_length).map(|_| random.below(1 << 30) as i32).collect();

    let mut state = state(machine, rows, history_length)?;
    state.position = machine.put(&bytes_of(position.iter().copied(), i64::to_ne_bytes))?;
    state.token = machine.put(&bytes_of(token.iter().copied(), i64::to_ne_bytes))?;
    state.history = machine.put(&bytes_of(history.iter().copied(), i32::to_ne_bytes))?;
    let memory = machine.put(&bytes_of(parents.iter().map(|row| *row as i32), i32::to_ne_bytes))?;
    let parent_rows = Parents { memory, group };

    let place_bytes = head_size * element.bytes();
    let row_bytes = heads * capacity * place_bytes;
    let before: Vec<Vec<u8>> =
        (0..caches).map(|_| (0..rows * row_bytes).map(|_| random.below(256) as u8).collect()).collect();
    let slices: Vec<DeviceSlice> = before.iter().map(|cache| machine.put(cache)).collect::<Result<_, _>>()?;
    let table = CacheReorder::table(element, &slices, [rows, heads, capacity, head_size]).map_err(words)?;
    let table = machine.put(&table)?;
    let reorder = CacheReorder { table, caches, element, heads, capacity, head_size, parents: parent_rows };
    machine.run(&reorder.launch(&state).map_err(words)?)?;
    for (before, slice) in before.iter().zip(&slices) {
        let mut expected = before.clone();
        for row in 0..rows {
            for head in 0..heads {
                let filled = (position[parents[row]] as usize + 1) * place_bytes;
                let [from, to] = [parents[row], row].map(|row| (row * heads + head) * capacity * place_bytes);
                expected[to..to + filled].copy_from_slice(&before[from..from + filled]);
            }
        }
        same(|| format!("{what}: cache from {parents:?} at {position:?}"), machine.get(*slice)?, expected)?;
    }

    let advance = BeamAdvance {
        parents: parent_rows,
        chosen: machine.put(&bytes_of(chosen.iter().copied(), i32::to_ne_bytes))?,
    };
    machine.run(&advance.launch(&state).map_err(words)?)?;
    let (mut histories, mut tokens, mut positions) = (history.clone(), token.clone(), position.clone());
    for row in (0..rows).filter(|row| chosen[*row] >= 0) {
        let length = position[parents[row]] as usize + 1;
        let [from, to] = [parents[row], row].map(|row| row * history_length);
        histories[to..to + length].copy_from_slice(&history[from..from + length]);
        if length < history_length {
            histories[to + length] = chosen[row];
            (tokens[row], positions[row]) = (i64::from(chosen[row]), length as i64);
        }
    }
    let at = |part: &str| format!("{what}: {part} from {parents:?} by {chosen:?}");
    same(|| at("history"), values_of(&machine.get(state.history)?, i32::from_ne_bytes), histories)?;
    same(|| at("token"), values_of(&machine.get(state.token)?, i64::from_ne_bytes), tokens)?;
    same(|| at("position"), values_of(&machine.get(state.position)?, i64::from_ne_bytes), positions)?;
    machine.clear();
    Ok(())
}
