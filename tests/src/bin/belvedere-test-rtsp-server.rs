//! An RTSP server for the end-to-end tests: `belvedere-test-rtsp-server h264|h265|corrupt-h264|film|FILE.mp4 PORT [USER PASSWORD]`.
//!
//! Port 0 is any free one; the port is the first line it prints. It ends with its standard input, so that none outlives its test.

use std::{
    env,
    io::{self, Read},
    process, thread,
};

use anyhow::{Context, Result, bail};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_rtsp_server as rtsp;
use gstreamer_rtsp_server::prelude::*;

/// Mounted at `/stream`.
const PATH: &str = "/stream";

/// A moving ball: each frame differs from the one before.
const PICTURE: &str =
    "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=10/1";

/// The film of the demonstration: a key frame each second, no B frames.
const FILM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny/demo.mp4");

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (stream, port, login) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [stream, port] => (stream, port, None),
        [stream, port, user, password] => (stream, port, Some((user, password))),
        _ => bail!(
            "usage: belvedere-test-rtsp-server h264|h265|corrupt-h264|film|FILE.mp4 PORT [USER PASSWORD]"
        ),
    };
    let pictures = match stream {
        "film" => file_pictures(FILM),
        file if file.ends_with(".mp4") => file_pictures(file),
        "h264" | "corrupt-h264" => {
            format!(
                "{PICTURE} ! x264enc tune=zerolatency speed-preset=ultrafast threads=1 key-int-max=10 ! rtph264pay name=pay0 pt=96 config-interval=1"
            )
        }
        "h265" => {
            format!(
                "{PICTURE} ! x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph265pay name=pay0 pt=96 config-interval=1"
            )
        }
        other => bail!("{other} is no stream of this server"),
    };
    gst::init()?;

    let factory = rtsp::RTSPMediaFactory::new();
    factory.set_launch(&format!("( {pictures} )"));
    // Each who looks sees the film from its beginning, and nobody comes into one that is about to end.
    factory.set_shared(stream != "film" && !stream.ends_with(".mp4"));
    if stream == "corrupt-h264" {
        factory.connect_media_configure(|_, media| damage(media));
    }

    let server = rtsp::RTSPServer::new();
    server.set_address("127.0.0.1");
    server.set_service(port);
    if let Some((user, password)) = login {
        require_login(&server, &factory, user, password);
    }
    server.mount_points().context("no mount points")?.add_factory(PATH, factory);
    let _source = server.attach(None)?;
    println!("{}", server.bound_port());

    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });
    gst::glib::MainLoop::new(None, false).run();
    Ok(())
}

/// Taken out of the file, not encoded anew.
fn file_pictures(path: &str) -> String {
    format!(
        "filesrc location=\"{path}\" ! qtdemux name=film film. ! queue ! h264parse config-interval=-1 \
         ! rtph264pay name=pay0 pt=96 config-interval=-1"
    )
}

/// Lets in only who knows `user` and `password`.
fn require_login(server: &rtsp::RTSPServer, factory: &rtsp::RTSPMediaFactory, user: &str, password: &str) {
    let auth = rtsp::RTSPAuth::new();
    let token = rtsp::RTSPToken::builder().field(rtsp::RTSP_TOKEN_MEDIA_FACTORY_ROLE.as_str(), user).build();
    auth.add_basic(&rtsp::RTSPAuth::make_basic(user, password), &token);
    factory.add_role_from_structure(
        &gst::Structure::builder(user)
            .field(rtsp::RTSP_PERM_MEDIA_FACTORY_ACCESS.as_str(), true)
            .field(rtsp::RTSP_PERM_MEDIA_FACTORY_CONSTRUCT.as_str(), true)
            .build(),
    );
    server.set_auth(Some(&auth));
}

/// Overwrites a byte of every 40 in each encoded picture, leaving only the first bytes of it, which say what it is.
fn damage(media: &rtsp::RTSPMedia) {
    let sink =
        media.element().downcast::<gst::Bin>().ok().and_then(|bin| bin.by_name("pay0")?.static_pad("sink"));
    let Some(sink) = sink else { return };
    sink.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        if let Some(buffer) = info.buffer_mut()
            && let Ok(mut bytes) = buffer.make_mut().map_writable()
        {
            for (index, byte) in bytes.iter_mut().enumerate().skip(16).step_by(40) {
                *byte = (index % 251) as u8;
            }
        }
        gst::PadProbeReturn::Ok
    });
}
