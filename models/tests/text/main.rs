//! The text side of the model as its users see it: tokenizer, prompts, answers.

// The helpers of tests may unwrap as the tests do.
#![allow(clippy::unwrap_used)]

mod default_answers;
mod golden;
mod prompts;
mod reference_answers;
mod support;
mod tokenizers;
mod untrusted;
