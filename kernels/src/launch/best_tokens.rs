//! Beam search: continuations of every row.

use super::DecodeState;
use super::cache_append::MOST_BLOCKS;
use super::next_token::COLUMNS_PER_BLOCK;
use super::slices::Arguments;
use crate::KernelError;
use crate::device::{DeviceSlice, Launch};

/// Finds the best few tokens to follow every row, with their log-probs: log-softmax first and bans (repeated n-grams, an
/// early end) second, without renormalising (spec 4.8). Of equal logits the lower token comes first. Forced tokens are not
/// looked at, and no state changes: the host chooses among the rows of an item, and writes the rows that follow anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BestTokens {
    /// f32 `[R, columns]`.
    pub logits: DeviceSlice,
    /// Logits of a row.
    pub columns: usize,
    /// Tokens there are; logits from here on are not looked at.
    pub vocabulary: usize,
    /// Length of the n-grams that may not repeat; 0 for no such rule.
    pub no_repeat_ngram: usize,
    /// The token that ends a sequence; banned before a row's least length.
    pub eos: i32,
    /// Tokens wanted of each row, 1 to 32.
    pub count: usize,
    /// [`BestTokens::scratch_bytes`] that nothing else uses between the two launches.
    pub scratch: DeviceSlice,
    /// Pinned memory, [`BestToken`] `[R, count]`, best first. Rows that are done have none.
    pub best: DeviceSlice,
}

impl BestTokens {
    /// Candidates of a row that the second kernel sorts: `MOST_CANDIDATES`.
    const MOST_CANDIDATES: u32 = 2048;

    /// Bytes of scratch memory for `rows` rows.
    pub fn scratch_bytes(rows: usize, vocabulary: usize, count: usize) -> usize {
        rows * vocabulary.div_ceil(COLUMNS_PER_BLOCK) * (16 + 8 * count)
    }

    /// The two launches, in order.
    ///
    /// # Errors
    /// [`KernelError::Slice`] and [`KernelError::Count`] for what does not fit together; so for a vocabulary too large to be
    /// searched for that many tokens (65536 for 32).
    pub fn launches(&self, state: &DecodeState) -> Result<[Launch; 2], KernelError> {
        let scan = Arguments("best_tokens_scan");
        let rows = scan.count("rows", state.rows, MOST_BLOCKS)?;
        let count = scan.count("count", self.count, 32)?;
        let columns = scan.count("columns", self.columns, i32::MAX as u32)?;
        let vocabulary = scan.count("vocabulary", self.vocabulary, columns)?;
        let history_length = scan.count("history_length", state.history_length, i32::MAX as u32)?;
        let no_repeat_ngram =
            scan.count("no_repeat_ngram + 1", self.no_repeat_ngram.saturating_add(1), i32::MAX as u32)? - 1;
        let blocks = self.vocabulary.div_ceil(COLUMNS_PER_BLOCK);
        let block_count = scan.count("blocks of 1024 tokens", blocks, Self::MOST_CANDIDATES / count)?;

        let needed = Self::scratch_bytes(state.rows, self.vocabulary, self.count);
        scan.memory("scratch", self.scratch, &[needed.div_ceil(16)], 16)?;
        let seen_bytes = 16 * state.rows * blocks;
        let part = |offset, bytes| {
            self.scratch.part(offset, bytes).map_err(|_| KernelError::Slice {
                kernel: scan.0,
                argument: "scratch",
                needed: Some(needed),
                got: self.scratch.bytes(),
                at: self.scratch.address(),
            })
        };
        let seen = part(0, seen_bytes)?;
        let candidates = part(seen_bytes, needed - seen_bytes)?;
        let scan_launch = Launch {
            kernel: scan.0,
            grid: [block_count, rows, 1],
            block: [256, 1, 1],
            arguments: vec![
                scan.memory("logits", self.logits, &[state.rows, self.columns], 4)?,
                scan.memory("history", state.history, &[state.rows, state.history_length], 4)?,
                scan.memory("position", state.position, &[state.rows], 8)?,
                scan.memory("limits", state.limits, &[state.rows, 4], 4)?,
                scan.memory("done", state.done, &[state.rows], 4)?,
                scan.memory("scratch", seen, &[state.rows, blocks], 16)?,
                scan.memory("scratch", candidates, &[state.rows, blocks, self.count], 8)?,
                columns.into(),
                vocabulary.into(),
                history_length.into(),
                no_repeat_ngram.into(),
                self.eos.into(),
                count.into(),
            ],
        };
        let choose = Arguments("best_tokens_choose");
        let choose_launch = Launch {
            kernel: choose.0,
            grid: [rows, 1, 1],
            block: [256, 1, 1],
            arguments: vec![
                choose.memory("scratch", seen, &[state.rows, blocks], 16)?,
                choose.memory("scratch", candidates, &[state.rows, blocks, self.count], 8)?,
                choose.memory("position", state.position, &[state.rows], 8)?,
                choose.memory("done", state.done, &[state.rows], 4)?,
                choose.memory("best", self.best, &[state.rows, self.count], BestToken::BYTES)?,
                block_count.into(),
                history_length.into(),
                count.into(),
            ],
        };
        Ok([scan_launch, choose_launch])
    }
}

/// An entry of [`BestTokens::best`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BestToken {
    /// A token that may follow.
    Token {
        /// The token.
        id: u32,
        /// Its log-prob.
        log_prob: f32,
    },
    /// Fewer tokens than were wanted may follow; or the row is done.
    None,
    /// One of the row's logits is not a finite number.
    NotFinite,
}

impl BestToken {
    /// Bytes of an entry.
    pub const BYTES: usize = 8;

    /// An entry as the kernel writes it: i32 token, or -1, or -2 where logits are not finite; f32 log-prob.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> BestToken {
        let [a, b, c, d, log_prob @ ..] = bytes;
        match i32::from_ne_bytes([a, b, c, d]) {
            -2 => BestToken::NotFinite,
            id => u32::try_from(id).map_or(BestToken::None, |id| BestToken::Token {
                id,
                log_prob: f32::from_ne_bytes(log_prob),
            }),
        }
    }
}
