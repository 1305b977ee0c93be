//! An entity, as a device's announcement holds it.

use serde_json::{Map, Value, json};

use super::availability::Availability;

/// The kinds of entity that are announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Platform {
    BinarySensor,
    Event,
    Image,
    Sensor,
    Switch,
}

impl Platform {
    /// As Home Assistant calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Platform::BinarySensor => "binary_sensor",
            Platform::Event => "event",
            Platform::Image => "image",
            Platform::Sensor => "sensor",
            Platform::Switch => "switch",
        }
    }
}

/// An entity. Keys are written out rather than abbreviated: people read these messages when something
/// does not work, and nobody is short of memory.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Component {
    /// What it is about, in `[a-z0-9_]`: the same as long as the entity is the same.
    key: String,
    platform: Platform,
    options: Map<String, Value>,
}

impl Component {
    /// With the name that Home Assistant shows behind the device's.
    pub(super) fn new(platform: Platform, key: impl Into<String>, name: impl Into<String>) -> Component {
        let component = Component { key: key.into(), platform, options: Map::new() };
        // Alerts and states are to arrive. The device's own `qos` does not reach its entities.
        component.with("platform", platform.name()).with("name", name.into()).with("qos", 1)
    }

    /// Sets an option.
    pub(super) fn with(mut self, option: &str, value: impl Into<Value>) -> Component {
        self.options.insert(option.to_owned(), value.into());
        self
    }

    /// Available while all of these say so, whatever the device says of the others; with none, always.
    pub(super) fn available_with(self, all: &[Availability]) -> Component {
        self.with("availability", json!(all))
    }

    /// Among the diagnostics of the device, apart from what it is for.
    pub(super) fn diagnostic(self) -> Component {
        self.with("entity_category", "diagnostic")
    }

    /// Its place in the device's announcement.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Its options, complete once the ids of its device are known.
    pub(super) fn into_options(self, device_id: &str, object_id: &str) -> Map<String, Value> {
        let entity_id = format!("{}.{object_id}_{}", self.platform.name(), self.key);
        let unique_id = format!("{device_id}-{}", self.key);
        self.with("unique_id", unique_id).with("default_entity_id", entity_id).options
    }
}
