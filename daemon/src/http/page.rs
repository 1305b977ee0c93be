//! The files of the page, which are inside the binary.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};

use super::answer::{Answer, not_found, nothing, whole, with};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($(($name:literal, $kind:expr)),* $(,)?) => {
        /// Name, content type, content. Only [`is_public`] ones are shown without a login.
        pub(super) static FILES: &[(&str, &str, &str)] = &[$(($name, $kind, include_str!(concat!("page/", $name)))),*];
    };
}

files![
    ("index.html", HTML),
    ("page.css", CSS),
    ("icon.svg", SVG),
    ("main.js", JS),
    ("alerts.js", JS),
    ("answers.js", JS),
    ("camera_card.js", JS),
    ("dom.js", JS),
    ("live.js", JS),
    ("outline.js", JS),
    ("overlay.js", JS),
    ("plots.js", JS),
    ("theme.js", JS),
    ("times.js", JS),
    ("zone_editor.js", JS),
];

pub(super) const LOGIN: &str = include_str!("page/login.html");

/// Changes with the files: what a browser keeps of them is good until then.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    FILES.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
});

/// What the login page needs.
pub(super) fn is_public(path: &str) -> bool {
    matches!(path, "/page/page.css" | "/page/icon.svg" | "/page/theme.js")
}

/// A file of the page.
pub(super) fn file(name: &str, headers: &HeaderMap) -> Answer {
    let Some((_, kind, content)) = FILES.iter().find(|(known, ..)| *known == name) else {
        return not_found();
    };
    let is_kept = headers.get(IF_NONE_MATCH).is_some_and(|kept| kept.as_bytes() == VERSION.as_bytes());
    let mut answer = if is_kept {
        let mut answer = nothing();
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else {
        whole(StatusCode::OK, kind, *content)
    };
    // It may be kept, and is asked for again each time.
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    with(answer, ETAG, &VERSION)
}

/// The login page, with what was wrong the last time. `message` is text of ours.
pub(super) fn login(status: StatusCode, message: &str) -> Answer {
    whole(status, HTML, LOGIN.replace("<!-- message -->", message))
}
