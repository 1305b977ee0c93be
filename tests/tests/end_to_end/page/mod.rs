//! The page in a real browser.

mod login;
mod stage;
mod start;
mod tour;
