//! Whether the process lives, and whether it is ready.

use std::time::Duration;

use hyper::StatusCode;
use serde::Serialize;

use super::answer::{Answer, json};
use crate::live::{Live, Phase};

/// The model thread takes a turn each second when there is nothing to do; one turn with a large model on a small
/// machine takes much longer.
const TURN_LIMIT: Duration = Duration::from_secs(120);

/// A model that has failed so often since its last answer may be on its way to being given up.
const DOUBTFUL_FAILURES: u32 = 5;

#[derive(Debug, Serialize)]
struct HealthDocument {
    /// `ok`, or a word for what is wrong.
    status: &'static str,
    /// The same for people.
    reason: String,
}

/// `/healthz`: 200 while the model thread takes its turns and the model answers, and while the model is loaded, which
/// takes as long as it takes.
pub(super) fn alive(live: &Live) -> Answer {
    let (_, since) = live.turns();
    let since_s = since.as_secs();
    match live.phase() {
        Phase::Starting { detail } => told("ok", format!("starting: {detail}")),
        Phase::Stopping => told("ok", "stopping".to_owned()),
        Phase::Running if since > TURN_LIMIT => {
            told("stuck", format!("the model thread has taken no turn for {since_s} s"))
        }
        // Anybody may ask: how often, and not why.
        Phase::Running if live.failures_in_a_row() >= DOUBTFUL_FAILURES => {
            told("failing", format!("the model failed {} times in a row", live.failures_in_a_row()))
        }
        Phase::Running => told("ok", format!("the model thread took its last turn {since_s} s ago")),
    }
}

/// `/readyz`: 200 once the model is loaded and every camera that is switched on has given a frame or said why it does
/// not. A broker that is away is none of it: alerts wait for it.
pub(super) fn ready(live: &Live) -> Answer {
    match live.phase() {
        Phase::Starting { detail } => return told("starting", detail),
        Phase::Stopping => return told("stopping", "told to end".to_owned()),
        Phase::Running => {}
    }
    match live.untried().as_slice() {
        [] => told("ok", format!("{} camera(s) watched", live.cameras().len())),
        // Anybody may ask: how many, and not which.
        untried => told("opening", format!("{} camera(s) not opened yet", untried.len())),
    }
}

fn told(status: &'static str, reason: String) -> Answer {
    let code = if status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(code, &HealthDocument { status, reason })
}
