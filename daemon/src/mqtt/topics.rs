//! The topics under the root.

/// Names that would put a camera's topics among the daemon's own.
pub const RESERVED_CAMERA_NAMES: [&str; 4] = ["available", "config", "state", "stats"];

/// `ROOT/available`: `online` or, from the last will too, `offline`; retained.
pub fn available(root: &str) -> String {
    format!("{root}/available")
}

/// `ROOT/state`: what the daemon is doing, JSON; retained.
pub fn state(root: &str) -> String {
    format!("{root}/state")
}

/// `ROOT/config`: whether the configuration as it is written is the one that runs, JSON; retained.
pub fn config(root: &str) -> String {
    format!("{root}/config")
}

/// `ROOT/stats`: counters and times, JSON.
pub fn stats(root: &str) -> String {
    format!("{root}/stats")
}

/// `ROOT/CAMERA/status`: `online`, `offline` or `disabled`; retained.
pub fn status(root: &str, camera: &str) -> String {
    format!("{root}/{camera}/status")
}

/// `ROOT/CAMERA/TASK`: one result for each analysed frame, JSON.
pub fn result(root: &str, camera: &str, task: &str) -> String {
    format!("{root}/{camera}/{task}")
}

/// `ROOT/CAMERA/alerts`: one event for each change of an alert, JSON.
pub fn alerts(root: &str, camera: &str) -> String {
    format!("{root}/{camera}/alerts")
}

/// `ROOT/CAMERA/alert/SLUG/state`: `ON` while the phrase is true, else `OFF`; retained.
pub fn alert_state(root: &str, camera: &str, slug: &str) -> String {
    format!("{root}/{camera}/alert/{slug}/state")
}

/// `ROOT/CAMERA/alert/SLUG/attributes`: the newest event of the phrase, JSON; retained.
pub fn alert_attributes(root: &str, camera: &str, slug: &str) -> String {
    format!("{root}/{camera}/alert/{slug}/attributes")
}

/// `ROOT/CAMERA/alert/SLUG/snapshot`: the picture of the newest alert, JPEG; retained.
pub fn alert_snapshot(root: &str, camera: &str, slug: &str) -> String {
    format!("{root}/{camera}/alert/{slug}/snapshot")
}

/// `ROOT/CAMERA/enabled/set`: `ON` or `OFF`, from others.
pub fn enabled_set(root: &str, camera: &str) -> String {
    format!("{root}/{camera}/enabled/set")
}

/// `ROOT/CAMERA/enabled/state`: `ON` or `OFF`; retained.
pub fn enabled_state(root: &str, camera: &str) -> String {
    format!("{root}/{camera}/enabled/state")
}

/// `ROOT/CAMERA/ask`: a question from others, JSON.
pub fn ask(root: &str, camera: &str) -> String {
    format!("{root}/{camera}/ask")
}

/// `ROOT/CAMERA/answer`: the answer to a question, JSON.
pub fn answer(root: &str, camera: &str) -> String {
    format!("{root}/{camera}/answer")
}

/// The camera of a topic that `name` makes of a root and a camera's name.
pub fn camera_in<'a>(topic: &'a str, root: &str, name: fn(&str, &str) -> String) -> Option<&'a str> {
    let camera = topic.strip_prefix(root)?.strip_prefix('/')?.split('/').next()?;
    (name(root, camera) == topic).then_some(camera)
}

/// Whether `root` can stand before `/available`.
///
/// # Errors
/// What is wrong with it, to be put after the topic.
pub fn check_root(root: &str) -> Result<(), &'static str> {
    if root.contains(['+', '#', '\0']) {
        Err("holds '+', '#' or NUL, which only subscriptions may")
    } else if root.starts_with('$') {
        Err("begins with '$', which brokers keep for themselves")
    } else if root.split('/').any(str::is_empty) {
        Err("has an empty level; it neither begins nor ends with '/' nor holds '//'")
    } else if root.len() > 200 {
        Err("is longer than 200 bytes")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ask, camera_in, check_root, enabled_set};

    #[test]
    fn the_camera_of_a_topic_is_found_again() {
        assert_eq!(camera_in("a/b/porch/ask", "a/b", ask), Some("porch"));
        assert_eq!(camera_in("a/b/porch/enabled/set", "a/b", enabled_set), Some("porch"));
        for wrong in ["a/b/porch", "a/b/porch/ask/x", "a/c/porch/ask", "a/bporch/ask", "a/b", ""] {
            assert_eq!(camera_in(wrong, "a/b", ask), None, "{wrong}");
        }
    }

    #[test]
    fn a_root_that_a_broker_would_refuse_is_refused_first() {
        for wrong in ["a/#", "+", "$SYS", "/a", "a/", "a//b", "", "a\0"] {
            assert!(check_root(wrong).is_err(), "{wrong:?}");
        }
        for right in ["belvedere", "home/belvedere", "häuser"] {
            assert!(check_root(right).is_ok(), "{right:?}");
        }
    }
}
