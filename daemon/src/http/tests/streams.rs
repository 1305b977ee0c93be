//! Answers that wait for something to happen.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Site, WITHIN, alert, assert_fits};

#[tokio::test]
async fn pictures_are_made_only_while_somebody_looks_and_each_is_given_once() {
    let site = Site::start(None).await;
    let porch = site.live.camera("porch").unwrap();
    assert!(!porch.wants_picture(1), "nobody looks");
    let first = site.show_until(1, site.get("/api/pictures?cameras=porch,cellar")).await;
    assert_eq!(
        (first.status, first.header("content-type")),
        (200, Some("application/vnd.belvedere.pictures"))
    );
    let length = |at: usize| u32::from_be_bytes(first.body[at..at + 4].try_into().unwrap()) as usize;
    let (json, jpeg) = (length(0), length(4));
    assert_eq!(first.body.len(), 8 + json + jpeg, "one camera, one picture");
    let sight: Value = serde_json::from_slice(&first.body[8..8 + json]).unwrap();
    assert_fits("sight", &sight);
    assert_eq!(image::guess_format(&first.body[8 + json..]).unwrap(), image::ImageFormat::Jpeg);

    // Whoever has the newest one waits for another.
    let newest = porch.picture().unwrap().frame_id;
    let path = format!("/api/pictures?cameras=porch:{newest}");
    let waiting = site.get(&path);
    tokio::pin!(waiting);
    assert!(timeout(Duration::from_millis(50), &mut waiting).await.is_err());
    assert!(porch.lookers() > 0);
    let second = site.show_until(newest + 1, waiting).await;
    assert_eq!(second.status, 200);
    assert_eq!(site.get("/api/pictures?cameras=cellar").await.status, 404);
    assert_eq!(site.get("/api/cameras/attic/picture.jpg").await.status, 409);
    let one = site.show_until(1000, site.get("/api/cameras/porch/picture.jpg")).await;
    assert_eq!((one.status, one.header("content-type")), (200, Some("image/jpeg")));
}

#[tokio::test]
async fn the_picture_of_an_answer_is_kept_though_nobody_looks() {
    let site = Site::start(None).await;
    let porch = site.live.camera("porch").unwrap();
    porch.keep_picture(7);
    assert!(porch.wants_picture(7) && !porch.wants_picture(8));
    site.show("porch", 7);
    let reply = site.get("/api/cameras/porch/frames/7.jpg").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/jpeg")));
    for wrong in ["/api/cameras/porch/frames/x.jpg", "/api/cameras/porch/frames/7.png"] {
        assert_eq!(site.get(wrong).await.status, 404);
    }
}

#[tokio::test]
async fn events_tell_the_state_at_once_and_each_alert() {
    let site = Site::start(None).await;
    let stream = TcpStream::connect(site.server.address()).await.unwrap();
    let mut stream = BufReader::new(stream);
    stream.write_all(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut lines = stream.lines();
    let mut next = async |wanted: &str| -> Value {
        loop {
            let line = timeout(WITHIN, lines.next_line()).await.expect("an event").unwrap().unwrap();
            if line != format!("event: {wanted}") {
                continue;
            }
            let data = lines.next_line().await.unwrap().unwrap();
            return serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        }
    };
    assert_fits("state", &next("state").await);
    let (subject, message) = alert("new", "1");
    site.live.alert(&subject, &message, None);
    let told = next("alert").await;
    assert_fits("alert", &told);
    assert_eq!((told["id"].as_str(), told["ended_at"].is_null()), (Some("1"), true));
    site.live.camera("porch").unwrap().set_state("offline", Some("connection refused".to_owned()));
    while next("state").await["cameras"][0]["reason"] != "connection refused" {}
}

#[tokio::test]
async fn stopping_ends_streams_and_those_who_wait_within_a_second() {
    let site = Site::start(None).await;
    let address = site.server.address();
    let open = ["/api/events", "/api/pictures?cameras=porch", "/healthz"].map(|path| {
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes).await;
        })
    });
    while site.live.camera("porch").unwrap().lookers() == 0 {
        tokio::task::yield_now().await;
    }
    let clock = std::time::Instant::now();
    site.server.stop().await;
    assert!(clock.elapsed() < Duration::from_secs(1), "{:?}", clock.elapsed());
    for waiting in open {
        timeout(WITHIN, waiting).await.expect("the connection is closed").unwrap();
    }
    assert!(TcpStream::connect(address).await.is_err());
}
