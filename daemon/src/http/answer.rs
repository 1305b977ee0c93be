//! Answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::messages::to_json;

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Body {
    /// All of it; `None` once it is sent.
    Whole(Option<Bytes>),
    /// One piece after another, until the sender is gone.
    Pieces(mpsc::Receiver<Bytes>),
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let framed = |bytes: Option<Bytes>| bytes.map(|bytes| Ok(Frame::data(bytes)));
        match self.get_mut() {
            Body::Whole(bytes) => Poll::Ready(framed(bytes.take())),
            Body::Pieces(pieces) => pieces.poll_recv(context).map(framed),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Body::Pieces(_) => SizeHint::default(),
        }
    }
}

pub(super) type Answer = Response<Body>;

/// What is said where there is no other answer.
#[derive(Debug, Serialize)]
struct ErrorDocument<'a> {
    /// For programs.
    error: &'a str,
    /// For people.
    reason: &'a str,
}

/// An answer of that type; not to be kept by browsers.
pub(super) fn whole(status: StatusCode, content_type: &'static str, bytes: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Body::Whole(Some(bytes.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A document in JSON.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Answer {
    whole(status, "application/json", to_json(document))
}

/// Why there is no other answer: a word for programs, a sentence for people.
pub(super) fn error(status: StatusCode, error: &str, reason: &str) -> Answer {
    json(status, &ErrorDocument { error, reason })
}

/// No such thing.
pub(super) fn not_found() -> Answer {
    error(StatusCode::NOT_FOUND, "not-found", "there is nothing here")
}

/// Nothing, for now.
pub(super) fn nothing() -> Answer {
    let mut answer = Response::new(Body::Whole(None));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// `answer` with another header.
pub(super) fn with(mut answer: Answer, name: HeaderName, value: &str) -> Answer {
    // Only values that are made here, of characters that fit a header.
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}
