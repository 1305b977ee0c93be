//! Files: that end, begin again, are broken or are not there; and the test picture.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use belvedere_pipelines::{
    AtEnd, Camera, CameraStatus, Codec, FailureKind, Scheduler, SourceSpec, Timeouts, probe,
};
use gstreamer as gst;
use gstreamer::prelude::*;
use support::{DEADLINE, assert_near, middle_rgb, next_frame, offline, online, soon, spec, until};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("belvedere-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn spec(&self, file: &str) -> SourceSpec {
        spec("a", &format!("file://{}", self.0.join(file).display()))
    }

    /// Writes a video of 320x240 at 15 frames a second: a ball, or the colour (200, 40, 80).
    fn write(&self, file: &str, frames: u32, pattern: &str, tail: &str) -> PathBuf {
        let path = self.0.join(file);
        make_video(&path, frames, pattern, tail);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const SOLID: &str = "solid-color foreground-color=0xffc82850";
const H264_MP4: &str = "x264enc tune=zerolatency key-int-max=15 ! mp4mux";
const H264_RAW: &str = "x264enc tune=zerolatency key-int-max=5 ! video/x-h264,stream-format=byte-stream";

/// What the supervision says when nothing was heard of a stream before the deadline of its first frame.
const UNHEARD: &str = "no picture within";

fn make_video(path: &Path, frames: u32, pattern: &str, tail: &str) {
    belvedere_pipelines::start_gstreamer().unwrap();
    let launch = format!(
        "videotestsrc num-buffers={frames} pattern={pattern} \
         ! video/x-raw,format=RGB,width=320,height=240,framerate=15/1 ! videoconvert \
         ! video/x-raw,format=I420,colorimetry=bt601 ! {tail} ! filesink location=\"{}\"",
        path.display()
    );
    let pipeline = gst::parse::launch(&launch).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(30), &end).unwrap();
    assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
    pipeline.set_state(gst::State::Null).unwrap();
}

#[tokio::test]
async fn a_file_plays_in_its_own_time_and_its_end_is_the_end_of_the_camera() {
    let folder = Folder::new("ends");
    folder.write("a b.mp4", 15, SOLID, H264_MP4);
    let scheduler = Scheduler::new();
    let start = Instant::now();
    let mut camera = Camera::spawn(folder.spec("a%20b.mp4"), &scheduler).unwrap();
    assert_near(middle_rgb(&next_frame(&scheduler).await), [200, 40, 80]);
    soon(camera.ended()).await;
    assert!(start.elapsed() > Duration::from_millis(800), "{:?}", start.elapsed());
    assert!(camera.counters().values().decoded >= 14);
    match &*camera.status().borrow() {
        CameraStatus::Offline { reason } => assert_eq!(reason.kind, FailureKind::Ended),
        CameraStatus::Online => panic!("online after its end"),
    };
}

#[tokio::test]
async fn a_file_that_loops_begins_again_without_going_offline() {
    let folder = Folder::new("loops");
    folder.write("a.mp4", 5, SOLID, H264_MP4);
    let scheduler = Scheduler::new();
    let mut spec = folder.spec("a.mp4");
    spec.at_end = AtEnd::Loop;
    // A busy machine is no silence.
    spec.timeouts.no_frame = Timeouts::default().no_frame;
    let camera = Camera::spawn(spec, &scheduler).unwrap();
    online(&camera).await;
    let mut status = camera.status();
    status.mark_unchanged();
    let mut last_id = 0;
    while last_id <= 12 {
        last_id = next_frame(&scheduler).await.id;
    }
    assert!(!status.has_changed().unwrap(), "{:?}", *status.borrow());
    assert_eq!(camera.counters().values().errors, 0);
    soon(camera.stop()).await;
}

#[tokio::test]
async fn a_frame_rate_lets_through_no_more_than_it_says_and_everything_is_decoded() {
    let folder = Folder::new("gate");
    folder.write("a.mp4", 30, SOLID, H264_MP4);
    let scheduler = Scheduler::new();
    let mut spec = folder.spec("a.mp4");
    spec.fps = 3.0;
    let mut camera = Camera::spawn(spec, &scheduler).unwrap();
    soon(camera.ended()).await;
    let counted = camera.counters().values();
    assert_eq!(counted.decoded, 30, "{counted:?}");
    // Two seconds and the frame that begins them.
    let let_through = counted.decoded - counted.gated;
    assert!((5..=7).contains(&let_through), "{counted:?}");
    assert_eq!(let_through, counted.superseded + 1, "one is in the slot: {counted:?}");
}

#[tokio::test]
async fn a_corrupt_h264_file_is_read_as_far_as_it_goes_and_nothing_breaks() {
    let folder = Folder::new("corrupt");
    let path = folder.write("a.h264", 20, "ball", H264_RAW);
    let whole = std::fs::read(&path).unwrap();
    for seed in 0..5 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut bytes = whole.clone();
        for _ in 0..bytes.len() / 50 {
            // The parameter sets at the start stay: without them there is no video to recover to.
            let at = rng.usize(60..bytes.len());
            bytes[at] ^= 1 << rng.u32(0..8);
        }
        std::fs::write(&path, &bytes).unwrap();
        let scheduler = Scheduler::new();
        let mut camera = Camera::spawn(folder.spec("a.h264"), &scheduler).unwrap();
        // Either it ends, or it fails and is tried again.
        let counters = Arc::clone(camera.counters());
        tokio::select! {
            () = camera.ended() => {}
            () = until(|| counters.values().errors > 0) => {}
        }
        soon(camera.stop()).await;
    }
}

#[tokio::test]
async fn a_file_that_is_no_video_is_an_error_that_says_so() {
    let folder = Folder::new("novideo");
    let mut rng = fastrand::Rng::with_seed(7);
    let noise: Vec<u8> = (0..100_000).map(|_| rng.u8(..)).collect();
    std::fs::write(folder.0.join("noise.mp4"), noise).unwrap();
    std::fs::write(folder.0.join("empty.mp4"), []).unwrap();
    std::fs::write(folder.0.join("text.mp4"), "not a video ".repeat(1000)).unwrap();
    make_video(&folder.0.join("vp8.webm"), 5, "ball", "vp8enc ! webmmux");
    let cases = [
        ("noise.mp4", FailureKind::BadStream),
        ("empty.mp4", FailureKind::BadStream),
        ("text.mp4", FailureKind::BadStream),
        ("vp8.webm", FailureKind::UnsupportedCodec),
        ("missing.mp4", FailureKind::NotFound),
    ];
    for (file, expected) in cases {
        let scheduler = Scheduler::new();
        let camera = Camera::spawn(folder.spec(file), &scheduler).unwrap();
        let reason = offline(&camera, |reason| reason.kind != FailureKind::NotYetConnected).await;
        assert_eq!(reason.kind, expected, "{file}: {reason}");
        assert!(!reason.to_string().contains(UNHEARD), "{file}: {reason}");
        soon(camera.stop()).await;
    }
}

#[tokio::test]
async fn a_file_cut_before_its_index_fails_with_an_error_and_not_by_a_deadline_each_time() {
    let folder = Folder::new("cut");
    let cut = folder.write("cut.mp4", 15, SOLID, H264_MP4);
    let whole = std::fs::read(&cut).unwrap();
    assert!(whole[whole.len() / 3..].windows(4).any(|name| name == b"moov"), "the index is not at the end");
    std::fs::write(&cut, &whole[..whole.len() / 3]).unwrap();
    // Its error was lost in half of all tries, when a thread of GStreamer's was ahead of another.
    for _ in 0..12 {
        let scheduler = Scheduler::new();
        let camera = Camera::spawn(folder.spec("cut.mp4"), &scheduler).unwrap();
        let reason = offline(&camera, |reason| reason.kind != FailureKind::NotYetConnected).await;
        assert_eq!(reason.kind, FailureKind::BadStream, "{reason}");
        assert!(!reason.to_string().contains(UNHEARD), "{reason}");
        soon(camera.stop()).await;
    }
}

#[tokio::test]
async fn a_folder_and_a_pipe_are_no_files_and_hold_nobody_up() {
    let folder = Folder::new("nofile");
    std::fs::create_dir(folder.0.join("folder")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.0.join("pipe")).status().unwrap();
    assert!(made.success());
    for name in ["folder", "pipe"] {
        let scheduler = Scheduler::new();
        let camera = Camera::spawn(folder.spec(name), &scheduler).unwrap();
        let reason = offline(&camera, |reason| reason.kind != FailureKind::NotYetConnected).await;
        assert_eq!(reason.kind, FailureKind::BadStream, "{reason}");
        assert!(reason.to_string().ends_with(&format!("{name} is not a file)")), "{reason}");
        soon(camera.stop()).await;
    }
}

#[tokio::test]
async fn a_file_that_appears_later_is_found() {
    let folder = Folder::new("later");
    let scheduler = Scheduler::new();
    let camera = Camera::spawn(folder.spec("a.mp4"), &scheduler).unwrap();
    let reason = offline(&camera, |reason| reason.kind == FailureKind::NotFound).await;
    assert!(reason.to_string().ends_with("a.mp4)"), "{reason}");
    let elsewhere = folder.write("elsewhere.mp4", 15, SOLID, H264_MP4);
    std::fs::rename(elsewhere, folder.0.join("a.mp4")).unwrap();
    next_frame(&scheduler).await;
    soon(camera.stop()).await;
}

#[tokio::test]
async fn a_probe_of_a_file_tells_what_is_in_it() {
    let folder = Folder::new("probe");
    folder.write("a.mp4", 5, SOLID, "x264enc ! video/x-h264,profile=high ! mp4mux");
    let report = probe(&folder.spec("a.mp4"), DEADLINE).await.unwrap();
    assert_eq!((report.codec, report.profile.as_deref()), (Codec::H264, Some("high")));
    assert_eq!((report.width_px, report.height_px, report.frame_rate), (320, 240, Some(15.0)));
    assert!(report.time_to_first_frame < DEADLINE);
}

#[tokio::test]
async fn the_test_picture_has_the_size_and_the_colour_it_is_told() {
    let scheduler = Scheduler::new();
    let camera = Camera::spawn(spec("a", "test://c82850?width=160&height=90&rate=30"), &scheduler).unwrap();
    let frame = next_frame(&scheduler).await;
    assert_eq!((frame.width_px(), frame.height_px()), (160, 90));
    assert_near(middle_rgb(&frame), [200, 40, 80]);
    soon(camera.stop()).await;
}

#[tokio::test]
async fn a_second_camera_of_a_name_is_refused_until_the_first_is_stopped() {
    let scheduler = Scheduler::new();
    let camera = Camera::spawn(spec("a", "test://ball"), &scheduler).unwrap();
    let error = Camera::spawn(spec("a", "test://bars"), &scheduler).unwrap_err();
    assert_eq!(error.to_string(), "camera a is supervised already");
    soon(camera.stop()).await;
    assert!(Camera::spawn(spec("a", "test://bars"), &scheduler).is_ok());
}
