//! What runs the graphs. One trait, so that the decode loop, the logits processors and the parsers are the same for
//! every engine: ONNX Runtime, TensorRT, and [`scripted`] in tests.

mod cancel;
mod device_memory;
mod in_flight;
pub mod ort;
pub mod scripted;
mod step_rows;
pub mod tensorrt;
mod view_encoder;

use std::any::Any;
use std::sync::Arc;

use belvedere_kernels::PixelValues;

pub use cancel::{CancelGuard, CancelToken};
pub use device_memory::DeviceMemory;
pub use in_flight::{Ended, How, InFlight, Source, Ticket};
use step_rows::StepRows;
pub use view_encoder::{EncodedViews, ViewEncoder};

use crate::ModelError;

/// Pixels of one picture, normalised: planar `[3, height, width]`, f32.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `3 * height * width` values, row-major.
    pub data: &'a [f32],
}

impl<'a> From<&'a PixelValues> for Pixels<'a> {
    fn from(values: &'a PixelValues) -> Pixels<'a> {
        Pixels { width: values.width as usize, height: values.height as usize, data: &values.data }
    }
}

/// What the vision tower made of one picture: `[tokens, dim]`, kept where the engine runs.
///
/// Cheap to clone. Only the engine that made it can read it.
#[derive(Clone, Debug)]
pub struct ImageFeatures {
    /// Number of tokens, the pooled one included (spec 3.5).
    pub tokens: usize,
    /// Features per token (`d_model`).
    pub dim: usize,
    storage: Arc<dyn Any + Send + Sync>,
}

impl ImageFeatures {
    /// Wraps an engine's own storage of `[tokens, dim]` features.
    pub fn new(tokens: usize, dim: usize, storage: Arc<dyn Any + Send + Sync>) -> Self {
        Self { tokens, dim, storage }
    }

    /// The storage, if it is of the type the asking engine stores.
    pub fn storage<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.storage.downcast_ref()
    }
}

/// What the encoder made of one prompt about one picture, kept where the engine runs, to be decoded from again.
///
/// Cheap to clone. Only the engine that made it can read it.
#[derive(Clone, Debug)]
pub struct KeptPrompt {
    storage: Arc<dyn Any + Send + Sync>,
}

impl KeptPrompt {
    /// Wraps an engine's own storage.
    pub fn new(storage: Arc<dyn Any + Send + Sync>) -> Self {
        Self { storage }
    }

    /// The storage, if it is of the type the asking engine stores.
    pub fn storage<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.storage.downcast_ref()
    }
}

/// How large a decoding batch can get, said before it starts so that buffers are made once.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Rows of every item after the first step; 1 is greedy.
    pub beams: usize,
    /// Longest sequence, the start token included. The last token is never fed back.
    pub max_length: usize,
}

/// One row of the next step: what it continues and with which token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextRow {
    /// Row of the preceding call whose history this row continues.
    pub parent: usize,
    /// Token appended to that history.
    pub token: u32,
}

/// Logits of the last position of every row, or of every position of every row, f32, on the host until the next call.
#[derive(Debug)]
pub struct Logits<'a> {
    values: &'a mut [f32],
    columns: usize,
}

impl<'a> Logits<'a> {
    /// Rows of `columns` values each; a trailing part shorter than a row is not visible.
    pub fn new(values: &'a mut [f32], columns: usize) -> Self {
        Self { values, columns: columns.max(1) }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Number of columns: rows of the embedding that the engine's graph kept.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The rows, for the caller to process in place.
    pub fn into_rows(self) -> impl Iterator<Item = &'a mut [f32]> {
        self.values.chunks_exact_mut(self.columns)
    }
}

/// Runs Florence-2's graphs on one device. Owned by one thread; nothing in it is shared.
///
/// Self-attention caches, cross-attention caches and image features never leave the engine: the caller sees tokens,
/// rows and logits only, so that an engine on another device copies nothing but those.
pub trait Engine: Send {
    /// What runs where and how, in one line for people: runtime, provider, precision, threads.
    fn description(&self) -> String;

    /// The precision's name, for errors.
    fn precision(&self) -> &'static str;

    /// Runs the vision graph on one picture.
    ///
    /// # Errors
    /// A size the graph was not made for, an engine failure, or [`ModelError::Cancelled`] where the engine can stop
    /// a running graph (it may also finish the picture and leave it to the next check).
    fn encode_image(&mut self, pixels: Pixels<'_>, cancel: &CancelToken)
    -> Result<ImageFeatures, ModelError>;

    /// Runs the vision graph on several pictures, together where the engine can, and returns their features in order.
    ///
    /// # Errors
    /// As for [`encode_image`](Self::encode_image).
    fn encode_images(
        &mut self,
        pictures: &[Pixels<'_>],
        cancel: &CancelToken,
    ) -> Result<Vec<ImageFeatures>, ModelError> {
        pictures.iter().map(|pixels| self.encode_image(*pixels, cancel)).collect()
    }

    /// The values of features, `[tokens, dim]`, for comparing engines.
    ///
    /// # Errors
    /// Features of another engine, an engine failure.
    fn read_features(&mut self, features: &ImageFeatures) -> Result<Vec<f32>, ModelError> {
        features.storage::<Vec<f32>>().cloned().ok_or_else(|| ModelError::Request {
            what: "image features",
            reason: "made by another engine".to_owned(),
        })
    }

    /// The engine as one that prepares pictures itself, where it is one.
    fn view_encoder(&mut self) -> Option<&mut dyn ViewEncoder> {
        None
    }

    /// The engine as one whose sequences join and leave a running batch, where it is one.
    fn in_flight(&mut self) -> Option<&mut dyn InFlight> {
        None
    }

    /// The memory of the device, where it has its own. May be asked as often as one likes.
    fn device_memory(&mut self) -> Option<DeviceMemory> {
        None
    }

    /// Encodes prompts over one picture's features and opens a batch with one item for each prompt: cross keys and
    /// values are computed here, once. Prompts may differ in length. Dropping the batch releases its buffers to the
    /// engine, which may keep them for the next one, large ones excepted.
    ///
    /// # Errors
    /// Features of another engine, an empty batch or prompt, lengths past the model's positions, an engine failure.
    fn start<'e>(
        &'e mut self,
        features: &ImageFeatures,
        prompts: &[&[u32]],
        limits: BatchLimits,
        cancel: &CancelToken,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError>;

    /// Encodes one prompt over one picture's features and keeps it, for [`resume`](Self::resume).
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    fn keep(
        &mut self,
        features: &ImageFeatures,
        prompt: &[u32],
        cancel: &CancelToken,
    ) -> Result<KeptPrompt, ModelError>;

    /// Opens a batch with one item for each kept prompt, as [`start`](Self::start) does, without encoding anything.
    ///
    /// # Errors
    /// Prompts of another engine, an empty batch.
    fn resume<'e>(
        &'e mut self,
        prompts: &[&KeptPrompt],
        limits: BatchLimits,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError>;
}

/// Sequences being decoded together.
///
/// Rows are grouped by item, items in the order of the prompts. [`prefill`](Self::prefill) is called once and first:
/// it leaves one row an item. ([`force`](Self::force) is called instead of everything else.) Every [`step`](Self::step)
/// then names its rows by parent: several rows with one parent make beams, an item none of whose rows is named has finished and leaves the batch, its caches with it.
/// Self-attention caches follow the parents; cross-attention caches belong to the item and are never copied.
pub trait DecodeBatch {
    /// Feeds the same first tokens to every item, and returns one row of logits an item.
    ///
    /// # Errors
    /// An empty or over-long prefix, a second prefill, an engine failure.
    fn prefill(&mut self, tokens: &[u32]) -> Result<Logits<'_>, ModelError>;

    /// Feeds whole sequences, `rows_per_item` for each item, and returns the logits of every position: for the row i
    /// and the position t in row `i * T + t` of the result, T being the length of the longest sequence. What follows
    /// the end of a shorter one means nothing.
    ///
    /// # Errors
    /// No or empty sequences, more or less of them than the items have rows, a sequence that is too long, a batch in
    /// which something was decoded already, an engine failure.
    fn force(&mut self, sequences: &[&[u32]], rows_per_item: usize) -> Result<Logits<'_>, ModelError>;

    /// Appends one token to every named row and returns their logits, row for row.
    ///
    /// Every remaining item has the same number of rows (at most the limit's `beams`), rows of one item stand
    /// together, and parents of one row group belong to one item.
    ///
    /// # Errors
    /// Rows that break the rule above, a full cache, an engine failure. The batch cannot be used after an error.
    fn step(&mut self, rows: &[NextRow]) -> Result<Logits<'_>, ModelError>;
}
