//! Rebuilding leaks nothing. A process of its own: it counts the process's threads and files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::future::Future;
use std::time::Duration;

use belvedere_pipelines::{Camera, CameraHandle, Scheduler, abandoned_pipelines};
use support::{RtspTestServer, SilentServer, TestStream, next_frame, online, soon, spec, until};

/// Threads and open files of this process.
fn in_use() -> (usize, usize) {
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[track_caller]
fn errors(camera: &CameraHandle, at_least: u64) -> impl Future<Output = ()> {
    until(move || camera.counters().values().errors >= at_least)
}

/// Waits until no more is in use than before, but for the few that GLib's and tokio's thread pools keep.
async fn settles_to(before: (usize, usize)) {
    const SLACK: usize = 4;
    until(|| {
        let seen = in_use();
        seen.0 <= before.0 + SLACK && seen.1 <= before.1 + SLACK
    })
    .await;
}

#[tokio::test]
async fn thirty_rebuilds_of_streams_that_fail_leave_no_thread_and_no_file_behind() {
    let silent = SilentServer::start();
    let mut server = RtspTestServer::start(None);
    let scheduler = Scheduler::new();
    let fast = |name: &str, url: &str| {
        let mut spec = spec(name, url);
        spec.timeouts.first_frame = Duration::from_millis(100);
        spec.timeouts.backoff_first = Duration::from_millis(1);
        spec.timeouts.backoff_longest = Duration::from_millis(2);
        Camera::spawn(spec, &scheduler).unwrap()
    };
    let missing = server.url(TestStream::H264).replace("/h264", "/nothing");

    // Everything once, for what is only ever made once.
    let cameras = [fast("silent", &silent.url()), fast("missing", &missing)];
    for camera in &cameras {
        errors(camera, 3).await;
    }
    for camera in cameras {
        soon(camera.stop()).await;
    }
    silent.new_connections();
    let before = in_use();

    let cameras = [fast("silent", &silent.url()), fast("missing", &missing)];
    for camera in &cameras {
        errors(camera, camera.counters().values().errors + 30).await;
    }
    for camera in cameras {
        soon(camera.stop()).await;
    }
    assert!(silent.new_connections() >= 30);
    settles_to(before).await;

    // Streams that did run, too.
    let mut live = spec("live", &server.url(TestStream::Mjpeg));
    live.timeouts.backoff_first = Duration::from_millis(1);
    let camera = Camera::spawn(live, &scheduler).unwrap();
    for _ in 0..5 {
        online(&camera).await;
        next_frame(&scheduler).await;
        let errors_before = camera.counters().values().errors;
        server.restart();
        errors(&camera, errors_before + 1).await;
        next_frame(&scheduler).await;
    }
    soon(camera.stop()).await;
    drop(scheduler);
    settles_to(before).await;
    assert_eq!(abandoned_pipelines(), 0);
}
