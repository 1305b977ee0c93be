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
}
