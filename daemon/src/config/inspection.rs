//! A configuration that is looked at by those who start nothing.

use super::{Problem, Settings};

/// A configuration without mistakes.
#[derive(Debug)]
pub struct Inspection {
    /// What it says. A secret that was out of sight is another text here: these are not to be used for connections.
    pub settings: Settings,
    /// What was not looked at, each with the reason.
    pub unseen: Vec<Problem>,
}

/// What is wrong with settings that are right in themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key's path, such as `camera[1].alert[0].phrase`.
    pub key: String,
    /// What is wrong.
    pub what: String,
}
