//! The filters of both axes, as the kernels read them.

use crate::device::DeviceSlice;
use crate::resize::{WeightTable, vertical_first};

/// The filters that resize pictures of one size to the model's. For each axis, horizontal first:
///
/// - spans, u32 `[outputs + 1, 2]`: the first word of four source samples that an output is made of, and where its weights
///   begin; the weights of the next output are where they end;
/// - weights, i8 `[words, 4, 4]`: for each word three digits to the base 256 of the four weights, least significant first
///   (`QuadWeights` of the CPU's resize), and zeros.
///
/// Each part begins at a multiple of 16 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResizeTables {
    /// Width and height of the pictures in pixels.
    pub source: (u32, u32),
    /// The bytes to be put into device memory, at a multiple of 16.
    pub bytes: Vec<u8>,
    /// Whether Pillow would make the vertical pass first.
    pub(super) vertical_first: bool,
    horizontal: AxisPlace,
    vertical: AxisPlace,
}

/// See [`ResizeTables::between_bytes`].
pub(super) fn between_bytes(source: (u32, u32), target: (u32, u32)) -> usize {
    let words = if vertical_first(source, target) {
        source.0.div_ceil(4) as usize * target.1 as usize
    } else {
        source.1.div_ceil(4) as usize * target.0 as usize
    };
    3 * 4 * words
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AxisPlace {
    spans: usize,
    weights: usize,
    words: usize,
}

impl ResizeTables {
    /// For pictures of `source` pixels and a model that takes `target`; all sides at least 1.
    pub fn new(source: (u32, u32), target: (u32, u32)) -> ResizeTables {
        let mut bytes = Vec::new();
        let mut axis = |source: u32, target: u32| {
            let table = WeightTable::new(source as usize, target as usize);
            let spans = bytes.len();
            let mut words = 0;
            for output in 0..table.target() {
                let (quad, weights) = table.taps(output);
                bytes.extend((quad as u32).to_ne_bytes());
                bytes.extend((words as u32).to_ne_bytes());
                words += weights.len();
            }
            bytes.extend([0; 4]);
            bytes.extend((words as u32).to_ne_bytes());
            bytes.resize(bytes.len().next_multiple_of(16), 0);
            let weights = bytes.len();
            for output in 0..table.target() {
                for quad in table.taps(output).1 {
                    bytes.extend(quad.digits.iter().flat_map(|digit| digit.to_ne_bytes()));
                    bytes.extend([0; 4]);
                }
            }
            AxisPlace { spans, weights, words }
        };
        let (horizontal, vertical) = (axis(source.0, target.0), axis(source.1, target.1));
        ResizeTables { source, bytes, vertical_first: vertical_first(source, target), horizontal, vertical }
    }

    /// Bytes of the picture between the two passes: words of four samples along the axis of the second.
    pub fn between_bytes(&self, target: (u32, u32)) -> usize {
        between_bytes(self.source, target)
    }

    /// More than the filters of any picture take whose sides are no longer than `longest_px`.
    pub fn most_bytes(longest_px: u32, target: (u32, u32)) -> usize {
        let axis = |target: u32| {
            let target = target as usize;
            // The window is four samples wide, times the scale where it shrinks, and begins anywhere in a word.
            let taps = (4 * (longest_px as usize).max(target)).div_ceil(target.max(1)) + 1;
            (8 * (target + 1)).next_multiple_of(16) + 16 * target * ((taps + 6) / 4)
        };
        axis(target.0) + axis(target.1)
    }

    /// Addresses of spans and weights and the number of words, of both axes.
    pub(super) fn words(&self, memory: DeviceSlice) -> [u64; 6] {
        let axis = |place: AxisPlace| {
            let [spans, weights] =
                [place.spans, place.weights].map(|offset| memory.address() + offset as u64);
            [spans, weights, place.words as u64]
        };
        let ([a, b, c], [d, e, f]) = (axis(self.horizontal), axis(self.vertical));
        [a, b, c, d, e, f]
    }
}
