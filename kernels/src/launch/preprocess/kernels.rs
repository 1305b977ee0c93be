//! The two kernels of preprocessing.

use super::frames::{FRAME_WORDS, FrameSource};
use crate::KernelError;
use crate::device::{DeviceSlice, Launch};
use crate::launch::CacheElement;
use crate::launch::cache_append::MOST_BLOCKS;
use crate::launch::slices::Arguments;
use crate::preprocess::PreprocessSpec;

/// Turns pictures of any sizes and layouts into the model's input, as [`PreprocessPlan`](crate::PreprocessPlan) does it: the
/// same levels, and of these the same numbers, rounded once to f16.
#[derive(Debug, Clone, Copy)]
pub struct Preprocess<'a> {
    /// The model's input size.
    pub target: (u32, u32),
    /// f32 `[3, 256]`: [`Preprocess::levels`] in device memory.
    pub levels: DeviceSlice,
    /// The pictures, one or more.
    pub frames: &'a [FrameSource<'a>],
    /// [`Preprocess::table`] in memory that the device reaches.
    pub table: DeviceSlice,
    /// Element of the result.
    pub element: CacheElement,
    /// The result, `[frames, 3, height, width]`.
    pub pixel_values: DeviceSlice,
}

impl Preprocess<'_> {
    /// Threads of a block, columns of the result for one block.
    const THREADS: u32 = 256;
    /// Source rows for one block of the first pass: `4 * FIRST_PASS_QUAD_ROWS`.
    const FIRST_PASS_ROWS: u32 = 8;
    /// Rows of the result for one block of the second: `SECOND_PASS_ROWS`.
    const SECOND_PASS_ROWS: u32 = 4;

    /// Bytes of the table for `frames` pictures.
    pub fn table_bytes(frames: usize) -> usize {
        8 * FRAME_WORDS * frames
    }

    /// What the model gets for each 8-bit level of red, green and blue.
    ///
    /// # Errors
    /// [`KernelError::TargetSize`] and [`KernelError::Normalisation`] for a specification that makes no sense.
    pub fn levels(spec: &PreprocessSpec) -> Result<Vec<u8>, KernelError> {
        spec.check()?;
        let levels = (0..3).flat_map(|channel| spec.levels(channel));
        Ok(levels.flat_map(f32::to_ne_bytes).collect())
    }

    /// The bytes of the table: u64 `[frames, 18]`. Addresses in it must stay good while launches are queued.
    ///
    /// # Errors
    /// [`KernelError::Slice`] and [`KernelError::Count`] for what does not fit together.
    pub fn table(target: (u32, u32), frames: &[FrameSource<'_>]) -> Result<Vec<u8>, KernelError> {
        let mut bytes = Vec::with_capacity(Self::table_bytes(frames.len()));
        for frame in frames {
            bytes.extend(frame.entry(target)?.iter().flat_map(|word| word.to_ne_bytes()));
        }
        Ok(bytes)
    }

    /// The two launches, in order.
    ///
    /// # Errors
    /// [`KernelError::Slice`] and [`KernelError::Count`] for what does not fit together.
    pub fn launches(&self) -> Result<[Launch; 2], KernelError> {
        let first = Arguments("preprocess_first");
        let second = Arguments(self.element.kernel("preprocess_second_f16", "preprocess_second_f32"));
        let (width, height) = self.target;
        let sides = [width, height].map(|side| side as usize);
        let frames = first.count("frames", self.frames.len(), MOST_BLOCKS)?;
        let table = |arguments: Arguments| {
            arguments.memory("table", self.table, &[self.frames.len(), FRAME_WORDS], 8)
        };
        let blocks = self.frames.iter().map(|frame| self.first_blocks(frame)).max().unwrap_or(0);
        let blocks = first.count("blocks", blocks, i32::MAX as u32)?;
        let first = Launch {
            kernel: first.0,
            grid: [blocks, frames, 1],
            block: [Self::THREADS, 1, 1],
            arguments: vec![table(first)?, width.into(), height.into()],
        };
        let counts = [self.frames.len(), 3, sides[1], sides[0]];
        let second = Launch {
            kernel: second.0,
            grid: [width.div_ceil(Self::THREADS), height.div_ceil(Self::SECOND_PASS_ROWS), frames],
            block: [Self::THREADS, 1, 1],
            arguments: vec![
                table(second)?,
                second.memory("levels", self.levels, &[3, 256], 4)?,
                second.memory("pixel_values", self.pixel_values, &counts, self.element.bytes())?,
                width.into(),
                height.into(),
            ],
        };
        Ok([first, second])
    }

    /// Blocks of the first pass over one picture.
    fn first_blocks(&self, frame: &FrameSource<'_>) -> usize {
        let (columns, rows) = if frame.tables.vertical_first {
            (frame.shape.width.div_ceil(4), self.target.1)
        } else {
            (self.target.0, frame.shape.height.div_ceil(Self::FIRST_PASS_ROWS))
        };
        columns.div_ceil(Self::THREADS) as usize * rows as usize
    }
}
