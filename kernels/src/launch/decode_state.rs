//! What is known on the device of the sequences of a batch.

use crate::KernelError;
use crate::device::DeviceSlice;

/// Where the state of a decoding batch lies: one entry a row in device memory, rows of different sequences beside each
/// other. The host writes a row's entries when a sequence joins; from then on [`NextToken`](super::NextToken) advances
/// them. Device memory begins as zeros, which is no row's state: a row without a sequence has `done` 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeState {
    /// Rows of the batch, R.
    pub rows: usize,
    /// Tokens that a row's history has room for, H. A sequence that has filled it is done.
    pub history_length: usize,
    /// i64 `[R]`: the token to be fed next; the graph's `input_ids` `[R, 1]`.
    pub token: DeviceSlice,
    /// i64 `[R]`: the tokens in the row's caches, which is also the index of `token`; the graph's `positions` `[R, 1]`.
    pub position: DeviceSlice,
    /// i32 `[R, H]`: all tokens so far up to `token`, so `position + 1` of them.
    pub history: DeviceSlice,
    /// i32 `[R, H]`: the token that must stand at an index; -1 where it is free. Entry 0 is not looked at.
    pub forced: DeviceSlice,
    /// i32 `[R, 4]`: [`RowLimits`].
    pub limits: DeviceSlice,
    /// i32 `[R]`: not 0 for rows that stand still.
    pub done: DeviceSlice,
    /// u32 `[1]`: steps made by the batch, modulo 2^32.
    pub step: DeviceSlice,
}

impl DecodeState {
    /// Bytes of memory that [`DecodeState::inside`] needs.
    pub fn bytes(rows: usize, history_length: usize) -> usize {
        Self::parts(rows, history_length).iter().map(|bytes| bytes.next_multiple_of(ALIGNMENT)).sum()
    }

    /// A state laid out in `memory`, each entry at a multiple of 256 bytes from its start.
    ///
    /// # Errors
    /// [`KernelError::Slice`]: `memory` is smaller than [`DecodeState::bytes`].
    pub fn inside(memory: DeviceSlice, rows: usize, history_length: usize) -> Result<Self, KernelError> {
        let mut offset = 0;
        let mut place = |bytes: usize| {
            let part = memory.part(offset, bytes);
            offset += bytes.next_multiple_of(ALIGNMENT);
            part.map_err(|_| KernelError::Slice {
                kernel: "next_token",
                argument: "state",
                needed: Some(Self::bytes(rows, history_length)),
                got: memory.bytes(),
                at: memory.address(),
            })
        };
        let [token, position, history, forced, limits, done, step] = Self::parts(rows, history_length);
        Ok(DecodeState {
            rows,
            history_length,
            token: place(token)?,
            position: place(position)?,
            history: place(history)?,
            forced: place(forced)?,
            limits: place(limits)?,
            done: place(done)?,
            step: place(step)?,
        })
    }

    fn parts(rows: usize, history_length: usize) -> [usize; 7] {
        let history = 4 * rows * history_length;
        [8 * rows, 8 * rows, history, history, 16 * rows, 4 * rows, 4]
    }
}

const ALIGNMENT: usize = 256;

/// How a row's tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowMode {
    /// The best token after the bans, log-probs over what is not banned; a forced token has log-prob 0.
    Generate,
    /// Nothing is banned, and each token, forced or best, has the log-prob that the model gives it. An end token ends
    /// nothing.
    Score,
}

/// An entry of [`DecodeState::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RowLimits {
    /// Tokens of the longest sequence, the start token included. The row is done when it has as many.
    pub max_length: i32,
    /// The end token is banned while there are fewer tokens than this, the start token included.
    pub least_length: i32,
    /// How tokens are chosen.
    pub mode: RowMode,
    /// The token that stands last in a sequence of `max_length`; it overrides a forced one.
    pub forced_eos: Option<i32>,
}

impl RowLimits {
    /// As the kernels read it.
    pub fn entry(&self) -> [i32; 4] {
        let mode = match self.mode {
            RowMode::Generate => 0,
            RowMode::Score => 1,
        };
        [self.max_length, self.least_length, mode, self.forced_eos.unwrap_or(-1)]
    }
}
