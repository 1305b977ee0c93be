//! What each camera's state is, for everyone who asks.

use std::collections::BTreeMap;

use tokio::sync::watch;

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

/// The states of all cameras, by their names.
#[derive(Debug, Clone, Default)]
pub(super) struct CameraStates(pub(super) BTreeMap<String, watch::Receiver<CameraState>>);

impl CameraStates {
    /// That of `camera` now; one that does not exist is offline.
    pub(super) fn of(&self, camera: &str) -> CameraState {
        self.0.get(camera).map_or(CameraState::Offline, |state| *state.borrow())
    }
}
