//! `[[camera]]`

use std::collections::HashMap;
use std::time::Duration;

use belvedere_models::{InputKind, Task};
use belvedere_pipelines::{
    AtEnd, CameraName, Credentials, DecoderChoice, SourceSpec, SourceUrl, Timeouts, Transport,
};
use config::{Value, ValueKind};

use super::alerts;
use super::nearest::nearest;
use super::reader::{Read, Reader};
use super::secret::read_bounded;
use super::settings::{CameraSettings, CameraTask};
use crate::mqtt::topics;

/// What `decoder` may be, beside `element:NAME`.
const DECODERS: [&str; 5] = ["auto", "software", "nvv4l2", "nvcodec", "va"];

/// Reads every camera. A camera with a mistake does not hide the mistakes of the next.
pub(super) fn read_all(root: &Reader<'_>) -> Read<Vec<CameraSettings>> {
    let list = match root.get("camera").map(|value| &value.kind) {
        Some(ValueKind::Array(list)) if !list.is_empty() => list,
        None | Some(ValueKind::Array(_)) => {
            root.blame("camera", "there is no camera; each is a table [[camera]]");
            return None;
        }
        Some(other) => {
            root.wrong_type("camera", "a list of tables, [[camera]]", other);
            return None;
        }
    };
    let mut names = HashMap::new();
    let cameras: Vec<Read<CameraSettings>> = list
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let path = format!("camera[{index}]");
            match &value.kind {
                ValueKind::Table(table) => root.read_table(path.clone(), table, |table| {
                    let camera = read(table);
                    refuse_second_of_name(table, path, &mut names);
                    camera
                }),
                other => {
                    root.wrong_type(&path, "a table", other);
                    None
                }
            }
        })
        .collect();
    cameras.into_iter().collect()
}

fn refuse_second_of_name(table: &Reader<'_>, path: String, names: &mut HashMap<String, String>) {
    // A name that is no string was reported when it was read.
    let Some(ValueKind::String(name)) = table.get("name").map(|value| &value.kind) else {
        return;
    };
    if let Some(first) = names.get(name) {
        table.blame("name", format_args!("{first} is named {name:?} already"));
    } else {
        names.insert(name.clone(), path);
    }
}

fn read(table: &Reader<'_>) -> Read<CameraSettings> {
    let name = name(table);
    let url = url(table);
    let credentials = credentials(table);
    let fps = fps(table);
    let zones = alerts::zones(table);
    let alerts = alerts::alerts(table, zones.as_ref(), fps);
    let tasks = tasks(table, alerts.as_ref().is_none_or(|alerts| !alerts.is_empty()));
    let transport = table.one_of(
        "transport",
        &[("auto", Transport::Auto), ("tcp", Transport::Tcp), ("udp", Transport::Udp)],
        Transport::Auto,
    );
    let decoder = decoder(table);
    let at_end = table.one_of("at_end", &[("stop", AtEnd::Stop), ("loop", AtEnd::Loop)], AtEnd::Stop);
    let trust_any_certificate = table.boolean("trust_any_certificate", false);
    let enabled = table.boolean("enabled", true);
    let timeouts = timeouts(table);
    let name = name?;
    let mut source = SourceSpec::new(name.clone(), url?);
    source.credentials = credentials?;
    source.fps = fps?;
    source.transport = transport?;
    source.decoder = decoder?;
    source.at_end = at_end?;
    source.trust_any_certificate = trust_any_certificate?;
    source.timeouts = timeouts?;
    if let Err(error) = source.validate() {
        table.blame("", error);
        return None;
    }
    Some(CameraSettings {
        name: name.to_string(),
        enabled: enabled?,
        source,
        tasks: tasks?,
        alerts: alerts?,
        zones: zones?,
    })
}

fn name(table: &Reader<'_>) -> Read<CameraName> {
    let text = table.required_string("name")?;
    if topics::RESERVED_CAMERA_NAMES.contains(&text) {
        table.blame("name", format_args!("{text:?} is a topic of the daemon's own; choose another name"));
        return None;
    }
    match CameraName::new(text) {
        Ok(name) => Some(name),
        Err(error) => {
            table.blame("name", error);
            None
        }
    }
}

fn url(table: &Reader<'_>) -> Read<SourceUrl> {
    let text = table.required_string("url")?;
    match SourceUrl::parse(text) {
        Ok(url) => Some(url),
        Err(error) => {
            let scheme = text.split(':').next().unwrap_or_default();
            let schemes = ["rtsp", "rtsps", "file", "v4l2", "test"];
            let nearest = nearest(scheme, schemes).filter(|_| !schemes.contains(&scheme));
            table.blame_with("url", error, nearest);
            None
        }
    }
}

fn credentials(table: &Reader<'_>) -> Read<Option<Credentials>> {
    let Some(path) = table.string("credentials_file")? else {
        return Some(None);
    };
    table.names_file(path);
    match read_bounded(path.as_ref()) {
        Err(error) if table.is_out_of_sight("credentials_file", path, &error) => Some(None),
        Err(error) => {
            table.blame_file("credentials_file", path, &error);
            None
        }
        Ok(text) => match Credentials::parse(&text) {
            Ok(credentials) => Some(Some(credentials)),
            Err(error) => {
                table.blame("credentials_file", format_args!("{path}: {error}"));
                None
            }
        },
    }
}

fn fps(table: &Reader<'_>) -> Read<f64> {
    match table.number("fps")? {
        None => Some(2.0),
        Some(fps) if fps > 0.0 && fps <= 240.0 => Some(fps),
        Some(fps) => {
            table.blame("fps", format_args!("{fps} is not above 0 and at most 240"));
            None
        }
    }
}

fn decoder(table: &Reader<'_>) -> Read<DecoderChoice> {
    let Some(word) = table.string("decoder")? else {
        return Some(DecoderChoice::Auto);
    };
    match word.parse() {
        Ok(choice) => Some(choice),
        Err(error) => {
            table.blame_with("decoder", error, nearest(word, DECODERS));
            None
        }
    }
}

fn timeouts(table: &Reader<'_>) -> Read<Timeouts> {
    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(3600);
    let default = Timeouts::default();
    let read = |key, default| table.duration(key, default, SHORTEST..=LONGEST);
    let first_frame = read("first_frame_timeout", default.first_frame);
    let no_frame = read("frame_timeout", default.no_frame);
    let rtsp_answer = read("answer_timeout", default.rtsp_answer);
    let offline_after = read("offline_after", default.offline_after);
    let backoff_longest = read("longest_backoff", default.backoff_longest);
    let backoff_longest = backoff_longest?;
    Some(Timeouts {
        first_frame: first_frame?,
        no_frame: no_frame?,
        rtsp_answer: rtsp_answer?,
        offline_after: offline_after?,
        backoff_longest,
        backoff_first: default.backoff_first.min(backoff_longest),
        ..default
    })
}

fn tasks(table: &Reader<'_>, has_alerts: bool) -> Read<Vec<CameraTask>> {
    let list = match table.get("tasks").map(|value| &value.kind) {
        Some(ValueKind::Array(list)) if !list.is_empty() => list,
        None | Some(ValueKind::Array(_)) if has_alerts => return Some(Vec::new()),
        None | Some(ValueKind::Array(_)) => {
            table.blame(
                "tasks",
                "there is no task and no alert; write tasks = [\"caption\"] or [[camera.alert]]",
            );
            return None;
        }
        Some(other) => {
            table.wrong_type("tasks", "a list", other);
            return None;
        }
    };
    let tasks: Vec<Read<CameraTask>> = list
        .iter()
        .enumerate()
        .map(|(index, value)| task(table, &format!("tasks[{index}]"), value))
        .collect();
    let mut seen = Vec::new();
    for (index, task) in tasks.iter().enumerate() {
        let Some(asked) = task else {
            continue;
        };
        if seen.contains(&asked) {
            // Both would be published on one topic, and nothing would tell them apart.
            let what = format!("{} is asked for already", asked.task.name());
            table.blame(&format!("tasks[{index}]"), what);
        }
        seen.push(asked);
    }
    tasks.into_iter().collect()
}

fn task(table: &Reader<'_>, key: &str, value: &Value) -> Read<CameraTask> {
    match &value.kind {
        ValueKind::String(name) => checked_task(table, key, name, None),
        ValueKind::Table(entry) => table.read_table(table.path_of(key), entry, |entry: &Reader<'_>| {
            let text = entry.string("text");
            let name = entry.required_string("task")?;
            checked_task(entry, "task", name, text?)
        }),
        other => {
            table.wrong_type(key, "a task's name or { task = ..., text = ... }", other);
            None
        }
    }
}

fn checked_task(table: &Reader<'_>, key: &str, name: &str, text: Option<&str>) -> Read<CameraTask> {
    let Ok(task) = name.parse::<Task>() else {
        table.blame_with(
            key,
            format_args!("{name:?} is no task"),
            nearest(name, Task::ALL.iter().map(|task| task.name())),
        );
        return None;
    };
    if task.input() == InputKind::Region {
        table.blame(key, format_args!("{name} asks about one region of a picture, which a camera has not"));
        return None;
    }
    match (task.input() == InputKind::Text, text) {
        (true, None) => {
            table.blame(
                key,
                format_args!("{name} needs a text; write {{ task = \"{name}\", text = \"...\" }}"),
            );
            None
        }
        (false, Some(_)) => {
            table.blame(key, format_args!("{name} takes no text"));
            None
        }
        _ => Some(CameraTask { task, text: text.map(str::to_owned) }),
    }
}
