//! A camera that needs no camera: an RTSP server in this process that shows the bundled film, again and again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app::{AppSrc, AppSrcCallbacks};
use gstreamer_rtsp_server::prelude::*;
use gstreamer_rtsp_server::{RTSPMedia, RTSPMediaFactory, RTSPServer};

use crate::film::Film;

/// The film is encoded already; the server paces the pictures by their time, as a camera would.
const LAUNCH: &str = "( appsrc name=film is-live=true format=time max-buffers=4 \
    ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 )";

/// Why the camera does not run.
#[derive(Debug, thiserror::Error)]
#[error("the demonstration's camera cannot start: {0}")]
pub struct FilmCameraError(String);

/// A running RTSP server on a free port of loopback. Ends when it is dropped.
#[derive(Debug)]
pub struct FilmCamera {
    port: u16,
    main_loop: glib::MainLoop,
}

impl FilmCamera {
    /// Starts it. GStreamer must have been started.
    ///
    /// # Errors
    /// The film cannot be taken apart, the server cannot listen, or the system refuses a thread.
    pub fn start() -> Result<FilmCamera, FilmCameraError> {
        let wrong = |error: &dyn std::fmt::Display| FilmCameraError(error.to_string());
        let film = Film::open().map_err(|error| wrong(&error))?;
        let server = RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service("0");
        let factory = RTSPMediaFactory::new();
        factory.set_launch(LAUNCH);
        factory.set_shared(true);
        // Whenever somebody begins to look: the film from its beginning.
        factory.connect_media_configure(move |_, media| show(&film, media));
        let mounts = server.mount_points().ok_or_else(|| wrong(&"it has no mount points"))?;
        mounts.add_factory("/camera", factory);
        // A main context of its own: the default one belongs to whoever comes first.
        let context = glib::MainContext::new();
        server.attach(Some(&context)).map_err(|error| wrong(&error))?;
        let port = u16::try_from(server.bound_port()).map_err(|_| wrong(&"it has no port"))?;
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let running = main_loop.clone();
        thread::Builder::new()
            .name("film-camera".to_owned())
            .spawn(move || running.run())
            .map_err(|error| wrong(&error))?;
        Ok(FilmCamera { port, main_loop })
    }

    /// Where it is to be watched.
    pub fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/camera", self.port)
    }
}

impl Drop for FilmCamera {
    fn drop(&mut self) {
        self.main_loop.quit();
    }
}

/// Feeds the film to a media that is being set up.
fn show(film: &Film, media: &RTSPMedia) {
    let source = media.element().downcast::<gstreamer::Bin>().ok().and_then(|bin| bin.by_name("film"));
    let Some(source) = source.and_then(|source| source.downcast::<AppSrc>().ok()) else {
        tracing::error!("the demonstration's camera has no source");
        return;
    };
    source.set_caps(Some(film.caps()));
    let (film, next) = (film.clone(), AtomicU64::new(0));
    let feed = move |source: &AppSrc, _: u32| {
        // Refused only while the media is being taken down.
        let _ = source.push_buffer(film.picture(next.fetch_add(1, Ordering::Relaxed)));
    };
    source.set_callbacks(AppSrcCallbacks::builder().need_data(feed).build());
}
