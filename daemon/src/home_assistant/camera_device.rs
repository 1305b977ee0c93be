//! A camera as a device.

use belvedere_models::Task;
use serde_json::json;

use super::availability::Availability;
use super::component::{Component, Platform};
use super::description::{AskedTask, CameraDescription, DaemonDescription, PhraseDescription};
use super::ids::{fnv1a_32, one_line};
use super::templates::{self, LABEL_COUNTS, REGION_COUNT, STREAM, Words};
use crate::mqtt::topics;

/// The key of a phrase's binary sensor is this and its slug.
pub(super) const ALERT_KEY: &str = "alert_";
/// The key of a phrase's image is this and its slug.
pub(super) const SNAPSHOT_KEY: &str = "snapshot_";

/// Both topics, for the device as a whole: what is said of the picture holds while there is one.
pub(super) fn availability(daemon: &DaemonDescription, camera: &CameraDescription) -> Vec<Availability> {
    vec![
        Availability::of_daemon(topics::available(&daemon.topic)),
        Availability::of_stream(topics::status(&daemon.topic, &camera.name)),
    ]
}

/// All entities of a camera:
/// for each phrase a binary sensor, with the newest event as attributes, and an image;
/// an event entity for all alerts; for each task a sensor;
/// the switch for the analysis; the stream and the statistics as diagnostics.
pub(super) fn components(daemon: &DaemonDescription, camera: &CameraDescription) -> Vec<Component> {
    let root = &daemon.topic;
    let daemon_only = [Availability::of_daemon(topics::available(root))];
    let mut components = Vec::new();
    for phrase in &camera.phrases {
        components.push(alert(root, camera, phrase));
        if phrase.snapshot {
            components.push(snapshot(root, camera, phrase).available_with(&daemon_only));
        }
    }
    if !camera.phrases.is_empty() {
        components.push(
            Component::new(Platform::Event, "alerts", "Alerts")
                .with("state_topic", topics::alerts(root, &camera.name))
                .with("event_types", json!(["new", "update", "end"]))
                .with("icon", "mdi:bell-alert")
                .available_with(&daemon_only),
        );
    }
    components.extend(camera.tasks.iter().filter_map(|asked| answer(root, camera, asked)));
    components.push(
        Component::new(Platform::Switch, "analysis", "Analysis")
            .with("command_topic", topics::enabled_set(root, &camera.name))
            .with("state_topic", topics::enabled_state(root, &camera.name))
            .with("icon", "mdi:eye")
            .available_with(&daemon_only),
    );
    components.push(
        Component::new(Platform::BinarySensor, "stream", "Stream")
            .with("state_topic", topics::status(root, &camera.name))
            .with("value_template", STREAM)
            .with("payload_on", "online")
            .with("payload_off", "offline")
            .with("device_class", "connectivity")
            .diagnostic()
            .available_with(&daemon_only),
    );
    let statistics = statistics(daemon, camera);
    components.extend(statistics.into_iter().map(|sensor| sensor.available_with(&daemon_only)));
    components
}

fn alert(root: &str, camera: &CameraDescription, phrase: &PhraseDescription) -> Component {
    Component::new(Platform::BinarySensor, format!("{ALERT_KEY}{}", phrase.slug), one_line(&phrase.phrase))
        .with("state_topic", topics::alert_state(root, &camera.name, &phrase.slug))
        .with("json_attributes_topic", topics::alert_attributes(root, &camera.name, &phrase.slug))
        .with("icon", "mdi:image-search")
}

fn snapshot(root: &str, camera: &CameraDescription, phrase: &PhraseDescription) -> Component {
    let name = format!("{} snapshot", one_line(&phrase.phrase));
    Component::new(Platform::Image, format!("{SNAPSHOT_KEY}{}", phrase.slug), name)
        .with("image_topic", topics::alert_snapshot(root, &camera.name, &phrase.slug))
        .with("content_type", "image/jpeg")
}

/// The sensor for a task's answers; `None` for a task that a camera cannot be asked.
fn answer(root: &str, camera: &CameraDescription, asked: &AskedTask) -> Option<Component> {
    let (name, words) = match asked.task {
        Task::Caption => ("Caption", Some(Words::Text)),
        Task::DetailedCaption => ("Detailed caption", Some(Words::Text)),
        Task::MoreDetailedCaption => ("More detailed caption", Some(Words::Text)),
        Task::Ocr => ("Text", Some(Words::Text)),
        Task::OcrWithRegion => ("Text with places", Some(Words::Labels)),
        Task::ObjectDetection => ("Objects", None),
        Task::DenseRegionCaption => ("Described regions", None),
        Task::RegionProposal => ("Regions", None),
        Task::PhraseGrounding => ("Grounded", None),
        Task::OpenVocabularyDetection => ("Detected", None),
        Task::ReferringExpressionSegmentation => ("Segmented", None),
        Task::RegionToSegmentation
        | Task::RegionToCategory
        | Task::RegionToDescription
        | Task::RegionToOcr => return None,
    };
    let key = asked.task.name().replace('-', "_");
    let topic = topics::result(root, &camera.name, asked.task.name());
    let sensor = match (&asked.input, words) {
        // Answers about several texts share the topic. The text is in the key, so that the entity stays
        // the same when another text joins.
        (Some(input), _) => Component::new(
            Platform::Sensor,
            format!("{key}_{:08x}", fnv1a_32(input)),
            format!("{name}: {}", one_line(input)),
        )
        .with("value_template", templates::region_count_about(input))
        .with("state_class", "measurement"),
        (None, Some(words)) => Component::new(Platform::Sensor, key, name)
            .with("value_template", words.state())
            .with("json_attributes_topic", topic.as_str())
            .with("json_attributes_template", words.attributes())
            .with("icon", "mdi:text"),
        (None, None) => {
            let sensor = Component::new(Platform::Sensor, key, name)
                .with("value_template", REGION_COUNT)
                .with("state_class", "measurement")
                .with("icon", "mdi:counter");
            match asked.task {
                // Proposals have no labels.
                Task::RegionProposal => sensor,
                _ => sensor
                    .with("json_attributes_topic", topic.as_str())
                    .with("json_attributes_template", LABEL_COUNTS),
            }
        }
    };
    Some(sensor.with("state_topic", topic))
}

fn statistics(daemon: &DaemonDescription, camera: &CameraDescription) -> Vec<Component> {
    let sensor = |key: &str, name: &str, template: String| {
        Component::new(Platform::Sensor, key, name)
            .with("state_topic", topics::stats(&daemon.topic))
            .with("value_template", template)
            .with("expire_after", daemon.statistics_expire_s())
            .diagnostic()
    };
    let of_camera = |member| templates::camera_statistic(&camera.name, member);
    vec![
        sensor("analysed_fps", "Analysed frames", of_camera("analysed_fps"))
            .with("unit_of_measurement", "fps")
            .with("state_class", "measurement")
            .with("suggested_display_precision", 1),
        sensor("frame_age", "Frame age", of_camera("mean_age_ms"))
            .with("device_class", "duration")
            .with("unit_of_measurement", "ms")
            .with("state_class", "measurement"),
        sensor("reconnects", "Reconnects", of_camera("reconnects"))
            .with("state_class", "total_increasing")
            .with("icon", "mdi:connection"),
        sensor("dropped", "Dropped frames", templates::lost_frames(&camera.name))
            .with("state_class", "total_increasing")
            .with("icon", "mdi:image-off"),
    ]
}
