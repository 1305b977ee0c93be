//! An event as the payload of `ROOT/CAMERA/alerts`.

use std::time::SystemTime;

use belvedere_models::Evidence;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::{AlertEvent, EndReason, EventKind};
use super::topics;
use crate::messages::rfc3339_ms;

/// What is published of an event. Times are RFC 3339 in UTC with milliseconds.
///
/// It can be read again, so that a daemon that starts can end an event that the one before it left
/// open: see [`AlertMessage::interrupted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertMessage {
    /// `new`, `update` or `end`.
    pub event_type: EventType,
    /// The same through the whole life of an event.
    pub id: String,
    /// The camera's name.
    pub camera: String,
    /// What is watched for.
    pub phrase: String,
    /// Of the best region on frame `frame_id`, from 0 to 1.
    pub score: f32,
    /// The best so far.
    pub top_score: f32,
    /// The last frame that showed the phrase.
    pub frame_id: u64,
    /// When that frame came from the camera.
    pub captured_at: String,
    /// Of that frame; what the boxes are in.
    pub width: u32,
    /// Of that frame.
    pub height: u32,
    /// What counts on that frame, the best first.
    pub regions: Vec<MessageRegion>,
    /// The zones that any of `regions` is in.
    pub zones: Vec<String>,
    /// All zones so far, in the order in which they were entered.
    pub zones_entered: Vec<String>,
    /// When the first frame that showed the phrase came from the camera.
    pub started_at: String,
    /// When the last one did, by the clock of `started_at`.
    pub last_seen_at: String,
    /// When the event ended, by the clock of `started_at`; null while it has not.
    pub ended_at: Option<String>,
    /// The topic of the snapshot; null where there is none.
    pub snapshot: Option<String>,
    /// Why it ended; absent while it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What there is to say beside the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Where in its life an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventType {
    /// The phrase has come true.
    New,
    /// It is still true, and there is something to say.
    Update,
    /// It is no longer true, or nobody can say.
    End,
}

/// A region as in the results of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageRegion {
    /// The phrase.
    pub label: String,
    /// From 0 to 1.
    pub score: f32,
    /// x1, y1, x2, y2 in pixels.
    #[serde(rename = "box")]
    pub box_px: [f32; 4],
    /// What the score is made of, part by part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Value>,
}

impl MessageRegion {
    /// A region that was taken for `phrase`.
    pub fn new(phrase: &str, score: f32, box_px: [f32; 4], evidence: Option<&Evidence>) -> MessageRegion {
        MessageRegion { label: phrase.to_owned(), score, box_px, evidence: evidence.and_then(parts) }
    }
}

impl AlertMessage {
    /// What is published of `event` where the topics are under `root`.
    pub fn new(event: &AlertEvent, root: &str) -> AlertMessage {
        let AlertEvent { subject, kind, .. } = event;
        let phrase = subject.phrase.to_string();
        let (event_type, reason) = match kind {
            EventKind::New => (EventType::New, None),
            EventKind::Update => (EventType::Update, None),
            EventKind::End(reason) => (EventType::End, Some(reason)),
        };
        let regions = event
            .regions
            .iter()
            .map(|region| MessageRegion::new(&phrase, region.score, region.box_px, region.evidence.as_ref()));
        AlertMessage {
            event_type,
            id: event.id.to_string(),
            camera: subject.camera.to_string(),
            score: event.score,
            top_score: event.top_score,
            frame_id: event.frame_id,
            captured_at: rfc3339_ms(event.captured_at),
            width: event.width,
            height: event.height,
            regions: regions.collect(),
            zones: event.zones.iter().map(ToString::to_string).collect(),
            zones_entered: event.zones_entered.iter().map(ToString::to_string).collect(),
            started_at: rfc3339_ms(event.started_at),
            last_seen_at: rfc3339_ms(event.last_seen_at),
            ended_at: event.ended_at.map(rfc3339_ms),
            snapshot: event.has_snapshot.then(|| topics::snapshot(root, subject)),
            reason: reason.map(|reason| reason.as_str().to_owned()),
            detail: reason.and_then(EndReason::detail).map(str::to_owned),
            phrase,
        }
    }

    /// The `end` of an event of which this was the last that was said before the daemon died; `None`
    /// where this is its end.
    pub fn interrupted(mut self, now: SystemTime) -> Option<AlertMessage> {
        if self.event_type == EventType::End {
            return None;
        }
        // Times are written so that they sort as text. An end before the start helps nobody.
        let ended_at = rfc3339_ms(now).max(self.last_seen_at.clone());
        self.event_type = EventType::End;
        self.ended_at = Some(ended_at);
        self.reason = Some(EndReason::Interrupted.as_str().to_owned());
        Some(self)
    }
}

/// Through text, so that a number has the digits that it is written with, and not those of a wider type.
fn parts(evidence: &Evidence) -> Option<Value> {
    serde_json::from_slice(&serde_json::to_vec(evidence).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{AlertMessage, EventType};
    use crate::alerts::{AlertEvent, AlertRule, AlertSettings, Moment, Phrase, SeenRegion, Sighting};

    fn at(s: u64) -> Moment {
        let monotonic = Duration::from_secs(s);
        Moment { monotonic, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + monotonic }
    }

    /// `new` with frame 2, seen since frame 1, and the `end` of a camera that went offline.
    fn new_and_end() -> [AlertEvent; 2] {
        let phrase = Phrase::new("a \"red\" dog").unwrap();
        let mut rule = AlertRule::new("porch", phrase, AlertSettings::default(), fastrand::Rng::with_seed(1));
        let mut events = Vec::new();
        for frame_id in [1, 2] {
            let regions = vec![SeenRegion { score: 0.93, box_px: [1.0, 2.5, 30.0, 40.0], evidence: None }];
            let sighting = Sighting { frame_id, captured: at(frame_id), width: 64, height: 48, regions };
            events.extend(rule.sighting(&sighting));
        }
        events.extend(rule.camera_offline(at(10), "no answer"));
        events.try_into().unwrap()
    }

    #[test]
    fn an_event_has_the_promised_fields() {
        let [new, end] =
            new_and_end().map(|event| serde_json::to_value(AlertMessage::new(&event, "home")).unwrap());
        let id = new["id"].as_str().unwrap();
        assert!(id.starts_with("1700000002000.porch.a_red_dog."), "{id}");
        let text = serde_json::to_string(&AlertMessage::new(&new_and_end()[0], "home")).unwrap();
        assert_eq!(
            text,
            format!(
                "{{\"event_type\":\"new\",\"id\":\"{id}\",\"camera\":\"porch\",\"phrase\":\"a \\\"red\\\" dog\",\
                 \"score\":0.93,\"top_score\":0.93,\"frame_id\":2,\"captured_at\":\"2023-11-14T22:13:22.000Z\",\
                 \"width\":64,\"height\":48,\
                 \"regions\":[{{\"label\":\"a \\\"red\\\" dog\",\"score\":0.93,\"box\":[1.0,2.5,30.0,40.0]}}],\
                 \"zones\":[],\"zones_entered\":[],\"started_at\":\"2023-11-14T22:13:21.000Z\",\
                 \"last_seen_at\":\"2023-11-14T22:13:22.000Z\",\"ended_at\":null,\
                 \"snapshot\":\"home/porch/alert/a_red_dog/snapshot\"}}"
            )
        );
        assert_eq!(end["id"], new["id"]);
        assert_eq!(
            [&end["event_type"], &end["reason"], &end["detail"]],
            ["end", "camera_offline", "no answer"]
        );
        assert_eq!(end["ended_at"], "2023-11-14T22:13:30.000Z");
        assert_eq!(end["last_seen_at"], "2023-11-14T22:13:22.000Z");
    }

    #[test]
    fn a_message_that_was_kept_can_be_read_and_ended_by_the_next_daemon() {
        let [new, end] = new_and_end().map(|event| AlertMessage::new(&event, "home"));
        let kept: AlertMessage = serde_json::from_slice(&serde_json::to_vec(&new).unwrap()).unwrap();
        assert_eq!(kept, new);
        let ended = kept.interrupted(at(60).wall).unwrap();
        assert_eq!((ended.event_type, ended.reason.as_deref()), (EventType::End, Some("interrupted")));
        assert_eq!((ended.ended_at.as_deref(), &ended.id), (Some("2023-11-14T22:14:20.000Z"), &new.id));
        assert_eq!(end.interrupted(at(60).wall), None, "it has ended");
        let early = new.clone().interrupted(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(early.ended_at, Some(new.last_seen_at), "the clock was set back");
    }

    #[test]
    fn an_event_without_a_picture_names_no_topic_for_one() {
        let [mut new, _] = new_and_end();
        new.has_snapshot = false;
        assert_eq!(AlertMessage::new(&new, "home").snapshot, None);
    }
}
