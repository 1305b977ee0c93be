use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use crate::Message;

/// The alerts that a daemon's log tells of, against those that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertAccount {
    /// Alerts in the log.
    pub told: usize,
    /// Of those, alerts whose beginning and end arrived.
    pub whole: usize,
    /// Alerts that were told within [`AlertAccount::HELD`] before a kill of the broker and did not arrive whole: a broker that
    /// is killed takes with it what it has acknowledged and not yet passed on.
    pub died_with_broker: usize,
    /// All others.
    pub lost: Vec<String>,
}

impl AlertAccount {
    /// A broker that runs passes on what it has acknowledged within this time.
    pub const HELD: Duration = Duration::from_secs(2);

    /// Of the log's lines, the messages, and the moments at which the broker was killed.
    pub fn new(lines: &[String], messages: &[Message], kills: &[Timestamp]) -> Self {
        let mut arrived: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for event in messages.iter().filter(|message| message.topic.ends_with("/alerts")) {
            let Ok(event) = event.json() else { continue };
            if let (Some(id), Some(kind)) = (event["id"].as_str(), event["event_type"].as_str()) {
                arrived.entry(id.to_owned()).or_default().insert(kind.to_owned());
            }
        }
        let mut account = Self::default();
        // The end of an alert is told of too, and either may die with a broker.
        let mut moments: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
        for line in lines {
            if let Some((id, moment)) = told(line) {
                moments.entry(id).or_default().push(moment);
            }
        }
        for (id, moments) in moments {
            account.told += 1;
            let is_whole =
                arrived.get(&id).is_some_and(|kinds| ["new", "end"].iter().all(|kind| kinds.contains(*kind)));
            let is_held = |moment: &Timestamp| {
                kills.iter().any(|kill| {
                    let before = kill.duration_since(*moment);
                    !before.is_negative() && before.unsigned_abs() <= Self::HELD
                })
            };
            if is_whole {
                account.whole += 1;
            } else if moments.iter().any(is_held) {
                account.died_with_broker += 1;
            } else {
                account.lost.push(id);
            }
        }
        account
    }
}

/// The alert that a line of the log tells of, its beginning or its end, and when.
fn told(line: &str) -> Option<(String, Timestamp)> {
    let (_, fields) = line.split_once(" alert camera=").or_else(|| line.split_once(" alert over camera="))?;
    let id = fields.split_once("id=\"")?.1.split_once('"')?.0;
    let moment = line.split_whitespace().next()?.parse().ok()?;
    Some((id.to_owned(), moment))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn line(second: u32, what: &str, id: &str) -> String {
        format!(
            "2026-01-01T00:00:{second:02}.000000Z  INFO belvedere: {what} camera=\"a\" phrase=\"b\" id=\"{id}\" score=1"
        )
    }

    fn event(id: &str, kind: &str) -> Message {
        let payload = format!("{{\"id\":\"{id}\",\"event_type\":\"{kind}\"}}");
        Message {
            topic: "belvedere/a/alerts".to_owned(),
            bytes: payload.clone().into_bytes(),
            payload,
            received: SystemTime::now(),
            retained: false,
        }
    }

    #[test]
    fn an_alert_that_did_not_arrive_whole_is_lost_unless_the_broker_may_have_had_it() {
        let lines = ["one", "two", "three"].map(|id| line(10, "alert", id)).to_vec();
        let lines = [lines, vec![line(59, "alert over", "three")]].concat();
        let messages = [event("one", "new"), event("one", "end"), event("two", "new"), event("three", "new")];
        let kill: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let account = AlertAccount::new(&lines, &messages, &[kill]);
        let expected = AlertAccount { told: 3, whole: 1, died_with_broker: 1, lost: vec!["two".to_owned()] };
        assert_eq!(account, expected);
    }
}
