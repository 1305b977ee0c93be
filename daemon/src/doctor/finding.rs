//! A judgement about one thing.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Works, and could work better.
    Note,
    /// Something is missing.
    Missing,
}

/// What is missing or could be better, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is about.
    pub about: &'static str,
    /// What is wrong, with the loader's or the driver's own words where there are any.
    pub says: String,
    /// The next step.
    pub next: String,
}

impl Finding {
    pub(super) fn missing(about: &'static str, says: impl Into<String>, next: impl Into<String>) -> Finding {
        Finding { level: Level::Missing, about, says: says.into(), next: next.into() }
    }

    pub(super) fn note(about: &'static str, says: impl Into<String>, next: impl Into<String>) -> Finding {
        Finding { level: Level::Note, about, says: says.into(), next: next.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    -> {}", self.about, self.says, self.next)
    }
}
