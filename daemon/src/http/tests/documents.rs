//! What is answered, held against the schema.

use std::time::Duration;

use belvedere_models::Task;
use serde_json::Value;
use tokio::time::timeout;

use super::{Site, WITHIN, alert, read_all};
use crate::http::page::{FILES, LOGIN};
use crate::live::{Phase, fixture};

#[tokio::test]
async fn documents_are_those_of_the_schema_and_hold_no_secret() {
    let site = Site::start(None).await;
    let porch = site.live.camera("porch").unwrap();
    porch.analysed(7, Duration::from_millis(90), [(Task::Caption, "a dog")].into_iter());
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
async fn nothing_in_the_page_comes_from_elsewhere_or_breaks_its_own_policy() {
    let site = Site::start(None).await;
    for (file, _, content) in FILES {
        let reply = site.get(&format!("/page/{file}")).await;
        assert_eq!((reply.status, reply.body.as_slice()), (200, content.as_bytes()), "{file}");
        let named = content.split('"').filter(|text| text.starts_with("/page/") || text.starts_with("./"));
        for name in named.filter_map(|text| text.rsplit('/').next()) {
            assert!(FILES.iter().any(|(known, ..)| *known == name), "{file} names {name}");
        }
    }
    let login = ("login.html", "", LOGIN);
    for (file, _, text) in FILES.iter().chain([&login]) {
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
        let markup = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval("];
        for forbidden in ["style=\"", " onclick", "javascript:"].iter().chain(&markup) {
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
    let starting = Phase::Starting { detail: "building an engine".to_owned() };
    for (phase, word) in [(starting, "starting"), (Phase::Stopping, "stopping")] {
        site.live.set_phase(phase);
        let reply = site.post("/api/cameras/porch/ask", json, "{}").await;
        assert_eq!((reply.status, &reply.json("error")["error"]), (503, &word.into()));
    }
}

#[tokio::test]
async fn a_question_that_waits_when_the_daemon_ends_is_told_so() {
    let mut site = Site::start(None).await;
    let address = site.server.address();
    let asked = tokio::spawn(async move {
        let request = "POST /api/cameras/porch/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
            Connection: close\r\nContent-Length: 2\r\n\r\n{}";
        read_all(address, request).await
    });
    let question = timeout(WITHIN, site.questions.recv()).await.unwrap().unwrap();
    site.server.stop().await;
    let reply = asked.await.unwrap();
    assert_eq!((reply.status, &reply.json("error")["error"]), (503, &"stopping".into()));
    drop(question);
}

#[tokio::test]
async fn it_is_ready_when_every_camera_was_tried_and_alive_while_the_model_turns() {
    let site = Site::start(None).await;
    assert_eq!(site.get("/readyz").await.status, 200);
    site.live.add_camera(&fixture::camera("yard", &[]), true);
    let opening = site.get("/readyz").await;
    assert_eq!((opening.status, opening.json("health")["status"].as_str().unwrap()), (503, "opening"));
    assert_eq!(
        opening.json("health")["reason"],
        "1 camera(s) not opened yet",
        "no name: this needs no token"
    );
    site.live.camera("yard").unwrap().set_state("offline", Some("no route".to_owned()));
    assert_eq!(site.get("/readyz").await.status, 200, "it said why");
    site.live.set_failures_in_a_row(4);
    assert_eq!(site.get("/healthz").await.status, 200, "a few are bad luck");
    site.live.set_failures_in_a_row(5);
    let failing = site.get("/healthz").await;
    assert_eq!((failing.status, failing.json("health")["status"].as_str().unwrap()), (503, "failing"));
    site.live.set_phase(Phase::Starting { detail: "building an engine".to_owned() });
    assert_eq!((site.get("/readyz").await.status, site.get("/healthz").await.status), (503, 200));
}
