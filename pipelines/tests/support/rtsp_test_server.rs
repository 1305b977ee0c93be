use std::sync::mpsc;
use std::thread::JoinHandle;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer_rtsp::RTSPAuthMethod;
use gstreamer_rtsp_server as server;
use gstreamer_rtsp_server::prelude::*;

/// The picture of all streams but the sound: 320x240 of this colour.
pub(crate) const COLOUR: [u8; 3] = [200, 40, 80];

/// What a server serves, at the path of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TestStream {
    H264,
    H265,
    Mjpeg,
    Vp8,
    Audio,
}

impl TestStream {
    const ALL: [(Self, &str, &str); 5] = [
        (Self::H264, "/h264", "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay"),
        (
            Self::H265,
            "/h265",
            "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph265pay config-interval=1",
        ),
        (Self::Mjpeg, "/mjpeg", "jpegenc ! rtpjpegpay"),
        (Self::Vp8, "/vp8", "vp8enc deadline=1 ! rtpvp8pay"),
        (Self::Audio, "/audio", ""),
    ];

    fn launch(self, encoder: &str) -> String {
        let [r, g, b] = COLOUR;
        let colour = u32::from_be_bytes([0xff, r, g, b]);
        match self {
            Self::Audio => "( audiotestsrc is-live=true ! mulawenc ! rtppcmupay name=pay0 )".to_owned(),
            _ => {
                // JPEG is full range; the encoder takes the numbers as they are.
                let colorimetry = if self == Self::Mjpeg { "1:4:0:0" } else { "bt601" };
                format!(
                    "( videotestsrc is-live=true pattern=solid-color foreground-color={colour} \
                     ! video/x-raw,format=RGB,width=320,height=240,framerate=15/1 ! videoconvert \
                     ! video/x-raw,format=I420,colorimetry={colorimetry} ! {encoder} name=pay0 )"
                )
            }
        }
    }
}

/// How users prove who they are.
#[derive(Debug, Clone)]
pub(crate) struct Auth {
    pub(crate) digest: bool,
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
}

/// A real RTSP server on a port of 127.0.0.1 that the system chose.
#[derive(Debug)]
pub(crate) struct RtspTestServer {
    port: u16,
    auth: Option<Auth>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    context: glib::MainContext,
    main_loop: glib::MainLoop,
    thread: JoinHandle<()>,
}

impl RtspTestServer {
    pub(crate) fn start(auth: Option<Auth>) -> Self {
        let mut server = Self { port: 0, auth, running: None };
        server.restart();
        server
    }

    pub(crate) fn url(&self, stream: TestStream) -> String {
        let (_, path, _) = TestStream::ALL.into_iter().find(|(known, ..)| *known == stream).unwrap();
        format!("rtsp://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Closes the port and every connection. The port stays reserved in name only.
    pub(crate) fn stop(&mut self) {
        if let Some(Running { context, main_loop, thread }) = self.running.take() {
            context.invoke(move || main_loop.quit());
            let served = thread.join();
            // A second panic would hide the first.
            assert!(served.is_ok() || std::thread::panicking(), "the RTSP server failed");
        }
    }

    /// Starts it, on the same port if it ran before.
    pub(crate) fn restart(&mut self) {
        belvedere_pipelines::start_gstreamer().unwrap();
        self.stop();
        let context = glib::MainContext::new();
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let (port, auth) = (self.port, self.auth.clone());
        let (bound, is_bound) = mpsc::channel();
        let (thread_context, thread_loop) = (context.clone(), main_loop.clone());
        let thread = std::thread::spawn(move || serve(&thread_context, &thread_loop, port, auth, &bound));
        self.port = is_bound.recv_timeout(super::DEADLINE).expect("the server binds its port");
        self.running = Some(Running { context, main_loop, thread });
    }
}

impl Drop for RtspTestServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(
    context: &glib::MainContext,
    main_loop: &glib::MainLoop,
    port: u16,
    auth: Option<Auth>,
    bound: &mpsc::Sender<u16>,
) {
    let server = server::RTSPServer::new();
    server.set_address("127.0.0.1");
    server.set_service(&port.to_string());
    if let Some(auth) = &auth {
        server.set_auth(Some(&auth.to_gstreamer()));
    }
    let mounts = server.mount_points().unwrap();
    for (stream, path, encoder) in TestStream::ALL {
        let factory = server::RTSPMediaFactory::new();
        factory.set_launch(&stream.launch(encoder));
        // Shared, it would be taken down behind its last client, and refuse one that comes just then.
        factory.set_shared(false);
        if auth.is_some() {
            let role = gst::Structure::builder("user")
                .field("media.factory.access", true)
                .field("media.factory.construct", true)
                .build();
            factory.add_role_from_structure(&role);
        }
        mounts.add_factory(path, factory);
    }
    let source = server.attach(Some(context)).unwrap();
    bound.send(u16::try_from(server.bound_port()).unwrap()).unwrap();
    main_loop.run();
    // `SourceId::remove` knows the default context only.
    if let Some(source) = context.find_source_by_id(&source) {
        source.destroy();
    }
    server.client_filter(Some(&mut |_, _| server::RTSPFilterResult::Remove));
    // Closing takes a turn of the loop.
    while context.iteration(false) {}
}

impl Auth {
    fn to_gstreamer(&self) -> server::RTSPAuth {
        let auth = server::RTSPAuth::new();
        let token = server::RTSPToken::builder().field("media.factory.role", "user").build();
        if self.digest {
            auth.set_supported_methods(RTSPAuthMethod::Digest);
            auth.add_digest(self.user, self.password, &token);
        } else {
            auth.set_supported_methods(RTSPAuthMethod::Basic);
            auth.add_basic(&server::RTSPAuth::make_basic(self.user, self.password), &token);
        }
        auth
    }
}
