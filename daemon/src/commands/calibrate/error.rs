//! Why a phrase was not calibrated.

use std::io;
use std::path::PathBuf;

use crate::roc::RocError;

/// Why a phrase was not calibrated.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// A folder cannot be listed.
    #[error("{}: {reason}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The system's words.
        #[source]
        reason: io::Error,
    },
    /// Both groups are the same pictures.
    #[error("{} cannot hold both the pictures with the phrase and those without it", folder.display())]
    SameFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder without a picture that can be read.
    #[error("{}: there is no picture that can be used", folder.display())]
    NoPicture {
        /// The folder.
        folder: PathBuf,
    },
    /// The scores make no curve.
    #[error(transparent)]
    Curve(#[from] RocError),
    /// The scores say nothing about the phrase.
    #[error(
        "the scores of {phrase:?} do not tell these pictures apart well enough; no score is recommended or written (try other \
         words, or look at what the model finds with `belvedere infer --task open-vocabulary-detection`)"
    )]
    NotToldApart {
        /// The phrase.
        phrase: String,
    },
    /// The file to write into cannot be read or written.
    #[error("{}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The system's words.
        #[source]
        reason: io::Error,
    },
    /// The file to write into is not TOML.
    #[error("{}:{line}: not TOML: {reason}", file.display())]
    NotToml {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// No alert in the file to write into is for the phrase.
    #[error("{}: there is no [[camera.alert]] for {phrase:?}{of_camera}; there are: {others}", file.display())]
    NoAlert {
        /// The file.
        file: PathBuf,
        /// The phrase.
        phrase: String,
        /// ` of camera "NAME"` where one was named, else empty.
        of_camera: String,
        /// The phrases that are there.
        others: String,
    },
}
