//! A question that comes from the page instead of the broker.

use tokio::sync::oneshot;

/// A question and where its answer goes.
#[derive(Debug)]
pub struct PageQuestion {
    /// The camera's name, as it was given.
    pub camera: String,
    /// As a message to `ROOT/CAMERA/ask` would have it.
    pub payload: Vec<u8>,
    /// Takes what a message to `ROOT/CAMERA/answer` would have.
    pub reply: oneshot::Sender<Vec<u8>>,
}
