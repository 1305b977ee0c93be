//! `belvedere demo`: everything in one process, and a client that sees only what any client sees.

use std::net::SocketAddr;
use std::time::Duration;

use belvedere_models::{CancelToken, Task};
use belvedere_pipelines::{CameraName, SourceSpec, SourceUrl};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::CommandError;
use crate::alerts::{AlertMessage, AlertSettings, EventType, Phrase};
use crate::allocator;
use crate::broker::EmbeddedBroker;
use crate::cli::Demo;
use crate::config::{
    Broker, CameraAlert, CameraSettings, CameraTask, HttpSettings, MqttSettings, OutboxSettings, Settings,
};
use crate::exit::Exit;
use crate::logging;
use crate::snapshot::SnapshotStyle;
use crate::systemd::Systemd;
use crate::watch::{Signals, Watch};

const CAMERA: &str = "garden";
/// What is asked of each frame.
const TASKS: [Task; 2] = [Task::Caption, Task::ObjectDetection];
/// What it is watched for. Both come and go several times in the film.
const PHRASES: [&str; 2] = ["red car", "blue person"];
/// Short, so that there is something to see.
const CLEAR_AFTER: Duration = Duration::from_secs(1);
const COOLDOWN: Duration = Duration::from_secs(3);
/// Every second picture of the film.
const FPS: f64 = 7.5;
/// Longer answers are cut off on the screen.
const SHOWN_CHARACTERS: usize = 90;
/// As `run` has it.
const MAX_PACKET_BYTES: usize = 16 << 20;

pub(super) fn demo(options: &Demo) -> Result<Exit, CommandError> {
    allocator::settle();
    logging::abort_on_panic();
    belvedere_pipelines::start_gstreamer()?;
    let broker = EmbeddedBroker::start(SocketAddr::from(([127, 0, 0, 1], 0)))?.address();
    #[cfg(feature = "demo")]
    let camera =
        crate::film_camera::FilmCamera::start().map_err(|error| CommandError::Missed(error.to_string()))?;
    #[cfg(feature = "demo")]
    let url = camera.url();
    #[cfg(not(feature = "demo"))]
    let url = "test://ball".to_owned();
    println!("camera   {url}");
    println!("broker   mqtt://{broker}   (mosquitto_sub -p {} -t 'belvedere/#' -v)", broker.port());
    let settings = settings(options, broker, &url)?;
    let runtime = super::run::runtime()?;
    let exit = runtime.block_on(show(options, settings, broker));
    runtime.shutdown_background();
    exit
}

fn settings(options: &Demo, broker: SocketAddr, url: &str) -> Result<Settings, CommandError> {
    let mut source = SourceSpec::new(CameraName::new(CAMERA)?, SourceUrl::parse(url)?);
    source.fps = FPS;
    let phrases = options.phrase.iter().map(|text| (Task::OpenVocabularyDetection, Some(text.clone())));
    let asked = TASKS.into_iter().map(|task| (task, None)).chain(phrases);
    let tasks = asked.map(|(task, text)| CameraTask { task, text }).collect();
    let rule = AlertSettings { clear_after: CLEAR_AFTER, cooldown: COOLDOWN, ..AlertSettings::default() };
    let alert = |text: &str| {
        let phrase = Phrase::new(text).map_err(|error| CommandError::Missed(error.to_string()))?;
        Ok(CameraAlert { phrase, rule: rule.clone(), snapshot: SnapshotStyle::default() })
    };
    Ok(Settings {
        mqtt: MqttSettings {
            broker: Broker::Remote { host: broker.ip().to_string(), port: broker.port(), tls: None },
            username: None,
            password: None,
            topic: "belvedere".to_owned(),
            client_id: "belvedere-demo".to_owned(),
            keep_alive: Duration::from_secs(30),
            stats_interval: Duration::from_secs(30),
            discovery: None,
            outbox: OutboxSettings::in_memory(),
        },
        model: options.model.settings(),
        http: Some(HttpSettings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: None,
            hosts: Vec::new(),
        }),
        cameras: vec![CameraSettings {
            name: CAMERA.to_owned(),
            enabled: true,
            source,
            tasks,
            alerts: PHRASES.into_iter().map(alert).collect::<Result<_, CommandError>>()?,
            zones: Vec::new().into(),
        }],
    })
}

async fn show(options: &Demo, settings: Settings, broker: SocketAddr) -> Result<Exit, CommandError> {
    let mut signals = Signals::listen().map_err(CommandError::system("listening for signals"))?;
    let bundled = settings.model.path.is_none();
    let (client, mut events) = client(broker);
    // Nobody's service.
    let systemd = Systemd::default();
    let mut watch = tokio::select! {
        started = Watch::start(settings, &systemd, CancelToken::new()) => started?,
        _ = signals.received() => return Ok(Exit::Done),
    };
    if let Some(page) = watch.page() {
        println!("page     http://{page}/");
    }
    println!("model    {}", watch.device());
    if bundled {
        println!("         {}", crate::bundled::KNOWS);
    }
    let started = Instant::now();
    let deadline = options.seconds.map(|seconds| started + Duration::from_secs(seconds));
    let (mut results, mut alerts) = (0, 0);
    let wanted = [options.results, options.alerts];
    let outcome = loop {
        let is_enough = |(wanted, found): (Option<u64>, u64)| wanted.is_none_or(|wanted| found >= wanted);
        if wanted.iter().any(Option::is_some) && wanted.into_iter().zip([results, alerts]).all(is_enough) {
            break Ok(Exit::Done);
        }
        tokio::select! {
            event = events.poll() => match event {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    let subscribed = client.try_subscribe("belvedere/#", QoS::AtMostOnce);
                    if let Err(error) = subscribed {
                        break Err(CommandError::Missed(format!("cannot subscribe: {error}")));
                    }
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    if results == 0 && is_result(&message.topic) {
                        println!("         first result after {:.1} s\n", started.elapsed().as_secs_f64());
                    }
                    if let Some(line) = line(&message.topic, &message.payload) {
                        println!("{line}");
                    }
                    results += u64::from(is_result(&message.topic));
                    alerts += u64::from(is_new_alert(&message.topic, &message.payload));
                }
                Ok(_) => {}
                Err(error) => break Err(CommandError::Missed(format!("the embedded broker: {error}"))),
            },
            failure = watch.failed() => break Err(failure.into()),
            _ = signals.received() => break Ok(Exit::Done),
            () = tokio::time::sleep_until(deadline.unwrap_or(started)), if deadline.is_some() => {
                let within = options.seconds.unwrap_or_default();
                break match wanted {
                    [None, None] => Ok(Exit::Done),
                    [results_wanted, alerts_wanted] => Err(CommandError::Missed(format!(
                        "{results} of {} results and {alerts} of {} alerts within {within} s",
                        results_wanted.unwrap_or_default(),
                        alerts_wanted.unwrap_or_default(),
                    ))),
                };
            }
        }
    };
    signals.next_one_ends_at_once();
    watch.stop().await;
    outcome
}

fn client(broker: SocketAddr) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("belvedere-demo-viewer", broker.ip().to_string(), broker.port());
    options.set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES);
    AsyncClient::new(options, 16)
}

/// Whether a topic is one of the tasks'.
fn is_result(topic: &str) -> bool {
    let last = topic.rsplit('/').next();
    last.is_some_and(|last| TASKS.iter().any(|task| task.name() == last))
}

fn is_new_alert(topic: &str, payload: &[u8]) -> bool {
    topic.ends_with("/alerts")
        && serde_json::from_slice(payload)
            .is_ok_and(|message: AlertMessage| message.event_type == EventType::New)
}

/// A message on a line of the screen: results and alerts in words, a picture by its size, anything else as
/// it is; nothing for what repeats an alert.
fn line(topic: &str, payload: &[u8]) -> Option<String> {
    let last = topic.rsplit('/').next().unwrap_or_default();
    if last == "attributes" {
        return None;
    }
    if last == "snapshot" {
        return Some(format!("{topic}  JPEG, {} KiB", payload.len() / 1024));
    }
    if last == "alerts"
        && let Ok(message) = serde_json::from_slice(payload)
    {
        return Some(format!("{topic}  {}", alert_line(&message)));
    }
    let payload = String::from_utf8_lossy(payload);
    match serde_json::from_str(&payload) {
        Ok(Value::Object(result)) if is_result(topic) => Some(format!("{topic}  {}", result_line(&result))),
        _ => Some(format!("{topic}  {payload}")),
    }
}

/// `ALERT    red car 0.93 (frame 7)`
fn alert_line(message: &AlertMessage) -> String {
    let AlertMessage { phrase, score, frame_id, .. } = message;
    match message.event_type {
        EventType::New => format!("ALERT    {phrase} {score:.2} (frame {frame_id})"),
        EventType::Update => format!("update   {phrase} {score:.2} (frame {frame_id})"),
        EventType::End => format!("over     {phrase}, {}", message.reason.as_deref().unwrap_or_default()),
    }
}

fn result_line(result: &Map<String, Value>) -> String {
    let number = |key: &str| result.get(key).and_then(Value::as_u64).unwrap_or_default();
    let text = |key: &str| result.get(key).and_then(Value::as_str).unwrap_or_default();
    let regions: Vec<String> =
        result.get("regions").and_then(Value::as_array).into_iter().flatten().map(region).collect();
    let found = if regions.is_empty() { text("text").to_owned() } else { regions.join(", ") };
    let shown: String = found.chars().take(SHOWN_CHARACTERS).collect();
    let cut_off = if shown.len() < found.len() { "…" } else { "" };
    format!("frame {}, {} ms old: {shown}{cut_off}", number("frame_id"), number("age_ms"))
}

/// `red car 0.93`
fn region(region: &Value) -> String {
    let label = region.get("label").and_then(Value::as_str).unwrap_or_default();
    match region.get("score").and_then(Value::as_f64) {
        Some(score) => format!("{label} {score:.2}"),
        None => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_new_alert, line};

    #[test]
    fn a_caption_is_shown_as_it_is() {
        let payload = br#"{"frame_id":7,"age_ms":80,"text":"a dog","regions":[]}"#;
        assert_eq!(
            line("belvedere/garden/caption", payload).unwrap(),
            "belvedere/garden/caption  frame 7, 80 ms old: a dog"
        );
        assert_eq!(line("belvedere/available", b"online").unwrap(), "belvedere/available  online");
    }

    #[test]
    fn regions_are_shown_with_their_scores() {
        let topic = "belvedere/garden/object-detection";
        let there = br#"{"frame_id":7,"age_ms":80,"text":"red car<loc_1>",
            "regions":[{"label":"red car","score":0.934},{"label":"red car"}]}"#;
        assert_eq!(
            line(topic, there).unwrap(),
            format!("{topic}  frame 7, 80 ms old: red car 0.93, red car")
        );
    }

    #[test]
    fn an_alert_is_shown_when_it_begins_and_when_it_is_over_and_its_repetition_is_not() {
        let topic = "belvedere/garden/alerts";
        let alert = |event_type: &str, reason: &str| {
            format!(
                r#"{{"event_type":"{event_type}","id":"1","camera":"garden","phrase":"red car","score":0.934,
                "top_score":0.95,"frame_id":7,"captured_at":"","width":4,"height":3,"regions":[],"zones":[],
                "zones_entered":[],"started_at":"","last_seen_at":"","ended_at":null,"snapshot":null{reason}}}"#
            )
        };
        let new = alert("new", "");
        assert_eq!(line(topic, new.as_bytes()).unwrap(), format!("{topic}  ALERT    red car 0.93 (frame 7)"));
        assert!(is_new_alert(topic, new.as_bytes()));
        let end = alert("end", r#","reason":"cleared""#);
        assert_eq!(line(topic, end.as_bytes()).unwrap(), format!("{topic}  over     red car, cleared"));
        assert!(!is_new_alert(topic, end.as_bytes()));
        assert_eq!(line("belvedere/garden/alert/red_car/attributes", new.as_bytes()), None);
        let snapshot = line("belvedere/garden/alert/red_car/snapshot", &[0; 5000]);
        assert_eq!(snapshot.unwrap(), "belvedere/garden/alert/red_car/snapshot  JPEG, 4 KiB");
    }
}
