use crate::{CameraName, StreamFailure};

/// What can go wrong before or beside a running stream. A running stream that fails is no error to the
/// caller: it shows in [`crate::CameraStatus`] as a [`StreamFailure`] and is tried again.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A camera name with a character outside `[a-z0-9_-]`, or an empty one.
    #[error("camera name {name:?} is not one or more of a-z, 0-9, '_' and '-'")]
    CameraName {
        /// The name as given.
        name: String,
    },
    /// A source URL that cannot be used. The URL is redacted.
    #[error("source URL \"{url}\": {reason}")]
    SourceUrl {
        /// The URL without its secrets.
        url: String,
        /// What is wrong, in plain words.
        reason: String,
    },
    /// A credentials text that is not `user:password`.
    #[error("credentials are not of the form user:password")]
    Credentials,
    /// A transport, decoder or other word that is not one of those known.
    #[error("{value:?} is not a {what}; known are {known}")]
    UnknownWord {
        /// What was asked for.
        what: &'static str,
        /// The word as given.
        value: String,
        /// The words that would do.
        known: String,
    },
    /// A number of a [`crate::SourceSpec`] is out of its range.
    #[error("camera {camera}: {setting} is {value}, which is not {wanted}")]
    Setting {
        /// The camera it was meant for.
        camera: CameraName,
        /// The field of the specification.
        setting: &'static str,
        /// Its value.
        value: String,
        /// The range.
        wanted: &'static str,
    },
    /// GStreamer could not be initialised.
    #[error("GStreamer cannot start: {reason}")]
    GStreamer {
        /// GStreamer's own words.
        reason: String,
    },
    /// The stream of a camera cannot be opened or read.
    #[error("camera {camera}: {failure}")]
    Stream {
        /// The camera.
        camera: CameraName,
        /// What is wrong.
        failure: StreamFailure,
    },
    /// The picture of a frame cannot be read as an image.
    #[error("camera {camera}, frame {frame_id}: {reason}")]
    Picture {
        /// The camera.
        camera: CameraName,
        /// The frame's id.
        frame_id: u64,
        /// What is wrong with its layout.
        reason: String,
    },
    /// Two cameras of one name were given to one scheduler.
    #[error("camera {camera} is supervised already")]
    CameraInUse {
        /// The camera.
        camera: CameraName,
    },
}
