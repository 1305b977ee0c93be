//! Why a checkpoint was not fetched.

use std::io;
use std::path::{Path, PathBuf};

use belvedere_models::ModelError;

use super::ModelName;

/// Why a checkpoint was not fetched. No token is in it.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// No name of a model.
    #[error("{name:?} is no model's name; write OWNER/NAME, such as microsoft/Florence-2-base-ft")]
    Name {
        /// What was given.
        name: String,
    },
    /// No branch, tag or commit.
    #[error("{revision:?} is no revision; write a branch, a tag or a commit")]
    Revision {
        /// What was given.
        revision: String,
    },
    /// No address of a hub.
    #[error("the endpoint is no address of a hub: {reason}")]
    Endpoint {
        /// What is wrong; not the address, which may hold a password.
        reason: String,
    },
    /// The token would be everybody's.
    #[error("the token would be sent to {endpoint} unencrypted; use https://")]
    TokenInTheClear {
        /// The hub.
        endpoint: String,
    },
    /// Nobody answers.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// The system's words.
        reason: String,
    },
    /// Nothing came for a long time.
    #[error("{url}: nothing came for {seconds} s")]
    Stalled {
        /// What was asked for.
        url: String,
        /// How long.
        seconds: u64,
    },
    /// It is not there.
    #[error("{url}: there is no such model, revision or file ({message})")]
    NotFound {
        /// What was asked for.
        url: String,
        /// The hub's words.
        message: String,
    },
    /// It is there for others.
    #[error("{url}: not allowed ({message}); {}", if *.has_token {
        "the token is not taken, or its owner has not accepted the model's terms on the hub"
    } else {
        "a token is needed: set HF_TOKEN, or name a file with --token-file"
    })]
    NotAllowed {
        /// What was asked for.
        url: String,
        /// The hub's words.
        message: String,
        /// Whether there was a token.
        has_token: bool,
    },
    /// The hub answers something else.
    #[error("{url} answers {status} ({message})")]
    Status {
        /// What was asked for.
        url: String,
        /// The number of HTTP.
        status: u16,
        /// The hub's words.
        message: String,
    },
    /// It is no hub, or a broken one.
    #[error("{url}: {reason}; is this a model hub?")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// What came is not what the hub has.
    #[error("{file} was fetched wrong twice: its {what} is {found} instead of {expected}")]
    Wrong {
        /// The file in the model.
        file: String,
        /// `checksum` or `length`.
        what: &'static str,
        /// What the hub says.
        expected: String,
        /// What came.
        found: String,
    },
    /// The weights are in another form.
    #[error("{model} has no safetensors file, only {}; choose a revision or a model that has one", found.join(", "))]
    NoSafetensors {
        /// The model.
        model: ModelName,
        /// Its files.
        found: Vec<String>,
    },
    /// A file is not there.
    #[error("{model} has no {file}; it is no Florence-2 as the hub has them")]
    MissingFile {
        /// The model.
        model: ModelName,
        /// The file.
        file: String,
    },
    /// It came whole, and is something else.
    #[error("what was fetched is no Florence-2: {reason}")]
    NotFlorence {
        /// Why.
        #[source]
        reason: Box<ModelError>,
    },
    /// Another process is at it.
    #[error("another process fetches this model into {}", path.display())]
    Busy {
        /// The folder of models.
        path: PathBuf,
    },
    /// A file or folder refuses.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's words.
        #[source]
        reason: io::Error,
    },
}

impl HubError {
    /// For `map_err`: the file or folder that refused.
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> HubError {
        let path = path.to_owned();
        move |reason| HubError::File { path, reason }
    }

    /// Whether there is no way to the hub: no network, or a wrong address.
    pub fn is_offline(&self) -> bool {
        matches!(self, HubError::Unreachable { .. } | HubError::Stalled { .. })
    }

    /// Whether this user may not write where the model is to be.
    pub fn is_denied(&self) -> bool {
        matches!(self, HubError::File { reason, .. } if reason.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Whether the next try may do better.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            HubError::Unreachable { .. } | HubError::Stalled { .. } => true,
            HubError::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}
