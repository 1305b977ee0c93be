//! The daemon as a device.

use serde_json::json;

use super::availability::Availability;
use super::component::{Component, Platform};
use super::description::DaemonDescription;
use super::templates;
use crate::messages::DaemonState;
use crate::mqtt::topics;

/// What every entity needs but the one that says whether the daemon runs.
pub(super) fn availability(daemon: &DaemonDescription) -> Vec<Availability> {
    vec![Availability::of_daemon(topics::available(&daemon.topic))]
}

/// All entities of the daemon, every one a diagnostic.
pub(super) fn components(daemon: &DaemonDescription) -> Vec<Component> {
    let sensor = |key: &str, name: &str, member: &str| {
        Component::new(Platform::Sensor, key, name)
            .with("state_topic", topics::stats(&daemon.topic))
            .with("value_template", templates::statistic(member))
            .with("expire_after", daemon.statistics_expire_s())
            .diagnostic()
    };
    vec![
        Component::new(Platform::BinarySensor, "running", "Running")
            .with("state_topic", topics::available(&daemon.topic))
            .with("payload_on", "online")
            .with("payload_off", "offline")
            .with("device_class", "running")
            .diagnostic()
            .available_with(&[]),
        Component::new(Platform::Sensor, "state", "State")
            .with("state_topic", topics::state(&daemon.topic))
            .with("value_template", templates::STATE)
            .with("json_attributes_topic", topics::state(&daemon.topic))
            .with("json_attributes_template", templates::STATE_ATTRIBUTES)
            .with("device_class", "enum")
            .with("options", json!(DaemonState::WORDS))
            .diagnostic(),
        sensor("uptime", "Uptime", "uptime_s")
            .with("device_class", "duration")
            .with("unit_of_measurement", "s"),
        sensor("version", "Version", "version").with("icon", "mdi:tag"),
        sensor("model_device", "Model runs on", "device").with("icon", "mdi:chip"),
        sensor("messages_dropped", "Dropped messages", "mqtt")
            .with("value_template", templates::DROPPED_MESSAGES)
            .with("state_class", "total_increasing")
            .with("icon", "mdi:email-off"),
        sensor("peak_memory", "Peak memory", "peak_memory_bytes")
            .with("device_class", "data_size")
            .with("unit_of_measurement", "B"),
    ]
}
