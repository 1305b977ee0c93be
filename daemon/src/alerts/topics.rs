//! The topics of alerts.

use super::Subject;

/// `ROOT/CAMERA/alerts`: the events of a camera's phrases, JSON; at least once, not retained.
pub fn alerts(root: &str, camera: &str) -> String {
    format!("{root}/{camera}/alerts")
}

/// `ROOT/CAMERA/alert/SLUG/state`: `ON` or `OFF`; retained.
pub fn state(root: &str, subject: &Subject) -> String {
    format!("{root}/{}/alert/{}/state", subject.camera, subject.slug)
}

/// `ROOT/CAMERA/alert/SLUG/attributes`: the newest message of the phrase's events, JSON; retained.
pub fn attributes(root: &str, subject: &Subject) -> String {
    format!("{root}/{}/alert/{}/attributes", subject.camera, subject.slug)
}

/// `ROOT/CAMERA/alert/SLUG/snapshot`: JPEG; retained.
pub fn snapshot(root: &str, subject: &Subject) -> String {
    format!("{root}/{}/alert/{}/snapshot", subject.camera, subject.slug)
}

#[cfg(test)]
mod tests {
    use crate::alerts::{Phrase, Subject};

    #[test]
    fn topics_are_the_promised_ones() {
        let subject = Subject::new("porch", Phrase::new("Person on a ladder").unwrap());
        assert_eq!(super::alerts("belvedere", "porch"), "belvedere/porch/alerts");
        assert_eq!(super::state("belvedere", &subject), "belvedere/porch/alert/person_on_a_ladder/state");
        assert_eq!(
            super::snapshot("belvedere", &subject),
            "belvedere/porch/alert/person_on_a_ladder/snapshot"
        );
    }
}
