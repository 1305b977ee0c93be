//! Everything that is to be announced, as retained messages.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::announced::Announced;
use super::availability::Availability;
use super::camera_device::{self, ALERT_KEY, SNAPSHOT_KEY};
use super::component::Component;
use super::daemon_device;
use super::description::{CameraDescription, DaemonDescription};
use super::ids::{camera_id, camera_of, daemon_id, display_name};
use crate::mqtt::topics;

/// Who announces, in Home Assistant's log and on its device pages.
pub(super) const ORIGIN: &str = "Belvedere";

/// A message that the broker is to keep. An empty payload makes it forget the topic's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedMessage {
    /// The whole topic.
    pub topic: String,
    /// JSON, or nothing.
    pub payload: Vec<u8>,
}

/// The devices of a daemon, each with its entities.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    root: String,
    prefix: String,
    daemon_id: String,
    /// By their ids.
    devices: BTreeMap<String, Map<String, Value>>,
}

impl Announcement {
    /// Of the daemon and its cameras.
    pub fn of(daemon: &DaemonDescription) -> Announcement {
        let mut announcement = Announcement::of_nothing(&daemon.topic, &daemon.discovery_prefix);
        let id = announcement.daemon_id.clone();
        announcement.devices.insert(id.clone(), daemon_payload(daemon, &id));
        for camera in &daemon.cameras {
            announcement.devices.insert(camera_id(&id, &camera.name), camera_payload(daemon, &id, camera));
        }
        announcement
    }

    /// Of nothing, for a daemon that is to be found no more (`mqtt.discovery = false`): replacing what
    /// was announced, it removes all of it.
    pub fn of_nothing(root: &str, prefix: &str) -> Announcement {
        Announcement {
            root: root.to_owned(),
            prefix: prefix.to_owned(),
            daemon_id: daemon_id(root),
            devices: BTreeMap::new(),
        }
    }

    /// Where the announcements of all devices are, of this daemon and of others: what to subscribe to
    /// before the first of [`messages`](Announcement::messages) is sent, to hear what was announced.
    pub fn subscription(&self) -> String {
        self.topic("+")
    }

    /// The announcement of each device.
    pub fn messages(&self) -> Vec<RetainedMessage> {
        self.replacing(&Announced::default())
    }

    /// The announcement of each device, with a tombstone for each entity that was announced and is gone;
    /// then an empty message for each device that was announced and is gone, and for each retained
    /// message of a phrase or a camera that is gone: a picture in particular is not to outlive its
    /// phrase at the broker.
    ///
    /// The same for the same arguments, so that it may be sent any number of times.
    pub fn replacing(&self, before: &Announced) -> Vec<RetainedMessage> {
        let mut messages = Vec::new();
        let mut orphans = Vec::new();
        for (id, payload) in &self.devices {
            let mut payload = payload.clone();
            let tombstones = before.components(id).filter(|(key, _)| !has_component(&payload, key));
            let tombstones: Vec<(String, Value)> = tombstones
                .map(|(key, platform)| {
                    orphans.extend(self.retained_of_component(id, key));
                    // A component without options is removed.
                    (key.to_owned(), json!({ "platform": platform }))
                })
                .collect();
            if let Some(Value::Object(components)) = payload.get_mut("components") {
                components.extend(tombstones);
            }
            messages.push(RetainedMessage {
                topic: self.topic(id),
                payload: Value::Object(payload).to_string().into(),
            });
        }
        for id in before.devices().filter(|id| !self.devices.contains_key(*id)) {
            messages.push(RetainedMessage { topic: self.topic(id), payload: Vec::new() });
            orphans.extend(before.components(id).flat_map(|(key, _)| self.retained_of_component(id, key)));
            // Without discovery a camera is still a camera.
            if let (Some(camera), false) = (camera_of(&self.daemon_id, id), self.devices.is_empty()) {
                orphans.push(topics::status(&self.root, camera));
                orphans.push(topics::enabled_state(&self.root, camera));
            }
        }
        messages.extend(orphans.into_iter().map(|topic| RetainedMessage { topic, payload: Vec::new() }));
        messages
    }

    /// The id of the daemon's device.
    pub fn daemon_id(&self) -> &str {
        &self.daemon_id
    }

    /// Whether an announcement on this topic would be about this daemon or a camera of it, of now or of before.
    pub fn is_about_ours(&self, topic: &str) -> bool {
        self.device_of(topic).is_some()
    }

    /// The device that an announcement on this topic would be about.
    pub(super) fn device_of<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let id = topic.strip_prefix(&self.prefix)?.strip_prefix("/device/")?.strip_suffix("/config")?;
        (id == self.daemon_id || camera_of(&self.daemon_id, id).is_some()).then_some(id)
    }

    /// The keys of a device's entities; `None` where there is no such device.
    pub(super) fn component_keys(&self, id: &str) -> Option<Vec<&str>> {
        let components = self.devices.get(id)?.get("components").and_then(Value::as_object);
        Some(components.into_iter().flat_map(Map::keys).map(String::as_str).collect())
    }

    fn topic(&self, id: &str) -> String {
        format!("{}/device/{id}/config", self.prefix)
    }

    /// The topics of a phrase's entity that hold retained messages. They are made from the ids, not
    /// taken from the earlier announcement, which anybody could have written.
    fn retained_of_component(&self, device: &str, key: &str) -> Vec<String> {
        // Without discovery a phrase is still a phrase.
        let Some(camera) = camera_of(&self.daemon_id, device).filter(|_| !self.devices.is_empty()) else {
            return Vec::new();
        };
        if let Some(slug) = key.strip_prefix(ALERT_KEY) {
            vec![
                topics::alert_state(&self.root, camera, slug),
                topics::alert_attributes(&self.root, camera, slug),
            ]
        } else if let Some(slug) = key.strip_prefix(SNAPSHOT_KEY) {
            vec![topics::alert_snapshot(&self.root, camera, slug)]
        } else {
            Vec::new()
        }
    }
}

fn has_component(payload: &Map<String, Value>, key: &str) -> bool {
    payload.get("components").is_some_and(|components| components.get(key).is_some())
}

fn daemon_payload(daemon: &DaemonDescription, id: &str) -> Map<String, Value> {
    // Several daemons of one Home Assistant are told apart by their topics.
    let name = if id == "belvedere" { ORIGIN.to_owned() } else { format!("{ORIGIN} ({})", daemon.topic) };
    let device = json!({
        "identifiers": [id],
        "name": name,
        "manufacturer": ORIGIN,
        "model": "Daemon",
        "sw_version": daemon.version,
    });
    payload(daemon, device, daemon_device::availability(daemon), daemon_device::components(daemon), id, id)
}

fn camera_payload(
    daemon: &DaemonDescription,
    daemon_id: &str,
    camera: &CameraDescription,
) -> Map<String, Value> {
    let id = camera_id(daemon_id, &camera.name);
    let device = json!({
        "identifiers": [id],
        "name": display_name(&camera.name),
        "manufacturer": ORIGIN,
        "model": "Camera",
        "via_device": daemon_id,
    });
    let object_id = camera.name.replace('-', "_");
    let availability = camera_device::availability(daemon, camera);
    payload(daemon, device, availability, camera_device::components(daemon, camera), &id, &object_id)
}

fn payload(
    daemon: &DaemonDescription,
    device: Value,
    availability: Vec<Availability>,
    components: Vec<Component>,
    id: &str,
    object_id: &str,
) -> Map<String, Value> {
    let components: Map<String, Value> = components
        .into_iter()
        .map(|component| (component.key().to_owned(), Value::Object(component.into_options(id, object_id))))
        .collect();
    Map::from_iter([
        ("device".to_owned(), device),
        ("origin".to_owned(), json!({ "name": ORIGIN, "sw_version": daemon.version })),
        ("availability".to_owned(), json!(availability)),
        ("availability_mode".to_owned(), json!("all")),
        ("components".to_owned(), Value::Object(components)),
    ])
}

#[cfg(test)]
mod tests;
