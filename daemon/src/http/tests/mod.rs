//! The server, asked over real connections.

mod access;
mod documents;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use belvedere_kernels::RgbImage;
use belvedere_pipelines::{CameraName, Frame};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::HttpServer;
use crate::alerts::{AlertMessage, Phrase, Subject};
use crate::config::{HttpSettings, Secret};
use crate::live::{Live, PageQuestion, Phase, fixture};

/// Far more than anything here takes.
const WITHIN: Duration = Duration::from_secs(20);
const TOKEN: &str = "a-token-that-is-long-enough";

struct Site {
    server: HttpServer,
    live: Arc<Live>,
    /// What the page asks.
    questions: mpsc::Receiver<PageQuestion>,
}

impl Site {
    /// A running daemon with two cameras: `porch`, online, and `attic`, switched off.
    async fn start(token: Option<&str>) -> Site {
        let (live, questions) = Live::new().unwrap();
        let porch = live.add_camera(&fixture::camera("porch", &["a dog".to_owned()]), true);
        porch.set_state("online", None);
        live.add_camera(&fixture::camera("attic", &[]), false);
        live.set_device("CPU");
        live.set_phase(Phase::Running);
        live.turned();
        let server = HttpServer::start(&settings(token), Arc::clone(&live)).await.unwrap();
        Site { server, live, questions }
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
    }

    /// Sends a request as it is.
    async fn ask(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.server.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        timeout(WITHIN, stream.read_to_end(&mut bytes)).await.expect("the connection is closed").unwrap();
        Reply::read(&bytes)
    }

    async fn post(&self, path: &str, headers: &str, body: &str) -> Reply {
        let length = body.len();
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ))
        .await
    }

    /// A frame of `camera` was analysed.
    fn show(&self, camera: &str, frame_id: u64) {
        let picture = RgbImage { width: 64, height: 48, pixels: vec![90; 64 * 48 * 3] };
        let frame = Frame::from_rgb(CameraName::new(camera).unwrap(), frame_id, picture);
        if self.live.camera(camera).unwrap().wants_picture(frame_id) {
            self.live.show(frame, fixture::sight(camera, frame_id));
        }
    }

    /// Shows frames, from `frame_id` on, until `asked` is answered.
    async fn show_until(&self, mut frame_id: u64, asked: impl Future<Output = Reply>) -> Reply {
        tokio::pin!(asked);
        loop {
            self.show("porch", frame_id);
            frame_id += 1;
            if let Ok(reply) = timeout(Duration::from_millis(20), &mut asked).await {
                return reply;
            }
        }
    }
}

fn settings(token: Option<&str>) -> HttpSettings {
    HttpSettings { listen: "127.0.0.1:0".parse().unwrap(), token: token.map(Secret::new), hosts: Vec::new() }
}

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn read(bytes: &[u8]) -> Reply {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_ascii_lowercase(), body: bytes[end..].to_vec() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    #[track_caller]
    fn json(&self, definition: &str) -> Value {
        let document = serde_json::from_slice(&self.body).expect("JSON");
        assert_fits(definition, &document);
        document
    }
}

/// Holds a document against its definition in the schema.
#[track_caller]
fn assert_fits(definition: &str, document: &Value) {
    let mut schema: Value = serde_json::from_str(include_str!("../../../docs/api.schema.json")).unwrap();
    schema["$ref"] = format!("#/$defs/{definition}").into();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{definition}: {wrong:#?}\n{document:#}");
}

fn alert(event_type: &str, id: &str) -> (Subject, AlertMessage) {
    let json = format!(
        r#"{{"event_type":"{event_type}","id":"{id}","camera":"porch","phrase":"a dog","score":0.5,"top_score":0.9,
        "frame_id":7,"captured_at":"2026-01-01T12:00:00.000Z","width":4,"height":3,"regions":[],"zones":[],
        "zones_entered":["driveway"],"started_at":"2026-01-01T12:00:00.000Z",
        "last_seen_at":"2026-01-01T12:00:00.000Z","ended_at":null,"snapshot":null}}"#
    );
    (Subject::new("porch", Phrase::new("a dog").unwrap()), serde_json::from_str(&json).unwrap())
}

async fn read_all(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(WITHIN, stream.read_to_end(&mut bytes)).await.expect("the connection is closed").unwrap();
    Reply::read(&bytes)
}
