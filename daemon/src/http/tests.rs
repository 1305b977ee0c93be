//! The server, asked over real connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use belvedere_kernels::RgbImage;
use belvedere_models::Task;
use belvedere_pipelines::{CameraName, Frame};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{HttpError, HttpServer};
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
    let mut schema: Value = serde_json::from_str(include_str!("../../docs/api.schema.json")).unwrap();
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

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let site = Site::start(None).await;
    let listen = site.server.address();
    let taken = HttpServer::start(&HttpSettings { listen, ..settings(None) }, Arc::clone(&site.live)).await;
    let error = taken.expect_err("the address is taken");
    assert!(matches!(error, HttpError::Listen { .. }));
    assert!(error.to_string().contains(&listen.to_string()), "{error}");
}

#[tokio::test]
async fn documents_are_those_of_the_schema_and_hold_no_secret() {
    let site = Site::start(None).await;
    let porch = site.live.camera("porch").unwrap();
    porch.analysed(7, Duration::from_millis(90), [(Task::Caption, None, "a dog")].into_iter());
    let (subject, message) = alert("new", "1");
    site.live.alert(&subject, &message, Some(b"jpeg"));
    let state = site.get("/api/state").await.json("state");
    assert_eq!(state["cameras"][0]["name"], "porch");
    assert_eq!(state["cameras"][0]["caption"], "a dog");
    assert_eq!(state["cameras"][0]["alerts_on"][0], "a_dog");
    assert_eq!(state["cameras"][1]["state"], "disabled");
    let reply = site.get("/api/cameras").await;
    let cameras = reply.json("cameras");
    assert_eq!(cameras["cameras"][0]["zones"][0]["name"], "driveway");
    assert!(!String::from_utf8_lossy(&reply.body).contains("secret"), "{cameras}");
    let alerts = site.get("/api/alerts?camera=porch").await.json("alerts");
    let snapshot = alerts["alerts"][0]["snapshot"].as_str().unwrap();
    assert_eq!(site.get(snapshot).await.body, b"jpeg");
    assert_eq!(site.get("/api/alerts?camera=attic").await.json("alerts")["alerts"], serde_json::json!([]));
    site.get("/healthz").await.json("health");
    for missing in
        ["/api/nothing", "/api/alerts/2/snapshot.jpg", "/page/../main.rs", "/api/cameras/x/picture.jpg", "//"]
    {
        let reply = site.get(missing).await;
        if missing != "//" {
            assert_eq!(reply.status, 404, "{missing}");
            reply.json("error");
        }
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_a_browser_safe() {
    let site = Site::start(Some(TOKEN)).await;
    for path in ["/", "/login", "/page/page.css", "/healthz", "/api/state", "/nothing"] {
        let reply = site.get(path).await;
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("cross-origin-resource-policy"), Some("same-origin"), "{path}");
    }
}

#[tokio::test]
async fn nothing_in_the_page_comes_from_elsewhere_or_breaks_its_own_policy() {
    let site = Site::start(None).await;
    let index = String::from_utf8(site.get("/").await.body).unwrap();
    let mut files: Vec<String> = ["/"].map(str::to_owned).to_vec();
    let named = index.split('"').filter(|text| text.starts_with("/page/")).map(str::to_owned);
    files.extend(named);
    for module in
        ["alerts.js", "answers.js", "camera_card.js", "live.js", "overlay.js", "plots.js", "zone_editor.js"]
    {
        files.push(format!("/page/{module}"));
    }
    for file in files {
        let reply = site.get(&file).await;
        assert_eq!(reply.status, 200, "{file}");
        let text = String::from_utf8(reply.body).unwrap();
        let elsewhere = text.match_indices("//").filter(|(at, _)| text[..*at].ends_with(':'));
        for (at, _) in elsewhere {
            let is_name = text[..at].ends_with("http:") && text[at..].starts_with("//www.w3.org/");
            let is_example = text[..at].ends_with("rtsp:");
            assert!(
                is_name || is_example,
                "{file}: {}",
                &text[at.saturating_sub(20)..(at + 30).min(text.len())]
            );
        }
        for forbidden in ["style=\"", " onclick", "innerHTML", "eval("] {
            assert!(!text.contains(forbidden), "{file} has {forbidden}");
        }
    }
    let kept = site.get("/page/main.js").await.header("etag").unwrap().to_owned();
    let again = format!(
        "GET /page/main.js HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {kept}\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(site.ask(&again).await.status, 304);
}

#[tokio::test]
async fn where_there_is_a_token_it_opens_everything_and_nothing_else_does() {
    let site = Site::start(Some(TOKEN)).await;
    for path in ["/api/state", "/metrics", "/api/events", "/page/main.js", "/api/cameras/porch/picture.jpg"] {
        let reply = site.get(path).await;
        assert_eq!((reply.status, reply.header("www-authenticate").is_some()), (401, true), "{path}");
    }
    let asked = site.post("/api/cameras/porch/ask", "Content-Type: application/json\r\n", "{}").await;
    assert_eq!(asked.status, 401);
    let browser = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
    let reply = site.ask(browser).await;
    assert_eq!((reply.status, reply.header("location")), (303, Some("/login")));
    for open in ["/login", "/healthz", "/readyz", "/page/page.css"] {
        assert_ne!(site.get(open).await.status, 401, "{open}");
    }
    let bearer = format!(
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(site.ask(&bearer).await.status, 200);

    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let wrong = site.post("/login", form, "token=wrong").await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));
    assert!(String::from_utf8_lossy(&wrong.body).contains("That is not the token."));
    let right = site.post("/login", form, &format!("token={TOKEN}")).await;
    assert_eq!((right.status, right.header("location")), (303, Some("/")));
    let cookie = right.header("set-cookie").unwrap();
    assert!(cookie.contains("httponly; samesite=strict") && !cookie.contains(TOKEN), "{cookie}");
    let session = cookie.split(';').next().unwrap();
    let logged_in = format!(
        "GET /api/state HTTP/1.1\r\nHost: localhost\r\nCookie: {session}\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(site.ask(&logged_in).await.status, 200);
}

#[tokio::test]
async fn strangers_names_and_other_sites_are_refused_before_anything_else() {
    let site = Site::start(None).await;
    let ask = |host: &str, more: &str| {
        let request = format!("GET /api/state HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");
        let site = &site;
        async move { site.ask(&request).await }
    };
    let strange = ask("evil.example:8750", "").await;
    assert_eq!(strange.status, 421);
    let reason = strange.json("error")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("hosts = [\"evil.example\"]"), "{reason}");
    assert_eq!(
        ask("localhost:1", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n").await.status,
        403
    );
    assert_eq!(ask("localhost:1", "Origin: http://evil.example\r\n").await.status, 403);
    assert_eq!(ask("localhost:1", "Origin: http://localhost:1\r\n").await.status, 200);
}

#[tokio::test]
async fn requests_that_are_no_requests_are_refused_and_harm_nobody() {
    let site = Site::start(None).await;
    let json = "Content-Type: application/json\r\n";
    let large = "x".repeat(20_000);
    for (path, headers, body, status) in [
        ("/api/cameras/porch/ask", json, "{", 400),
        ("/api/cameras/porch/ask", json, "[1]", 400),
        ("/api/cameras/porch/ask", "Content-Type: text/plain\r\n", "{}", 415),
        ("/api/cameras/cellar/ask", json, "{}", 404),
        ("/api/cameras/porch/ask", json, &large, 413),
        ("/api/state", json, "{}", 405),
        ("/metrics", json, "", 405),
    ] {
        let reply = site.post(path, headers, body).await;
        assert_eq!(reply.status, status, "{path} {reply:?}");
        reply.json("error");
    }
    for garbage in ["\r\n\r\n", "GET\r\n\r\n", "\0\0\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let reply = site.ask(garbage).await;
        assert_eq!(reply.status, 400, "{garbage:?}");
    }
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "y".repeat(40_000));
    let mut stream = TcpStream::connect(site.server.address()).await.unwrap();
    // It may be closed before all of it is written.
    let _ = stream.write_all(long.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = timeout(WITHIN, stream.read_to_end(&mut bytes)).await.expect("it is closed");
    assert!(!bytes.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(site.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_question_has_its_answer_or_the_reason_why_there_is_none() {
    let mut site = Site::start(None).await;
    let (address, json) = (site.server.address(), "Content-Type: application/json\r\n");
    let answer = serde_json::json!({
        "id": "page", "camera": "porch", "frame_id": 7, "captured_at": "2026-01-01T12:00:00.000Z", "age_ms": 1,
        "width": 64, "height": 48, "task": "caption", "text": "a dog", "regions": [], "timing_ms": {"vision": 1.5},
    });
    let refused =
        serde_json::json!({"id": "page", "camera": "porch", "error": "too-many", "reason": "too many"});
    for (said, status, definition) in [(answer, 200, "answer"), (refused, 429, "error")] {
        let asked = tokio::spawn(async move {
            let body = r#"{"task":"caption"}"#;
            let request = format!(
                "POST /api/cameras/porch/ask HTTP/1.1\r\nHost: localhost\r\n{json}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            read_all(address, &request).await
        });
        let question = timeout(WITHIN, site.questions.recv()).await.unwrap().unwrap();
        let payload: Value = serde_json::from_slice(&question.payload).unwrap();
        assert_eq!(payload, serde_json::json!({"id": "page", "task": "caption"}));
        question.reply.send(said.to_string().into_bytes()).unwrap();
        let reply = asked.await.unwrap();
        assert_eq!(reply.status, status);
        reply.json(definition);
    }
    site.live.set_phase(Phase::Starting { detail: "building an engine".to_owned() });
    let early = site.post("/api/cameras/porch/ask", json, "{}").await;
    assert_eq!(
        (early.status, early.json("error")["error"].as_str().unwrap().to_owned()),
        (503, "starting".to_owned())
    );
}

async fn read_all(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(WITHIN, stream.read_to_end(&mut bytes)).await.expect("the connection is closed").unwrap();
    Reply::read(&bytes)
}

#[tokio::test]
async fn pictures_are_made_only_while_somebody_looks_and_each_is_given_once() {
    let site = Site::start(None).await;
    let porch = site.live.camera("porch").unwrap();
    assert!(!porch.wants_picture(1), "nobody looks");
    let first = site.show_until(1, site.get("/api/pictures?cameras=porch,cellar")).await;
    assert_eq!(
        (first.status, first.header("content-type")),
        (200, Some("application/vnd.belvedere.pictures"))
    );
    let length = |at: usize| u32::from_be_bytes(first.body[at..at + 4].try_into().unwrap()) as usize;
    let (json, jpeg) = (length(0), length(4));
    assert_eq!(first.body.len(), 8 + json + jpeg, "one camera, one picture");
    let sight: Value = serde_json::from_slice(&first.body[8..8 + json]).unwrap();
    assert_fits("sight", &sight);
    assert_eq!(image::guess_format(&first.body[8 + json..]).unwrap(), image::ImageFormat::Jpeg);

    // Whoever has the newest one waits for another.
    let newest = porch.picture().unwrap().frame_id;
    let path = format!("/api/pictures?cameras=porch:{newest}");
    let waiting = site.get(&path);
    tokio::pin!(waiting);
    assert!(timeout(Duration::from_millis(50), &mut waiting).await.is_err());
    assert!(porch.lookers() > 0);
    let second = site.show_until(newest + 1, waiting).await;
    assert_eq!(second.status, 200);
    assert_eq!(site.get("/api/pictures?cameras=cellar").await.status, 404);
    assert_eq!(site.get("/api/cameras/attic/picture.jpg").await.status, 409);
    let one = site.show_until(1000, site.get("/api/cameras/porch/picture.jpg")).await;
    assert_eq!((one.status, one.header("content-type")), (200, Some("image/jpeg")));
}

#[tokio::test]
async fn the_picture_of_an_answer_is_kept_though_nobody_looks() {
    let site = Site::start(None).await;
    let porch = site.live.camera("porch").unwrap();
    porch.keep_picture(7);
    assert!(porch.wants_picture(7) && !porch.wants_picture(8));
    site.show("porch", 7);
    let reply = site.get("/api/cameras/porch/frames/7.jpg").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/jpeg")));
    for wrong in ["/api/cameras/porch/frames/x.jpg", "/api/cameras/porch/frames/7.png"] {
        assert_eq!(site.get(wrong).await.status, 404);
    }
}

#[tokio::test]
async fn events_tell_the_state_at_once_and_each_alert() {
    let site = Site::start(None).await;
    let stream = TcpStream::connect(site.server.address()).await.unwrap();
    let mut stream = BufReader::new(stream);
    stream.write_all(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut lines = stream.lines();
    let mut next = async |wanted: &str| -> Value {
        loop {
            let line = timeout(WITHIN, lines.next_line()).await.expect("an event").unwrap().unwrap();
            if line != format!("event: {wanted}") {
                continue;
            }
            let data = lines.next_line().await.unwrap().unwrap();
            return serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        }
    };
    assert_fits("state", &next("state").await);
    let (subject, message) = alert("new", "1");
    site.live.alert(&subject, &message, None);
    let told = next("alert").await;
    assert_fits("alert", &told);
    assert_eq!((told["id"].as_str(), told["ended_at"].is_null()), (Some("1"), true));
    site.live.camera("porch").unwrap().set_state("offline", Some("connection refused".to_owned()));
    while next("state").await["cameras"][0]["reason"] != "connection refused" {}
}

#[tokio::test]
async fn it_is_ready_when_every_camera_was_tried_and_alive_while_the_model_turns() {
    let site = Site::start(None).await;
    assert_eq!(site.get("/readyz").await.status, 200);
    site.live.add_camera(&fixture::camera("yard", &[]), true);
    let opening = site.get("/readyz").await;
    assert_eq!((opening.status, opening.json("health")["status"].as_str().unwrap()), (503, "opening"));
    site.live.camera("yard").unwrap().set_state("offline", Some("no route".to_owned()));
    assert_eq!(site.get("/readyz").await.status, 200, "it said why");
    site.live.set_phase(Phase::Starting { detail: "building an engine".to_owned() });
    assert_eq!((site.get("/readyz").await.status, site.get("/healthz").await.status), (503, 200));
}

#[tokio::test]
async fn there_are_only_so_many_connections_and_when_they_go_there_is_room_again() {
    let site = Site::start(None).await;
    let mut open = Vec::new();
    for _ in 0..200 {
        open.push(TcpStream::connect(site.server.address()).await.unwrap());
    }
    // Those beyond the limit are closed, which reads as an end; the others wait for a request.
    let mut closed = 0;
    while closed < 72 {
        closed = 0;
        for stream in &mut open {
            let ended = timeout(Duration::from_millis(1), stream.read(&mut [0; 1])).await;
            closed += usize::from(matches!(ended, Ok(Ok(0) | Err(_))));
        }
    }
    assert_eq!(closed, 72);
    drop(open);
    loop {
        let mut stream = TcpStream::connect(site.server.address()).await.unwrap();
        let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut bytes = Vec::new();
        let answered =
            stream.write_all(request).await.is_ok() && stream.read_to_end(&mut bytes).await.is_ok();
        if answered && !bytes.is_empty() {
            break;
        }
    }
}

#[tokio::test]
async fn stopping_ends_streams_and_those_who_wait_within_a_second() {
    let site = Site::start(None).await;
    let address = site.server.address();
    let open = ["/api/events", "/api/pictures?cameras=porch", "/healthz"].map(|path| {
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes).await;
        })
    });
    while site.live.camera("porch").unwrap().lookers() == 0 {
        tokio::task::yield_now().await;
    }
    let clock = std::time::Instant::now();
    site.server.stop().await;
    assert!(clock.elapsed() < Duration::from_secs(1), "{:?}", clock.elapsed());
    for waiting in open {
        timeout(WITHIN, waiting).await.expect("the connection is closed").unwrap();
    }
    assert!(TcpStream::connect(address).await.is_err());
}
