//! A real RTSP server, servers that misbehave, and waits with deadlines.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]

mod rtsp_test_server;
mod silent_server;
mod stalling_proxy;
mod udp_losing_proxy;

use std::future::Future;
use std::time::{Duration, Instant};

use belvedere_pipelines::{
    CameraHandle, CameraName, CameraStatus, Frame, Scheduler, SourceSpec, SourceUrl, StreamFailure, Timeouts,
    Transport,
};

pub(crate) use self::rtsp_test_server::{Auth, COLOUR, RtspTestServer, TestStream};
pub(crate) use self::silent_server::SilentServer;
pub(crate) use self::stalling_proxy::StallingProxy;
pub(crate) use self::udp_losing_proxy::UdpLosingProxy;

/// Longer than anything takes on a loaded machine, shorter than a reader's patience.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A specification with short timeouts.
pub(crate) fn spec(name: &str, url: &str) -> SourceSpec {
    let mut spec = SourceSpec::new(CameraName::new(name).unwrap(), SourceUrl::parse(url).unwrap());
    spec.fps = 30.0;
    spec.transport = Transport::Tcp;
    spec.timeouts = Timeouts {
        first_frame: Duration::from_secs(8),
        no_frame: Duration::from_millis(1_500),
        rtsp_answer: Duration::from_millis(1_000),
        udp_silence: Duration::from_millis(500),
        offline_after: Duration::from_millis(200),
        backoff_first: Duration::from_millis(50),
        backoff_longest: Duration::from_millis(200),
        ..Timeouts::default()
    };
    spec
}

/// The next frame, waited for outside the runtime.
pub(crate) async fn next_frame(scheduler: &Scheduler) -> Frame {
    let scheduler = scheduler.clone();
    let wait = move || scheduler.next_until(Instant::now() + DEADLINE);
    tokio::task::spawn_blocking(wait).await.unwrap().expect("a frame within the deadline")
}

/// Waits until the camera is online.
pub(crate) async fn online(camera: &CameraHandle) {
    let mut status = camera.status();
    let wait = status.wait_for(|status| *status == CameraStatus::Online);
    soon(wait).await.expect("the camera is supervised");
}

/// Waits until the camera is offline for a reason that `is` accepts, and gives it.
pub(crate) async fn offline(camera: &CameraHandle, is: impl Fn(&StreamFailure) -> bool) -> StreamFailure {
    let mut status = camera.status();
    let wait = status.wait_for(|status| matches!(status, CameraStatus::Offline { reason } if is(reason)));
    match &*soon(wait).await.expect("the camera is supervised") {
        CameraStatus::Offline { reason } => reason.clone(),
        CameraStatus::Online => unreachable!(),
    }
}

/// The future's output, within the deadline.
#[track_caller]
pub(crate) fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(DEADLINE, future).await {
            Ok(output) => output,
            Err(_) => panic!("nothing within {DEADLINE:?} at {caller}"),
        }
    }
}

/// The colour in the middle of a frame.
pub(crate) fn middle_rgb(frame: &Frame) -> [u8; 3] {
    let image = frame.view().unwrap().to_rgb();
    let at = ((image.height / 2 * image.width + image.width / 2) * 3) as usize;
    image.pixels[at..at + 3].try_into().unwrap()
}

/// Fails unless the colours are as near as a lossy codec leaves them.
#[track_caller]
pub(crate) fn assert_near(colour: [u8; 3], expected: [u8; 3]) {
    let near = colour.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 6);
    assert!(near, "{colour:?} is not {expected:?}");
}

/// Waits until a number that tells nobody when it changes is as `holds` wants it.
#[track_caller]
pub(crate) fn until(mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    soon(async move {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        while !holds() {
            look.tick().await;
        }
    })
}
