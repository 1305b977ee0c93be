//! Streams from a real RTSP server, and what happens when it goes wrong.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use belvedere_pipelines::{
    Camera, Codec, Credentials, FailureKind, PipelineError, Scheduler, SourceUrl, Timeouts, Transport, probe,
};
use support::{
    Auth, COLOUR, DEADLINE, RtspTestServer, SilentServer, StallingProxy, TestStream, UdpLosingProxy,
    assert_near, middle_rgb, next_frame, offline, online, soon, spec,
};

fn kind(error: PipelineError) -> FailureKind {
    match error {
        PipelineError::Stream { failure, .. } => failure.kind,
        other => panic!("{other}"),
    }
}

async fn a_stream_arrives(stream: TestStream, codec: Codec, transport: Transport) {
    let server = RtspTestServer::start(None);
    let scheduler = Scheduler::new();
    let mut spec = spec("a", &server.url(stream));
    spec.transport = transport;
    let report = probe(&spec, DEADLINE).await.unwrap();
    assert_eq!((report.codec, report.width_px, report.height_px), (codec, 320, 240));
    assert!(report.decoder.is_some() && report.decoders_failed.is_empty(), "{report:?}");

    let camera = Camera::spawn(spec, &scheduler).unwrap();
    let mut last_id = 0;
    for _ in 0..5 {
        let frame = next_frame(&scheduler).await;
        assert_eq!((frame.width_px(), frame.height_px()), (320, 240));
        assert_near(middle_rgb(&frame), COLOUR);
        assert!(frame.id > last_id);
        last_id = frame.id;
    }
    online(&camera).await;
    soon(camera.stop()).await;
}

#[tokio::test]
async fn an_h264_stream_arrives_in_its_size_and_colour() {
    a_stream_arrives(TestStream::H264, Codec::H264, Transport::Tcp).await;
}

#[tokio::test]
async fn an_h265_stream_arrives_in_its_size_and_colour() {
    a_stream_arrives(TestStream::H265, Codec::H265, Transport::Tcp).await;
}

#[tokio::test]
async fn an_mjpeg_stream_arrives_in_its_size_and_colour() {
    a_stream_arrives(TestStream::Mjpeg, Codec::Mjpeg, Transport::Tcp).await;
}

#[tokio::test]
async fn a_stream_arrives_over_udp() {
    a_stream_arrives(TestStream::H264, Codec::H264, Transport::Auto).await;
}

#[tokio::test]
async fn a_stream_whose_udp_packets_are_lost_arrives_over_tcp() {
    let server = RtspTestServer::start(None);
    let proxy = UdpLosingProxy::start(server.port());
    let mut spec = spec("a", &proxy.url("/h264"));
    // A busy machine is no error of the stream.
    spec.timeouts.rtsp_answer = Timeouts::default().rtsp_answer;
    spec.transport = Transport::Udp;
    assert_eq!(kind(probe(&spec, DEADLINE).await.unwrap_err()), FailureKind::Timeout);
    spec.transport = Transport::Auto;
    assert_eq!(probe(&spec, DEADLINE).await.unwrap().width_px, 320);
    let scheduler = Scheduler::new();
    let camera = Camera::spawn(spec, &scheduler).unwrap();
    assert_near(middle_rgb(&next_frame(&scheduler).await), COLOUR);
    assert_eq!(camera.counters().values().errors, 0);
    soon(camera.stop()).await;
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_makes_a_camera_offline_and_online_and_its_ids_go_on() {
    let mut server = RtspTestServer::start(None);
    let scheduler = Scheduler::new();
    let camera = Camera::spawn(spec("a", &server.url(TestStream::H264)), &scheduler).unwrap();
    online(&camera).await;
    let before = next_frame(&scheduler).await.id;
    server.stop();
    let reason = offline(&camera, |reason| reason.kind == FailureKind::ConnectionRefused).await;
    let expected = format!("connection refused (127.0.0.1 port {})", server.port());
    assert_eq!(reason.to_string(), expected);
    server.restart();
    online(&camera).await;
    // The slot may still hold one from before.
    next_frame(&scheduler).await;
    assert!(next_frame(&scheduler).await.id > before);
    let counted = camera.counters().values();
    assert!(counted.reconnects >= 1 && counted.errors >= 1, "{counted:?}");
    soon(camera.stop()).await;
}

/// It is offline from the moment that its silence is noticed: what became of the next try is not known then.
#[tokio::test]
async fn a_camera_that_falls_silent_and_keeps_its_connection_is_offline_as_soon_as_that_is_noticed() {
    let server = RtspTestServer::start(None);
    let proxy = StallingProxy::start(server.port());
    let scheduler = Scheduler::new();
    let mut spec = spec("a", &proxy.url("/h264"));
    spec.timeouts.offline_after = spec.timeouts.no_frame;
    let camera = Camera::spawn(spec, &scheduler).unwrap();
    online(&camera).await;
    next_frame(&scheduler).await;
    proxy.stall();
    let reason = offline(&camera, |_| true).await;
    assert_eq!(reason.to_string(), "no more frames (none for 1.5s)");
    assert_eq!(reason.kind, FailureKind::Silent);
    // The old pipeline is gone by then; a new one is built.
    offline(&camera, |reason| reason.kind == FailureKind::ConnectionRefused).await;
    soon(camera.stop()).await;
}

#[tokio::test]
async fn a_server_that_takes_the_connection_and_says_nothing_is_a_timeout_and_stalls_no_other_camera() {
    let silent = SilentServer::start();
    let server = RtspTestServer::start(None);
    let scheduler = Scheduler::new();
    let stuck = Camera::spawn(spec("stuck", &silent.url()), &scheduler).unwrap();
    let mut patient = spec("fine", &server.url(TestStream::H264));
    // A busy machine is no error of the stream.
    patient.timeouts = Timeouts::default();
    let fine = Camera::spawn(patient, &scheduler).unwrap();
    online(&fine).await;
    let reason = offline(&stuck, |reason| reason.kind != FailureKind::NotYetConnected).await;
    assert_eq!(reason.kind, FailureKind::Timeout, "{reason}");
    assert!(silent.new_connections() > 0);
    for _ in 0..10 {
        assert_eq!(next_frame(&scheduler).await.camera.as_str(), "fine");
    }
    assert_eq!(fine.counters().values().errors, 0);
    soon(stuck.stop()).await;
    soon(fine.stop()).await;
}

#[tokio::test]
async fn credentials_given_beside_the_url_open_a_stream_behind_basic_and_digest() {
    for digest in [false, true] {
        let server = RtspTestServer::start(Some(Auth { digest, user: "eve", password: "hunter2/x" }));
        let mut spec = spec("a", &server.url(TestStream::H264));
        assert_eq!(kind(probe(&spec, DEADLINE).await.unwrap_err()), FailureKind::Unauthorised);
        spec.credentials = Some(Credentials::new("eve", "wrong"));
        assert_eq!(kind(probe(&spec, DEADLINE).await.unwrap_err()), FailureKind::Unauthorised);
        spec.credentials = Some(Credentials::new("eve", "hunter2/x"));
        assert_eq!(probe(&spec, DEADLINE).await.unwrap().width_px, 320);
        spec.credentials = None;
        let with_user = server.url(TestStream::H264).replace("://", "://eve:hunter2%2Fx@");
        spec.url = SourceUrl::parse(&with_user).unwrap();
        assert_eq!(probe(&spec, DEADLINE).await.unwrap().width_px, 320);
    }
}

#[tokio::test]
async fn a_probe_says_what_is_wrong_with_a_stream() {
    let server = RtspTestServer::start(None);
    let silent = SilentServer::start();
    let missing = server.url(TestStream::H264).replace("/h264", "/nothing");
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("rtsp://{}/x", listener.local_addr().unwrap())
    };
    let cases = [
        (missing, FailureKind::NotFound),
        (server.url(TestStream::Audio), FailureKind::NoVideo),
        (server.url(TestStream::Vp8), FailureKind::UnsupportedCodec),
        (silent.url(), FailureKind::Timeout),
        (closed, FailureKind::ConnectionRefused),
        ("rtsp://no-such-host.invalid/x".to_owned(), FailureKind::UnknownHost),
    ];
    for (url, expected) in cases {
        let error = probe(&spec("a", &url), DEADLINE).await.unwrap_err();
        assert_eq!(kind(error.clone()), expected, "{url}: {error}");
    }
}

#[tokio::test]
async fn a_probe_keeps_its_deadline() {
    let silent = SilentServer::start();
    let mut spec = spec("a", &silent.url());
    spec.timeouts.rtsp_answer = Duration::from_secs(60);
    let start = std::time::Instant::now();
    let error = probe(&spec, Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(error.to_string(), "camera a: timeout (no picture within 300ms)");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_decoder_asked_for_and_missing_is_said_by_name() {
    let server = RtspTestServer::start(None);
    let mut spec = spec("a", &server.url(TestStream::H264));
    spec.decoder = "element:no-such-decoder".parse().unwrap();
    let error = probe(&spec, DEADLINE).await.unwrap_err();
    assert!(error.to_string().contains("no H.264 decoder: no-such-decoder"), "{error}");
    assert_eq!(kind(error), FailureKind::MissingElement);
}
