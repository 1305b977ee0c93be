use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use crate::redactor::{REDACTED, is_secret_key};
use crate::{Credentials, PipelineError, TestPicture};

/// Where a camera's pictures come from: `rtsp://`, `rtsps://`, `file://`, `v4l2://` or `test://`.
///
/// A user and password in the URL are taken out of it at once. `Display` and `Debug` show what is left,
/// with the values of keys such as `password=` and `token=` blotted out, in the query or in the path.
#[derive(Clone, PartialEq)]
pub struct SourceUrl {
    url: Url,
    kind: SourceKind,
    credentials: Option<Credentials>,
}

/// What a [`SourceUrl`] points at.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SourceKind {
    /// An RTSP server.
    Rtsp,
    /// An RTSP server behind TLS.
    Rtsps,
    /// A video file.
    File(PathBuf),
    /// A Video4Linux device such as `/dev/video0`.
    V4l2(PathBuf),
    /// A made picture.
    Test(TestPicture),
}

impl SourceUrl {
    /// Reads and checks a URL. The error is as redacted as the URL itself.
    pub fn parse(text: &str) -> Result<Self, PipelineError> {
        let text = text.trim();
        let mut url = Url::parse(text).map_err(|error| PipelineError::SourceUrl {
            // A text that is no URL cannot be parted into secret and not secret: nothing of it but the scheme is shown.
            url: match text.split_once("://") {
                Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
                    format!("{scheme}://{REDACTED}")
                }
                _ => REDACTED.to_owned(),
            },
            reason: error.to_string(),
        })?;
        let credentials = take_credentials(&mut url);
        match kind_of(&url) {
            Ok(kind) => Ok(Self { url, kind, credentials }),
            Err(reason) => Err(PipelineError::SourceUrl { url: redacted(&url), reason }),
        }
    }

    /// What it points at.
    pub fn kind(&self) -> &SourceKind {
        &self.kind
    }

    /// The user and password that stood in the URL.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The URL for `rtspsrc`: no user, no password, but the query's secrets, for the camera needs them.
    pub(crate) fn location(&self) -> &str {
        self.url.as_str()
    }

    /// The host as the URL writes it, and its port or the scheme's.
    pub(crate) fn host_and_port(&self) -> (Option<&str>, u16) {
        // RFC 7826: 554, and 322 for TLS.
        let scheme_port = if self.kind == SourceKind::Rtsps { 322 } else { 554 };
        (self.url.host_str(), self.url.port().unwrap_or(scheme_port))
    }

    /// The secret values in the path and the query, as written and decoded.
    pub(crate) fn query_secrets(&self) -> Vec<String> {
        let tail = &self.url[url::Position::BeforePath..];
        let mut secrets = Vec::new();
        for (key, value) in tail.split(SEPARATORS).filter_map(|part| part.split_once('=')) {
            if is_secret_key(key) && !value.is_empty() {
                secrets.push(value.to_owned());
                secrets.extend(percent_decoded(value));
            }
        }
        secrets
    }
}

/// What parts the `key=value` pairs of a camera's path and query; some cameras have them in the path.
const SEPARATORS: [char; 5] = ['/', '?', '&', ';', '#'];

fn kind_of(url: &Url) -> Result<SourceKind, String> {
    let local_path = || {
        if url.host_str().is_some_and(|host| !host.is_empty() && host != "localhost") {
            return Err("a local path has three slashes, as in file:///srv/a.mp4".to_owned());
        }
        match percent_decoded(url.path()) {
            Some(path) if path.len() > 1 && !path.contains('\0') => Ok(PathBuf::from(path)),
            _ => Err("it names no path".to_owned()),
        }
    };
    match url.scheme() {
        "rtsp" | "rtsps" if url.host_str().is_none_or(str::is_empty) => Err("it names no host".to_owned()),
        "rtsp" => Ok(SourceKind::Rtsp),
        "rtsps" => Ok(SourceKind::Rtsps),
        "file" => local_path().map(SourceKind::File),
        "v4l2" => local_path().map(SourceKind::V4l2),
        "test" => TestPicture::from_url(url).map(SourceKind::Test),
        _ => Err("the scheme is none of rtsp, rtsps, file, v4l2, test".to_owned()),
    }
}

fn take_credentials(url: &mut Url) -> Option<Credentials> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decoded = |text: &str| percent_decoded(text).unwrap_or_else(|| text.to_owned());
    let credentials = Credentials::new(decoded(url.username()), decoded(url.password().unwrap_or("")));
    // Both fail only for a URL that can hold no user, and this one held one.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(credentials)
}

/// The text with its `%xx` resolved; `None` where that gives no UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())) {
            Some(hex) => {
                bytes.push(u8::from_str_radix(hex, 16).ok()?);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn redacted(url: &Url) -> String {
    // Without `//` after the scheme nothing says which part is what: `user:password` parses as such a URL.
    if url.cannot_be_a_base() {
        return REDACTED.to_owned();
    }
    let mut shown = url[..url::Position::BeforePath].to_owned();
    let mut tail = &url[url::Position::BeforePath..];
    while !tail.is_empty() {
        let end = tail[1..].find(SEPARATORS).map_or(tail.len(), |at| at + 1);
        let (part, rest) = tail.split_at(end);
        match part.split_once('=') {
            Some((key, value)) if is_secret_key(key.trim_start_matches(SEPARATORS)) && !value.is_empty() => {
                shown.extend([key, "=", REDACTED]);
            }
            _ => shown.push_str(part),
        }
        tail = rest;
    }
    shown
}

impl FromStr for SourceUrl {
    type Err = PipelineError;

    fn from_str(text: &str) -> Result<Self, PipelineError> {
        Self::parse(text)
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.url))
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_of_the_url_and_decoded() {
        let url = SourceUrl::parse("rtsp://eve:p%40ss%20w@192.0.2.1:8554/stream1").unwrap();
        assert_eq!(url.to_string(), "rtsp://192.0.2.1:8554/stream1");
        assert_eq!(url.location(), "rtsp://192.0.2.1:8554/stream1");
        assert_eq!(url.credentials(), Some(&Credentials::new("eve", "p@ss w")));
    }

    #[test]
    fn secrets_in_the_query_and_in_the_path_are_not_shown_but_are_sent() {
        let text = "rtsp://h/user=admin&password=abc%21&channel=1?Token=t0k&x=1";
        let url = SourceUrl::parse(text).unwrap();
        assert_eq!(format!("{url}"), "rtsp://h/user=***&password=***&channel=1?Token=***&x=1");
        assert!(!format!("{url:?}").contains("abc"));
        assert_eq!(url.location(), text);
        assert_eq!(url.query_secrets(), ["admin", "admin", "abc%21", "abc!", "t0k", "t0k"]);
    }

    #[test]
    fn a_url_that_cannot_be_used_is_an_error_without_its_secrets() {
        for wrong in [
            "http://eve:hunter2@host/",
            "rtsp://eve:hunter2@",
            "rtsp://eve:hunter2@ho st/",
            "rtsp:///?password=hunter2",
            "file://eve:hunter2@server/a.mp4",
            "eve:hunter2",
            "hunter2",
            "",
        ] {
            let error = SourceUrl::parse(wrong).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{wrong}: {shown}");
            assert!(matches!(error, PipelineError::SourceUrl { .. }), "{wrong}");
        }
    }

    #[test]
    fn each_scheme_gives_its_kind() {
        let kind = |text| SourceUrl::parse(text).unwrap().kind().clone();
        assert_eq!(kind("rtsps://h:322/a"), SourceKind::Rtsps);
        assert_eq!(kind("file:///srv/a%20b.mp4"), SourceKind::File("/srv/a b.mp4".into()));
        assert_eq!(kind("v4l2:///dev/video0"), SourceKind::V4l2("/dev/video0".into()));
        assert!(matches!(kind("test://ball"), SourceKind::Test(_)));
    }

    #[test]
    fn no_url_of_random_characters_panics() {
        let alphabet: Vec<char> = "rtsp:/@%?&=#password 0é\0".chars().collect();
        for seed in 0..3_000 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let tail: String =
                (0..rng.usize(0..20)).map(|_| alphabet[rng.usize(0..alphabet.len())]).collect();
            if let Ok(url) = SourceUrl::parse(&format!("rtsp://h{tail}")) {
                let _ = (url.to_string(), url.query_secrets());
            }
        }
    }
}
