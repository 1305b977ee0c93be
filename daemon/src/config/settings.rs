//! The configuration once it is known to be right.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use belvedere_models::{Device, PhraseForm, Precision, Task};
use belvedere_pipelines::SourceSpec;

use super::Secret;
use crate::alerts::{AlertSettings, Phrase, Zone};
use crate::mqtt::spool::SpoolLimits;
use crate::snapshot::SnapshotStyle;

/// A configuration without a mistake. Its `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `[mqtt]`
    pub mqtt: MqttSettings,
    /// `[model]`
    pub model: ModelSettings,
    /// `[http]`; absent, nothing is served.
    pub http: Option<HttpSettings>,
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

/// How the broker's certificate is checked, and with what this side shows who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// `ca_file`: the PEM file of the authority to trust; absent, those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// `client_certificate_file` and `client_key_file`
    pub identity: Option<ClientIdentity>,
    /// A hash of what these files held when they were checked: a certificate that was renewed is a change.
    pub contents_hash: u64,
}

/// A certificate that the broker knows its clients by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The PEM file of the certificate, with those between it and the authority.
    pub certificate_file: PathBuf,
    /// The PEM file of its private key.
    pub key_file: PathBuf,
}

/// Where the messages wait that must not be lost, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxSettings {
    /// `outbox`
    pub place: OutboxPlace,
    /// `outbox_messages`, `outbox_size`
    pub limits: SpoolLimits,
}

impl OutboxSettings {
    /// For what is over when the process is.
    pub fn in_memory() -> OutboxSettings {
        OutboxSettings { place: OutboxPlace::Memory, limits: SpoolLimits::default() }
    }
}

/// `outbox`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxPlace {
    /// In the folder for the state of this user or service ([`crate::mqtt::spool::default_path`]).
    Default,
    /// In this file.
    File(PathBuf),
    /// Lost with the process.
    Memory,
}

/// `[mqtt]`
#[derive(Debug, Clone, PartialEq)]
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
    /// `discovery`: the first level of Home Assistant's discovery topics; absent, nothing is announced.
    pub discovery: Option<String>,
    /// `outbox` and its bounds.
    pub outbox: OutboxSettings,
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
    /// `phrases`: how those of alerts are asked for.
    pub phrases: PhraseForm,
    /// `max_new_tokens`: after so many tokens an answer is cut off.
    pub max_new_tokens: usize,
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// `listen`; port 0 stands for any free port.
    pub listen: SocketAddr,
    /// From `token_file`, or `token` in the environment: what others must know. Never absent where `listen` is no
    /// loopback address.
    pub token: Option<Secret>,
    /// `hosts`: further names by which it may be called, in lower case.
    pub hosts: Vec<String>,
}

/// One `[[camera]]`
#[derive(Debug, Clone, PartialEq)]
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
    /// `[[camera.zone]]`: no two of the same name.
    pub zones: Arc<[Zone]>,
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
