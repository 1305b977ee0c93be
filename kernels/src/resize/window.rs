//! The vertical pass over a window that slides down the picture.

use fearless_simd::Level;

use super::weights::WeightTable;
use super::{LANES, Quads, lanes};

/// A vertical pass whose source arrives quad by quad (four rows at a time) and is dropped when no later output
/// needs it, so that it stays in cache.
#[derive(Debug)]
pub(crate) struct VerticalPass {
    table: WeightTable,
    /// Blocks of 16 samples in a row.
    blocks: usize,
    /// Quads supplied at a time.
    step: usize,
    /// The source quad that `quads` starts with.
    first: usize,
    /// How many source quads are held.
    held: usize,
    /// `quads[((quad - first) * 3 + channel) * blocks + x / 16][x % 16]`.
    quads: Vec<Quads>,
}

impl VerticalPass {
    /// A pass over rows `width` samples wide that are supplied `step` quads at a time.
    pub(crate) fn new(table: WeightTable, width: usize, step: usize) -> Self {
        let blocks = width.div_ceil(LANES);
        let longest = (0..table.target()).map(|row| table.taps(row).1.len()).max().unwrap_or(0);
        // Twice the longest filter, so that each quad is moved once at most before it is dropped.
        let quads = vec![[0; LANES]; (2 * longest + step) * 3 * blocks];
        VerticalPass { table, blocks, step, first: 0, held: 0, quads }
    }

    /// Rows before the pass.
    pub(crate) fn source(&self) -> usize {
        self.table.source()
    }

    /// Rows after the pass.
    pub(crate) fn target(&self) -> usize {
        self.table.target()
    }

    /// Forgets the picture.
    pub(crate) fn restart(&mut self) {
        (self.first, self.held) = (0, 0);
    }

    /// Writes the three channels of output row `row`, `blocks` each. Rows are to be asked for in order.
    ///
    /// `supply(quad, out)` is called for source quads not yet held, in order: it writes `step` of them, from
    /// number `quad` on. What it writes for rows beyond the picture is not used.
    pub(crate) fn row(
        &mut self,
        level: Level,
        row: usize,
        out: &mut [[u8; LANES]],
        mut supply: impl FnMut(usize, &mut [Quads]),
    ) {
        let (quad_len, step) = (3 * self.blocks, self.step);
        let (quad, weights) = self.table.taps(row);
        while self.first + self.held < quad + weights.len() {
            if (self.held + step) * quad_len > self.quads.len() {
                let dropped = (quad - self.first).min(self.held);
                self.quads.copy_within(dropped * quad_len..self.held * quad_len, 0);
                (self.first, self.held) = (self.first + dropped, self.held - dropped);
            }
            let space = self.held * quad_len..(self.held + step) * quad_len;
            supply(self.first + self.held, &mut self.quads[space]);
            self.held += step;
        }
        let column = &self.quads[(quad - self.first) * quad_len..];
        for (channel, out) in out.chunks_exact_mut(self.blocks).enumerate() {
            lanes::vertical(level, &column[channel * self.blocks..], quad_len, weights, out);
        }
    }
}
