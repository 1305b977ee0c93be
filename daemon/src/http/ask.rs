//! `/api/cameras/NAME/ask`: a question to a camera.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::answer::{Answer, error, json};
use super::site::Site;
use crate::live::{PageQuestion, Phase};

/// The name of questions that come without one.
const ID: &str = "page";
/// An answer comes within this time, or the refusal that it took too long. A camera that gives a frame a minute has
/// its own limit, which is shorter than this.
const ANSWER_LIMIT: Duration = Duration::from_secs(180);

/// Asks, as a message to `ROOT/CAMERA/ask` would, with the same limits. The answer is that of `ROOT/CAMERA/answer`, with
/// `picture` beside it: where the frame can be seen that it is about.
pub(super) async fn ask(site: &Site, camera: &str, body: &[u8]) -> Answer {
    let Ok(mut question) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return error(StatusCode::BAD_REQUEST, "invalid", "a question is a JSON object with a task");
    };
    if site.live.camera(camera).is_none() {
        return error(StatusCode::NOT_FOUND, "unknown-camera", "there is no such camera");
    }
    match site.live.phase() {
        Phase::Running => {}
        Phase::Starting { .. } => {
            return error(StatusCode::SERVICE_UNAVAILABLE, "starting", "the model is still being loaded");
        }
        Phase::Stopping => return stopping(),
    }
    question.entry("id").or_insert_with(|| ID.into());
    let (reply, replied) = oneshot::channel();
    let payload = crate::messages::to_json(&question);
    if site.live.ask(PageQuestion { camera: camera.to_owned(), payload, reply }).is_err() {
        return error(StatusCode::TOO_MANY_REQUESTS, "too-many", "too many questions; ask again later");
    }
    let mut end = std::pin::pin!(site.stopping());
    let replied = tokio::select! {
        replied = tokio::time::timeout(ANSWER_LIMIT, replied) => replied.ok().and_then(Result::ok),
        () = &mut end => return stopping(),
    };
    let answer = replied.and_then(|answer| serde_json::from_slice::<Map<String, Value>>(&answer).ok());
    match answer {
        Some(answer) => told(answer),
        None => error(StatusCode::GATEWAY_TIMEOUT, "took-too-long", "the answer took too long"),
    }
}

fn stopping() -> Answer {
    error(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the daemon is being stopped")
}

fn told(mut answer: Map<String, Value>) -> Answer {
    let text = |key: &str| answer.get(key).and_then(Value::as_str);
    if let Some(refused) = text("error") {
        return json(status_of(refused), &answer);
    }
    let frame = answer.get("frame_id").and_then(Value::as_u64);
    if let (Some(camera), Some(frame)) = (text("camera"), frame) {
        let picture = format!("/api/cameras/{camera}/frames/{frame}.jpg");
        answer.insert("picture".to_owned(), picture.into());
    }
    json(StatusCode::OK, &answer)
}

/// What a refusal's word is in HTTP.
fn status_of(refused: &str) -> StatusCode {
    match refused {
        "invalid" | "unknown-task" | "text-too-long" => StatusCode::BAD_REQUEST,
        "unknown-camera" => StatusCode::NOT_FOUND,
        "disabled" | "offline" => StatusCode::CONFLICT,
        "too-many" => StatusCode::TOO_MANY_REQUESTS,
        "no-frame" | "took-too-long" => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
