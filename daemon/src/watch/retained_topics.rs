//! What the broker retains of a configuration, as a note for the next run.
//!
//! What leaves the configuration while the daemon runs is taken back as it leaves. What leaves it between two runs, such
//! as a camera, a phrase or the whole of another `mqtt.topic`, is known from the note alone: nobody says anything on its
//! topics any more, and a picture in particular is not to stay at the broker for ever.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::announcing::announced_topics;
use crate::alerts::Slug;
use crate::config::{Broker, Settings};
use crate::messages::to_json;
use crate::mqtt::spool::{NewMessage, SpoolKind};
use crate::mqtt::{Outbox, topics};

/// The note's name. No topic holds a blank before its first `/`.
const NOTE: &str = "retained topics";

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct RetainedTopics {
    /// Where they are retained.
    broker: String,
    topics: BTreeSet<String>,
}

/// Takes back what an earlier run had the broker retain and this one will not speak of. To be called once, before
/// anything is said.
pub(super) fn take_back_what_left(settings: &Settings, outbox: &Outbox) {
    let now = RetainedTopics::of(settings);
    let note = outbox.notes().iter().find(|(name, _)| name == NOTE);
    // Written by this program: what cannot be read is of another version.
    let before = note.and_then(|(_, note)| serde_json::from_slice::<RetainedTopics>(note).ok());
    if before.as_ref() == Some(&now) {
        return;
    }
    // At another broker these topics may be somebody else's.
    if let Some(before) = before.filter(|before| before.broker == now.broker) {
        outbox.take_back(before.topics.difference(&now.topics).cloned());
    }
    now.write_down(outbox);
}

/// Another configuration was taken up.
pub(super) fn note(settings: &Settings, outbox: &Outbox) {
    RetainedTopics::of(settings).write_down(outbox);
}

impl RetainedTopics {
    fn of(settings: &Settings) -> RetainedTopics {
        let root = &settings.mqtt.topic;
        let broker = match &settings.mqtt.broker {
            Broker::Embedded { .. } => "embedded".to_owned(),
            Broker::Remote { host, port, .. } => format!("{host}:{port}"),
        };
        let mut retained =
            BTreeSet::from([topics::available(root), topics::state(root), topics::config(root)]);
        retained.extend(announced_topics(settings));
        for camera in &settings.cameras {
            let name = &camera.name;
            retained.extend([topics::status(root, name), topics::enabled_state(root, name)]);
            for alert in &camera.alerts {
                let slug = Slug::of(&alert.phrase);
                let slug = slug.as_str();
                retained.insert(topics::alert_state(root, name, slug));
                retained.insert(topics::alert_attributes(root, name, slug));
                if alert.rule.snapshot {
                    retained.insert(topics::alert_snapshot(root, name, slug));
                }
            }
        }
        RetainedTopics { broker, topics: retained }
    }

    fn write_down(&self, outbox: &Outbox) {
        let (topic, payload) = (NOTE.to_owned(), to_json(self));
        outbox.push_together(vec![NewMessage { kind: SpoolKind::Note, topic, payload }]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tempfile::TempDir;

    use super::*;
    use crate::config::load_with;
    use crate::mqtt::spool::{Spool, SpoolLimits};

    const CONFIGURATION: &str = r#"
[mqtt]
url = "mqtt://broker.local"

[[camera]]
name = "porch"
url = "test://ball"
[[camera.alert]]
phrase = "a dog"
[[camera.alert]]
phrase = "a cat"
snapshot = false

[[camera]]
name = "yard"
url = "test://ball"
tasks = ["caption"]
"#;

    fn settings(text: &str) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("belvedere.toml");
        std::fs::write(&path, text).unwrap();
        load_with(&path, HashMap::new()).unwrap()
    }

    /// What is taken back by a run whose configuration has `to` where that of the run before had `from`.
    fn taken_back(from: &str, to: &str) -> Vec<String> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("spool.db");
        assert!(CONFIGURATION.contains(from), "{from}");
        for text in [CONFIGURATION, &CONFIGURATION.replacen(from, to, 1)] {
            let outbox = Outbox::open(path.clone(), SpoolLimits::default(), Default::default()).unwrap();
            take_back_what_left(&settings(text), &outbox);
        }
        let spool = Spool::open(&path, SpoolLimits::default()).unwrap();
        let messages = spool.next_after(None, usize::MAX).unwrap();
        assert!(messages.iter().all(|message| message.payload.is_empty()), "{messages:?}");
        messages.into_iter().map(|message| message.topic).collect()
    }

    #[test]
    fn what_stays_is_not_touched() {
        assert_eq!(taken_back("phrase = \"a cat\"", "phrase = \"a cat\"\nmin_score = 0.9"), [""; 0]);
    }

    #[test]
    fn a_camera_and_a_phrase_that_left_leave_nothing() {
        let yard = &CONFIGURATION[CONFIGURATION.find("[[camera]]\nname = \"yard\"").unwrap()..];
        assert_eq!(
            taken_back(yard, ""),
            [
                "belvedere/yard/enabled/state",
                "belvedere/yard/status",
                "homeassistant/device/belvedere-yard/config"
            ]
        );
        assert_eq!(
            taken_back("phrase = \"a dog\"", "phrase = \"a bird\""),
            ["attributes", "snapshot", "state"].map(|kind| format!("belvedere/porch/alert/a_dog/{kind}"))
        );
    }

    #[test]
    fn what_was_announced_leaves_with_discovery_and_with_the_root_of_the_topics() {
        let announced =
            ["homeassistant/device/belvedere-porch/config", "homeassistant/device/belvedere-yard/config"];
        let without = taken_back("local\"", "local\"\ndiscovery = false");
        assert_eq!(without, [&announced[..], &["homeassistant/device/belvedere/config"]].concat());
        let elsewhere = taken_back("local\"", "local\"\ntopic = \"home\"");
        assert!(announced.iter().all(|topic| elsewhere.iter().any(|taken| taken == topic)), "{elsewhere:?}");
        assert!(elsewhere.contains(&"belvedere/available".to_owned()));
        assert!(elsewhere.contains(&"belvedere/porch/alert/a_dog/snapshot".to_owned()));
    }

    #[test]
    fn nothing_is_taken_back_at_another_broker() {
        assert_eq!(taken_back("broker.local\"", "other.local\"\ntopic = \"home\""), [""; 0]);
    }
}
