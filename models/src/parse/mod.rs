//! The model's answers, from token ids to text and regions.
//!
//! Model output is untrusted input: no sequence of ids makes a parser fail, and every coordinate lies inside the
//! picture.

mod answer;
mod output;

pub use answer::{Answer, ParseMode};
pub use output::{Region, Shape, TaskOutput};
