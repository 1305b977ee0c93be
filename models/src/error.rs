//! What can go wrong in this crate, each with what locates it.

use std::path::PathBuf;

use crate::tasks::{LocationBox, PictureSize, Task};

/// The boxed cause that the `tokenizers` crate reports.
pub type TokenizersCause = Box<dyn std::error::Error + Send + Sync>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The tokenizer file is absent, unreadable, truncated or not a tokenizer.
    #[error("{}: not a readable tokenizer: {cause}", file.display())]
    TokenizerRead {
        /// The tokenizer file.
        file: PathBuf,
        /// What the reader says.
        cause: TokenizersCause,
    },
    /// A token has an id that is larger than any vocabulary.
    #[error("{}: token {token:?} has id {id}, which is beyond any vocabulary", file.display())]
    TokenId {
        /// The tokenizer file.
        file: PathBuf,
        /// The beginning of the token.
        token: String,
        /// Its id in the file.
        id: u32,
    },
    /// A token that every Florence-2 tokenizer has is not in this one.
    #[error("{}: the tokenizer has no token {token:?}", file.display())]
    TokenMissing {
        /// The tokenizer file.
        file: PathBuf,
        /// The missing token.
        token: String,
    },
    /// The file has some of the location tokens, so the others cannot be added in their places.
    #[error("{}: the tokenizer has {found} of the 1000 location tokens; {missing:?} is missing", file.display())]
    LocationTokensIncomplete {
        /// The tokenizer file.
        file: PathBuf,
        /// How many location tokens the file has.
        found: usize,
        /// The first one that is missing.
        missing: String,
    },
    /// The location tokens are not one contiguous range of ids in order.
    #[error("{}: location token {token:?} has id {id}, expected {expected}", file.display())]
    LocationTokensScattered {
        /// The tokenizer file.
        file: PathBuf,
        /// The first token out of place.
        token: String,
        /// Its id in the file.
        id: u32,
        /// The id that follows from `<loc_0>`.
        expected: u32,
    },
    /// The file has no location tokens and the model's embedding does not fit the tokens that would be added.
    #[error(
        "{}: the tokenizer has no location tokens, and with the added tokens of Florence-2 it would have \
         {tokens} tokens for an embedding of {rows} rows", file.display()
    )]
    LocationTokensUnsupplied {
        /// The tokenizer file.
        file: PathBuf,
        /// Tokens after the addition, without `<image>`.
        tokens: usize,
        /// Rows of the model's embedding.
        rows: usize,
    },
    /// The tokenizer has more tokens than the model's embedding has rows.
    #[error("{}: the tokenizer has {tokens} tokens, the model's embedding only {rows} rows", file.display())]
    TokenizerTooLarge {
        /// The tokenizer file.
        file: PathBuf,
        /// Tokens that a prompt or an answer can contain.
        tokens: usize,
        /// Rows of the model's embedding.
        rows: usize,
    },
    /// A text could not be split into tokens.
    #[error("the text {text:?} cannot be split into tokens: {cause}")]
    Encode {
        /// The text.
        text: String,
        /// What the tokenizer says.
        cause: TokenizersCause,
    },
    /// Token ids could not be turned into text.
    #[error("{count} tokens from id {first} on cannot be turned into text: {cause}")]
    Decode {
        /// The first id of the run.
        first: u32,
        /// Length of the run.
        count: usize,
        /// What the tokenizer says.
        cause: TokenizersCause,
    },
    /// No task has this name.
    #[error("unknown task {name:?}; the nearest is {nearest:?}")]
    UnknownTask {
        /// The name as given.
        name: String,
        /// The most similar task name.
        nearest: &'static str,
    },
    /// A text or a region was given to a task that takes none.
    #[error("task {task} takes no {given}")]
    UnexpectedInput {
        /// The task.
        task: Task,
        /// What was given: "text" or "region".
        given: &'static str,
    },
    /// A task that needs a text or a region was given neither.
    #[error("task {task} needs a {needed}")]
    MissingInput {
        /// The task.
        task: Task,
        /// What it needs: "text" or "region".
        needed: &'static str,
    },
    /// A prompt in the reference's form has other text beside a task name that stands alone.
    #[error("prompt {prompt:?}: {name} must stand alone")]
    TaskNameNotAlone {
        /// The prompt as given.
        prompt: String,
        /// The task name found in it.
        name: &'static str,
    },
    /// A region has no area, is inverted, not finite, or lies partly outside the picture.
    #[error("region {corners_px:?} is not a box inside the picture of {picture}")]
    RegionOutsidePicture {
        /// The corners x1, y1, x2, y2 in pixels, as given.
        corners_px: [f32; 4],
        /// The picture's size.
        picture: PictureSize,
    },
    /// A text that should be four location tokens is something else.
    #[error("region {text:?} is not of the form {}", LocationBox::FORM)]
    RegionText {
        /// The text as given.
        text: String,
    },
    /// The prompt has more tokens than the model has positions for beside the picture.
    #[error("the prompt has {tokens} tokens, the model takes at most {limit} beside the picture: {text:?}")]
    PromptTooLong {
        /// Tokens of the prompt, `<s>` and `</s>` included.
        tokens: usize,
        /// The most the model takes.
        limit: usize,
        /// The beginning of the prompt.
        text: String,
    },
    /// The prompt contains a token that the model has no embedding for.
    #[error("the prompt contains {token:?}, which is no text: {text:?}")]
    PromptToken {
        /// The token.
        token: String,
        /// The beginning of the prompt.
        text: String,
    },
    /// No ONNX Runtime library was found.
    #[error(
        "no ONNX Runtime library: looked at {}; install ONNX Runtime 1.24 or later, or set ORT_DYLIB_PATH to its libonnxruntime.so",
        .searched.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    RuntimeMissing {
        /// Every path that was tried, in order.
        searched: Vec<PathBuf>,
    },
    /// An ONNX Runtime library is there but cannot be used.
    #[error("cannot use the ONNX Runtime library {path}: {reason}", path = .path.display())]
    RuntimeUnusable {
        /// The library file.
        path: PathBuf,
        /// What the loader or the library said.
        reason: String,
    },
    /// The engine refused or failed an operation.
    #[error("{engine} engine, {doing}: {reason}")]
    Engine {
        /// Which engine.
        engine: &'static str,
        /// What it was doing, with the graph's name where there is one.
        doing: String,
        /// What the engine said.
        reason: String,
    },
    /// A request the model cannot serve.
    #[error("{what}: {reason}")]
    Request {
        /// The argument or option.
        what: &'static str,
        /// Why it cannot be served.
        reason: String,
    },
    /// The engine computed logits that are not finite.
    #[error(
        "logits of step {step}, row {row} are not finite ({precision} precision); try exact precision or check the checkpoint"
    )]
    LogitsNotFinite {
        /// 0 for the prefill, then counting steps.
        step: usize,
        /// Row of the batch.
        row: usize,
        /// The engine's precision.
        precision: &'static str,
    },
    /// TensorRT refused or failed something.
    #[error(transparent)]
    TensorRt(belvedere_tensorrt::TensorRtError),
    /// There is no room for an engine file.
    #[error("{folder}: no room for an engine of {needed_bytes} bytes: {source}", folder = .folder.display())]
    NoSpace {
        /// The folder of engines.
        folder: PathBuf,
        /// What is needed, in bytes.
        needed_bytes: u64,
        /// What the system said.
        source: std::io::Error,
    },
    /// The caller's [`CancelToken`](crate::CancelToken) was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A file could not be opened, read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that should hold JSON does not.
    #[error("{path}: not valid JSON: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What the JSON parser said, with line and column.
        source: serde_json::Error,
    },
    /// The folder is not a Florence-2 checkpoint.
    #[error("{path}: not a Florence-2 checkpoint: {reason}")]
    NotFlorence {
        /// The folder, or the file that gave it away.
        path: PathBuf,
        /// What is missing or different.
        reason: String,
    },
    /// A configuration file holds a value that no Florence-2 model can have, or that is not supported.
    #[error("{path}: {key}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// The key, dotted from the root of the file.
        key: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// The header of a safetensors file cannot be read, or contradicts the file.
    #[error("{path}: bad safetensors file: {reason}")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A safetensors file is shorter (or longer) than its header says.
    #[error(
        "{path}: the file holds {actual_bytes} bytes, its header describes {expected_bytes}: truncated or damaged"
    )]
    FileLength {
        /// The file.
        path: PathBuf,
        /// Bytes that header and tensors take.
        expected_bytes: u64,
        /// Bytes that are there.
        actual_bytes: u64,
    },
    /// A tensor that the model needs is in none of the files.
    #[error("{path}: tensor {tensor} of shape {expected:?} is missing")]
    MissingTensor {
        /// Its name in the layout of the file.
        tensor: String,
        /// The file (or the shard index) that was searched.
        path: PathBuf,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("{path}: tensor {tensor} has shape {found:?}, the configuration asks for {expected:?}")]
    TensorShape {
        /// Its name in the layout of the file.
        tensor: String,
        /// The file that holds it.
        path: PathBuf,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor is stored in a type that is not a weight type.
    #[error("{path}: tensor {tensor} is stored as {dtype}; F32, F16 and BF16 are understood")]
    TensorType {
        /// Its name in the layout of the file.
        tensor: String,
        /// The file that holds it.
        path: PathBuf,
        /// The type in the file.
        dtype: String,
    },
    /// A tensor was asked for that this model does not have.
    #[error("the model has no tensor {tensor}")]
    UnknownTensor {
        /// The native name that was asked for.
        tensor: String,
    },
    /// An image size that the vision tower cannot take.
    #[error("image size {width}x{height}: {reason}")]
    ImageSize {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Why not.
        reason: String,
    },
    /// A graph was asked for that cannot be built.
    #[error("graph {graph}: {reason}")]
    Graph {
        /// The graph's name.
        graph: String,
        /// What is wrong with the request.
        reason: String,
    },
}

impl ModelError {
    /// Whether a device or a library that is needed is missing on this machine, rather than anything being wrong.
    pub fn is_unavailable(&self) -> bool {
        use belvedere_tensorrt::TensorRtError;

        matches!(
            self,
            ModelError::RuntimeMissing { .. }
                | ModelError::RuntimeUnusable { .. }
                | ModelError::Request { what: "device", .. }
                | ModelError::TensorRt(TensorRtError::NotBuilt | TensorRtError::LibraryMissing { .. })
        )
    }

    /// Attaches the path to an input/output error; for `map_err`.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> ModelError {
        let path = path.into();
        move |source| ModelError::Io { path, source }
    }
}
