//! The tables of a camera.

use super::key::{Absent, Key, KeyTable, default, optional, required};
use crate::config::key_form::KeyForm::{
    self, Duration, Fraction, Name, Number, Path, Polygon, Schedule, Tasks, Text, Texts, Truth, Url, Whole,
    Words,
};

pub(super) const CAMERA: KeyTable = KeyTable {
    path: "camera[]",
    about: "A camera; one such table for each. Cameras may stand in conf.d/*.toml as well.",
    keys: &[
        required(
            "name",
            Name,
            r#""example""#,
            "Its name in topics: lower case letters, digits, _ and -; unique, and none of \"available\", \"config\", \"state\" \
             and \"stats\".",
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

pub(super) const TASK: KeyTable = KeyTable {
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

pub(super) const ZONE: KeyTable = KeyTable {
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

pub(super) const ALERT: KeyTable = KeyTable {
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

pub(super) const HOURS: KeyTable = KeyTable {
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
