//! Every key that a configuration may have: the one list. What is not here is an unknown key; the example
//! configuration and the JSON Schema for editors are made from it.

mod camera_tables;
mod daemon_tables;
mod key;

use camera_tables::{ALERT, CAMERA, HOURS, TASK, ZONE};
use daemon_tables::{HTTP, MODEL, MQTT};
pub use key::{Absent, Key, KeyTable};

/// All tables; a table comes before those inside it.
pub const TABLES: &[KeyTable] = &[MQTT, MODEL, HTTP, CAMERA, TASK, ZONE, ALERT, HOURS];

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
