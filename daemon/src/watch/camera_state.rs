//! What each camera's state is, for everyone who asks.

/// As `ROOT/CAMERA/status` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CameraState {
    /// It is switched off.
    Disabled,
    /// It gives no frames.
    Offline,
    /// It gives frames.
    Online,
}

impl CameraState {
    /// The word of the topic.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            CameraState::Disabled => "disabled",
            CameraState::Offline => "offline",
            CameraState::Online => "online",
        }
    }
}
