//! Which answer belongs to which address.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use url::form_urlencoded;

use super::answer::{Answer, Body, error, json, not_found, nothing, whole, with};
use super::failures::PAUSE_S;
use super::gate::Refused;
use super::site::Site;
use super::{ask, documents, events, health, page, pictures};
use crate::metrics;

/// A longer body of a request is refused, in bytes.
const MAX_BODY_BYTES: usize = 16 << 10;
/// A request's body must come within this time.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// Only what comes from here is shown or run; nothing is sent anywhere else; nobody shows it inside a page of theirs.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The answer to any request.
pub(super) async fn answer(site: &Arc<Site>, request: Request<Incoming>, peer: IpAddr) -> Answer {
    let (parts, body) = request.into_parts();
    let mut answer = match site.gate.check_origin(&parts) {
        Ok(()) => respond(site, &parts, body, peer).await,
        Err(refused) => refusal(&refused, &parts),
    };
    let headers = answer.headers_mut();
    for (name, value) in [
        (HeaderName::from_static("content-security-policy"), CONTENT_SECURITY_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // To itself it says where it comes from: browsers leave out the origin of a form otherwise.
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

async fn respond(site: &Arc<Site>, parts: &Parts, body: Incoming, peer: IpAddr) -> Answer {
    let path = parts.uri.path();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let is_reading = matches!(parts.method, Method::GET | Method::HEAD);
    // What anyone may see: that it lives, and how to log in.
    match segments.as_slice() {
        ["healthz"] if is_reading => return health::alive(&site.live),
        ["readyz"] if is_reading => return health::ready(&site.live),
        ["login"] if is_reading => return login_page(site),
        ["login"] if parts.method == Method::POST => return log_in(site, parts, body, peer).await,
        ["logout"] if parts.method == Method::POST => {
            return with(see("/login"), SET_COOKIE, &site.gate.logged_out());
        }
        [.., name] if is_reading && page::is_public(path) => return page::file(name, &parts.headers),
        _ => {}
    }
    if let Err(refused) = site.gate.check_token(parts, peer) {
        return refusal(&refused, parts);
    }
    match segments.as_slice() {
        ["api", "cameras", camera, "ask"] => match parts.method {
            Method::POST => match is_json(parts) {
                true => match read(body).await {
                    Ok(bytes) => ask::ask(site, camera, &bytes).await,
                    Err(refusal) => refusal,
                },
                false => error(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "invalid",
                    "a question is JSON: send it with Content-Type: application/json",
                ),
            },
            _ => not_allowed("POST"),
        },
        _ if !is_reading => not_allowed("GET, HEAD"),
        [] => page::file("index.html", &parts.headers),
        ["page", name] => page::file(name, &parts.headers),
        ["metrics"] => whole(StatusCode::OK, metrics::CONTENT_TYPE, metrics::text(&site.live)),
        ["api", "state"] => json(StatusCode::OK, &documents::state(site)),
        ["api", "cameras"] => json(StatusCode::OK, &documents::cameras(&site.live)),
        ["api", "alerts"] => {
            let camera = query(parts, "camera");
            json(StatusCode::OK, &documents::alerts(&site.live, camera.as_deref()))
        }
        ["api", "alerts", id, "snapshot.jpg"] => match site.live.alerts(|log| log.snapshot(id)) {
            Some(jpeg) => whole(StatusCode::OK, "image/jpeg", jpeg),
            None => not_found(),
        },
        ["api", "events"] => events::events(site),
        ["api", "pictures"] => pictures::newer(site, &query(parts, "cameras").unwrap_or_default()).await,
        ["api", "cameras", camera, "picture.jpg"] => pictures::next(site, camera).await,
        ["api", "cameras", camera, "frames", file] => pictures::kept(site, camera, file).await,
        _ => not_found(),
    }
}

fn login_page(site: &Site) -> Answer {
    let message = if site.gate.has_token() { "" } else { "No login is needed here." };
    page::login(StatusCode::OK, message)
}

async fn log_in(site: &Site, parts: &Parts, body: Incoming, peer: IpAddr) -> Answer {
    if !site.gate.has_token() {
        return login_page(site);
    }
    let bytes = match read(body).await {
        Ok(bytes) => bytes,
        Err(refusal) => return refusal,
    };
    let token = form_urlencoded::parse(&bytes).find(|(key, _)| key == "token").map(|(_, token)| token);
    match site.gate.try_token(token.unwrap_or_default().trim(), peer) {
        Ok(cookie) => with(see("/"), SET_COOKIE, &cookie),
        Err(Refused::TooMany) if !accepts_page(parts) => refusal(&Refused::TooMany, parts),
        Err(Refused::TooMany) => {
            let message = format!("Too many wrong tokens. Wait {PAUSE_S} seconds, then try again.");
            let answer = page::login(StatusCode::TOO_MANY_REQUESTS, &message);
            with(answer, RETRY_AFTER, &PAUSE_S.to_string())
        }
        Err(_) => page::login(StatusCode::UNAUTHORIZED, "That is not the token."),
    }
}

/// All of a request's body; else what is to be said.
async fn read(body: Incoming) -> Result<Bytes, Answer> {
    let read = tokio::time::timeout(BODY_LIMIT, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    match read {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => {
            Err(error(StatusCode::PAYLOAD_TOO_LARGE, "invalid", "the request is too large or broken"))
        }
        Err(_) => Err(error(StatusCode::REQUEST_TIMEOUT, "invalid", "the request did not come in time")),
    }
}

fn refusal(refused: &Refused, parts: &Parts) -> Answer {
    match refused {
        Refused::Host(host) => error(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown-host",
            &format!(
                "{host:?} is none of this machine's names; if it is yours, write hosts = [{host:?}] into [http]"
            ),
        ),
        Refused::CrossSite => {
            error(StatusCode::FORBIDDEN, "cross-site", "another site's page may not ask this")
        }
        Refused::Login if accepts_page(parts) => see("/login"),
        Refused::Login => {
            let answer = error(
                StatusCode::UNAUTHORIZED,
                "unauthorised",
                "the token is missing or wrong; send it as Authorization: Bearer TOKEN",
            );
            with(answer, WWW_AUTHENTICATE, "Bearer realm=\"belvedere\"")
        }
        Refused::TooMany => {
            let reason = format!("too many wrong tokens; try again in {PAUSE_S} seconds");
            let answer = error(StatusCode::TOO_MANY_REQUESTS, "too-many", &reason);
            with(answer, RETRY_AFTER, &PAUSE_S.to_string())
        }
    }
}

/// Whether a person's browser asks for a page.
fn accepts_page(parts: &Parts) -> bool {
    let accept = parts.headers.get("accept").and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn is_json(parts: &Parts) -> bool {
    let content_type =
        parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn query(parts: &Parts, key: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(parts.uri.query()?.as_bytes());
    pairs.find(|(name, _)| name == key).map(|(_, value)| value.into_owned())
}

/// Go there.
fn see(path: &str) -> Answer {
    let mut answer = with(nothing(), LOCATION, path);
    *answer.status_mut() = StatusCode::SEE_OTHER;
    *answer.body_mut() = Body::Whole(Some(Bytes::new()));
    answer
}

fn not_allowed(allowed: &str) -> Answer {
    let answer = error(StatusCode::METHOD_NOT_ALLOWED, "invalid", &format!("only {allowed} here"));
    with(answer, ALLOW, allowed)
}
