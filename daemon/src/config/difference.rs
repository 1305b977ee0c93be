//! What a new configuration changes, in the terms of those who must act on it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Broker, CameraSettings, Settings};
use crate::alerts::Phrase;

/// What must be done to go from one configuration to another. What it does not name is the same in both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Cameras that are gone, by their names.
    pub removed: BTreeSet<String>,
    /// Cameras that are new.
    pub added: BTreeSet<String>,
    /// What changed of the cameras that are in both; only those of which anything did.
    pub changed: BTreeMap<String, CameraChange>,
    /// The cameras stand in another order.
    pub reordered: bool,
    /// The way to the broker, or what is listened to there: a new connection must be made.
    pub link: bool,
    /// How often statistics are published.
    pub stats_interval: bool,
    /// The model, or how it is run: it must be loaded anew.
    pub model: bool,
    /// Where the page is served, and to whom.
    pub http: bool,
}

/// What changed of a camera.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CameraChange {
    /// Where its frames come from, and how: its pipeline must be built anew.
    pub source: bool,
    /// Whether it begins switched on.
    pub enabled: bool,
    /// What is asked of each frame.
    pub tasks: bool,
    /// What it is watched for.
    pub alerts: AlertsChange,
    /// Its zones, as they are shown; those of its alerts are of these.
    pub zones: bool,
}

/// What changed of a camera's alerts; a phrase is the same one while its text is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertsChange {
    /// Phrases that are not watched for any more.
    pub removed: BTreeSet<Phrase>,
    /// Phrases that are new.
    pub added: BTreeSet<Phrase>,
    /// Phrases with other settings.
    pub changed: BTreeSet<Phrase>,
    /// The phrases stand in another order.
    pub reordered: bool,
}

impl Difference {
    /// What changes from `running` to `wanted`.
    pub fn between(running: &Settings, wanted: &Settings) -> Difference {
        let before: BTreeMap<&str, &CameraSettings> =
            running.cameras.iter().map(|camera| (camera.name.as_str(), camera)).collect();
        let after: BTreeMap<&str, &CameraSettings> =
            wanted.cameras.iter().map(|camera| (camera.name.as_str(), camera)).collect();
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        let new = after.keys().filter(|name| !before.contains_key(*name));
        let changed = after.iter().filter_map(|(name, camera)| {
            let change = CameraChange::between(before.get(name)?, camera);
            (!change.is_empty()).then(|| ((*name).to_owned(), change))
        });
        Difference {
            removed: gone.map(|name| (*name).to_owned()).collect(),
            added: new.map(|name| (*name).to_owned()).collect(),
            changed: changed.collect(),
            reordered: is_reordered(
                running.cameras.iter().map(|camera| camera.name.as_str()),
                wanted.cameras.iter().map(|camera| camera.name.as_str()),
            ),
            link: is_another_link(running, wanted),
            stats_interval: running.mqtt.stats_interval != wanted.mqtt.stats_interval,
            model: running.model != wanted.model,
            http: running.http != wanted.http,
        }
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        *self == Difference::default()
    }

    /// Whether Home Assistant is to be told of cameras or phrases that come or go.
    pub fn is_announced(&self) -> bool {
        let is_announced = |change: &CameraChange| change.tasks || !change.alerts.is_empty();
        self.stats_interval
            || !self.removed.is_empty()
            || !self.added.is_empty()
            || self.changed.values().any(is_announced)
    }
}

impl CameraChange {
    fn between(before: &CameraSettings, after: &CameraSettings) -> CameraChange {
        CameraChange {
            source: before.source != after.source,
            enabled: before.enabled != after.enabled,
            tasks: before.tasks != after.tasks,
            alerts: AlertsChange::between(before, after),
            zones: before.zones != after.zones,
        }
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        *self == CameraChange::default()
    }
}

impl AlertsChange {
    fn between(before: &CameraSettings, after: &CameraSettings) -> AlertsChange {
        let old = |phrase: &Phrase| before.alerts.iter().find(|alert| alert.phrase == *phrase);
        let is_in = |camera: &CameraSettings, phrase: &Phrase| {
            camera.alerts.iter().any(|alert| alert.phrase == *phrase)
        };
        let phrases = |camera: &CameraSettings| {
            camera.alerts.iter().map(|alert| alert.phrase.clone()).collect::<Vec<_>>()
        };
        let changed = after.alerts.iter().filter(|alert| old(&alert.phrase).is_some_and(|old| old != *alert));
        AlertsChange {
            removed: phrases(before).into_iter().filter(|phrase| !is_in(after, phrase)).collect(),
            added: phrases(after).into_iter().filter(|phrase| !is_in(before, phrase)).collect(),
            changed: changed.map(|alert| alert.phrase.clone()).collect(),
            reordered: is_reordered(phrases(before), phrases(after)),
        }
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        *self == AlertsChange::default()
    }
}

/// As much of `wanted` as a daemon can have that runs on `running`, and the keys of the rest, which keep their values until
/// the next start.
///
/// - `mqtt.topic`: everything that brokers keep of this daemon is under it.
/// - `mqtt.outbox` and its bounds: the file holds what has not been sent.
/// - the embedded broker: once it runs, it runs as long as the process.
pub fn within_reach(running: &Settings, mut wanted: Settings) -> (Settings, Vec<&'static str>) {
    let mut out_of_reach = Vec::new();
    let (now, new) = (&running.mqtt, &mut wanted.mqtt);
    keep(&now.topic, &mut new.topic, "mqtt.topic", &mut out_of_reach);
    keep(&now.outbox.place, &mut new.outbox.place, "mqtt.outbox", &mut out_of_reach);
    let (limits, new_limits) = (&now.outbox.limits, &mut new.outbox.limits);
    keep(&limits.messages, &mut new_limits.messages, "mqtt.outbox_messages", &mut out_of_reach);
    keep(&limits.bytes, &mut new_limits.bytes, "mqtt.outbox_size", &mut out_of_reach);
    match (&now.broker, &new.broker) {
        (Broker::Embedded { .. }, Broker::Embedded { .. }) => {
            keep(&now.broker, &mut new.broker, "mqtt.listen", &mut out_of_reach);
        }
        (Broker::Remote { .. }, Broker::Remote { .. }) => {}
        _ => {
            keep(&now.broker, &mut new.broker, "mqtt.url", &mut out_of_reach);
            // They belong to the other broker.
            new.username.clone_from(&now.username);
            new.password.clone_from(&now.password);
        }
    }
    (wanted, out_of_reach)
}

fn keep<T: Clone + PartialEq>(now: &T, new: &mut T, key: &'static str, kept: &mut Vec<&'static str>) {
    if now != new {
        kept.push(key);
        new.clone_from(now);
    }
}

fn is_another_link(running: &Settings, wanted: &Settings) -> bool {
    let way = |settings: &Settings| {
        let mqtt = settings.mqtt.clone();
        (mqtt.broker, mqtt.username, mqtt.password, mqtt.client_id, mqtt.keep_alive, mqtt.discovery)
    };
    way(running) != way(wanted)
}

/// Whether what is in both stands in another order.
fn is_reordered<T: PartialEq>(
    before: impl IntoIterator<Item = T>,
    after: impl IntoIterator<Item = T>,
) -> bool {
    let (before, after): (Vec<T>, Vec<T>) = (before.into_iter().collect(), after.into_iter().collect());
    let left = before.iter().filter(|item| after.contains(item));
    let kept = after.iter().filter(|item| before.contains(item));
    !left.eq(kept)
}

#[cfg(test)]
mod tests;
