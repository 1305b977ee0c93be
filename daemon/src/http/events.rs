//! `/api/events`: what happens, as it happens, as server-sent events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use tokio::sync::mpsc;

use super::answer::{Answer, Body};
use super::documents;
use super::site::Site;
use crate::messages::to_json;

/// Without a change the state is said again so often: rates and ages change all the time.
const INTERVAL: Duration = Duration::from_secs(1);
/// However much changes, it is said no more often.
const SHORTEST: Duration = Duration::from_millis(100);

/// A stream of events: `state` at each change and each second, `alert` for each alert that begins, changes or ends. It
/// ends with the daemon or when nobody reads it any more. Whoever reads slowly gets fewer states, and every alert that
/// is still among the newest.
pub(super) fn events(site: &Arc<Site>) -> Answer {
    // One waits while one is sent: what is sent is never old.
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(tell(Arc::clone(site), sender));
    let mut answer = Response::new(Body::Pieces(receiver));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // For proxies that would collect events before they pass them on.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer
}

async fn tell(site: Arc<Site>, sender: mpsc::Sender<Bytes>) {
    let live = &site.live;
    let mut stopping = std::pin::pin!(site.stopping());
    let mut changes = live.changes();
    // Alerts from before are asked for at /api/alerts.
    let (_, mut told) = live.alerts(|log| log.since(u64::MAX));
    loop {
        let Ok(permit) = sender.reserve().await else {
            return;
        };
        changes.borrow_and_update();
        let (alerts, sequence) = live.alerts(|log| log.since(told));
        told = sequence;
        let mut text = event("state", &documents::state(&site));
        for alert in &alerts {
            text.extend(event("alert", alert));
        }
        permit.send(text.into());
        let pause = async {
            tokio::time::sleep(SHORTEST).await;
            let _ = tokio::time::timeout(INTERVAL - SHORTEST, changes.changed()).await;
        };
        tokio::select! {
            () = pause => {}
            () = sender.closed() => return,
            () = &mut stopping => return,
        }
    }
}

/// JSON has no line end in it.
fn event(name: &str, document: &impl Serialize) -> Vec<u8> {
    [b"event: ", name.as_bytes(), b"\ndata: ", to_json(document).as_slice(), b"\n\n"].concat()
}
