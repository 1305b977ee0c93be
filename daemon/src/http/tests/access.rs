//! Who may ask, and what becomes of those who may not.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Site, TOKEN, WITHIN, settings};
use crate::config::HttpSettings;
use crate::http::{HttpError, HttpServer};

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
async fn every_answer_has_the_headers_that_keep_a_browser_safe() {
    let site = Site::start(Some(TOKEN)).await;
    for path in ["/", "/login", "/page/page.css", "/healthz", "/api/state", "/nothing"] {
        let reply = site.get(path).await;
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "deny"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path}");
        }
    }
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
    let state = site.ask(&logged_in).await;
    assert_eq!((state.status, &state.json("state")["login"]), (200, &true.into()));

    let out = site.post("/logout", "", "").await;
    assert_eq!((out.status, out.header("location")), (303, Some("/login")));
    let ended = out.header("set-cookie").unwrap();
    let name = session.split_once('=').unwrap().0;
    assert!(ended.starts_with(&format!("{name}=;")) && ended.contains("max-age=0"), "{ended}");
}

#[tokio::test]
async fn after_too_many_wrong_tokens_a_browser_is_told_how_long_to_wait() {
    let site = Site::start(Some(TOKEN)).await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for _ in 0..5 {
        assert_eq!(site.post("/login", form, "token=wrong").await.status, 401);
    }
    let browser = format!("{form}Accept: text/html\r\n");
    let page = site.post("/login", &browser, &format!("token={TOKEN}")).await;
    assert_eq!((page.status, page.header("retry-after")), (429, Some("10")));
    assert!(String::from_utf8_lossy(&page.body).contains("Wait 10 seconds"));
    let program = site.post("/login", form, "token=wrong").await;
    assert_eq!((program.status, program.header("retry-after")), (429, Some("10")));
    assert_eq!(program.json("error")["error"], "too-many");
}

#[tokio::test]
async fn where_no_token_is_needed_the_form_says_so_whatever_is_sent() {
    let site = Site::start(None).await;
    assert_eq!(site.get("/api/state").await.json("state")["login"], false);
    for _ in 0..10 {
        let reply = site.post("/login", "", "token=anything").await;
        assert_eq!((reply.status, reply.header("set-cookie")), (200, None));
        assert!(String::from_utf8_lossy(&reply.body).contains("No login is needed here."));
    }
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
    for garbage in ["GET\r\n\r\n", "\0\0\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
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
