//! `ROOT/state`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::building::{BuildListener, Building};
use crate::messages::{BuildState, DaemonState, StateMessage, to_json};
use crate::mqtt::{Outbox, topics};

/// Says what the daemon is doing, as a state of the outbox.
#[derive(Clone)]
pub(super) struct StateTopic {
    publish: Arc<dyn Fn(Vec<u8>) + Send + Sync>,
    /// What was said last.
    last: StateMessage,
}

impl StateTopic {
    /// Says that the model is being loaded.
    pub(super) fn loading(root: &str, outbox: Arc<Outbox>) -> StateTopic {
        let topic = topics::state(root);
        StateTopic::new(move |payload| outbox.set_state(topic.clone(), payload))
    }

    fn new(publish: impl Fn(Vec<u8>) + Send + Sync + 'static) -> StateTopic {
        let last = message(DaemonState::Loading, None, None);
        publish(to_json(&last));
        StateTopic { publish: Arc::new(publish), last }
    }

    /// Says that cameras are watched, and what runs the model.
    pub(super) fn running(&mut self, device: &str) {
        self.say(message(DaemonState::Running, Some(device.to_owned()), None));
    }

    /// Says that the daemon has ended.
    pub(super) fn stopped(&mut self) {
        self.say(message(DaemonState::Stopped, None, None));
    }

    fn say(&mut self, new: StateMessage) {
        let since = if new.state == self.last.state { self.last.since } else { new.since };
        let new = StateMessage { since, ..new };
        if new != self.last {
            (self.publish)(to_json(&new));
            self.last = new;
        }
    }
}

/// Says something new as often as the whole percent changes.
impl BuildListener for StateTopic {
    fn tell(&mut self, building: &Building) {
        let progress = &building.progress;
        let is_same =
            |last: &BuildState| last.percent == building.percent() && last.place == progress.place + 1;
        if self.last.building.as_ref().is_some_and(is_same) {
            return;
        }
        let state = BuildState {
            percent: building.percent(),
            graph: progress.graph.as_str(),
            place: progress.place + 1,
            graphs: progress.graphs,
            phase: progress.phase.clone(),
        };
        self.say(message(DaemonState::Building, None, Some(state)));
    }

    fn ended(&mut self, _: Duration) {
        self.say(message(DaemonState::Loading, None, None));
    }
}

fn message(state: DaemonState, device: Option<String>, building: Option<BuildState>) -> StateMessage {
    StateMessage { state, since: SystemTime::now(), device, building }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::Value;

    use super::*;
    use crate::building::tests::building;

    #[test]
    fn building_is_said_once_for_each_percent_and_running_once_it_is_over() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let published = Arc::clone(&said);
        let mut topic = StateTopic::new(move |payload| {
            published.lock().unwrap().push(serde_json::from_slice::<Value>(&payload).unwrap());
        });
        for (place, done, seconds) in [(0, 0.0, 0), (0, 0.001, 1), (0, 0.5, 2), (1, 0.5, 3)] {
            topic.tell(&building(place, done, seconds));
        }
        topic.ended(Duration::from_secs(4));
        topic.running("TensorRT");
        topic.running("TensorRT");
        topic.stopped();
        let said = said.lock().unwrap();
        let words: Vec<&str> = said.iter().filter_map(|message| message["state"].as_str()).collect();
        let expected = ["loading", "building", "building", "building", "loading", "running", "stopped"];
        assert_eq!(words, expected);
        assert_eq!([&said[1]["percent"], &said[2]["percent"], &said[3]["percent"]], [0, 16, 50]);
        assert_eq!([&said[1]["place"], &said[3]["place"]], [1, 2]);
        assert_eq!(said[1]["since"], said[3]["since"], "it has been building all the time");
        assert_eq!(said[5]["device"], "TensorRT");
    }
}
