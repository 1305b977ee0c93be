//! The answers in JSON. Their shapes are in `daemon/docs/api.schema.json`.

use std::time::SystemTime;

use belvedere_models::{InputKind, Task};
use serde::Serialize;

use super::site::Site;
use crate::live::{AlertItem, CameraFacts, CameraNow, HistoryValues, Live, Phase};
use crate::messages::rfc3339_ms;

/// `/api/state`, and the event `state`: what changes all the time.
#[derive(Debug, Serialize)]
pub(super) struct StateDocument {
    version: &'static str,
    time: String,
    uptime_s: u64,
    phase: Phase,
    /// What runs the model; null while it is loaded.
    device: Option<String>,
    /// Whether a token is needed, so that whoever is shown this can log out.
    login: bool,
    /// What the operator should know; null where there is nothing.
    notice: Option<String>,
    mqtt: MqttState,
    /// When this has grown, `/api/cameras` says something else.
    revision: u64,
    cameras: Vec<CameraNow>,
}

#[derive(Debug, Serialize)]
struct MqttState {
    connected: bool,
    /// Messages that wait for the broker.
    waiting: usize,
    /// Of those, messages that must not be lost.
    spooled: usize,
    /// Whether alerts that are accepted now would be lost with the process.
    spool_in_memory_only: bool,
}

/// `/api/cameras`: what the configuration says, what is so now, and the last minutes.
#[derive(Debug, Serialize)]
pub(super) struct CamerasDocument {
    revision: u64,
    cameras: Vec<CameraDocument>,
    /// What any camera can be asked.
    tasks: Vec<TaskDocument>,
}

#[derive(Debug, Serialize)]
struct CameraDocument {
    #[serde(flatten)]
    facts: CameraFacts,
    now: CameraNow,
    history: HistoryValues,
}

#[derive(Debug, Serialize)]
struct TaskDocument {
    name: &'static str,
    /// `nothing`, `text` or `box`.
    input: &'static str,
}

/// `/api/alerts`: the newest first.
#[derive(Debug, Serialize)]
pub(super) struct AlertsDocument {
    alerts: Vec<AlertItem>,
}

pub(super) fn state(site: &Site) -> StateDocument {
    let live = &site.live;
    let sources = live.sources();
    let (waiting, spooled) = sources.map(crate::metrics::MetricSources::waiting).unwrap_or_default();
    StateDocument {
        version: env!("CARGO_PKG_VERSION"),
        time: rfc3339_ms(SystemTime::now()),
        uptime_s: live.began().elapsed().as_secs(),
        phase: live.phase(),
        device: live.device().as_deref().map(str::to_owned),
        login: site.gate.has_token(),
        notice: live.notice(),
        mqtt: MqttState {
            connected: sources.is_some_and(crate::metrics::MetricSources::is_connected),
            waiting,
            spooled,
            spool_in_memory_only: sources.is_some_and(crate::metrics::MetricSources::is_spool_in_memory_only),
        },
        revision: live.revision(),
        cameras: live.cameras().iter().map(|camera| camera.now()).collect(),
    }
}

pub(super) fn cameras(live: &Live) -> CamerasDocument {
    let task = |task: Task| TaskDocument {
        name: task.name(),
        input: match task.input() {
            InputKind::Nothing => "nothing",
            InputKind::Text => "text",
            InputKind::Region => "box",
        },
    };
    // Before the cameras: one that comes meanwhile is then asked for again, and not missed.
    let revision = live.revision();
    let cameras = live.cameras();
    let cameras = cameras.iter().map(|camera| CameraDocument {
        facts: camera.facts().clone(),
        now: camera.now(),
        history: camera.history(),
    });
    CamerasDocument { revision, cameras: cameras.collect(), tasks: Task::ALL.into_iter().map(task).collect() }
}

pub(super) fn alerts(live: &Live, camera: Option<&str>) -> AlertsDocument {
    AlertsDocument { alerts: live.alerts(|log| log.newest(camera)) }
}
