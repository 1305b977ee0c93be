//! The door for the fuzzer: compiled for it alone.

use super::{asking, switches};
use crate::alerts::AlertMessage;
use crate::messages::to_json;

/// Reads `payload` as whatever may come as one: a question, a command, an event that an earlier run left open.
pub fn hear(payload: &[u8]) {
    let _ = switches::position(payload);
    let _ = asking::is_question(payload);
    if let Ok(left_open) = serde_json::from_slice::<AlertMessage>(payload)
        && let Some(ended) = left_open.interrupted(std::time::SystemTime::now())
    {
        // A number that no score can be becomes infinite, and is written as null.
        if let Ok(read) = serde_json::from_slice::<AlertMessage>(&to_json(&ended)) {
            assert_eq!(without_evidence(read), without_evidence(ended));
        }
    }
}

/// Evidence is for people. Its numbers are read with the last of seventeen digits uncertain, so that they may not be the
/// same when they come back; all others have fewer digits, and are.
fn without_evidence(mut message: AlertMessage) -> AlertMessage {
    message.regions.iter_mut().for_each(|region| region.evidence = None);
    message
}
