//! `[mqtt]`

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use url::Url;

use super::reader::{Read, Reader};
use super::secret::Secret;
use super::settings::{Broker, MqttSettings, Tls};
use crate::mqtt::topics;

const KEEP_ALIVE: Duration = Duration::from_secs(30);
const STATS_INTERVAL: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn read(table: &Reader<'_>) -> Read<MqttSettings> {
    let broker = broker(table);
    let username = table.string("username");
    let password = password(table);
    if let (Some(None), Some(Some(_))) = (username, &password) {
        table.blame("username", "is missing; there is a password");
    }
    let topic = topic(table);
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
    })
}

fn broker(table: &Reader<'_>) -> Read<Broker> {
    let url = table.required_string("url");
    let ca_file = table.string("ca_file");
    let listen = table.string("listen");
    let (url, ca_file, listen) = (url?, ca_file?, listen?);
    if url == "embedded" {
        if ca_file.is_some() {
            table.blame("ca_file", "is for mqtts:// only; the broker is embedded");
        }
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
        "mqtts" => (8883, Some(Tls { ca_file: ca_file.map(Into::into) })),
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
    if tls.is_none() && ca_file.is_some() {
        table.blame("ca_file", "is for mqtts:// only");
    }
    if let Some(path) = ca_file
        && let Err(error) = std::fs::File::open(path)
    {
        table.blame("ca_file", format_args!("{path}: {error}"));
        return None;
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

fn password(table: &Reader<'_>) -> Read<Option<Secret>> {
    let file = table.string("password_file");
    // Known only in the environment: a password has no place in a file that others may read.
    if table.is_from_environment("password") {
        return table.string("password").map(|text| text.map(Secret::new));
    }
    match file? {
        None => Some(None),
        Some(path) => match Secret::from_file(Path::new(path)) {
            Ok(secret) => Some(Some(secret)),
            Err(error) => {
                table.blame("password_file", format_args!("{path}: {error}"));
                None
            }
        },
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
