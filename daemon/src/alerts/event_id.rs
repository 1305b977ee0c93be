//! Names of events.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::Subject;

/// The name of an event, the same in all its messages: `MS.CAMERA.SLUG.RANDOM`.
///
/// `MS` is the wall time of the frame that made it true, in milliseconds since 1970, 13 digits, so
/// that the names of a rule sort as text in the order of their events; where the wall clock is set
/// back, a name is one millisecond after the one before. `RANDOM`, eight of `[0-9a-z]`, keeps the
/// names of different runs of the daemon apart. All characters are in `[a-z0-9_.-]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Arc<str>);

impl EventId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes the names of one rule's events; none twice, whatever the clock and the random numbers do.
#[derive(Debug)]
pub(super) struct IdMint {
    random: fastrand::Rng,
    last_ms: u64,
}

impl IdMint {
    pub(super) fn new(random: fastrand::Rng) -> IdMint {
        IdMint { random, last_ms: 0 }
    }

    pub(super) fn mint(&mut self, subject: &Subject, wall: SystemTime) -> EventId {
        /// In the year 2255: 13 digits, with room for more names after it.
        const LAST_MS: u128 = 9_000_000_000_000;
        let ms = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis().min(LAST_MS);
        self.last_ms = u64::try_from(ms).unwrap_or_default().max(self.last_ms + 1);
        let random: String = std::iter::repeat_with(|| self.random.digit(36)).take(8).collect();
        EventId(format!("{:013}.{}.{}.{random}", self.last_ms, subject.camera, subject.slug).into())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::IdMint;
    use crate::alerts::{Phrase, Subject};

    #[test]
    fn names_sort_by_time_and_are_never_the_same_even_where_the_clock_is_set_back() {
        let subject = Subject::new("porch", Phrase::new("A dog").unwrap());
        let mut mint = IdMint::new(fastrand::Rng::with_seed(1));
        let ids: Vec<_> = [1_700_000_000_123_u64, 1_700_000_000_123, 5, 1_800_000_000_000, u64::MAX >> 12, 0]
            .iter()
            .map(|ms| mint.mint(&subject, SystemTime::UNIX_EPOCH + Duration::from_millis(*ms)))
            .collect();
        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:#?}");
        assert!(ids[0].as_str().starts_with("1700000000123.porch.a_dog."), "{}", ids[0]);
        assert!(ids[1].as_str().starts_with("1700000000124.porch.a_dog."), "{}", ids[1]);
    }

    #[test]
    fn runs_that_begin_in_the_same_millisecond_have_different_names() {
        let subject = Subject::new("porch", Phrase::new("A dog").unwrap());
        let id = |seed| IdMint::new(fastrand::Rng::with_seed(seed)).mint(&subject, SystemTime::UNIX_EPOCH);
        assert_ne!(id(1), id(2));
        assert_eq!(id(1), id(1));
    }
}
