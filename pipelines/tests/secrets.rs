//! No secret leaves. A process of its own: it takes over the log and turns GStreamer's all the way up.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use belvedere_pipelines::{Camera, FailureKind, Scheduler, probe};
use gstreamer as gst;
use support::{Auth, DEADLINE, RtspTestServer, TestStream, next_frame, offline, soon, spec};

#[derive(Clone, Default)]
struct Everything(Arc<Mutex<Vec<u8>>>);

impl Write for Everything {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const USER: &str = "watchman";
const RIGHT: &str = "hunter2/ä?&=x";
const WRONG: &str = "swordfish4711";
const TOKEN: &str = "tok3nInQuery";

#[tokio::test]
async fn a_password_appears_in_no_log_line_and_in_no_error_at_any_level() {
    let everything = Everything::default();
    let writer = everything.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    belvedere_pipelines::start_gstreamer().unwrap();
    for category in
        ["rtspsrc", "rtspconnection", "rtspclient", "uri", "GST_PADS", "basesrc", "bin", "default"]
    {
        gst::log::set_threshold_for_name(category, gst::DebugLevel::Trace);
    }

    let mut said = String::new();
    for digest in [false, true] {
        let server = RtspTestServer::start(Some(Auth { digest, user: USER, password: RIGHT }));
        let path = server.url(TestStream::H264);
        let host = path.strip_prefix("rtsp://").unwrap();

        // Wrong: refused, and the reason says so.
        let wrong = spec("wrong", &format!("rtsp://{USER}:{WRONG}@{host}?token={TOKEN}"));
        said += &format!("{wrong:?} {}\n", wrong.url);
        let error = probe(&wrong, DEADLINE).await.unwrap_err();
        said += &format!("{error} {error:?}\n");
        assert!(error.to_string().contains("unauthorised"), "{error}");
        let scheduler = Scheduler::new();
        let camera = Camera::spawn(wrong, &scheduler).unwrap();
        let reason = offline(&camera, |reason| reason.kind == FailureKind::Unauthorised).await;
        said += &format!("{reason} {reason:?} {camera:?}\n");
        soon(camera.stop()).await;

        // Right: frames come.
        let right = spec("right", &format!("rtsp://{USER}:hunter2%2F%C3%A4%3F%26%3Dx@{host}"));
        said += &format!("{right:?}\n");
        let camera = Camera::spawn(right, &scheduler).unwrap();
        next_frame(&scheduler).await;
        soon(camera.stop()).await;
    }

    let log = everything.0.lock().unwrap().clone();
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("rtspsrc") && log.contains("TRACE gstreamer"), "GStreamer's log is not in the log");
    assert!(log.contains("RTSP request message"), "what GStreamer prints is not in the log");
    assert!(log.contains("***"), "nothing was blotted out: nothing was put to the test");
    let basic =
        [RIGHT, WRONG].map(|password| gst::glib::base64_encode(format!("{USER}:{password}").as_bytes()));
    let secrets = [USER, RIGHT, WRONG, TOKEN, "hunter2", "%C3%A4%3F", basic[0].as_str(), basic[1].as_str()];
    for secret in secrets {
        for (what, text) in [("log", &*log), ("errors", said.as_str())] {
            let found = text.lines().find(|line| line.contains(secret));
            assert_eq!(found, None, "{secret:?} in the {what}");
        }
    }
}
