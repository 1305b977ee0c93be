//! The kernels of `kernels/cu` with their parameters: a type for each makes the [`Launch`](crate::device::Launch)es of one
//! call, after checking that every slice is as large as the kernel takes it to be.
//!
//! What a type cannot check is what memory will hold when the kernel runs (addresses in a table, positions); what must
//! hold of that is said beside each.

mod beams;
mod best_tokens;
mod cache_append;
mod decode_state;
mod element;
mod next_token;
mod past_mask;
mod preprocess;
mod slices;

pub use beams::{CacheReorder, Parents};
pub use best_tokens::{BestToken, BestTokens};
pub use cache_append::{CacheAppend, CachePair};
pub use decode_state::{DecodeState, RowLimits, RowMode};
pub use element::CacheElement;
pub use next_token::{ChosenToken, NextToken};
pub use past_mask::PastMask;
pub use preprocess::{
    DevicePreprocessor, FrameMemory, FrameRoom, FrameSource, PictureShape, PixelsIn, Preprocess,
    PreprocessTimes, ResizeTables,
};
