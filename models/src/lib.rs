//! Florence-2 from [`PixelValues`](belvedere_kernels) to results: checkpoint, graphs, engines, decoding, text.

pub mod checkpoint;
mod error;
pub mod graph;
pub mod parse;
pub mod synthetic;
pub mod tasks;
pub mod tokens;

pub use checkpoint::Checkpoint;
pub use error::{ModelError, TokenizersCause};
pub use parse::{Answer, ParseMode, Region, Shape, TaskOutput};
pub use tasks::{InputKind, LocationBox, PictureSize, Prompt, PromptStyle, Task, TaskInput};
pub use tokens::Tokenizer;
