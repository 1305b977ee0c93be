//! The example configuration: every key, with its default and a sentence.

use super::keys::{Absent, Key, KeyTable, TABLES};

const HEAD: &str = "\
#:schema /usr/share/belvedere/belvedere.schema.json
#
# The configuration of Belvedere: every key, with a sentence about it.
#
# A key behind a # shows the default; or an example, where the sentence says what holds without the key.
# `belvedere check` finds every mistake at once. Files in conf.d/ beside this one are read after it, in the
# order of their names; a variable such as BELVEDERE__MQTT__URL comes after those. Secrets belong in files
# of their own.
";

/// The width of a comment, in characters.
const WIDTH: usize = 110;

/// The example as a file. It is a valid configuration as it stands.
pub fn example() -> String {
    let mut text = HEAD.to_owned();
    // Tables inside lists of values are shown with those.
    for table in TABLES.iter().filter(|table| !is_inside_a_value(table)) {
        let is_list = table.path.ends_with("[]");
        let header = match is_list {
            true => format!("[[{}]]", table.path.replace("[]", "")),
            false => format!("[{}]", table.path),
        };
        // The example has a broker and a camera, and neither zones nor alerts.
        let mark = if table.path.contains("].") { "#" } else { "" };
        text.push('\n');
        push_comment(&mut text, table.about);
        text.push_str(&format!("{mark}{header}\n"));
        for key in table.keys {
            push_key(&mut text, key, mark);
        }
    }
    text
}

fn is_inside_a_value(table: &KeyTable) -> bool {
    TABLES.iter().any(|outer| {
        let inside = |key: &Key| table.path == format!("{}.{}[]", outer.path, key.name);
        outer.keys.iter().any(inside)
    })
}

fn push_key(text: &mut String, key: &Key, mark: &str) {
    let (mark, value) = match key.absent {
        Absent::Refused(value) | Absent::NothingButShown(value) => (mark, value),
        Absent::Means(value) | Absent::Nothing(value) => ("#", value),
        Absent::InFilesAlways => return,
    };
    text.push('\n');
    push_comment(text, &key.sentence());
    text.push_str(&format!("{mark}{} = {value}\n", key.name));
}

fn push_comment(text: &mut String, sentence: &str) {
    let mut line = String::from("#");
    for word in sentence.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
