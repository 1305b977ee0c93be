//! Names for machines and for people.

/// Home Assistant shows a name in one line; so many characters of a long phrase are kept.
const MAX_NAME_CHARS: usize = 80;

/// The daemon's id, from its topic root: the root itself where it holds only `[a-z0-9_]`; else with `_`
/// for everything else, `_` and eight digits that tell `a/b` from `a_b`.
pub fn daemon_id(root: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if root.chars().all(plain) {
        return root.to_owned();
    }
    let words: String = root.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    format!("{words}_{:08x}", fnv1a_32(root))
}

/// The id of a camera's device, which is also a level of its discovery topic.
pub(super) fn camera_id(daemon_id: &str, camera: &str) -> String {
    format!("{daemon_id}-{camera}")
}

/// The camera whose device has this id; `None` for a device that is no camera of this daemon.
pub(super) fn camera_of<'a>(daemon_id: &str, id: &'a str) -> Option<&'a str> {
    let camera = id.strip_prefix(daemon_id)?.strip_prefix('-')?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    (!camera.is_empty() && camera.chars().all(allowed)).then_some(camera)
}

/// `front_door` as `Front door`.
pub(super) fn display_name(name: &str) -> String {
    let mut words = name.replace(['_', '-'], " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// A user's own words on one line, cut where they are long.
pub(super) fn one_line(words: &str) -> String {
    let line: Vec<&str> = words.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line: String = line.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_NAME_CHARS) {
        None => line,
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
    }
}

/// FNV-1a with 32 bits, as its authors give it.
pub(super) fn fnv1a_32(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::{camera_id, camera_of, daemon_id, display_name, fnv1a_32, one_line};

    #[test]
    fn a_plain_root_is_the_daemons_id() {
        assert_eq!(daemon_id("belvedere"), "belvedere");
    }

    #[test]
    fn roots_that_differ_have_ids_that_differ() {
        let roots = ["a/b", "a_b", "a-b", "a b", "häuser", "A/b"];
        let ids: std::collections::BTreeSet<String> = roots.map(daemon_id).into();
        assert_eq!(ids.len(), roots.len());
        for id in ids {
            assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{id}");
        }
    }

    #[test]
    fn a_camera_of_another_daemon_is_not_taken_for_ours() {
        let other = camera_id("belvedere_2", "porch");
        assert_eq!(camera_of("belvedere", &other), None);
        assert_eq!(camera_of("belvedere_2", &other), Some("porch"));
        assert_eq!(camera_of("belvedere", "belvedere-side-door"), Some("side-door"));
        assert_eq!(camera_of("belvedere", "belvedere-a/#"), None);
        assert_eq!(camera_of("belvedere", "belvedere"), None);
    }

    #[test]
    fn names_are_for_people() {
        assert_eq!(display_name("front_door"), "Front door");
        assert_eq!(display_name("3-side"), "3 side");
        assert_eq!(one_line(" a\nperson\u{7} on  a ladder "), "a person on a ladder");
        let long = one_line(&"ö".repeat(300));
        assert_eq!(long.chars().count(), 81);
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // From the test vectors of draft-eastlake-fnv.
        assert_eq!(fnv1a_32(""), 0x811c_9dc5);
        assert_eq!(fnv1a_32("a"), 0xe40c_292c);
        assert_eq!(fnv1a_32("foobar"), 0xbf9c_f968);
    }
}
