use std::borrow::Cow;
use std::sync::{LazyLock, PoisonError, RwLock};

use gstreamer::glib;

use crate::Credentials;

/// What stands in place of a secret.
pub(crate) const REDACTED: &str = "***";

/// Blots secrets out of text on its way out.
///
/// Two nets, one behind the other: every form of the secrets it was told of (plain, percent-encoded,
/// base64 as in HTTP Basic), and whatever looks like one (`scheme://user:password@`, `password=...`,
/// `Authorization: ...`). A secret of under four characters is blotted out only where it stands alone,
/// between characters that are neither letters nor digits, else no text would be readable.
#[derive(Debug, Default)]
pub struct Redactor {
    secrets: RwLock<Secrets>,
}

/// Sorted from long to short, so that a secret which contains another goes as a whole.
#[derive(Default)]
struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} redacted", self.0.len())
    }
}

impl Redactor {
    /// A redactor that knows no secret yet; what looks like one it blots out all the same.
    pub fn new() -> Self {
        Self::default()
    }

    /// The redactor of the process: knows the secrets of every source that was ever started in it.
    /// GStreamer's log, whose lines belong to no one camera, passes it.
    pub fn process() -> &'static Self {
        static PROCESS: LazyLock<Redactor> = LazyLock::new(Redactor::new);
        &PROCESS
    }

    /// Learns a user and a password in every form in which they travel.
    pub fn add_credentials(&self, credentials: &Credentials) {
        self.add_secret(credentials.user());
        self.add_secret(credentials.password());
        let pair = format!("{}:{}", credentials.user(), credentials.password());
        self.add_form(glib::base64_encode(pair.as_bytes()).to_string());
    }

    /// Learns one secret, plain and percent-encoded. Nothing is learnt of an empty one.
    pub fn add_secret(&self, secret: &str) {
        self.add_form(secret.to_owned());
        // Encoders differ in what they leave as it is. The last but one is the `url` crate's rule for a
        // user and a password, the last the same for a path.
        let userinfo = |b: u8| b.is_ascii_graphic() && !b"\"#%'/:;<=>?@[\\]^`{|}".contains(&b);
        let keeps: [&dyn Fn(u8) -> bool; 4] = [
            &|b| b.is_ascii_alphanumeric(),
            &|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b),
            &userinfo,
            &|b| userinfo(b) || b == b'/',
        ];
        for keep in keeps {
            self.add_form(percent_encoded(secret, true, keep));
            self.add_form(percent_encoded(secret, false, keep));
        }
        // As Rust's Debug prints it inside quotation marks.
        self.add_form(secret.escape_debug().to_string());
    }

    fn add_form(&self, form: String) {
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        if !form.is_empty() && !secrets.0.contains(&form) {
            let at = secrets.0.partition_point(|known| known.len() >= form.len());
            secrets.0.insert(at, form);
        }
    }

    /// The text without secrets.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        {
            let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
            for secret in &secrets.0 {
                if let Some(clean) = without(&text, secret) {
                    text = Cow::Owned(clean);
                }
            }
        }
        for net in [without_userinfo, without_authorization, without_secret_values] {
            if let Some(clean) = net(&text) {
                text = Cow::Owned(clean);
            }
        }
        text
    }
}

/// Whether a `key=value` with this key has a value to hide.
pub(crate) fn is_secret_key(key: &str) -> bool {
    const SECRET: [&str; 16] = [
        "user",
        "username",
        "usr",
        "password",
        "passwd",
        "pass",
        "pwd",
        "psw",
        "token",
        "access_token",
        "auth",
        "key",
        "apikey",
        "api_key",
        "secret",
        "signature",
    ];
    SECRET.iter().any(|secret| key.eq_ignore_ascii_case(secret))
}

fn percent_encoded(text: &str, upper_case: bool, keep: &dyn Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if keep(byte) {
            encoded.push(char::from(byte));
        } else if upper_case {
            encoded.push_str(&format!("%{byte:02X}"));
        } else {
            encoded.push_str(&format!("%{byte:02x}"));
        }
    }
    encoded
}

/// `text` with every occurrence of `secret` blotted out; `None` where there is none.
fn without(text: &str, secret: &str) -> Option<String> {
    let stands_alone = |start: usize, end: usize| {
        let before = text.get(..start).and_then(|t| t.chars().next_back());
        let after = text.get(end..).and_then(|t| t.chars().next());
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    };
    let whole_words = secret.chars().count() < 4;
    let mut clean = String::new();
    let mut copied = 0;
    for (start, found) in text.match_indices(secret) {
        let end = start + found.len();
        if whole_words && !stands_alone(start, end) {
            continue;
        }
        clean.push_str(text.get(copied..start).unwrap_or_default());
        clean.push_str(REDACTED);
        copied = end;
    }
    if copied == 0 {
        return None;
    }
    clean.push_str(text.get(copied..).unwrap_or_default());
    Some(clean)
}

/// Blots out what stands between `://` and the last `@` before the path.
fn without_userinfo(text: &str) -> Option<String> {
    let mut clean = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        clean.push_str(head);
        let authority_end =
            tail.find(|c: char| c.is_whitespace() || "/?#\"'<>".contains(c)).unwrap_or(tail.len());
        let (authority, after) = tail.split_at(authority_end);
        match authority.rfind('@') {
            Some(at) => {
                clean.push_str(REDACTED);
                clean.push_str(authority.get(at..).unwrap_or_default());
            }
            None => clean.push_str(authority),
        }
        rest = after;
    }
    clean.push_str(rest);
    (clean != text).then_some(clean)
}

/// Blots out the rest of a line that gives an `Authorization` header.
fn without_authorization(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if !lower.contains("authorization") {
        return None;
    }
    let mut clean = String::new();
    for line in text.split_inclusive('\n') {
        // ASCII lower case keeps the positions.
        match line.to_ascii_lowercase().find("authorization") {
            Some(at) => {
                clean.push_str(line.get(..at + "authorization".len()).unwrap_or_default());
                clean.push_str(": ***");
                clean.push_str(if line.ends_with('\n') { "\n" } else { "" });
            }
            None => clean.push_str(line),
        }
    }
    Some(clean)
}

/// Blots out the value of every `password=value` and the like.
fn without_secret_values(text: &str) -> Option<String> {
    let mut clean = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        let (head, tail) = rest.split_at(at + 1);
        clean.push_str(head);
        rest = tail;
        let key_start = head[..at]
            .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .map_or(0, |i| i + head[i..].chars().next().map_or(1, char::len_utf8));
        if is_secret_key(head.get(key_start..at).unwrap_or_default()) {
            let end =
                tail.find(|c: char| c.is_whitespace() || "&;,/?#\"'<>)".contains(c)).unwrap_or(tail.len());
            if end > 0 {
                clean.push_str(REDACTED);
                rest = tail.get(end..).unwrap_or_default();
            }
        }
    }
    clean.push_str(rest);
    (clean != text).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        let redactor = Redactor::new();
        redactor.add_credentials(&Credentials::new("eve", "hunter2/ä@"));
        redactor
    }

    #[test]
    fn every_form_of_a_password_is_blotted_out() {
        for form in [
            "hunter2/ä@",
            "hunter2%2F%C3%A4%40",
            "hunter2/%C3%A4%40",
            "hunter2%2f%c3%a4%40",
            "ZXZlOmh1bnRlcjIvw6RA",
        ] {
            let text = format!("location {form}, failed");
            assert_eq!(redactor().redact(&text), "location ***, failed", "{form}");
        }
    }

    #[test]
    fn a_short_secret_goes_only_where_it_stands_alone() {
        assert_eq!(redactor().redact("never believe eve"), "never believe ***");
    }

    #[test]
    fn secrets_it_was_never_told_of_are_known_by_their_place() {
        let text = "a rtsp://bob:s3cret@host:554/x?password=abc&b=1 b\nAuthorization: Basic xyz\nend token=q";
        let clean = "a rtsp://***@host:554/x?password=***&b=1 b\nAuthorization: ***\nend token=***";
        assert_eq!(Redactor::new().redact(text), clean);
    }

    #[test]
    fn a_text_without_secrets_is_not_copied() {
        assert!(matches!(redactor().redact("rtsp://host/x?a=1: refused"), Cow::Borrowed(_)));
    }

    #[test]
    fn debug_shows_how_many_and_not_what() {
        assert!(!format!("{:?}", redactor()).contains("hunter2"));
    }

    #[test]
    fn no_text_keeps_a_secret_and_none_panics() {
        let redactor = redactor();
        let pieces = ["hunter2/ä@", "://", "@", "=", "password", "ä", "authorization", "\n", "/", " ", "eve"];
        for seed in 0..2_000 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let text: String = (0..rng.usize(0..12)).map(|_| pieces[rng.usize(0..pieces.len())]).collect();
            assert!(!redactor.redact(&text).contains("hunter2"), "{text:?}");
        }
    }
}
