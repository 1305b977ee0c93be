//! What must hold of every answer.

use std::sync::OnceLock;

use serde_json::Value;

use crate::answers::Answer;
use crate::has;
use crate::scene::{PASSWORD, PROTECTED, SIGNATURE, TOKEN};

/// What hyper itself says to what is no request.
const NO_REQUEST: [u16; 4] = [400, 413, 414, 431];
/// What daemon/docs/http.md speaks of.
const STATUSES: [u16; 17] =
    [200, 204, 303, 304, 400, 401, 403, 404, 405, 408, 409, 413, 415, 421, 429, 503, 504];
const THEME: &str = include_str!("../../../daemon/src/http/page/theme.js");

/// Holds answers to `said` against everything that is promised.
pub fn check(answers: &[Answer], said: &[u8], has_token: bool) {
    let is_known = !has_token || knows_token(said);
    for answer in answers {
        check_head(answer, said);
        let is_ours = answer.header("content-security-policy").is_some();
        if !is_ours {
            assert!(NO_REQUEST.contains(&answer.status) && answer.body.is_empty(), "{answer:?}");
            continue;
        }
        assert!(STATUSES.contains(&answer.status), "{answer:?}");
        check_body(answer);
        // A refusal repeats by which name the daemon was called.
        let hidden = |text: &&&str| !has(said, text.as_bytes());
        let secrets = [PASSWORD, TOKEN];
        let protected = if is_known { &[][..] } else { &PROTECTED[..] };
        for text in secrets.iter().chain(protected).filter(hidden) {
            assert!(!has(&answer.body, text.as_bytes()), "{text:?} is shown: {answer:?}");
        }
        assert!(
            is_known || answer.status != 200 || answer.is_head || is_public(answer),
            "no token: {answer:?}"
        );
    }
}

/// A token and a cookie come as they are, and in one piece.
fn knows_token(said: &[u8]) -> bool {
    has(said, TOKEN.as_bytes()) || has(&said.to_ascii_lowercase(), SIGNATURE.as_bytes())
}

fn check_head(answer: &Answer, said: &[u8]) {
    if let Some(place) = answer.header("location") {
        assert!(["/", "/login"].contains(&place), "{place:?}");
    }
    let session = answer.header("set-cookie").map(|cookie| {
        let cookie = cookie.strip_prefix("belvedere_session_8750=").expect("a session");
        let (session, attributes) = cookie.split_once("; ").expect("attributes");
        assert!(session.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'.'), "{cookie:?}");
        assert!(attributes.ends_with("HttpOnly; SameSite=Strict"), "{cookie:?}");
        session
    });
    if session.is_some_and(|session| !session.is_empty()) {
        // Chunks may tear it apart, and a form may write it otherwise; the order stays.
        let decoded = percent_decoded(said);
        let mut decoded = decoded.iter();
        assert!(TOKEN.bytes().all(|wanted| decoded.any(|byte| *byte == wanted)), "a login without the token");
    }
    if answer.header("content-security-policy").is_some() {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        assert!(answer.header("cache-control").is_some_and(|kept| kept.starts_with("no-")), "{answer:?}");
    }
}

/// `%61` is `a`.
fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::new(), bytes);
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) if byte == b'%' => (rest, _) = (&after[2..], decoded.push(code)),
            _ => (rest, _) = (after, decoded.push(byte)),
        }
    }
    decoded
}

fn check_body(answer: &Answer) {
    if answer.is_head || !answer.is_whole || answer.body.is_empty() {
        return;
    }
    let body = &answer.body[..];
    match answer.header("content-type") {
        Some("application/json") => {
            let document: Value = serde_json::from_slice(body).expect("JSON");
            assert_fits(definition(answer.status, &document), &document);
        }
        Some("text/event-stream") => check_events(body),
        Some("application/vnd.belvedere.pictures") => check_pictures(body),
        Some("image/jpeg") => assert!(body.starts_with(&[0xff, 0xd8]) || body == b"snapshot of a fox"),
        Some(kind) if kind.starts_with("text/plain") => {
            let text = std::str::from_utf8(body).expect("metrics are text");
            for line in text.lines() {
                let number = line.rsplit_once(' ').map(|(_, number)| number.parse::<f64>());
                assert!(line.starts_with("# ") || matches!(number, Some(Ok(_))), "{line:?}");
            }
        }
        Some(kind) if kind.starts_with("text/") || kind == "image/svg+xml" => {
            std::str::from_utf8(body).expect("a file of the page");
        }
        kind => panic!("{kind:?}: {answer:?}"),
    }
}

/// Which document it can only be.
fn definition(status: u16, document: &Value) -> &'static str {
    let by_key = [
        ("error", "error"),
        ("status", "health"),
        ("phase", "state"),
        ("tasks", "cameras"),
        ("alerts", "alerts"),
        ("frame_id", "answer"),
    ];
    let found = by_key.into_iter().find(|(key, _)| document.get(key).is_some());
    let (_, definition) = found.unwrap_or_else(|| panic!("no document: {document}"));
    assert_eq!(definition == "error", status >= 400 && definition != "health", "{status}: {document}");
    definition
}

/// Holds a document against its definition: what must be in it, what may be, and of which types. Ranges and patterns are
/// left to the tests of the API, which ask a whole validator.
fn assert_fits(definition: &str, document: &Value) {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| {
        serde_json::from_str(include_str!("../../../daemon/docs/api.schema.json")).expect("a schema")
    });
    let rule = &schema["$defs"][definition];
    assert!(rule.is_object() && fits(schema, rule, document), "no {definition}: {document:#}");
}

fn fits(schema: &Value, rule: &Value, value: &Value) -> bool {
    if let Some(path) = rule["$ref"].as_str() {
        let rule = schema.pointer(path.trim_start_matches('#')).expect("what is referred to");
        return fits(schema, rule, value);
    }
    let type_name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_type = |name: &Value| *name == type_name || (*name == "number" && type_name == "integer");
    let has_type = match &rule["type"] {
        Value::Null => true,
        Value::Array(names) => names.iter().any(is_type),
        name => is_type(name),
    };
    let is_known = rule["enum"].as_array().is_none_or(|known| known.contains(value));
    let is_one = rule["oneOf"]
        .as_array()
        .is_none_or(|rules| rules.iter().filter(|rule| fits(schema, rule, value)).count() == 1);
    let is_whole = rule["required"]
        .as_array()
        .is_none_or(|keys| keys.iter().all(|key| key.as_str().is_some_and(|key| value.get(key).is_some())));
    let fields = value.as_object().into_iter().flatten();
    let mut parts = fields.map(|(key, part)| (rule["properties"].get(key), part));
    let has_parts = parts.all(|(part_rule, part)| match part_rule {
        Some(part_rule) => fits(schema, part_rule, part),
        None => rule["additionalProperties"] != false,
    });
    let mut items = value.as_array().into_iter().flatten();
    let has_items = rule.get("items").is_none_or(|rule| items.all(|item| fits(schema, rule, item)));
    has_type && is_known && is_one && is_whole && has_parts && has_items
}

/// The last one may be cut off.
fn check_events(body: &[u8]) {
    let text = std::str::from_utf8(body).expect("events are text");
    let (whole, _) = text.rsplit_once("\n\n").unwrap_or_default();
    for event in whole.split("\n\n").filter(|event| !event.is_empty()) {
        let event = event.strip_prefix("event: ").and_then(|event| event.split_once("\ndata: "));
        let (name, json) = event.unwrap_or_else(|| panic!("no event: {text:?}"));
        let definition = if name == "state" { "state" } else { "alert" };
        assert_fits(definition, &serde_json::from_str(json).expect("JSON"));
    }
}

fn check_pictures(mut body: &[u8]) {
    while let Some((lengths, rest)) = body.split_first_chunk::<8>() {
        let [json, jpeg] =
            [0, 4].map(|at| u32::from_be_bytes([0, 1, 2, 3].map(|byte| lengths[at + byte])) as usize);
        let (sight, rest) = rest.split_at(json);
        assert_fits("sight", &serde_json::from_slice(sight).expect("JSON"));
        let (jpeg, rest) = rest.split_at(jpeg);
        assert!(jpeg.starts_with(&[0xff, 0xd8]));
        body = rest;
    }
    assert!(body.is_empty());
}

/// What is shown to anyone: health, the form, and what the form needs.
fn is_public(answer: &Answer) -> bool {
    let body = &answer.body[..];
    match answer.header("content-type") {
        Some("application/json") => {
            serde_json::from_slice::<Value>(body).is_ok_and(|document| definition(200, &document) == "health")
        }
        Some("text/html; charset=utf-8") => has(body, b"name=\"token\""),
        Some("text/javascript; charset=utf-8") => body == THEME.as_bytes(),
        Some("text/css; charset=utf-8" | "image/svg+xml") => true,
        _ => false,
    }
}
