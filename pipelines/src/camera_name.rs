use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::PipelineError;

/// The name of a camera: one or more of `[a-z0-9_-]`, so that it can stand in a topic, a file name and a
/// metric label as it is. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CameraName(Arc<str>);

impl CameraName {
    /// Checks and keeps `name`.
    pub fn new(name: &str) -> Result<Self, PipelineError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(PipelineError::CameraName { name: name.to_owned() });
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CameraName {
    type Err = PipelineError;

    fn from_str(name: &str) -> Result<Self, PipelineError> {
        Self::new(name)
    }
}

impl fmt::Display for CameraName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CameraName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_break_a_topic_is_refused() {
        for name in ["", "Porch", "a/b", "a b", "a+", "a#", "höf"] {
            assert!(CameraName::new(name).is_err(), "{name:?}");
        }
        assert_eq!(CameraName::new("front-door_2").unwrap().to_string(), "front-door_2");
    }
}
