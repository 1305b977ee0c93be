//! `cache_append` and `past_mask`.

use belvedere_kernels::launch::{CacheAppend, CacheElement, CachePair, DecodeState, PastMask};

use super::{Machine, bytes_of, same};
use crate::random::Random;

const MASKED: f32 = -30000.0;

/// Appends to caches of random shapes, element by element as the contract has it, and compares all of their memory; then
/// writes the mask again from the positions.
///
/// # Errors
/// What differs, or what the machine says.
pub fn caches(machine: &mut dyn Machine, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let element = if random.below(2) == 0 { CacheElement::F16 } else { CacheElement::F32 };
    let size = element.bytes();
    let (rows, pairs) = (1 + random.below(5), 1 + random.below(4));
    let (heads, head_size) = (1 + random.below(6), random.one_of(&[1, 3, 4, 8, 16, 20, 64]));
    let capacity = 1 + random.below(40);
    // Some rows full, or beyond it.
    let position: Vec<i64> = (0..rows).map(|_| random.below(capacity + 2) as i64).collect();
    let done: Vec<i32> = (0..rows).map(|_| i32::from(random.below(4) == 0)).collect();
    let what = format!("seed {seed}: {element:?} [{rows}, {heads}, {capacity}, {head_size}]");

    let mut state_bytes = vec![0; DecodeState::bytes(rows, 1)];
    let layout = |at| DecodeState::inside(at, rows, 1).map_err(|error| error.to_string());
    // The parts that these kernels read, at the places that the layout gives them.
    let blank = machine.put(&state_bytes)?;
    let state = layout(blank)?;
    let offset = |slice: belvedere_kernels::device::DeviceSlice| (slice.address() - blank.address()) as usize;
    let (at_position, at_done) = (offset(state.position), offset(state.done));
    state_bytes[at_position..at_position + 8 * rows]
        .copy_from_slice(&bytes_of(position.iter().copied(), i64::to_ne_bytes));
    state_bytes[at_done..at_done + 4 * rows]
        .copy_from_slice(&bytes_of(done.iter().copied(), i32::to_ne_bytes));
    let state = layout(machine.put(&state_bytes)?)?;

    let row_bytes = heads * head_size * size;
    let mut expected = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..pairs {
        let new: Vec<u8> = (0..rows * row_bytes).map(|_| random.below(256) as u8).collect();
        let mut cache: Vec<u8> = (0..rows * row_bytes * capacity).map(|_| random.below(256) as u8).collect();
        memory.push(CachePair { new: machine.put(&new)?, cache: machine.put(&cache)? });
        for row in 0..rows {
            let place = position[row] as usize;
            for head in 0..heads {
                if done[row] == 0 && place < capacity {
                    let from = (row * heads + head) * head_size * size;
                    let to = ((row * heads + head) * capacity + place) * head_size * size;
                    cache[to..to + head_size * size].copy_from_slice(&new[from..from + head_size * size]);
                }
            }
        }
        expected.push(cache);
    }
    let numbers = |values: &[f32]| -> Vec<u8> {
        match element {
            CacheElement::F32 => bytes_of(values.iter().copied(), f32::to_ne_bytes),
            // 0 and -30000 = -1.111 0101 0011 (binary) * 2^14 as halves.
            CacheElement::F16 => bytes_of(values.iter().copied(), |value| {
                if value == 0.0 { 0_u16.to_ne_bytes() } else { 0xf753_u16.to_ne_bytes() }
            }),
        }
    };
    let mut mask: Vec<f32> = (0..rows)
        .flat_map(|row| (0..capacity).map(move |place| (row, place)))
        .map(|(row, place)| if (place as i64) < position[row] { 0.0 } else { MASKED })
        .collect();
    let past_mask = PastMask { memory: machine.put(&vec![0x5a; rows * capacity * size])?, capacity };

    let reset = past_mask.reset(element, state.position, rows, MASKED).map_err(|error| error.to_string())?;
    machine.run(&reset)?;
    same(
        || format!("{what}: mask from positions {position:?}"),
        machine.get(past_mask.memory)?,
        numbers(&mask),
    )?;

    let table = CacheAppend::table(element, &memory, [rows, heads, capacity, head_size]);
    let table = machine.put(&table.map_err(|error| error.to_string())?)?;
    let append = CacheAppend { element, table, pairs, heads, head_size, mask: past_mask };
    machine.run(&append.launch(&state).map_err(|error| error.to_string())?)?;
    for (pair, expected) in memory.iter().zip(expected) {
        same(|| format!("{what}: cache at {position:?}, done {done:?}"), machine.get(pair.cache)?, expected)?;
    }
    for row in 0..rows {
        if done[row] == 0 && position[row] < capacity as i64 {
            mask[row * capacity + position[row] as usize] = 0.0;
        }
    }
    same(|| format!("{what}: mask after appending"), machine.get(past_mask.memory)?, numbers(&mask))?;
    machine.clear();
    Ok(())
}
