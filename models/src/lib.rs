//! Florence-2 from [`PixelValues`](belvedere_kernels) to results: checkpoint, graphs, engines, decoding, text.

mod error;
pub mod parse;
pub mod tasks;
pub mod tokens;

pub use error::{ModelError, TokenizersCause};
pub use parse::{Answer, ParseMode, Region, Shape, TaskOutput};
pub use tasks::{InputKind, LocationBox, PictureSize, Prompt, PromptStyle, Task, TaskInput};
pub use tokens::Tokenizer;
