//! When Home Assistant may believe an entity.

use serde::Serialize;

use super::templates::IS_ONLINE;

/// A topic that must say `online`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Availability {
    topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_template: Option<&'static str>,
}

impl Availability {
    /// `ROOT/available`, which knows two words only.
    pub(super) fn of_daemon(topic: String) -> Availability {
        Availability { topic, value_template: None }
    }

    /// `ROOT/CAMERA/status`, which knows `disabled` too. Home Assistant leaves the availability as it was
    /// at a word that is neither of its two.
    pub(super) fn of_stream(topic: String) -> Availability {
        Availability { topic, value_template: Some(IS_ONLINE) }
    }
}
