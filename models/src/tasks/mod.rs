//! What can be asked of the model, and the prompts that ask it.

mod input;
mod picture;
mod prompt;
mod task;

pub use input::{LocationBox, TaskInput};
pub use picture::PictureSize;
pub use prompt::{Prompt, PromptStyle};
pub(crate) use task::AnswerKind;
pub use task::{InputKind, Task};
