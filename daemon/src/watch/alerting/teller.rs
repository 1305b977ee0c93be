//! From events to messages in the outbox.

use std::sync::Arc;
use std::time::Instant;

use belvedere_kernels::ImageView;
use belvedere_models::{Region, Shape};

use super::left_open::note_name;
use crate::alerts::{AlertEvent, AlertMessage, AlertState, EventKind, Subject, topics};
use crate::live::Live;
use crate::messages::to_json;
use crate::mqtt::Outbox;
use crate::mqtt::spool::{NewMessage, SpoolKind};
use crate::snapshot::SnapshotStyle;

/// Says what the rules say.
#[derive(Debug)]
pub(super) struct Teller {
    pub(super) root: String,
    pub(super) outbox: Arc<Outbox>,
    live: Arc<Live>,
}

impl Teller {
    pub(super) fn new(root: &str, outbox: Arc<Outbox>, live: Arc<Live>) -> Teller {
        Teller { root: root.to_owned(), outbox, live }
    }

    /// Hands everything that belongs to `event` to the outbox, as one: the snapshot first, so that whoever
    /// hears of the event finds it; then the event with the note that it is open, or no longer; then what the
    /// phrase's retained topics hold from now on. `picture` is the frame that the event comes with. False where a
    /// snapshot was to be taken and is not there.
    pub(super) fn tell(
        &self,
        mut event: AlertEvent,
        picture: Option<(&ImageView<'_>, &SnapshotStyle)>,
    ) -> bool {
        super::log(&event);
        let mut messages = Vec::new();
        let mut is_as_asked = true;
        if event.take_snapshot {
            match picture.and_then(|(picture, style)| encode(&event, picture, *style)) {
                Some(jpeg) => {
                    messages.push(new(
                        SpoolKind::Snapshot,
                        topics::snapshot(&self.root, &event.subject),
                        jpeg,
                    ));
                }
                // Whoever reads that there is a picture would find another one's.
                None => {
                    event.has_snapshot = event.has_earlier_snapshot;
                    is_as_asked = false;
                }
            }
        }
        let subject = Arc::clone(&event.subject);
        let message = AlertMessage::new(&event, &self.root);
        let snapshot = messages.first().map(|snapshot: &NewMessage| snapshot.payload.as_slice());
        self.live.alert(&subject, &message, snapshot);
        let payload = to_json(&message);
        let is_over = matches!(event.kind, EventKind::End(_));
        let note = if is_over { Vec::new() } else { payload.clone() };
        messages.push(new(SpoolKind::Event, topics::alerts(&self.root, &subject.camera), payload.clone()));
        messages.push(new(SpoolKind::Note, note_name(event.id.as_str()), note));
        messages.push(new(SpoolKind::State, topics::attributes(&self.root, &subject), payload));
        if let Some(state) = event.turns() {
            messages.push(new(SpoolKind::State, topics::state(&self.root, &subject), state.as_str()));
        }
        self.outbox.push_together(messages);
        is_as_asked
    }

    /// Nothing is retained of a phrase any more.
    pub(super) fn take_back(&self, subject: &Subject) {
        self.take_picture_back(subject);
        self.outbox.take_back([topics::attributes(&self.root, subject), topics::state(&self.root, subject)]);
    }

    /// No picture is retained of a phrase any more.
    pub(super) fn take_picture_back(&self, subject: &Subject) {
        self.outbox.take_back([topics::snapshot(&self.root, subject)]);
    }

    /// Says what is so of a phrase, beside any event.
    pub(super) fn state(&self, subject: &Subject, state: AlertState) {
        self.outbox.keep_state(topics::state(&self.root, subject), state.as_str());
    }
}

pub(super) fn new(kind: SpoolKind, topic: String, payload: impl Into<Vec<u8>>) -> NewMessage {
    NewMessage { kind, topic, payload: payload.into() }
}

fn encode(event: &AlertEvent, picture: &ImageView<'_>, style: SnapshotStyle) -> Option<Vec<u8>> {
    let regions = event.regions.iter().map(|region| Region {
        label: event.subject.phrase.to_string(),
        score: Some(region.score),
        shape: Shape::Box(region.box_px),
    });
    let clock = Instant::now();
    let jpeg = style.encode(picture, &regions.collect::<Vec<_>>());
    let (camera, frame_id) = (&*event.subject.camera, event.frame_id);
    match jpeg {
        Ok(jpeg) => {
            let encode_ms = clock.elapsed().as_millis() as u64;
            tracing::debug!(camera, frame_id, bytes = jpeg.len(), encode_ms, "snapshot taken");
            Some(jpeg)
        }
        Err(error) => {
            tracing::error!(camera, frame_id, %error, "an alert without its snapshot");
            None
        }
    }
}
