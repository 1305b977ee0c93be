//! The tables of the daemon as a whole.

use super::key::{Absent, Key, KeyTable, default, optional, required};
use crate::config::key_form::KeyForm::{
    Broker, Duration, Listen, Path, Size, Text, TextOrFalse, Texts, Topic, TopicOrFalse, Truth, Whole, Words,
};

pub(super) const MQTT: KeyTable = KeyTable {
    path: "mqtt",
    about: "The broker that the messages go to, and what waits for it.",
    keys: &[
        required(
            "url",
            Broker,
            r#""mqtt://127.0.0.1:1883""#,
            "The broker: mqtt://HOST:PORT, or mqtts:// for TLS; \"embedded\" runs a broker inside, for this machine.",
        ),
        optional(
            "username",
            Text,
            r#""belvedere""#,
            "The user that the broker knows Belvedere as. Without it: none.",
        ),
        optional(
            "password_file",
            Path,
            r#""/run/credentials/belvedere.service/mqtt""#,
            "The file with that user's password. (The variable BELVEDERE__MQTT__PASSWORD may have it instead.)",
        ),
        Key {
            name: "password",
            form: Text,
            absent: Absent::InFilesAlways,
            about: "The password itself; taken from the environment only.",
        },
        default(
            "allow_plain_text_password",
            Truth,
            "false",
            "Whether the password may go to another machine unencrypted, over mqtt://.",
        ),
        optional(
            "ca_file",
            Path,
            r#""/etc/belvedere/ca.pem""#,
            "mqtts: the authority that signed the broker's certificate. Without it: those that the system trusts.",
        ),
        optional(
            "client_certificate_file",
            Path,
            r#""/etc/belvedere/client.pem""#,
            "mqtts: the certificate that the broker knows this client by. Without it: none.",
        ),
        optional(
            "client_key_file",
            Path,
            r#""/etc/belvedere/client.key""#,
            "mqtts: the key of that certificate.",
        ),
        optional("listen", Listen, r#""127.0.0.1:1883""#, "embedded: where the broker inside listens."),
        default(
            "topic",
            Topic,
            r#""belvedere""#,
            "The root of all topics; different for each Belvedere at one broker.",
        ),
        optional(
            "client_id",
            Text,
            r#""belvedere-porch""#,
            "The name of the connection, unique at the broker. Without it: made of the host's name and the topic.",
        ),
        default(
            "keep_alive",
            Duration { least: "1s", most: "1h" },
            r#""30s""#,
            "A broker that has been silent for so long is taken to be gone.",
        ),
        default(
            "stats_interval",
            Duration { least: "100ms", most: "24h" },
            r#""60s""#,
            "How often the counters are published, on TOPIC/stats.",
        ),
        default(
            "discovery",
            TopicOrFalse,
            r#""homeassistant""#,
            "Where Home Assistant looks for new devices; false announces nothing, and takes back what was announced.",
        ),
        optional(
            "outbox",
            TextOrFalse,
            r#""/var/lib/belvedere/spool.db""#,
            "The file where alerts wait for the broker; false keeps them in memory. Without it: spool.db in the \
             service's state folder.",
        ),
        default(
            "outbox_messages",
            Whole { least: 1, most: 1_000_000 },
            "10000",
            "More than so many waiting alerts and snapshots are not kept: the oldest snapshots go first.",
        ),
        default("outbox_size", Size, r#""256MiB""#, "The same, by their size."),
    ],
};

pub(super) const MODEL: KeyTable = KeyTable {
    path: "model",
    about: "The Florence-2 that looks at the pictures, and where it runs.",
    keys: &[
        optional(
            "path",
            Path,
            r#""/var/lib/belvedere/models/microsoft/Florence-2-base-ft""#,
            "The folder of a checkpoint; `belvedere model pull` fetches one. Without it: the bundled model, which \
             knows made-up street scenes only.",
        ),
        default(
            "device",
            Words(&["auto", "cpu", "tensorrt"]),
            r#""auto""#,
            "Where it runs: auto, cpu or tensorrt. Only auto chooses; any other must be there.",
        ),
        default(
            "precision",
            Words(&["fast", "exact"]),
            r#""fast""#,
            "fast: reduced precision where the machine is good at it; exact: 32 bits, the reference's own answers.",
        ),
        optional(
            "threads",
            Whole { least: 1, most: 1024 },
            "4",
            "CPU threads. Without it: as many as there are.",
        ),
        default(
            "beams",
            Whole { least: 1, most: 16 },
            "1",
            "Answers searched side by side; 1 is greedy, and fastest.",
        ),
        default(
            "phrases",
            Words(&["each", "grouped"]),
            r#""each""#,
            "Whether a camera's phrases are asked for one by one, or grouped in one question: cheaper, much less sure.",
        ),
        default("max_new_tokens", Whole { least: 1, most: 1024 }, "1024", "Longer answers are cut off."),
    ],
};

pub(super) const HTTP: KeyTable = KeyTable {
    path: "http",
    about: "The page, its API, metrics and health. Without `listen` nothing is served.",
    keys: &[
        optional(
            "listen",
            Listen,
            r#""127.0.0.1:8750""#,
            "Where it listens. On an address of this machine alone no login is needed; on any other one a token is.",
        ),
        optional(
            "token_file",
            Path,
            r#""/run/credentials/belvedere.service/http""#,
            "The file with the token, of 16 characters or more; `openssl rand -hex 24` makes one. (The variable \
             BELVEDERE__HTTP__TOKEN may have it instead.) Without it: none.",
        ),
        Key {
            name: "token",
            form: Text,
            absent: Absent::InFilesAlways,
            about: "The token itself; taken from the environment only.",
        },
        optional(
            "hosts",
            Texts,
            r#"["nvr.example"]"#,
            "Further names by which browsers may call it, beside addresses, localhost and this machine's own name.",
        ),
    ],
};
