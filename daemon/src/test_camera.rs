//! A camera that needs no camera: an RTSP server in this process with a moving picture.

use std::thread;

use gstreamer::glib;
use gstreamer_rtsp_server::prelude::*;
use gstreamer_rtsp_server::{RTSPMediaFactory, RTSPServer};

/// Live H.264 at 15 frames/s with a key frame each second, as a camera would send it.
const LAUNCH: &str = "( videotestsrc is-live=true pattern=ball background-color=0xff305070 \
    ! video/x-raw,width=640,height=480,framerate=15/1 \
    ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 bitrate=1000 \
    ! rtph264pay name=pay0 pt=96 config-interval=1 )";

/// Why the test camera does not run.
#[derive(Debug, thiserror::Error)]
#[error("the test camera cannot start: {0}")]
pub struct TestCameraError(String);

/// A running RTSP server on a free port of loopback. Ends when it is dropped.
#[derive(Debug)]
pub struct TestCamera {
    port: u16,
    main_loop: glib::MainLoop,
}

impl TestCamera {
    /// Starts it. GStreamer must have been started.
    ///
    /// # Errors
    /// The server cannot listen, or the system refuses a thread.
    pub fn start() -> Result<TestCamera, TestCameraError> {
        let wrong = |error: &dyn std::fmt::Display| TestCameraError(error.to_string());
        let server = RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service("0");
        let factory = RTSPMediaFactory::new();
        factory.set_launch(LAUNCH);
        factory.set_shared(true);
        let mounts = server.mount_points().ok_or_else(|| wrong(&"it has no mount points"))?;
        mounts.add_factory("/camera", factory);
        // A main context of its own: the default one belongs to whoever comes first.
        let context = glib::MainContext::new();
        server.attach(Some(&context)).map_err(|error| wrong(&error))?;
        let port = u16::try_from(server.bound_port()).map_err(|_| wrong(&"it has no port"))?;
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let running = main_loop.clone();
        thread::Builder::new()
            .name("test-camera".to_owned())
            .spawn(move || running.run())
            .map_err(|error| wrong(&error))?;
        Ok(TestCamera { port, main_loop })
    }

    /// Where it is to be watched.
    pub fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/camera", self.port)
    }
}

impl Drop for TestCamera {
    fn drop(&mut self) {
        self.main_loop.quit();
    }
}
