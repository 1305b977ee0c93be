//! `cache_reorder`.

use belvedere_kernels::KernelError;
use belvedere_kernels::device::DeviceSlice;
use belvedere_kernels::launch::{CacheElement, CacheReorder, DecodeState, Parents};

use super::{Machine, bytes_of, same};
use crate::random::Random;

pub(super) fn words(error: KernelError) -> String {
    error.to_string()
}

/// A state in which only some entries are memory.
pub(super) fn state(
    machine: &mut dyn Machine,
    rows: usize,
    history_length: usize,
) -> Result<DecodeState, String> {
    let memory = machine.put(&vec![0; DecodeState::bytes(rows, history_length)])?;
    DecodeState::inside(memory, rows, history_length).map_err(words)
}

/// Moves random caches from parents to rows, and compares all of their memory.
///
/// # Errors
/// What differs, or what the machine says.
pub fn beams(machine: &mut dyn Machine, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let element = random.one_of(&[CacheElement::F16, CacheElement::F32]);
    let (group, groups) = (1 + random.below(16), 1 + random.below(3));
    let (heads, head_size) = (1 + random.below(4), random.one_of(&[1, 3, 8, 20, 64]));
    let (capacity, caches) = (1 + random.below(20), 1 + random.below(3));
    let rows = group * groups;
    let what =
        format!("seed {seed}: {groups} x {group} rows of [{heads}, {capacity}, {head_size}] {element:?}");

    let position: Vec<i64> = (0..rows).map(|_| random.below(capacity) as i64).collect();
    let parents: Vec<usize> = (0..rows).map(|row| row / group * group + random.below(group)).collect();

    let mut state = state(machine, rows, 1)?;
    state.position = machine.put(&bytes_of(position.iter().copied(), i64::to_ne_bytes))?;
    let memory = machine.put(&bytes_of(parents.iter().map(|row| *row as i32), i32::to_ne_bytes))?;
    let parents_on_device = Parents { memory, group };

    let place_bytes = head_size * element.bytes();
    let row_bytes = heads * capacity * place_bytes;
    let before: Vec<Vec<u8>> =
        (0..caches).map(|_| (0..rows * row_bytes).map(|_| random.below(256) as u8).collect()).collect();
    let slices: Vec<DeviceSlice> = before.iter().map(|cache| machine.put(cache)).collect::<Result<_, _>>()?;
    let table = CacheReorder::table(element, &slices, [rows, heads, capacity, head_size]).map_err(words)?;
    let table = machine.put(&table)?;
    let reorder =
        CacheReorder { table, caches, element, heads, capacity, head_size, parents: parents_on_device };
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
    machine.clear();
    Ok(())
}
