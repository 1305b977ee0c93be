//! The configuration once it is known to be right.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use belvedere_models::{Device, Precision, Task};
use belvedere_pipelines::SourceSpec;

use super::Secret;
use crate::alerts::{AlertSettings, Phrase};
use crate::snapshot::SnapshotStyle;

/// A configuration without a mistake. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[mqtt]`
    pub mqtt: MqttSettings,
    /// `[model]`
    pub model: ModelSettings,
    /// `[[camera]]`, of all files, in their order; at least one.
    pub cameras: Vec<CameraSettings>,
}

/// Which broker the messages go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broker {
    /// A broker inside the daemon, listening there (loopback unless told otherwise).
    Embedded {
        /// Port 0 stands for any free port.
        listen: SocketAddr,
    },
    /// A broker elsewhere.
    Remote {
        /// A host name or an address.
        host: String,
        /// The TCP port.
        port: u16,
        /// Present for `mqtts://`.
        tls: Option<Tls>,
    },
}

/// How the broker's certificate is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The PEM file of the authority to trust; absent, those that the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// `[mqtt]`
#[derive(Debug, Clone)]
pub struct MqttSettings {
    /// `url`, with `ca_file` or `listen`.
    pub broker: Broker,
    /// `username`
    pub username: Option<String>,
    /// From `password_file`, or `password` in the environment.
    pub password: Option<Secret>,
    /// `topic`: the root of all topics.
    pub topic: String,
    /// `client_id`
    pub client_id: String,
    /// `keep_alive`
    pub keep_alive: Duration,
    /// `stats_interval`
    pub stats_interval: Duration,
}

/// `[model]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSettings {
    /// `path`: the checkpoint folder; absent, the bundled model.
    pub path: Option<PathBuf>,
    /// `device`
    pub device: Device,
    /// `precision`
    pub precision: Precision,
    /// `threads`; absent, the engine's choice.
    pub threads: Option<usize>,
    /// `beams`: 1 is greedy.
    pub beams: usize,
    /// `max_new_tokens`: after so many tokens an answer is cut off.
    pub max_new_tokens: usize,
}

/// One `[[camera]]`
#[derive(Debug, Clone)]
pub struct CameraSettings {
    /// `name`
    pub name: String,
    /// `enabled`: a camera that is not is reported as `disabled`.
    pub enabled: bool,
    /// Where its frames come from, and how.
    pub source: SourceSpec,
    /// `tasks`: what is asked of each frame; none twice, unless with another text. At least one where there
    /// is no alert.
    pub tasks: Vec<CameraTask>,
    /// `[[camera.alert]]`: what it is watched for; no two with the same slug.
    pub alerts: Vec<CameraAlert>,
}

/// One `[[camera.alert]]`
#[derive(Debug, Clone, PartialEq)]
pub struct CameraAlert {
    /// `phrase`
    pub phrase: Phrase,
    /// When it counts; with the camera's zones.
    pub rule: AlertSettings,
    /// `snapshot_boxes`, `snapshot_quality`, `snapshot_longest_side`
    pub snapshot: SnapshotStyle,
}

/// One thing asked of each frame of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraTask {
    /// The task.
    pub task: Task,
    /// What a task with a text input is asked about.
    pub text: Option<String>,
}
