//! Where in its life the daemon is.

use serde::Serialize;

/// A part of the daemon's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Phase {
    /// The model is being loaded, or an engine built.
    Starting {
        /// What is being done, for people.
        detail: String,
    },
    /// Cameras are watched.
    Running,
    /// It was told to end.
    Stopping,
}
