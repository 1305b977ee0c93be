//! `belvedere demo`: everything in one process, and a client that sees only what any client sees.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use belvedere_models::Task;
use belvedere_pipelines::{CameraName, SourceSpec, SourceUrl};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use serde_json::Value;
use tokio::time::Instant;

use super::CommandError;
use crate::broker::EmbeddedBroker;
use crate::cli::Demo;
use crate::config::{Broker, CameraSettings, CameraTask, MqttSettings, Settings};
use crate::exit::Exit;
use crate::logging;
use crate::watch::{Signals, Watch};

const CAMERA: &str = "garden";
/// What is asked of each frame, with the phrase where it is one.
const TASKS: [(Task, Option<&str>); 4] = [
    (Task::Caption, None),
    (Task::ObjectDetection, None),
    (Task::OpenVocabularyDetection, Some("red car")),
    (Task::OpenVocabularyDetection, Some("person")),
];
/// Every second picture of the film.
const FPS: f64 = 7.5;
/// Longer answers are cut off on the screen.
const SHOWN_CHARACTERS: usize = 90;
/// As `run` has it.
const MAX_PACKET_BYTES: usize = 16 << 20;

pub(super) fn demo(options: &Demo) -> Result<Exit, CommandError> {
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
    let task = |(task, text): (Task, Option<&str>)| CameraTask { task, text: text.map(str::to_owned) };
    Ok(Settings {
        mqtt: MqttSettings {
            broker: Broker::Remote { host: broker.ip().to_string(), port: broker.port(), tls: None },
            username: None,
            password: None,
            topic: "belvedere".to_owned(),
            client_id: "belvedere-demo".to_owned(),
            keep_alive: Duration::from_secs(30),
            stats_interval: Duration::from_secs(30),
        },
        model: options.model.settings(),
        cameras: vec![CameraSettings {
            name: CAMERA.to_owned(),
            enabled: true,
            source,
            tasks: TASKS.into_iter().map(task).collect(),
            alerts: Vec::new(),
        }],
    })
}

async fn show(options: &Demo, settings: Settings, broker: SocketAddr) -> Result<Exit, CommandError> {
    let mut signals = Signals::listen().map_err(CommandError::system("listening for signals"))?;
    let bundled = settings.model.path.is_none();
    let (client, mut events) = client(broker);
    let mut watch = tokio::select! {
        started = Watch::start(settings) => started?,
        _ = signals.received() => return Ok(Exit::Done),
    };
    println!("model    {}", watch.device());
    if bundled {
        println!("         {}", crate::bundled::KNOWS);
    }
    let started = Instant::now();
    let deadline = options.seconds.map(|seconds| started + Duration::from_secs(seconds));
    let mut results = 0;
    let outcome = loop {
        if options.results.is_some_and(|wanted| results >= wanted) {
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
                    println!("{}", line(&message.topic, &message.payload));
                    results += u64::from(is_result(&message.topic));
                }
                Ok(_) => {}
                Err(error) => break Err(CommandError::Missed(format!("the embedded broker: {error}"))),
            },
            failure = watch.failed() => break Err(failure.into()),
            _ = signals.received() => break Ok(Exit::Done),
            () = tokio::time::sleep_until(deadline.unwrap_or(started)), if deadline.is_some() => {
                break match options.results {
                    Some(wanted) => Err(CommandError::Missed(format!(
                        "{results} of {wanted} results within {} s",
                        options.seconds.unwrap_or_default()
                    ))),
                    None => Ok(Exit::Done),
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
    let names: HashSet<&str> = TASKS.iter().map(|(task, _)| task.name()).collect();
    topic.rsplit('/').next().is_some_and(|last| names.contains(last))
}

/// A message on a line of the screen: a result in words, anything else as it is.
fn line(topic: &str, payload: &[u8]) -> String {
    let payload = String::from_utf8_lossy(payload);
    let Ok(Value::Object(result)) = serde_json::from_str(&payload) else {
        return format!("{topic}  {payload}");
    };
    if !is_result(topic) {
        return format!("{topic}  {payload}");
    }
    let number = |key: &str| result.get(key).and_then(Value::as_u64).unwrap_or_default();
    let text = |key: &str| result.get(key).and_then(Value::as_str).unwrap_or_default();
    let regions: Vec<String> =
        result.get("regions").and_then(Value::as_array).into_iter().flatten().map(region).collect();
    let found = match (regions.is_empty(), text("input")) {
        (true, "") => text("text").to_owned(),
        (true, phrase) => format!("no {phrase}"),
        (false, _) => regions.join(", "),
    };
    let shown: String = found.chars().take(SHOWN_CHARACTERS).collect();
    let cut_off = if shown.len() < found.len() { "…" } else { "" };
    format!("{topic}  frame {}, {} ms old: {shown}{cut_off}", number("frame_id"), number("age_ms"))
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
    use super::line;

    #[test]
    fn a_caption_is_shown_as_it_is() {
        let payload = br#"{"frame_id":7,"age_ms":80,"text":"a dog","regions":[]}"#;
        assert_eq!(
            line("belvedere/garden/caption", payload),
            "belvedere/garden/caption  frame 7, 80 ms old: a dog"
        );
        assert_eq!(line("belvedere/available", b"online"), "belvedere/available  online");
    }

    #[test]
    fn regions_are_shown_with_their_scores_and_a_phrase_that_is_not_there_as_missing() {
        let topic = "belvedere/garden/open-vocabulary-detection";
        let there = br#"{"frame_id":7,"age_ms":80,"input":"red car","text":"red car<loc_1>",
            "regions":[{"label":"red car","score":0.934},{"label":"red car"}]}"#;
        assert_eq!(line(topic, there), format!("{topic}  frame 7, 80 ms old: red car 0.93, red car"));
        let absent = br#"{"frame_id":8,"age_ms":9,"input":"person","text":"","regions":[]}"#;
        assert_eq!(line(topic, absent), format!("{topic}  frame 8, 9 ms old: no person"));
    }
}
