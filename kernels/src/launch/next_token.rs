//! Greedy decoding.

use super::DecodeState;
use super::cache_append::MOST_BLOCKS;
use super::slices::Arguments;
use crate::KernelError;
use crate::device::{DeviceSlice, Launch};

/// Columns that a block looks at: `LOGIT_COLUMNS` of the kernels.
pub(super) const COLUMNS_PER_BLOCK: usize = 1024;

/// Chooses the next token of every row and advances it, as greedy decoding with the reference's logits processors does
/// (spec 4.6, 4.7): repeated n-grams and an early end are banned, forced tokens override, of equal logits the lowest token
/// wins.
///
/// A row that goes on gets the token appended to its history, `token` and `position` set to it. A row that ends (end token
/// or greatest length) gets the token appended and `done` set; its `position` stays, so that what a finished row is fed
/// stays inside the model's positions. A row whose logits are not all finite is done without a token. Rows that were done
/// before change nothing. Each row writes a [`ChosenToken`] to the ring, and `step` is advanced by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextToken {
    /// f32 `[R, columns]`.
    pub logits: DeviceSlice,
    /// Logits of a row.
    pub columns: usize,
    /// Tokens there are; logits from here on are not looked at.
    pub vocabulary: usize,
    /// Length of the n-grams that may not repeat; 0 for no such rule.
    pub no_repeat_ngram: usize,
    /// The token that ends a sequence.
    pub eos: i32,
    /// [`NextToken::scratch_bytes`] that nothing else uses between the two launches.
    pub scratch: DeviceSlice,
    /// Pinned memory, [`ChosenToken`] `[ring_steps, R]`: step `s` writes entry `s % ring_steps`.
    pub ring: DeviceSlice,
    /// Steps that the ring holds, a power of two: what is older is written over.
    pub ring_steps: usize,
}

impl NextToken {
    /// Bytes of scratch memory for `rows` rows.
    pub fn scratch_bytes(rows: usize, vocabulary: usize) -> usize {
        rows * vocabulary.div_ceil(COLUMNS_PER_BLOCK) * 16
    }

    /// The two launches of a step, in order.
    ///
    /// # Errors
    /// [`KernelError::Slice`] and [`KernelError::Count`] for what does not fit together.
    pub fn launches(&self, state: &DecodeState) -> Result<[Launch; 2], KernelError> {
        let blocks = self.vocabulary.div_ceil(COLUMNS_PER_BLOCK);
        let memory = |arguments: Arguments| {
            let per_row = |argument, slice, each: usize, bytes| {
                arguments.memory(argument, slice, &[state.rows, each], bytes)
            };
            Ok::<_, KernelError>((
                per_row("logits", self.logits, self.columns, 4)?,
                per_row("scratch", self.scratch, blocks, 16)?,
                per_row("history", state.history, state.history_length, 4)?,
                per_row("limits", state.limits, 4, 4)?,
                per_row("position", state.position, 1, 8)?,
                per_row("done", state.done, 1, 4)?,
            ))
        };
        let scan = Arguments("next_token_scan");
        let rows = scan.count("rows", state.rows, MOST_BLOCKS)?;
        let columns = scan.count("columns", self.columns, i32::MAX as u32)?;
        let vocabulary = scan.count("vocabulary", self.vocabulary, columns)?;
        let history_length = scan.count("history_length", state.history_length, i32::MAX as u32)?;
        let no_repeat_ngram =
            scan.count("no_repeat_ngram + 1", self.no_repeat_ngram.saturating_add(1), i32::MAX as u32)? - 1;
        let blocks_count = scan.count("blocks", blocks, u32::MAX)?;
        let (logits, seen, history, limits, position, done) = memory(scan)?;
        let scan = Launch {
            kernel: scan.0,
            grid: [blocks_count, rows, 1],
            block: [256, 1, 1],
            arguments: vec![
                logits,
                history,
                position,
                limits,
                done,
                seen,
                columns.into(),
                vocabulary.into(),
                history_length.into(),
                no_repeat_ngram.into(),
                self.eos.into(),
            ],
        };

        let choose = Arguments("next_token_choose");
        let ring_steps = choose.count("ring_steps", self.ring_steps, 1 << 31)?;
        if !ring_steps.is_power_of_two() {
            return Err(KernelError::RingSteps { got: ring_steps });
        }
        let (logits, seen, history, limits, position, done) = memory(choose)?;
        let choose = Launch {
            kernel: choose.0,
            grid: [1, 1, 1],
            block: [1024, 1, 1],
            arguments: vec![
                logits,
                seen,
                history,
                choose.memory("forced", state.forced, &[state.rows, state.history_length], 4)?,
                limits,
                choose.memory("token", state.token, &[state.rows], 8)?,
                position,
                done,
                choose.memory("step", state.step, &[1], 4)?,
                choose.memory("ring", self.ring, &[self.ring_steps, state.rows], ChosenToken::BYTES)?,
                rows.into(),
                blocks_count.into(),
                columns.into(),
                vocabulary.into(),
                history_length.into(),
                ring_steps.into(),
                self.eos.into(),
            ],
        };
        Ok([scan, choose])
    }
}

/// An entry of the ring: what a step did to a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChosenToken {
    /// The token; `None` for a row that was done before, or whose logits were not finite.
    pub token: Option<u32>,
    /// Its log-prob. Scoring needs nothing else of location tokens: it takes the geometric mean of the probabilities of a
    /// box's four, each of which has its own entry here.
    pub log_prob: f32,
    /// Whether the row is done now.
    pub done: bool,
    /// Whether one of the row's logits was not a finite number; the row is done then.
    pub not_finite: bool,
    /// The token's index in the sequence; where there is none, the row's position.
    pub position: i32,
}

impl ChosenToken {
    /// Bytes of an entry.
    pub const BYTES: usize = 16;

    /// An entry as the kernel writes it: i32 token, f32 log-prob, u32 flags (1 done, 2 not finite), i32 position.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> ChosenToken {
        let [token, log_prob, flags, position] =
            std::array::from_fn(|i| std::array::from_fn(|j| bytes[4 * i + j])).map(u32::from_ne_bytes);
        ChosenToken {
            token: (token <= i32::MAX as u32).then_some(token),
            log_prob: f32::from_bits(log_prob),
            done: flags & 1 != 0,
            not_finite: flags & 2 != 0,
            position: position as i32,
        }
    }
}
