//! What an earlier life of the daemon announced.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::announcement::{Announcement, ORIGIN};

/// A device of ours has a few dozen entities; a payload with more was not written by us.
const MAX_COMPONENTS: usize = 1000;
/// What is remembered is bounded, whatever stands at the broker.
const MAX_DEVICES: usize = 1000;
/// What stands in `platform` is echoed in a tombstone.
const MAX_PLATFORM_CHARS: usize = 40;

/// Devices and their entities as they are at the broker. Serialisable, for whoever would rather keep the
/// list than read it back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// By device and key, the platforms.
    devices: BTreeMap<String, BTreeMap<String, String>>,
}

/// The members of an announcement that count here.
#[derive(Deserialize)]
struct Payload {
    origin: Origin,
    components: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct Origin {
    name: String,
}

impl Announced {
    /// Takes in a message on a discovery topic. True where it told of a device or an entity that `now`
    /// does not announce, so that [`Announcement::replacing`] has something to remove.
    ///
    /// Only retained messages count (others are our own, coming back). The payload is untrusted: what is
    /// not a Belvedere announcement on a topic of this daemon's is passed over.
    pub fn read(&mut self, now: &Announcement, topic: &str, payload: &[u8], retained: bool) -> bool {
        let Some(id) = now.device_of(topic).filter(|_| retained) else {
            return false;
        };
        let Ok(payload) = serde_json::from_slice::<Payload>(payload) else {
            return false;
        };
        if payload.origin.name != ORIGIN || payload.components.len() > MAX_COMPONENTS {
            return false;
        }
        if self.devices.len() >= MAX_DEVICES && !self.devices.contains_key(id) {
            return false;
        }
        let current = now.component_keys(id);
        let device = self.devices.entry(id.to_owned()).or_default();
        let mut told = current.is_none();
        for (key, options) in payload.components {
            let platform = options.get("platform").and_then(|platform| platform.as_str());
            // A component without options is a tombstone of the last life; Home Assistant knows.
            let Some(platform) = platform.filter(|_| options.len() > 1) else {
                continue;
            };
            if is_word(&key) && is_word(platform) && platform.len() <= MAX_PLATFORM_CHARS {
                told |= current.as_ref().is_none_or(|keys| !keys.contains(&key.as_str()));
                device.insert(key, platform.to_owned());
            }
        }
        told
    }

    /// The ids of all devices.
    pub(super) fn devices(&self) -> impl Iterator<Item = &str> {
        self.devices.keys().map(String::as_str)
    }

    /// The entities of a device, by their keys, with their platforms.
    pub(super) fn components(&self, device: &str) -> impl Iterator<Item = (&str, &str)> {
        let components = self.devices.get(device).into_iter().flatten();
        components.map(|(key, platform)| (key.as_str(), platform.as_str()))
    }
}

/// Whether it could be a key of ours, which may stand in a topic.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
