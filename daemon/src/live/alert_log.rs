//! The newest alerts, with their pictures.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::Serialize;

use crate::alerts::{AlertMessage, EventType, Subject};

/// So many alerts are kept.
const MAX_ALERTS: usize = 200;
/// Their snapshots take so many bytes at most; beyond it, those of the oldest go.
const MAX_SNAPSHOT_BYTES: usize = 24 << 20;

/// The newest alerts, bounded in number and in the bytes of their snapshots.
#[derive(Debug, Default)]
pub struct AlertLog {
    /// The oldest first, by when they began.
    kept: VecDeque<Kept>,
    snapshot_bytes: usize,
    /// Grows with each change.
    sequence: u64,
}

#[derive(Debug)]
struct Kept {
    changed: u64,
    item: AlertItem,
    snapshot: Option<Bytes>,
}

/// An alert as the page shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertItem {
    /// The same through the whole life of the alert.
    pub id: String,
    /// The camera's name.
    pub camera: String,
    /// What was watched for.
    pub phrase: String,
    /// The phrase's name in topics and metrics.
    pub slug: String,
    /// The newest score.
    pub score: f32,
    /// The best score so far.
    pub top_score: f32,
    /// The zones it has been in, in the order in which they were entered.
    pub zones: Vec<String>,
    /// When the first frame that showed it came from the camera.
    pub started_at: String,
    /// When the last one did.
    pub last_seen_at: String,
    /// When it ended; null while it has not.
    pub ended_at: Option<String>,
    /// Why it ended; null while it has not.
    pub reason: Option<String>,
    /// What there is to say beside the reason.
    pub detail: Option<String>,
    /// Where its picture is; null where there is none, or none any more.
    pub snapshot: Option<String>,
}

impl AlertLog {
    /// Something was said of an alert, perhaps with a new picture.
    pub fn tell(&mut self, subject: &Subject, message: &AlertMessage, snapshot: Option<&[u8]>) {
        self.sequence += 1;
        let place = self.kept.iter().rposition(|kept| kept.item.id == message.id);
        let place = match place {
            Some(place) => place,
            // One that is over before this process knew of it is none of its news.
            None if message.event_type == EventType::End => return,
            None => {
                self.kept.push_back(Kept { changed: 0, item: item(subject, message), snapshot: None });
                self.kept.len() - 1
            }
        };
        if let Some(kept) = self.kept.get_mut(place) {
            let picture = kept.item.snapshot.take();
            kept.changed = self.sequence;
            kept.item = AlertItem { snapshot: picture, ..item(subject, message) };
            if let Some(jpeg) = snapshot {
                let new = Bytes::copy_from_slice(jpeg);
                let old = kept.snapshot.replace(new).map_or(0, |old| old.len());
                self.snapshot_bytes = (self.snapshot_bytes + jpeg.len()).saturating_sub(old);
                // Another address for another picture: what a browser keeps must not stand for the new one.
                kept.item.snapshot =
                    Some(format!("/api/alerts/{}/snapshot.jpg?v={}", message.id, self.sequence));
            }
        }
        self.shrink();
    }

    /// The newest alerts, the newest first; those of `camera`, where one is named.
    pub fn newest(&self, camera: Option<&str>) -> Vec<AlertItem> {
        let wanted = |kept: &&Kept| camera.is_none_or(|camera| kept.item.camera == camera);
        self.kept.iter().rev().filter(wanted).map(|kept| kept.item.clone()).collect()
    }

    /// Those that changed after `sequence`, the oldest first, and what to ask with the next time.
    pub fn since(&self, sequence: u64) -> (Vec<AlertItem>, u64) {
        let changed = self.kept.iter().filter(|kept| kept.changed > sequence);
        (changed.map(|kept| kept.item.clone()).collect(), self.sequence)
    }

    /// The picture of the alert `id`: JPEG.
    pub fn snapshot(&self, id: &str) -> Option<Bytes> {
        self.kept.iter().rev().find(|kept| kept.item.id == id)?.snapshot.clone()
    }

    fn shrink(&mut self) {
        while self.kept.len() > MAX_ALERTS {
            let gone = self.kept.pop_front().and_then(|kept| kept.snapshot);
            self.snapshot_bytes -= gone.map_or(0, |snapshot| snapshot.len());
        }
        for kept in &mut self.kept {
            if self.snapshot_bytes <= MAX_SNAPSHOT_BYTES {
                break;
            }
            if let Some(snapshot) = kept.snapshot.take() {
                self.snapshot_bytes -= snapshot.len();
                kept.item.snapshot = None;
                // Whoever shows it is told.
                kept.changed = self.sequence;
            }
        }
    }
}

fn item(subject: &Subject, message: &AlertMessage) -> AlertItem {
    let message = message.clone();
    AlertItem {
        id: message.id,
        camera: message.camera,
        phrase: message.phrase,
        slug: subject.slug.to_string(),
        score: message.score,
        top_score: message.top_score,
        zones: message.zones_entered,
        started_at: message.started_at,
        last_seen_at: message.last_seen_at,
        ended_at: message.ended_at,
        reason: message.reason,
        detail: message.detail,
        snapshot: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::Phrase;

    fn message(id: usize, event_type: &str) -> AlertMessage {
        let json = format!(
            r#"{{"event_type":"{event_type}","id":"{id}","camera":"porch","phrase":"a dog","score":0.9,"top_score":0.9,
            "frame_id":7,"captured_at":"","width":4,"height":3,"regions":[],"zones":[],"zones_entered":["yard"],
            "started_at":"","last_seen_at":"","ended_at":null,"snapshot":null}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn subject() -> Subject {
        Subject::new("porch", Phrase::new("a dog").unwrap())
    }

    #[test]
    fn an_alert_is_one_entry_through_its_life_and_keeps_its_picture() {
        let mut log = AlertLog::default();
        log.tell(&subject(), &message(1, "new"), Some(b"jpeg"));
        let (_, seen) = log.since(0);
        log.tell(&subject(), &message(2, "new"), None);
        log.tell(&subject(), &message(1, "end"), None);
        let ids = |items: Vec<AlertItem>| items.into_iter().map(|item| item.id).collect::<Vec<_>>();
        assert_eq!(ids(log.newest(None)), ["2", "1"]);
        assert_eq!(ids(log.since(seen).0), ["1", "2"]);
        assert_eq!(log.newest(Some("attic")), []);
        assert_eq!(log.snapshot("1").unwrap(), b"jpeg".as_slice());
        let first = log.newest(None).pop().unwrap();
        assert_eq!(first.snapshot.as_deref(), Some("/api/alerts/1/snapshot.jpg?v=1"));
        log.tell(&subject(), &message(1, "update"), Some(b"better"));
        assert_ne!(log.newest(None).pop().unwrap().snapshot, first.snapshot);
    }

    #[test]
    fn the_end_of_an_alert_of_an_earlier_run_is_no_news() {
        let mut log = AlertLog::default();
        log.tell(&subject(), &message(1, "end"), None);
        assert_eq!(log.newest(None), []);
    }

    #[test]
    fn it_is_bounded_in_number_and_in_bytes() {
        let mut log = AlertLog::default();
        let large = vec![0; 1 << 20];
        for id in 0..1000 {
            log.tell(&subject(), &message(id, "new"), Some(&large));
        }
        assert_eq!(log.newest(None).len(), MAX_ALERTS);
        let held: usize =
            (0..1000).filter_map(|id| log.snapshot(&id.to_string())).map(|jpeg| jpeg.len()).sum();
        assert_eq!(held, MAX_SNAPSHOT_BYTES);
        let items = log.newest(None);
        assert!(items[0].snapshot.is_some() && items[MAX_ALERTS - 1].snapshot.is_none());
        let (_, seen) = log.since(0);
        log.tell(&subject(), &message(1000, "new"), Some(&large));
        let (changed, _) = log.since(seen);
        let ids: Vec<&str> = changed.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids, ["976", "1000"], "the picture that went is news too");
        assert_eq!(changed[0].snapshot, None);
    }
}
