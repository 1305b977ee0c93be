//! Requests to the hub.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use hf_hub::api::sync::{Api, ApiBuilder, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use ureq::http::{HeaderMap, Response};
use ureq::typestate::WithoutBody;
use ureq::{Body, RequestBuilder};
use url::Url;

use super::listing::Listing;
use super::{HubError, ModelName, PullEvent};
use crate::config::Secret;

/// Longer lists of files are none.
const MAX_LISTING_BYTES: u64 = 16 << 20;
/// Of an answer that says what is wrong, so much is read.
const MAX_MESSAGE_BYTES: u64 = 4096;

/// How the hub is spoken to.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// The hub or its mirror, `https://huggingface.co`.
    pub endpoint: String,
    /// Who asks; told to the endpoint's host only.
    pub token: Option<Secret>,
    /// A server that says nothing for so long has failed.
    pub stalled_after: Duration,
    /// So many failures in a row, with nothing gained between them, end it.
    pub tries: u32,
    /// The wait after the first of those; doubled after each.
    pub first_wait: Duration,
}

impl HubOptions {
    /// A minute of silence, five tries, a second.
    pub fn new(endpoint: impl Into<String>, token: Option<Secret>) -> HubOptions {
        HubOptions {
            endpoint: endpoint.into(),
            token,
            stalled_after: Duration::from_secs(60),
            tries: 5,
            first_wait: Duration::from_secs(1),
        }
    }
}

/// The hub.
pub(super) struct HubClient {
    api: Api,
    pub(super) options: HubOptions,
}

/// The bytes of a file from the one at `from` on.
pub(super) struct OpenedFile {
    /// The address that was asked for.
    pub(super) url: String,
    /// Where in the file they begin: at what was asked for, or at 0 where the server knows no ranges.
    pub(super) from: u64,
    pieces: Receiver<std::io::Result<Vec<u8>>>,
    stalled_after: Duration,
}

impl HubClient {
    pub(super) fn new(mut options: HubOptions) -> Result<HubClient, HubError> {
        options.endpoint = endpoint(&options)?;
        // The library's cache is not used; it is named so that no other token is found beside it.
        let builder = ApiBuilder::from_cache(Cache::new("/nonexistent/belvedere".into()))
            .with_endpoint(options.endpoint.clone())
            .with_token(options.token.as_ref().map(|token| token.reveal().to_owned()))
            .with_user_agent("belvedere", env!("CARGO_PKG_VERSION"))
            .with_progress(false);
        match builder.build() {
            Ok(api) => Ok(HubClient { api, options }),
            Err(error) => Err(HubError::Endpoint { reason: error.to_string() }),
        }
    }

    /// What `model` consists of at `revision`.
    pub(super) fn listing(&self, model: &ModelName, revision: &str) -> Result<Listing, HubError> {
        let is_revision = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if revision.is_empty() || !revision.chars().all(is_revision) || revision.contains("..") {
            return Err(HubError::Revision { revision: revision.to_owned() });
        }
        let repo = self.repo(model, revision);
        let url = format!("{}/api/{}", self.options.endpoint, repository(model, revision).api_url());
        let request = repo.info_request().query("blobs", "true");
        let response = self.called(request, &url)?;
        let wrong = |reason: String| HubError::Answer { url: url.clone(), reason };
        let text = self.small(response, MAX_LISTING_BYTES).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => self.stalled(&url),
            _ => HubError::Unreachable { url: url.clone(), reason: error.to_string() },
        })?;
        if text.len() as u64 > MAX_LISTING_BYTES {
            return Err(wrong(format!("it is longer than {} MiB", MAX_LISTING_BYTES >> 20)));
        }
        let listing: Listing = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        match listing.has_commit() {
            true => Ok(listing),
            false => Err(wrong("it names no commit".to_owned())),
        }
    }

    /// Opens a file of `model` at `commit`.
    pub(super) fn open(
        &self,
        model: &ModelName,
        commit: &str,
        file: &str,
        from: u64,
    ) -> Result<OpenedFile, HubError> {
        let repo = self.repo(model, commit);
        let url = repo.url(file);
        // The request for the model's description carries the token and the rule whom to tell it.
        let request = repo.info_request().uri(&url).header("Accept-Encoding", "identity");
        let request = match from {
            0 => request,
            from => request.header("Range", format!("bytes={from}-")),
        };
        let response = self.called(request, &url)?;
        let from = match (response.status().as_u16(), from) {
            (206, from) if begins_at(response.headers()) == Some(from) => from,
            (206, _) => {
                return Err(HubError::Answer {
                    url,
                    reason: "another range came than was asked for".to_owned(),
                });
            }
            _ => 0,
        };
        let (_, body) = response.into_parts();
        let pieces = read_aside(body.into_reader());
        Ok(OpenedFile { url, from, pieces, stalled_after: self.options.stalled_after })
    }

    fn repo(&self, model: &ModelName, revision: &str) -> ApiRepo {
        self.api.repo(repository(model, revision))
    }

    fn called(&self, request: RequestBuilder<WithoutBody>, url: &str) -> Result<Response<Body>, HubError> {
        let silence = Some(self.options.stalled_after);
        let request = request.config().http_status_as_error(false);
        let request = request.timeout_connect(silence).timeout_recv_response(silence).build();
        let response = request.call().map_err(|error| self.failure(url, &error))?;
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(response);
        }
        let url = url.to_owned();
        let message = self.said(response);
        Err(match status {
            401 | 403 => HubError::NotAllowed { url, message, has_token: self.options.token.is_some() },
            404 | 410 => HubError::NotFound { url, message },
            _ => HubError::Status { url, status, message },
        })
    }

    /// Tries until it is done, or has failed too often in a row with nothing gained. `attempt` says whether anything was,
    /// and which errors are worth another try, `is_passing`.
    pub(super) fn patiently<T>(
        &self,
        tell: &mut dyn FnMut(PullEvent<'_>),
        is_passing: impl Fn(&HubError) -> bool,
        mut attempt: impl FnMut(&mut dyn FnMut(PullEvent<'_>)) -> (bool, Result<T, HubError>),
    ) -> Result<T, HubError> {
        let options = &self.options;
        let (mut failures, mut wait) = (0, options.first_wait);
        loop {
            let (has_gained, done) = attempt(tell);
            let error = match done {
                Err(error) if is_passing(&error) => error,
                done => return done,
            };
            if has_gained {
                (failures, wait) = (0, options.first_wait);
            }
            failures += 1;
            if failures >= options.tries {
                return Err(error);
            }
            tell(PullEvent::Again { error: &error, wait });
            // Nobody else waits: this is a command of its own.
            std::thread::sleep(wait);
            wait *= 2;
        }
    }

    /// The body of an answer that is small, up to a byte more than `limit`, within the time that silence may last: no
    /// server keeps anybody waiting for ever, byte by byte neither.
    fn small(&self, response: Response<Body>, limit: u64) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + self.options.stalled_after;
        let pieces = read_aside(response.into_body().into_reader().take(limit + 1));
        let mut whole = Vec::new();
        loop {
            match pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(piece) => whole.extend(piece?),
                Err(RecvTimeoutError::Disconnected) => return Ok(whole),
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    /// What the hub says is wrong, on one line.
    fn said(&self, response: Response<Body>) -> String {
        let status = response.status();
        let header = response.headers().get("X-Error-Message").and_then(|value| value.to_str().ok());
        let text = match header {
            Some(text) => text.to_owned(),
            None => {
                #[derive(serde::Deserialize)]
                struct Error {
                    error: String,
                }
                let text = self.small(response, MAX_MESSAGE_BYTES).unwrap_or_default();
                serde_json::from_slice::<Error>(&text).map_or_else(|_| status.to_string(), |said| said.error)
            }
        };
        text.chars().filter(|c| !c.is_control()).take(300).collect()
    }

    fn stalled(&self, url: &str) -> HubError {
        HubError::Stalled { url: url.to_owned(), seconds: self.options.stalled_after.as_secs() }
    }

    fn failure(&self, url: &str, error: &ureq::Error) -> HubError {
        match error {
            ureq::Error::Timeout(_) => self.stalled(url),
            ureq::Error::BodyExceedsLimit(_) | ureq::Error::Protocol(_) | ureq::Error::Http(_) => {
                HubError::Answer { url: url.to_owned(), reason: error.to_string() }
            }
            error => HubError::Unreachable { url: url.to_owned(), reason: error.to_string() },
        }
    }
}

fn repository(model: &ModelName, revision: &str) -> Repo {
    Repo::with_revision(model.to_string(), RepoType::Model, revision.to_owned())
}

impl OpenedFile {
    /// The next bytes; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, HubError> {
        match self.pieces.recv_timeout(self.stalled_after) {
            Ok(Ok(piece)) => Ok(Some(piece)),
            Ok(Err(error)) => Err(HubError::Unreachable { url: self.url.clone(), reason: error.to_string() }),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                Err(HubError::Stalled { url: self.url.clone(), seconds: self.stalled_after.as_secs() })
            }
        }
    }
}

/// Reads on a thread of its own, so that a server that falls silent holds nobody up. The thread ends with its
/// connection, or with the process.
fn read_aside(mut body: impl Read + Send + 'static) -> Receiver<std::io::Result<Vec<u8>>> {
    let (sender, pieces) = sync_channel(4);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; 256 << 10];
            let read = match body.read(&mut piece) {
                Ok(0) => return,
                Ok(read) => read,
                Err(error) => return drop(sender.send(Err(error))),
            };
            piece.truncate(read);
            if sender.send(Ok(piece)).is_err() {
                return;
            }
        }
    });
    pieces
}

/// The address without a `/` at its end, where it is one that may be told the token.
fn endpoint(options: &HubOptions) -> Result<String, HubError> {
    let wrong = |reason: &str| HubError::Endpoint { reason: reason.to_owned() };
    let url =
        Url::parse(&options.endpoint).map_err(|error| HubError::Endpoint { reason: error.to_string() })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it begins with neither https:// nor http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds credentials; use a token"));
    }
    let is_near = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(wrong("it names no host")),
    };
    let endpoint = options.endpoint.trim_end_matches('/').to_owned();
    match options.token.is_some() && url.scheme() == "http" && !is_near {
        true => Err(HubError::TokenInTheClear { endpoint }),
        false => Ok(endpoint),
    }
}

/// The first byte of `Content-Range: bytes 100-199/200`.
fn begins_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get("Content-Range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}
