//! Every key that a configuration may have: the one list. What is not here is an unknown key; the example
//! configuration and the JSON Schema for editors are made from it.

use super::key_form::KeyForm;

/// A table and its keys.
#[derive(Debug, Clone, Copy)]
pub struct KeyTable {
    /// `mqtt`, `camera[].alert[]`.
    pub path: &'static str,
    /// What it is for, in a sentence or two.
    pub about: &'static str,
    /// Its keys, in the order in which they are shown.
    pub keys: &'static [Key],
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name in its table.
    pub name: &'static str,
    /// What its value looks like.
    pub form: KeyForm,
    /// What holds where it is left out.
    pub absent: Absent,
    /// What it means, in a sentence.
    pub about: &'static str,
}

/// What holds where a key is left out. Values are written as TOML has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It must be there; such as this.
    Refused(&'static str),
    /// The same as with this value.
    Means(&'static str),
    /// What no value says; `about` does. A value may look like this.
    Nothing(&'static str),
    /// The same; the example configuration, which must have one, has this.
    NothingButShown(&'static str),
    /// What may come from the environment only is absent from every file.
    InFilesAlways,
}

impl Key {
    /// What it means, with the limits of its value.
    pub fn sentence(&self) -> String {
        match self.form.limits() {
            Some(limits) => format!("{} {limits}", self.about),
            None => self.about.to_owned(),
        }
    }
}

const fn required(name: &'static str, form: KeyForm, example: &'static str, about: &'static str) -> Key {
    Key { name, form, absent: Absent::Refused(example), about }
}

const fn default(name: &'static str, form: KeyForm, value: &'static str, about: &'static str) -> Key {
    Key { name, form, absent: Absent::Means(value), about }
}

const fn optional(name: &'static str, form: KeyForm, example: &'static str, about: &'static str) -> Key {
    Key { name, form, absent: Absent::Nothing(example), about }
}

use KeyForm::{
    Broker, Duration, Fraction, Listen, Name, Number, Path, Polygon, Schedule, Size, Tasks, Text,
    TextOrFalse, Texts, Topic, TopicOrFalse, Truth, Url, Whole, Words,
};

/// All tables; a table comes before those inside it.
pub const TABLES: &[KeyTable] = &[MQTT, MODEL, HTTP, CAMERA, TASK, ZONE, ALERT, HOURS];

const MQTT: KeyTable = KeyTable {
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
        optional(
            "listen",
            Listen,
            r#""127.0.0.1:1883""#,
            "embedded: where the broker inside listens. Without it: there.",
        ),
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
            "A broker silent for so long is gone.",
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

const MODEL: KeyTable = KeyTable {
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
            "fast: reduced where the machine is good at it; exact: 32 bits, the reference's own answers.",
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

const HTTP: KeyTable = KeyTable {
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

const CAMERA: KeyTable = KeyTable {
    path: "camera[]",
    about: "A camera; one such table for each. Cameras may stand in conf.d/*.toml as well.",
    keys: &[
        required(
            "name",
            Name,
            r#""example""#,
            "Its name in topics: lower case letters, digits, _ and -; unique, and neither \"available\" nor \"stats\".",
        ),
        required(
            "url",
            Url(&["rtsp", "rtsps", "file", "v4l2", "test"]),
            r#""test://ball""#,
            "Where its pictures come from: rtsp://HOST/PATH, rtsps:// for TLS, file:///PATH, v4l2:///dev/video0; \
             test://ball is a drawn picture.",
        ),
        optional(
            "credentials_file",
            Path,
            r#""/run/credentials/belvedere.service/porch""#,
            "The file with user:password of the camera. Without it: those in the URL, or none.",
        ),
        default(
            "enabled",
            Truth,
            "true",
            "Whether it is watched from the start; it can be switched over MQTT.",
        ),
        default("fps", Number { above: 0.0, most: 240.0 }, "2.0", "Frames analysed per second, at most."),
        Key {
            name: "tasks",
            form: Tasks,
            absent: Absent::NothingButShown(r#"["object-detection"]"#),
            about: "What is asked of each frame, such as [\"caption\", { task = \"phrase-grounding\", text = \"a parcel\" }]. \
                    May be left out where the camera has alerts.",
        },
        default(
            "transport",
            Words(&["auto", "tcp", "udp"]),
            r#""auto""#,
            "RTSP over tcp or udp; auto takes UDP, and TCP where nothing comes.",
        ),
        default(
            "decoder",
            Words(&["auto", "software", "nvv4l2", "nvcodec", "va", "element:NAME"]),
            r#""auto""#,
            "Which video decoder: auto, software, nvv4l2 (Jetson), nvcodec (NVIDIA), va (Intel, AMD), or \
             element:NAME, one of GStreamer's by its name.",
        ),
        default(
            "at_end",
            Words(&["stop", "loop"]),
            r#""stop""#,
            "file: whether the end of the file is the end, or the film begins again.",
        ),
        default(
            "trust_any_certificate",
            Truth,
            "false",
            "rtsps: take the camera's certificate as it is. Most cameras can only sign their own.",
        ),
        default(
            "first_frame_timeout",
            Duration { least: "100ms", most: "1h" },
            r#""20s""#,
            "A stream that has given no frame so long after its start is opened again.",
        ),
        default(
            "frame_timeout",
            Duration { least: "100ms", most: "1h" },
            r#""10s""#,
            "A stream that has stopped for so long is opened again.",
        ),
        default(
            "answer_timeout",
            Duration { least: "100ms", most: "1h" },
            r#""5s""#,
            "How long a camera may take to answer.",
        ),
        default(
            "offline_after",
            Duration { least: "100ms", most: "1h" },
            r#""5s""#,
            "How long a camera may be without its stream before it is said to be offline.",
        ),
        default(
            "longest_backoff",
            Duration { least: "100ms", most: "1h" },
            r#""30s""#,
            "The longest wait between two tries to open it.",
        ),
    ],
};

const TASK: KeyTable = KeyTable {
    path: "camera[].tasks[]",
    about: "A task that takes a text.",
    keys: &[
        required("task", KeyForm::TaskName, r#""phrase-grounding""#, "The task's name."),
        optional(
            "text",
            Text,
            r#""a parcel on the steps""#,
            "What the task is about, where it takes a text.",
        ),
    ],
};

const ZONE: KeyTable = KeyTable {
    path: "camera[].zone[]",
    about: "A part of the camera's picture that alerts can be confined to.",
    keys: &[
        required("name", Text, r#""driveway""#, "Its name; unique for the camera."),
        required(
            "polygon",
            Polygon,
            "[[0.1, 0.5], [0.6, 0.5], [0.6, 1.0], [0.1, 1.0]]",
            "Its corners, as fractions of the picture's width and height from the top left.",
        ),
    ],
};

const ALERT: KeyTable = KeyTable {
    path: "camera[].alert[]",
    about: "A phrase that becomes an alert when it comes true.",
    keys: &[
        required("phrase", KeyForm::Phrase, r#""person on a ladder""#, "What is watched for, in English."),
        default(
            "min_score",
            Fraction,
            "0.4",
            "The least score that counts; `belvedere calibrate` fits it to your pictures.",
        ),
        default(
            "min_frames",
            Whole { least: 1, most: 1000 },
            "2",
            "So many analysed frames in a row must show it.",
        ),
        default(
            "clear_after",
            Duration { least: "1ms", most: "168h" },
            r#""10s""#,
            "It is over when no frame has shown it for so long.",
        ),
        default(
            "cooldown",
            Duration { least: "0s", most: "168h" },
            r#""60s""#,
            "The least time from one alert of the phrase to the next.",
        ),
        optional(
            "zones",
            Texts,
            r#"["driveway"]"#,
            "It must be in any of these zones. Without it: anywhere.",
        ),
        default(
            "zone_test",
            Words(&["bottom-centre", "centre", "share"]),
            r#""bottom-centre""#,
            "Which part of its box must be in the zone: the middle of the lower edge, the middle, or a share of it.",
        ),
        optional(
            "zone_share",
            Number { above: 0.0, most: 1.0 },
            "0.5",
            "For zone_test = \"share\": the least share of its area.",
        ),
        default("min_area", Fraction, "0", "The least area of its box, as a fraction of the picture's."),
        default("max_area", Fraction, "1", "The largest."),
        default("min_height", Fraction, "0", "The least height of its box, as a fraction of the picture's."),
        default("max_height", Fraction, "1", "The largest."),
        optional(
            "schedule",
            Schedule,
            r#"["22:00-06:30", { hours = "00:00-24:00", days = ["sat", "sun"] }]"#,
            "When it is looked for. Without it: always.",
        ),
        optional(
            "time_zone",
            Text,
            r#""Europe/Rome""#,
            "The time zone of the schedule. Without it: the machine's.",
        ),
        default("snapshot", Truth, "true", "Whether its alerts come with a picture."),
        default("snapshot_boxes", Truth, "true", "Whether what was found is drawn into the picture."),
        default("snapshot_quality", Whole { least: 1, most: 100 }, "85", "JPEG's quality."),
        default(
            "snapshot_longest_side",
            Whole { least: 0, most: 65_535 },
            "1280",
            "Larger pictures are made smaller, in pixels; 0 keeps the camera's size.",
        ),
    ],
};

const HOURS: KeyTable = KeyTable {
    path: "camera[].alert[].schedule[]",
    about: "Hours of some days of the week.",
    keys: &[
        required(
            "hours",
            KeyForm::Hours,
            r#""00:00-24:00""#,
            "From and to; past midnight they end on the next day.",
        ),
        default(
            "days",
            KeyForm::Days,
            r#"["mon", "tue", "wed", "thu", "fri", "sat", "sun"]"#,
            "The days on which they begin.",
        ),
    ],
};

/// The keys of the table at `path` (`camera[0].alert[2]`), those that are tables included; with those that
/// only the environment may set where `with_environment`.
pub(super) fn names_in(path: &str, with_environment: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let path = without_places(path);
    let own =
        TABLES.iter().filter(|table| table.path == path).flat_map(|table| table.keys).filter_map(|key| {
            (key.absent != Absent::InFilesAlways || with_environment(key.name)).then_some(key.name)
        });
    own.chain(tables_in(&path).map(|table| name_of(table.path))).fold(Vec::new(), |mut names, name| {
        if !names.contains(&name) {
            names.push(name);
        }
        names
    })
}

/// The tables that are keys of the table at `path`, which is empty for the whole file.
pub(super) fn tables_in(path: &str) -> impl Iterator<Item = &'static KeyTable> {
    TABLES.iter().filter(move |table| match table.path.rsplit_once('.') {
        Some((outer, _)) => outer == path,
        None => path.is_empty(),
    })
}

/// The last part of a table's path, without the mark of a list.
pub(super) fn name_of(path: &'static str) -> &'static str {
    let name = path.rsplit('.').next().unwrap_or(path);
    name.strip_suffix("[]").unwrap_or(name)
}

/// `camera[0].alert[2]` as `camera[].alert[]`.
fn without_places(path: &str) -> String {
    let mut general = String::with_capacity(path.len());
    let mut in_brackets = false;
    for character in path.chars() {
        in_brackets = (in_brackets || character == '[') && character != ']';
        if !in_brackets || character == '[' {
            general.push(character);
        }
    }
    general
}

#[cfg(test)]
mod tests {
    use super::{TABLES, names_in};

    #[test]
    fn the_keys_of_a_table_are_found_by_its_path_in_a_file() {
        assert_eq!(names_in("", |_| false), ["mqtt", "model", "http", "camera"]);
        assert_eq!(names_in("camera[12].zone[0]", |_| false), ["name", "polygon"]);
        assert_eq!(names_in("camera[0].tasks[3]", |_| false), ["task", "text"]);
        let camera = names_in("camera[1]", |_| false);
        assert!(["tasks", "zone", "alert"].iter().all(|name| camera.contains(name)), "{camera:?}");
        assert!(!names_in("mqtt", |_| false).contains(&"password"));
        assert!(names_in("mqtt", |key| key == "password").contains(&"password"));
        assert!(names_in("nothing", |_| false).is_empty());
    }

    #[test]
    fn no_key_is_listed_twice() {
        for table in TABLES {
            let mut names: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{}", table.path);
        }
    }
}
