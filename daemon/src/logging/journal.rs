//! systemd's journal, in its own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a datagram an entry, with a priority
//! and fields that `journalctl BELVEDERE_CAMERA=porch` finds. The message holds the fields too, for who reads it.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

const SOCKET: &str = "/run/systemd/journal/socket";
/// A longer value is cut off: one datagram must hold them all.
const MAX_VALUE_BYTES: usize = 16 << 10;

/// The journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// The journal, where standard error leads there: systemd says so in `JOURNAL_STREAM`, which a child of a service
    /// inherits together with other descriptors.
    pub(super) fn behind_standard_error() -> Option<Journal> {
        let stream = std::env::var("JOURNAL_STREAM").ok()?;
        let standard_error = std::fs::metadata("/proc/self/fd/2").ok()?;
        match is_stream(&stream, standard_error.dev(), standard_error.ino()) {
            true => Journal::connect(Path::new(SOCKET)).ok(),
            false => None,
        }
    }

    fn connect(path: &Path) -> io::Result<Journal> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Journal { socket })
    }
}

/// Whether `JOURNAL_STREAM` names this file.
fn is_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream.split_once(':').is_some_and(|(dev, ino)| dev.parse() == Ok(device) && ino.parse() == Ok(inode))
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut entry = Entry::default();
        event.record(&mut entry);
        let line = entry.line();
        let datagram = entry.into_datagram(event.metadata().level(), event.metadata().target());
        if self.socket.send(&datagram).is_err() {
            // The journal is full, starts again or takes no datagram so large: behind standard error it still reads lines.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}

/// The message and the fields of an event.
#[derive(Default)]
struct Entry {
    message: String,
    /// The fields as text behind the message.
    tail: String,
    fields: Vec<(String, String)>,
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value.to_owned(), format!("{value:?}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        self.add(field.name(), value.clone(), value);
    }
}

impl Entry {
    fn add(&mut self, name: &str, value: String, shown: String) {
        if name == "message" {
            self.message = value;
        } else {
            // Writing to a String cannot fail.
            let _ = write!(self.tail, " {name}={shown}");
            self.fields.push((field_name(name), value));
        }
    }

    /// The message with its fields, as people read it.
    fn line(&self) -> String {
        format!("{}{}", self.message, self.tail)
    }

    fn into_datagram(self, level: &Level, target: &str) -> Vec<u8> {
        let priority = match *level {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            _ => "7",
        };
        let mut datagram = Vec::new();
        push(&mut datagram, "PRIORITY", priority);
        push(&mut datagram, "SYSLOG_IDENTIFIER", "belvedere");
        push(&mut datagram, "BELVEDERE_TARGET", target);
        push(&mut datagram, "MESSAGE", &self.line());
        for (name, value) in &self.fields {
            push(&mut datagram, name, value);
        }
        datagram
    }
}

/// `camera` as `BELVEDERE_CAMERA`: the journal takes A to Z, digits and `_`.
fn field_name(name: &str) -> String {
    let upper = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    "BELVEDERE_".chars().chain(upper).take(64).collect()
}

/// A field in the form that lets its value hold line ends: name, line end, length, value, line end.
fn push(datagram: &mut Vec<u8>, name: &str, value: &str) {
    let value = &value.as_bytes()[..value.floor_char_boundary(MAX_VALUE_BYTES)];
    datagram.extend(name.as_bytes());
    datagram.push(b'\n');
    datagram.extend((value.len() as u64).to_le_bytes());
    datagram.extend(value);
    datagram.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::net::UnixDatagram;

    use tracing_subscriber::layer::SubscriberExt;

    use super::{Journal, is_stream};

    /// As journald reads it.
    fn fields(mut datagram: &[u8]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        while let Some(end) = datagram.iter().position(|byte| *byte == b'\n') {
            let name = String::from_utf8(datagram[..end].to_vec()).unwrap();
            let (length, rest) = datagram[end + 1..].split_first_chunk::<8>().unwrap();
            let (value, rest) = rest.split_at(u64::from_le_bytes(*length) as usize);
            fields.insert(name, String::from_utf8(value.to_vec()).unwrap());
            datagram = rest.strip_prefix(b"\n").unwrap();
        }
        fields
    }

    #[test]
    fn an_event_is_an_entry_with_a_priority_and_fields() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        let subscriber = tracing_subscriber::registry().with(Journal::connect(&path).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(camera = "porch", after_s = 5, cause = %"two\nlines", "camera is offline");
        });
        let mut datagram = [0; 4096];
        let length = journald.recv(&mut datagram).unwrap();
        let fields = fields(&datagram[..length]);
        let field = |name: &str| fields.get(name).map(String::as_str);
        assert_eq!(field("PRIORITY"), Some("4"));
        assert_eq!(field("BELVEDERE_CAMERA"), Some("porch"));
        assert_eq!(field("BELVEDERE_AFTER_S"), Some("5"));
        assert_eq!(field("BELVEDERE_CAUSE"), Some("two\nlines"));
        let message = field("MESSAGE").unwrap();
        assert!(message.starts_with("camera is offline camera=\"porch\" after_s=5"), "{message}");
    }

    #[test]
    fn only_the_stream_that_systemd_names_is_the_journals() {
        assert!(is_stream("8:12345", 8, 12345));
        for other in ["8:12346", "9:12345", "8", "", "8:x"] {
            assert!(!is_stream(other, 8, 12345), "{other}");
        }
    }

    #[test]
    fn a_value_without_end_is_cut_off() {
        let mut datagram = Vec::new();
        super::push(&mut datagram, "MESSAGE", &"ü".repeat(20_000));
        assert!(datagram.len() < 17_000);
        let mut odd = Vec::new();
        super::push(&mut odd, "MESSAGE", &format!("x{}", "ü".repeat(20_000)));
        // After the name, its line end and the length; before the line end.
        assert!(std::str::from_utf8(&odd[16..odd.len() - 1]).is_ok(), "a character is cut in two");
    }
}
