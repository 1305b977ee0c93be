//! `[mqtt]`

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use config::ValueKind;
use url::Url;

use super::reader::{Read, Reader};
use super::secret::Secret;
use super::settings::{Broker, ClientIdentity, MqttSettings, OutboxPlace, OutboxSettings, Tls};
use crate::mqtt::spool::SpoolLimits;
use crate::mqtt::topics;

const KEEP_ALIVE: Duration = Duration::from_secs(30);
const STATS_INTERVAL: Duration = Duration::from_secs(60);
/// What Home Assistant listens to unless it was told otherwise.
const DISCOVERY_PREFIX: &str = "homeassistant";
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn read(table: &Reader<'_>) -> Read<MqttSettings> {
    let broker = broker(table);
    let username = table.string("username");
    let password = password(table);
    if let (Some(None), Some(Some(_))) = (username, &password) {
        table.blame("username", "is missing; there is a password");
    }
    let may_show_password = table.boolean("allow_plain_text_password", false);
    if let (Some(broker), Some(Some(_)), Some(false)) = (&broker, &password, may_show_password) {
        refuse_plain_text_password(table, broker);
    }
    let topic = topic(table);
    let discovery = discovery(table);
    let outbox = outbox(table);
    let client_id = table.string("client_id");
    let keep_alive = table.duration("keep_alive", KEEP_ALIVE, Duration::from_secs(1)..=HOUR);
    let stats_interval =
        table.duration("stats_interval", STATS_INTERVAL, Duration::from_millis(100)..=24 * HOUR);
    let topic = topic?;
    Some(MqttSettings {
        broker: broker?,
        username: username?.map(str::to_owned),
        password: password?,
        client_id: match client_id? {
            Some(id) => id.to_owned(),
            None => default_client_id(&topic),
        },
        topic,
        keep_alive: keep_alive?,
        stats_interval: stats_interval?,
        discovery: discovery?,
        outbox: outbox?,
    })
}

/// A password on its way through a network in the clear is everybody's.
fn refuse_plain_text_password(table: &Reader<'_>, broker: &Broker) {
    if let Broker::Remote { host, tls: None, .. } = broker
        && !is_loopback(host)
    {
        table.blame(
            "url",
            "would send the password unencrypted through the network; use mqtts://, or say \
             allow_plain_text_password = true",
        );
    }
}

/// Whether what is sent there does not leave this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// A word, or `false`.
enum Word<'a> {
    Off,
    Text(&'a str),
}

/// A key that is a word, or `false`; `Some(None)` where it is absent.
fn word_or_false<'a>(table: &Reader<'a>, key: &'static str) -> Read<Option<Word<'a>>> {
    match table.get(key).map(|value| &value.kind) {
        Some(ValueKind::Boolean(false)) => Some(Some(Word::Off)),
        Some(ValueKind::Boolean(true)) => {
            table.blame(key, "must be false or a string; leave it out for the default");
            None
        }
        Some(ValueKind::String(text)) if text == "false" && table.is_from_environment(key) => {
            Some(Some(Word::Off))
        }
        _ => Some(table.string(key)?.map(Word::Text)),
    }
}

fn discovery(table: &Reader<'_>) -> Read<Option<String>> {
    let prefix = match word_or_false(table, "discovery")? {
        None => DISCOVERY_PREFIX,
        Some(Word::Off) => return Some(None),
        Some(Word::Text(prefix)) => prefix,
    };
    match topics::check_root(prefix) {
        Ok(()) => Some(Some(prefix.to_owned())),
        Err(what) => {
            table.blame("discovery", format_args!("{prefix:?} {what}"));
            None
        }
    }
}

fn outbox(table: &Reader<'_>) -> Read<OutboxSettings> {
    let place = word_or_false(table, "outbox");
    let messages = table.whole_number("outbox_messages", 1..=1_000_000);
    let size = size(table, "outbox_size");
    let limits = SpoolLimits::default();
    Some(OutboxSettings {
        place: match place? {
            None => OutboxPlace::Default,
            Some(Word::Off) => OutboxPlace::Memory,
            Some(Word::Text(path)) => OutboxPlace::File(path.into()),
        },
        limits: SpoolLimits {
            messages: messages?.map_or(limits.messages, |messages| messages as u64),
            bytes: size?.unwrap_or(limits.bytes),
        },
    })
}

/// A size such as `"64 MiB"`; `Some(None)` where it is absent.
fn size(table: &Reader<'_>, key: &'static str) -> Read<Option<u64>> {
    const RANGE: RangeInclusive<u64> = 1 << 20..=1 << 40;
    let Some(text) = table.string(key)? else {
        return Some(None);
    };
    match parse_size(text) {
        Some(bytes) if RANGE.contains(&bytes) => Some(Some(bytes)),
        Some(_) => {
            table.blame(key, format_args!("{text:?} is not between 1MiB and 1024GiB"));
            None
        }
        None => {
            table.blame(key, format_args!("{text:?} is no size; write 64MiB or 1GiB"));
            None
        }
    }
}

/// `512KiB`, `64MiB`, `1GiB`.
fn parse_size(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let bytes: u64 = match unit.trim() {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(bytes)
}

fn broker(table: &Reader<'_>) -> Read<Broker> {
    let url = table.required_string("url");
    let files = TlsFiles::read(table);
    let listen = table.string("listen");
    let (url, files, listen) = (url?, files?, listen?);
    if url == "embedded" {
        files.refuse(table, "is for mqtts:// only; the broker is embedded");
        let listen: Option<SocketAddr> = match listen {
            None => Some(SocketAddr::from(([127, 0, 0, 1], 1883))),
            Some(text) => text.parse().ok(),
        };
        if listen.is_none() {
            table.blame("listen", "must be an address and a port, such as 127.0.0.1:1883");
        }
        return listen.map(|listen| Broker::Embedded { listen });
    }
    if listen.is_some() {
        table.blame("listen", "is for url = \"embedded\" only");
    }
    let parsed = match Url::parse(url) {
        Ok(parsed) => parsed,
        Err(error) => {
            table.blame(
                "url",
                format_args!("no URL ({error}); write mqtt://HOST:PORT, mqtts://HOST:PORT or embedded"),
            );
            return None;
        }
    };
    let (port, tls) = match parsed.scheme() {
        "mqtt" => (1883, None),
        "mqtts" => (8883, Some(files.check(table)?)),
        scheme => {
            let nearest = super::nearest::nearest(scheme, ["mqtt", "mqtts", "embedded"]);
            table.blame_with(
                "url",
                format_args!("scheme {scheme:?} is none of mqtt, mqtts, embedded"),
                nearest,
            );
            return None;
        }
    };
    if tls.is_none() {
        files.refuse(table, "is for mqtts:// only");
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        table.blame("url", "holds credentials; use username and password_file");
        return None;
    }
    if !matches!(parsed.path(), "" | "/") || parsed.query().is_some() {
        table.blame("url", "must end after the port; the topic root is mqtt.topic");
        return None;
    }
    match parsed.host_str() {
        None | Some("") => {
            table.blame("url", "names no host");
            None
        }
        Some(host) => {
            Some(Broker::Remote { host: host.to_owned(), port: parsed.port().unwrap_or(port), tls })
        }
    }
}

/// The files of a TLS connection, as they are named.
struct TlsFiles<'a> {
    ca_file: Option<&'a str>,
    certificate_file: Option<&'a str>,
    key_file: Option<&'a str>,
}

impl<'a> TlsFiles<'a> {
    const CA: &'static str = "ca_file";
    const CERTIFICATE: &'static str = "client_certificate_file";
    const KEY: &'static str = "client_key_file";

    fn read(table: &Reader<'a>) -> Read<TlsFiles<'a>> {
        let (ca_file, certificate_file, key_file) =
            (table.string(Self::CA), table.string(Self::CERTIFICATE), table.string(Self::KEY));
        Some(TlsFiles { ca_file: ca_file?, certificate_file: certificate_file?, key_file: key_file? })
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        [(Self::CA, self.ca_file), (Self::CERTIFICATE, self.certificate_file), (Self::KEY, self.key_file)]
            .into_iter()
            .filter_map(|(key, path)| Some((key, path?)))
    }

    /// Where there is no TLS.
    fn refuse(&self, table: &Reader<'_>, why: &str) {
        self.named().for_each(|(key, _)| table.blame(key, why));
    }

    /// Each must be there and readable; what is in them, the link finds out.
    fn check(&self, table: &Reader<'_>) -> Read<Tls> {
        let mut all_readable = true;
        let mut contents = DefaultHasher::new();
        for (key, path) in self.named() {
            table.names_file(path);
            match std::fs::read(path) {
                Ok(content) => content.hash(&mut contents),
                Err(error) if table.is_out_of_sight(key, path, &error) => {}
                Err(error) => {
                    table.blame_file(key, path, &error);
                    all_readable = false;
                }
            }
        }
        let identity = match (self.certificate_file, self.key_file) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(ClientIdentity { certificate_file: certificate.into(), key_file: key.into() })
            }
            (Some(_), None) => {
                table.blame(Self::KEY, "is missing; there is a client_certificate_file");
                return None;
            }
            (None, Some(_)) => {
                table.blame(Self::CERTIFICATE, "is missing; there is a client_key_file");
                return None;
            }
        };
        let contents_hash = contents.finish();
        all_readable.then(|| Tls { ca_file: self.ca_file.map(Into::into), identity, contents_hash })
    }
}

fn password(table: &Reader<'_>) -> Read<Option<Secret>> {
    let file = table.string("password_file");
    // Taken from the environment only: a password has no place in a file that others may read.
    if table.is_from_environment("password") {
        return table.string("password").map(|text| text.map(Secret::new));
    }
    match file? {
        None => Some(None),
        Some(path) => {
            table.names_file(path);
            let secret = Secret::from_file(Path::new(path));
            match secret {
                Ok(secret) => Some(Some(secret)),
                Err(error) if table.is_out_of_sight("password_file", path, &error) => {
                    Some(Some(Secret::unseen()))
                }
                Err(error) => {
                    table.blame_file("password_file", path, &error);
                    None
                }
            }
        }
    }
}

fn topic(table: &Reader<'_>) -> Read<String> {
    let topic = table.string("topic")?.unwrap_or("belvedere");
    match topics::check_root(topic) {
        Ok(()) => Some(topic.to_owned()),
        Err(what) => {
            table.blame("topic", format_args!("{topic:?} {what}"));
            None
        }
    }
}

/// The same at each start, so that a broker ends what is left of the last session, and different
/// on each machine and for each topic root, as brokers demand.
fn default_client_id(topic: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("belvedere-{host}-{}", topic.replace('/', "-"))
}

#[cfg(test)]
mod tests {
    use super::{is_loopback, parse_size};

    #[test]
    fn only_what_stays_on_this_machine_is_loopback() {
        for near in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "[::1]", "::1", "[::ffff:127.0.0.1]"]
        {
            assert!(is_loopback(near), "{near}");
        }
        for far in
            ["broker", "192.0.2.1", "localhost.example", "[2001:db8::1]", "0.0.0.0", "127.0.0.1.example"]
        {
            assert!(!is_loopback(far), "{far}");
        }
    }

    #[test]
    fn sizes_carry_their_unit() {
        assert_eq!(parse_size("64MiB"), Some(64 << 20));
        assert_eq!(parse_size("1 GiB"), Some(1 << 30));
        for wrong in ["", "64", "MiB", "-1MiB", "1.5GiB", "64 MB", "99999999999999GiB"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }
}
