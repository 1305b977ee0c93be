//! Live pictures, for as long as somebody asks for them.
//!
//! A picture is sent when it was asked for: whoever has not yet taken one has none on its way, and one who is slow gets
//! the newest when it asks again. To ask is to look; without anyone who asks, no picture is made.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use tokio::time::Instant;

use super::answer::{Answer, error, not_found, nothing, whole};
use super::site::Site;
use crate::live::{LiveCamera, LivePicture, Looking};

/// Without a new picture, a request is answered with nothing after this time, and is to be made again.
const WAIT_LIMIT: Duration = Duration::from_secs(20);
/// One picture of a camera comes within this time and that of two of its frames, or not at all.
const NEXT_LIMIT: Duration = Duration::from_secs(10);
/// A picture about which something was asked is made within this time.
const KEPT_LIMIT: Duration = Duration::from_secs(5);
/// So many cameras are looked at with one request.
const MAX_CAMERAS: usize = 64;
/// The content type of several pictures.
const PICTURES: &str = "application/vnd.belvedere.pictures";

/// A camera that is looked at, and the frame that the looker has.
struct Looked {
    camera: Arc<LiveCamera>,
    has_frame: Option<u64>,
    _looking: Looking,
}

impl Looked {
    fn newer(&self) -> Option<Arc<LivePicture>> {
        self.camera.picture().filter(|picture| Some(picture.frame_id) != self.has_frame)
    }
}

/// `/api/pictures?cameras=NAME[:FRAME],...`: waits until one of the cameras has another picture than that of its FRAME,
/// and gives all that have one. For each: the length of its JSON and that of its JPEG (both 4 bytes, most significant
/// first), the JSON ([`crate::live::Sight`]), the JPEG.
pub(super) async fn newer(site: &Site, wanted: &str) -> Answer {
    let names = wanted.split(',').filter(|name| !name.is_empty()).take(MAX_CAMERAS);
    let looked: Vec<Looked> = names
        .filter_map(|wanted| {
            let (name, frame) = wanted.split_once(':').unwrap_or((wanted, ""));
            let camera = site.live.camera(name)?;
            Some(Looked { has_frame: frame.parse().ok(), _looking: camera.look(), camera })
        })
        .collect();
    if looked.is_empty() {
        return error(StatusCode::NOT_FOUND, "unknown-camera", "there is no such camera");
    }
    let found = wait(site, WAIT_LIMIT, || {
        let found: Vec<Arc<LivePicture>> = looked.iter().filter_map(Looked::newer).collect();
        (!found.is_empty()).then_some(found)
    });
    match found.await {
        Some(found) => whole(StatusCode::OK, PICTURES, framed(&found)),
        None => nothing(),
    }
}

fn framed(pictures: &[Arc<LivePicture>]) -> Vec<u8> {
    let mut bytes =
        Vec::with_capacity(pictures.iter().map(|picture| 8 + picture.sight.len() + picture.jpeg.len()).sum());
    for picture in pictures {
        for part in [&picture.sight, &picture.jpeg] {
            // Neither is ever near 4 GiB.
            bytes.extend((part.len() as u32).to_be_bytes());
        }
        bytes.extend_from_slice(&picture.sight);
        bytes.extend_from_slice(&picture.jpeg);
    }
    bytes
}

/// `/api/cameras/NAME/picture.jpg`: the next picture of one camera.
pub(super) async fn next(site: &Site, camera: &str) -> Answer {
    let Some(camera) = site.live.camera(camera) else {
        return error(StatusCode::NOT_FOUND, "unknown-camera", "there is no such camera");
    };
    if camera.state() != "online" {
        let state = camera.state();
        return error(StatusCode::CONFLICT, state, &format!("the camera is {state}"));
    }
    let has_frame = camera.picture().map(|picture| picture.frame_id);
    let limit = next_limit(camera.facts().fps_limit);
    let looked = Looked { has_frame, _looking: camera.look(), camera };
    match wait(site, limit, || looked.newer()).await {
        Some(picture) => whole(StatusCode::OK, "image/jpeg", picture.jpeg.clone()),
        None => error(StatusCode::GATEWAY_TIMEOUT, "no-frame", "no frame was analysed in time"),
    }
}

/// How long the next picture may take where `fps` frames are analysed in a second.
fn next_limit(fps: f64) -> Duration {
    NEXT_LIMIT + Duration::try_from_secs_f64(2.0 / fps).unwrap_or_default()
}

/// `/api/cameras/NAME/frames/FRAME.jpg`: the frame about which a question was answered.
pub(super) async fn kept(site: &Site, camera: &str, file: &str) -> Answer {
    let frame = file.strip_suffix(".jpg").and_then(|frame| frame.parse().ok());
    let (Some(camera), Some(frame)) = (site.live.camera(camera), frame) else {
        return not_found();
    };
    match wait(site, KEPT_LIMIT, || camera.kept_picture(frame)).await {
        Some(picture) => whole(StatusCode::OK, "image/jpeg", picture.jpeg.clone()),
        None => not_found(),
    }
}

/// Looks at each new picture until there is what is wanted; `None` after `limit`, and when the daemon ends.
async fn wait<T>(site: &Site, limit: Duration, look: impl Fn() -> Option<T>) -> Option<T> {
    let (mut stopping, mut pictured) = (std::pin::pin!(site.stopping()), site.live.pictured());
    let until = Instant::now() + limit;
    loop {
        pictured.borrow_and_update();
        if let Some(found) = look() {
            return Some(found);
        }
        tokio::select! {
            changed = pictured.changed() => changed.ok()?,
            () = tokio::time::sleep_until(until) => return None,
            () = &mut stopping => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_that_is_looked_at_once_a_minute_has_time_for_its_next_frame() {
        assert!(next_limit(1.0 / 60.0) > Duration::from_secs(120));
        assert!(next_limit(4.0) < Duration::from_secs(11));
    }
}
