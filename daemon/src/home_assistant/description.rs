//! What is to be announced.

use std::time::Duration;

use belvedere_models::Task;

/// The daemon and everything that it watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonDescription {
    /// `mqtt.topic`, the root of all topics.
    pub topic: String,
    /// `mqtt.discovery`, the first level of Home Assistant's discovery topics.
    pub discovery_prefix: String,
    /// The daemon's version.
    pub version: String,
    /// `mqtt.stats_interval`; statistics that are older than three of them count as gone.
    pub stats_interval: Duration,
    /// Every camera of the configuration, disabled ones too: their switch enables them.
    pub cameras: Vec<CameraDescription>,
}

/// A camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraDescription {
    /// One or more of `[a-z0-9_-]`, unique.
    pub name: String,
    /// What is asked of each frame.
    pub tasks: Vec<AskedTask>,
    /// What it is watched for.
    pub phrases: Vec<PhraseDescription>,
}

/// A task that a camera is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedTask {
    /// The task.
    pub task: Task,
    /// The phrase or the caption that it is asked about, where it takes one.
    pub input: Option<String>,
}

/// A phrase with its place in the topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhraseDescription {
    /// As the user wrote it.
    pub phrase: String,
    /// One or more of `[a-z0-9_]`, unique within the camera.
    pub slug: String,
    /// Whether its alerts come with a picture.
    pub snapshot: bool,
}

impl DaemonDescription {
    /// After so many seconds without statistics their sensors are unavailable; three intervals, so that
    /// one late or lost message is no gap.
    pub(super) fn statistics_expire_s(&self) -> u64 {
        (self.stats_interval * 3).as_secs().max(1)
    }
}
