//! What the value of a key looks like, and how JSON Schema says so.

use belvedere_models::{InputKind, Task};
use serde_json::{Value, json};

use crate::alerts::{Phrase as AlertPhrase, Polygon as AlertPolygon};

/// What a value looks like. What depends on other keys or on the machine is not said here.
#[derive(Debug, Clone, Copy)]
pub enum KeyForm {
    /// Any text but an empty one.
    Text,
    /// A file or folder.
    Path,
    /// The URL of a broker, or `embedded`.
    Broker,
    /// Topics begin with it.
    Topic,
    /// The same, or `false`.
    TopicOrFalse,
    /// An IP address and a port.
    Listen,
    /// A URL with one of these schemes.
    Url(&'static [&'static str]),
    /// A camera's name.
    Name,
    /// The phrase of an alert.
    Phrase,
    /// One of these words; `element:NAME` stands for any NAME.
    Words(&'static [&'static str]),
    /// A text, or `false`.
    TextOrFalse,
    /// `true` or `false`.
    Truth,
    /// A whole number, from and to.
    Whole {
        /// The least.
        least: u32,
        /// The largest.
        most: u32,
    },
    /// A number.
    Number {
        /// It is larger than this.
        above: f64,
        /// The largest.
        most: f64,
    },
    /// A number from 0 to 1.
    Fraction,
    /// A length of time.
    Duration {
        /// The shortest.
        least: &'static str,
        /// The longest.
        most: &'static str,
    },
    /// A size in memory or on a disk.
    Size,
    /// A list of texts.
    Texts,
    /// The corners of a zone.
    Polygon,
    /// The name of a task that a camera can be asked.
    TaskName,
    /// A list of tasks: names, or tables where a task takes a text.
    Tasks,
    /// From and to, by the clock.
    Hours,
    /// Days of the week.
    Days,
    /// A list of hours, or of tables of hours and days.
    Schedule,
}

/// As [`parse_duration`](super::parse_duration) reads them.
const DURATION: &str = r"^ *\+?([0-9]+\.?[0-9]*|\.[0-9]+) *(ms|s|m|h)$";
const HOURS: &str = r"^ *[0-9]{1,2}:[0-9]{2} *- *[0-9]{1,2}:[0-9]{2} *$";

impl KeyForm {
    /// A schema for the value; `table` is that of the tables in a list of them.
    pub(super) fn schema(self, table: Option<Value>) -> Value {
        match self {
            KeyForm::Text | KeyForm::Path => text(),
            KeyForm::Broker => json!({ "type": "string", "pattern": "^embedded$|^mqtts?://[^/@]+/?$" }),
            KeyForm::Topic => topic(),
            KeyForm::TopicOrFalse => json!({ "anyOf": [topic(), { "const": false }] }),
            KeyForm::Listen => json!({ "type": "string", "pattern": "^[0-9a-fA-F.:\\[\\]]+:[0-9]+$" }),
            KeyForm::Url(schemes) => {
                json!({ "type": "string", "pattern": format!("^ *({})://", schemes.join("|")) })
            }
            KeyForm::Name => json!({
                "type": "string",
                "pattern": "^[a-z0-9_-]+$",
                "not": { "enum": crate::mqtt::topics::RESERVED_CAMERA_NAMES },
            }),
            KeyForm::Phrase => json!({
                "type": "string",
                "pattern": r"^[^<>\u0000-\u001f\u007f]*[^<>\u0000-\u0020\u007f][^<>\u0000-\u001f\u007f]*$",
                "maxLength": AlertPhrase::MAX_CHARS,
            }),
            KeyForm::Words(words) => words_schema(words),
            KeyForm::TextOrFalse => json!({ "anyOf": [text(), { "const": false }] }),
            KeyForm::Truth => json!({ "type": "boolean" }),
            KeyForm::Whole { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
            KeyForm::Number { above, most } => {
                json!({ "type": "number", "exclusiveMinimum": above, "maximum": most })
            }
            KeyForm::Fraction => fraction(),
            KeyForm::Duration { .. } => json!({ "type": "string", "pattern": DURATION }),
            KeyForm::Size => json!({ "type": "string", "pattern": "^[0-9]+ *(KiB|MiB|GiB)$" }),
            KeyForm::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            KeyForm::Polygon => json!({
                "type": "array",
                "items": { "type": "array", "items": fraction(), "minItems": 2, "maxItems": 2 },
                "minItems": 3,
                "maxItems": AlertPolygon::MAX_POINTS,
            }),
            KeyForm::TaskName => json!({ "enum": task_names(|_| true) }),
            KeyForm::Tasks => {
                let alone = json!({ "enum": task_names(|task| task.input() != InputKind::Text) });
                list_of(alone, table, 0)
            }
            KeyForm::Hours => json!({ "type": "string", "pattern": HOURS }),
            KeyForm::Days => json!({
                "type": "array",
                "items": { "enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] },
                "minItems": 1,
            }),
            KeyForm::Schedule => list_of(json!({ "type": "string", "pattern": HOURS }), table, 1),
        }
    }

    /// The limits of the value in words, where it has some that no sentence about the key says.
    pub(super) fn limits(self) -> Option<String> {
        match self {
            KeyForm::Whole { least, most } => Some(format!("From {least} to {most}.")),
            KeyForm::Number { above, most } => Some(format!("Above {above}, at most {most}.")),
            KeyForm::Fraction => Some("From 0 to 1.".to_owned()),
            KeyForm::Duration { least, most } => Some(format!("From {least} to {most}.")),
            KeyForm::Size => Some("From 1MiB to 1024GiB.".to_owned()),
            _ => None,
        }
    }
}

fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

/// Wildcards are for those who subscribe, and topics with $ are the broker's own.
fn topic() -> Value {
    json!({ "type": "string", "pattern": "^[^$+#][^+#]*$" })
}

fn fraction() -> Value {
    json!({ "type": "number", "minimum": 0, "maximum": 1 })
}

fn words_schema(words: &[&str]) -> Value {
    const ANY: &str = "element:NAME";
    let fixed: Vec<&str> = words.iter().copied().filter(|word| *word != ANY).collect();
    if fixed.len() == words.len() {
        return json!({ "enum": fixed });
    }
    json!({ "anyOf": [{ "enum": fixed }, { "type": "string", "pattern": "^element:[A-Za-z0-9_-]+$" }] })
}

/// The names of the tasks that a camera can be asked, of a kind.
fn task_names(is_wanted: impl Fn(&Task) -> bool) -> Vec<&'static str> {
    let tasks = Task::ALL.iter().filter(|task| task.input() != InputKind::Region);
    tasks.filter(|task| is_wanted(task)).map(|task| task.name()).collect()
}

fn list_of(alone: Value, table: Option<Value>, least: u32) -> Value {
    let items: Vec<Value> = std::iter::once(alone).chain(table).collect();
    json!({ "type": "array", "items": { "anyOf": items }, "minItems": least })
}
