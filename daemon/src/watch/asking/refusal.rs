//! Why there is no answer.

use std::fmt::Display;

/// What was said by others is echoed no further than so many characters.
const MAX_WORDS_CHARS: usize = 200;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// It is not of the form of a question.
    #[error("no question: {what}")]
    Invalid {
        /// How that was seen.
        what: String,
    },
    /// There is no such task.
    #[error("there is no such task")]
    UnknownTask,
    /// Longer than anyone needs, or than the model takes.
    #[error("the text is too long")]
    TextTooLong,
    /// The configuration has no such camera.
    #[error("there is no such camera")]
    UnknownCamera,
    /// The camera is switched off.
    #[error("the camera is disabled")]
    Disabled,
    /// The camera gives no pictures.
    #[error("the camera is offline")]
    Offline,
    /// More were asked in a short time than are answered.
    #[error("too many questions; ask again later")]
    TooMany,
    /// The camera gave no frame while the question waited, or the model was busy with the cameras.
    #[error("no frame could be asked about in time")]
    NoFrame,
    /// The model was still answering when its time was up.
    #[error("the answer took too long")]
    TookTooLong,
    /// The model or the frame is at fault.
    #[error("{what}")]
    Failed {
        /// What went wrong.
        what: String,
    },
}

impl Refusal {
    pub(super) fn invalid(what: impl Display) -> Refusal {
        Refusal::Invalid { what: beginning(what) }
    }

    pub(super) fn failed(what: impl Display) -> Refusal {
        Refusal::Failed { what: beginning(what) }
    }

    /// For programs.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Refusal::Invalid { .. } => "invalid",
            Refusal::UnknownTask => "unknown-task",
            Refusal::TextTooLong => "text-too-long",
            Refusal::UnknownCamera => "unknown-camera",
            Refusal::Disabled => "disabled",
            Refusal::Offline => "offline",
            Refusal::TooMany => "too-many",
            Refusal::NoFrame => "no-frame",
            Refusal::TookTooLong => "took-too-long",
            Refusal::Failed { .. } => "failed",
        }
    }
}

fn beginning(what: impl Display) -> String {
    what.to_string().chars().take(MAX_WORDS_CHARS).collect()
}
