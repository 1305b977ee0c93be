use std::fmt;

/// Why a stream is not there: a kind to act on and a short sentence to read. Holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFailure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    detail: String,
}

/// The kinds of failure a user can do something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The stream has not been opened yet.
    NotYetConnected,
    /// The host answers, but nothing listens at the port.
    ConnectionRefused,
    /// The host does not answer, or there is no way to it.
    Unreachable,
    /// The host's name is not known.
    UnknownHost,
    /// The server wants another user or password.
    Unauthorised,
    /// The server has no such stream, or there is no such file or device.
    NotFound,
    /// The file or device cannot be opened by this user.
    Forbidden,
    /// The server does not answer in time, or sends no picture in time.
    Timeout,
    /// Pictures came and then stopped.
    Silent,
    /// The stream has no video.
    NoVideo,
    /// The video's codec is none that is decoded.
    UnsupportedCodec,
    /// A decoder or another GStreamer element is not installed.
    MissingElement,
    /// The decoder cannot be used.
    DecoderFailed,
    /// The data cannot be read as video.
    BadStream,
    /// The server's TLS certificate is not trusted, or TLS fails.
    Tls,
    /// The stream ended.
    Ended,
    /// A pipeline did not stop or start in time and was left behind.
    Stuck,
    /// The camera was stopped.
    Stopped,
    /// Anything else.
    Other,
}

impl StreamFailure {
    /// A failure with nothing more to say than its kind.
    pub(crate) fn new(kind: FailureKind) -> Self {
        Self { kind, detail: String::new() }
    }

    /// A failure with a detail. The caller has redacted it.
    pub(crate) fn with_detail(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

impl FailureKind {
    /// What whoever set the stream up can do about it, without a full stop.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::NotYetConnected | Self::Stopped | Self::Ended => "open the stream again",
            Self::ConnectionRefused => "check the port, and whether the camera's stream is switched on",
            Self::Unreachable => {
                "check the address, and that this machine has a way to it: `ping`, routes, firewalls"
            }
            Self::UnknownHost => "check the spelling of the host, or write its address",
            Self::Unauthorised => "check the user and the password, and that this user may see the stream",
            Self::NotFound => "check the path: the camera's manual or its web page names it",
            Self::Forbidden => {
                "let this user read the file or the device; for /dev/video*, the group video may"
            }
            Self::Timeout => {
                "check that the camera answers other programs; try transport tcp, or wait for longer"
            }
            Self::Silent => "check the camera and the network; try transport tcp",
            Self::NoVideo => "choose a stream of the camera with video",
            Self::UnsupportedCodec => "set the camera to H.264, H.265 or MJPEG",
            Self::MissingElement => {
                "install gstreamer1.0-plugins-base, -good, -bad and gstreamer1.0-libav; `belvedere doctor` shows what \
                 is there"
            }
            Self::DecoderFailed => "try decoder software; `belvedere doctor` shows the decoders there are",
            Self::BadStream => "check that the camera's stream plays elsewhere, such as with `ffplay`",
            Self::Tls => {
                "install the certificate of the camera's authority on this machine, or trust any certificate"
            }
            Self::Stuck => "try decoder software, or another transport",
            Self::Other => "set --log-level debug to see what GStreamer says",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::NotYetConnected => "not connected yet",
            Self::ConnectionRefused => "connection refused",
            Self::Unreachable => "the host cannot be reached",
            Self::UnknownHost => "the host name is not known",
            Self::Unauthorised => "unauthorised: the user or password is wrong or missing",
            Self::NotFound => "not found",
            Self::Forbidden => "permission denied",
            Self::Timeout => "timeout",
            Self::Silent => "no more frames",
            Self::NoVideo => "the stream has no video",
            Self::UnsupportedCodec => "unsupported codec",
            Self::MissingElement => "a GStreamer element is not installed",
            Self::DecoderFailed => "the decoder failed",
            Self::BadStream => "the data cannot be read as video",
            Self::Tls => "the TLS connection failed",
            Self::Ended => "the stream ended",
            Self::Stuck => "the pipeline hangs",
            Self::Stopped => "stopped",
            Self::Other => "the stream failed",
        }
    }
}

impl fmt::Display for StreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.sentence())?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}
