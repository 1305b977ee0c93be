//! Reads keys out of the merged tree and notes every mistake instead of stopping at the first.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::time::Duration;

use config::{Map, Value, ValueKind};

use super::keys;
use super::layers::Layers;
use super::nearest::nearest;
use super::problem::Problem;

/// One table of the tree. [`Reader::refuse_unknown_keys`] reports the keys that are not listed for it.
pub(super) struct Reader<'a> {
    layers: &'a Layers,
    path: String,
    table: &'a Map<String, Value>,
}

/// What a table of keys is read as. `None` says that a problem was noted.
pub(super) type Read<T> = Option<T>;

impl<'a> Reader<'a> {
    /// The whole tree.
    pub(super) fn root(layers: &'a Layers) -> Reader<'a> {
        Reader::new(layers, String::new(), &layers.tree)
    }

    fn new(layers: &'a Layers, path: String, table: &'a Map<String, Value>) -> Reader<'a> {
        Reader { layers, path, table }
    }

    /// The full path of `key`.
    pub(super) fn path_of(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    /// Notes that `key` is wrong.
    pub(super) fn blame(&self, key: &str, what: impl Display) {
        self.blame_with(key, what, None);
    }

    /// Notes that `key` is wrong, and what is nearest to it and right.
    pub(super) fn blame_with(&self, key: &str, what: impl Display, nearest: Option<String>) {
        let key = match key {
            "" => self.path.clone(),
            key => self.path_of(key),
        };
        self.layers.problems.borrow_mut().push(Problem {
            place: self.layers.place(&key),
            key,
            what: what.to_string(),
            nearest,
        });
    }

    /// Whether the environment set `key`.
    pub(super) fn is_from_environment(&self, key: &str) -> bool {
        self.layers.is_from_environment(&self.path_of(key))
    }

    /// To be called before a file is opened that a key names.
    pub(super) fn names_file(&self, path: &str) {
        self.layers.files.note(Path::new(path));
    }

    /// Whether the file at `path`, which cannot be opened here for `error`, need not be there now.
    pub(super) fn is_out_of_sight(&self, key: &str, path: &str, error: &io::Error) -> bool {
        self.layers.is_out_of_sight(&self.path_of(key), path, error)
    }

    /// Notes that the file at `path` that `key` names cannot be read, and what to do about it.
    pub(super) fn blame_file(&self, key: &str, path: &str, error: &io::Error) {
        let next = match error.kind() {
            io::ErrorKind::NotFound => "; write it, or name another file",
            io::ErrorKind::PermissionDenied => "; let the user who runs Belvedere read it",
            _ => "",
        };
        self.blame(key, format_args!("{path}: {error}{next}"));
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &'static str) -> Option<&'a Value> {
        self.table.get(key)
    }

    /// Reads the table `key`, which must be there.
    pub(super) fn table<T>(&self, key: &'static str, read: impl FnOnce(&Reader<'_>) -> Read<T>) -> Read<T> {
        if !self.table.contains_key(key) {
            self.blame(key, format_args!("the table [{key}] is missing"));
            return None;
        }
        self.optional_table(key, read)
    }

    /// Reads the table `key`, an empty one where it is absent.
    pub(super) fn optional_table<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Reader<'_>) -> Read<T>,
    ) -> Read<T> {
        let empty = Map::new();
        let table = match self.get(key).map(|value| &value.kind) {
            None => &empty,
            Some(ValueKind::Table(table)) => table,
            Some(other) => {
                self.wrong_type(key, "a table", other);
                return None;
            }
        };
        self.read_table(self.path_of(key), table, read)
    }

    /// Reads `table`, which is found at `path`.
    pub(super) fn read_table<T>(
        &self,
        path: String,
        table: &Map<String, Value>,
        read: impl FnOnce(&Reader<'_>) -> Read<T>,
    ) -> Read<T> {
        let reader = Reader::new(self.layers, path, table);
        let result = read(&reader);
        reader.refuse_unknown_keys();
        result
    }

    /// Reads a list of tables, `[[key]]`; an empty one where it is absent.
    pub(super) fn tables<T>(
        &self,
        key: &'static str,
        read: impl FnMut(&Reader<'_>) -> Read<T>,
    ) -> Read<Vec<T>> {
        self.tables_in_places(key, read)?.into_iter().collect()
    }

    /// The same, with `None` in the place of each table that has a mistake.
    pub(super) fn tables_in_places<T>(
        &self,
        key: &'static str,
        mut read: impl FnMut(&Reader<'_>) -> Read<T>,
    ) -> Read<Vec<Read<T>>> {
        let list = match self.get(key).map(|value| &value.kind) {
            None => return Some(Vec::new()),
            Some(ValueKind::Array(list)) => list,
            Some(other) => {
                self.wrong_type(key, &format!("a list of tables, [[{}]]", self.path_of(key)), other);
                return None;
            }
        };
        let tables = list.iter().enumerate().map(|(index, value)| {
            let place = format!("{key}[{index}]");
            match &value.kind {
                ValueKind::Table(table) => self.read_table(self.path_of(&place), table, &mut read),
                other => {
                    self.wrong_type(&place, "a table", other);
                    None
                }
            }
        });
        Some(tables.collect())
    }

    /// A list of strings; an empty one where it is absent.
    pub(super) fn strings(&self, key: &'static str) -> Read<Vec<&'a str>> {
        let list = match self.get(key).map(|value| &value.kind) {
            None => return Some(Vec::new()),
            Some(ValueKind::Array(list)) => list,
            Some(other) => {
                self.wrong_type(key, "a list of strings", other);
                return None;
            }
        };
        let strings = list.iter().enumerate().map(|(index, value)| match &value.kind {
            ValueKind::String(text) => Some(text.as_str()),
            other => {
                self.wrong_type(&format!("{key}[{index}]"), "a string", other);
                None
            }
        });
        strings.collect::<Vec<_>>().into_iter().collect()
    }

    /// Reports every key that is not listed.
    pub(super) fn refuse_unknown_keys(&self) {
        let known = keys::names_in(&self.path, |key| self.is_from_environment(key));
        for key in self.table.keys() {
            if !known.contains(&key.as_str()) {
                let near = nearest(key, known.iter().copied());
                let what = match near {
                    Some(_) => "unknown key".to_owned(),
                    None => format!("unknown key; the keys here are {}", known.join(", ")),
                };
                self.blame_with(key, what, near);
            }
        }
    }

    /// Notes that the value of `key` is of the wrong type. Says the type found, never the value,
    /// which might be a secret in the wrong place.
    pub(super) fn wrong_type(&self, key: &str, wanted: &str, found: &ValueKind) {
        let found = type_name(found);
        self.blame(key, format_args!("must be {wanted}, not {found}"));
    }

    /// A string; `Some(None)` where it is absent.
    pub(super) fn string(&self, key: &'static str) -> Read<Option<&'a str>> {
        match self.get(key).map(|value| &value.kind) {
            None => Some(None),
            Some(ValueKind::String(text)) if text.is_empty() => {
                self.blame(key, "is empty");
                None
            }
            Some(ValueKind::String(text)) => Some(Some(text)),
            Some(other) => {
                self.wrong_type(key, "a string", other);
                None
            }
        }
    }

    /// A string that must be there.
    pub(super) fn required_string(&self, key: &'static str) -> Read<&'a str> {
        let text = self.string(key)?;
        if text.is_none() {
            self.blame(key, "is missing");
        }
        text
    }

    /// One of a few words.
    pub(super) fn one_of<T: Clone>(&self, key: &'static str, choices: &[(&str, T)], default: T) -> Read<T> {
        let Some(word) = self.string(key)? else {
            return Some(default);
        };
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word) {
            return Some(value.clone());
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.blame_with(
            key,
            format_args!("{word:?} is none of {}", names.join(", ")),
            nearest(word, names.iter().copied()),
        );
        None
    }

    /// A truth value; the environment's `true` and `false` count.
    pub(super) fn boolean(&self, key: &'static str, default: bool) -> Read<bool> {
        match self.get(key).map(|value| &value.kind) {
            None => Some(default),
            Some(ValueKind::Boolean(value)) => Some(*value),
            Some(ValueKind::String(text)) if self.is_from_environment(key) => {
                let value = text.parse().ok();
                if value.is_none() {
                    self.blame(key, "must be true or false");
                }
                value
            }
            Some(other) => {
                self.wrong_type(key, "true or false", other);
                None
            }
        }
    }

    /// A finite number; `Some(None)` where it is absent.
    pub(super) fn number(&self, key: &'static str) -> Read<Option<f64>> {
        let number = match self.get(key).map(|value| &value.kind) {
            None => return Some(None),
            Some(ValueKind::Float(number)) => Some(*number),
            Some(ValueKind::I64(number)) => Some(*number as f64),
            Some(ValueKind::String(text)) if self.is_from_environment(key) => text.parse().ok(),
            Some(other) => {
                self.wrong_type(key, "a number", other);
                return None;
            }
        };
        let number = number.filter(|number| number.is_finite());
        if number.is_none() {
            self.blame(key, "must be a finite number");
        }
        number.map(Some)
    }

    /// A whole number in `range`; `Some(None)` where it is absent.
    pub(super) fn whole_number(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Read<Option<usize>> {
        let number = match self.get(key).map(|value| &value.kind) {
            None => return Some(None),
            Some(ValueKind::I64(number)) => usize::try_from(*number).ok(),
            Some(ValueKind::String(text)) if self.is_from_environment(key) => text.parse().ok(),
            Some(other) => {
                self.wrong_type(key, "a whole number", other);
                return None;
            }
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let (low, high) = (range.start(), range.end());
            self.blame(key, format_args!("must be a whole number from {low} to {high}"));
        }
        number.map(Some)
    }

    /// A length of time such as `"10s"`, in `range`.
    pub(super) fn duration(
        &self,
        key: &'static str,
        default: Duration,
        range: std::ops::RangeInclusive<Duration>,
    ) -> Read<Duration> {
        let Some(text) = self.string(key)? else {
            return Some(default);
        };
        match parse_duration(text) {
            Some(duration) if range.contains(&duration) => Some(duration),
            Some(_) => {
                let (low, high) = (range.start(), range.end());
                self.blame(key, format_args!("{text:?} is not between {low:?} and {high:?}"));
                None
            }
            None => {
                self.blame(key, format_args!("{text:?} is no length of time; write 500ms, 10s, 5m or 1h"));
                None
            }
        }
    }
}

/// `500ms`, `10s`, `1.5s`, `5m`, `1h`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

fn type_name(kind: &ValueKind) -> &'static str {
    match kind {
        ValueKind::Nil => "nothing",
        ValueKind::Boolean(_) => "a truth value",
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => "a whole number",
        ValueKind::Float(_) => "a number",
        ValueKind::String(_) => "a string",
        ValueKind::Table(_) => "a table",
        ValueKind::Array(_) => "a list",
    }
}

#[cfg(test)]
mod tests {
    use super::parse_duration;
    use std::time::Duration;

    #[test]
    fn lengths_of_time_carry_their_unit() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(parse_duration("1h"), Some(Duration::from_secs(3600)));
        for wrong in ["", "10", "s", "-1s", "10 days", "infs", "NaNs", "1e400s"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }
}
