//! Events that a run of the daemon began and could not end.
//!
//! With each message of an event, and in the same commit, the message is written down once more as a note,
//! and taken away with that of its end. So after a crash there is a note for every event of which anybody may
//! have heard a `new` and cannot have heard an `end`, and for no other. The next run ends those with the
//! reason `interrupted`, and with that commit takes the note away.
//!
//! Where the disk failed and the run died before it was mended, what was in memory is lost, notes as well as
//! messages: an event can then be ended twice, and one that was begun in that time stays open.

use std::sync::Arc;
use std::time::SystemTime;

use super::teller::{Teller, new};
use crate::alerts::{AlertMessage, Phrase, Subject, topics};
use crate::messages::to_json;
use crate::mqtt::spool::SpoolKind;

/// What the names of these notes begin with. No topic holds a blank before its first `/`.
const NOTE: &str = "open event ";

/// The note about an event.
pub(super) fn note_name(id: &str) -> String {
    format!("{NOTE}{id}")
}

impl Teller {
    /// Ends the events that an earlier run left open. `watched` is what is watched for now: of others nothing
    /// is retained any more.
    pub(super) fn end_what_was_left_open(&self, watched: &[Arc<Subject>], now: SystemTime) {
        for (name, note) in self.outbox.notes().iter().filter(|(name, _)| name.starts_with(NOTE)) {
            // Written by this program: what cannot be read is of another version, and takes itself away.
            let message = serde_json::from_slice::<AlertMessage>(note).ok();
            let ended = message.and_then(|message| message.interrupted(now));
            let mut messages = Vec::new();
            if let Some(ended) = &ended {
                tracing::warn!(
                    camera = ended.camera,
                    phrase = ended.phrase,
                    id = ended.id,
                    "alert over: the daemon ended without ending it"
                );
                let payload = to_json(ended);
                messages.push(new(
                    SpoolKind::Event,
                    topics::alerts(&self.root, &ended.camera),
                    payload.clone(),
                ));
                messages.push(new(SpoolKind::Note, name.clone(), ""));
                if let Ok(phrase) = Phrase::new(&ended.phrase) {
                    let subject = Subject::new(&ended.camera, phrase);
                    let is_watched = watched.iter().any(|watched| **watched == subject);
                    let attributes = if is_watched { payload } else { Vec::new() };
                    messages.push(new(
                        SpoolKind::State,
                        topics::attributes(&self.root, &subject),
                        attributes,
                    ));
                    if !is_watched {
                        messages.push(new(SpoolKind::State, topics::state(&self.root, &subject), ""));
                        messages.push(new(SpoolKind::State, topics::snapshot(&self.root, &subject), ""));
                    }
                }
            } else {
                messages.push(new(SpoolKind::Note, name.clone(), ""));
            }
            self.outbox.push_together(messages);
        }
    }
}
