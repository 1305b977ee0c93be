//! Why an alert cannot be as it was asked for.

/// A setting of an alert that has no meaning, with the reason to tell the person who wrote it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AlertError {
    /// A phrase without a character.
    #[error("the phrase is empty")]
    EmptyPhrase,
    /// A phrase longer than [`Phrase::MAX_CHARS`](super::Phrase::MAX_CHARS).
    #[error("the phrase has {chars} characters; at most {max} are allowed")]
    LongPhrase {
        /// How many it has.
        chars: usize,
        /// How many it may have.
        max: usize,
    },
    /// A phrase with a character that has no place in one.
    #[error("the phrase holds {character:?}: {why}")]
    CharacterInPhrase {
        /// The first such character.
        character: char,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A number that is to be a part of a whole and is not.
    #[error("{value} is not between 0 and 1")]
    NotAFraction {
        /// The number.
        value: f64,
    },
    /// A size limit that nothing can keep.
    #[error("the {what} is at least {min} and at most {max}: nothing is")]
    SizeLimits {
        /// `area` or `height`.
        what: &'static str,
        /// The lower limit.
        min: f64,
        /// The upper limit.
        max: f64,
    },
    /// A polygon with too few or too many points.
    #[error("the polygon has {points} points; it needs 3 to {max}")]
    PointCount {
        /// How many it has.
        points: usize,
        /// How many it may have.
        max: usize,
    },
    /// A corner that is not in the picture.
    #[error("point {index} of the polygon, [{x}, {y}], is outside the picture, which goes from 0 to 1")]
    PointOutside {
        /// Counted from 0.
        index: usize,
        /// As given.
        x: f64,
        /// As given.
        y: f64,
    },
    /// A corner that lies where the one after it lies.
    #[error(
        "points {first} and {second} of the polygon are the same; it is closed without repeating a point"
    )]
    RepeatedPoint {
        /// Counted from 0.
        first: usize,
        /// Counted from 0.
        second: usize,
    },
    /// An outline that meets itself.
    #[error("the polygon meets itself: the edges after point {first} and after point {second} touch")]
    EdgesMeet {
        /// The point the one edge begins at, counted from 0.
        first: usize,
        /// The point the other edge begins at, counted from 0.
        second: usize,
    },
    /// A zone without a name.
    #[error("a zone needs a name")]
    UnnamedZone,
    /// Two zones of a camera with one name.
    #[error("two zones are named {name:?}")]
    SecondZoneOfName {
        /// The name.
        name: String,
    },
    /// An alert that names a zone which the camera has not.
    #[error("the camera has no zone {name:?}")]
    UnknownZone {
        /// The name.
        name: String,
    },
    /// A zone test that any box passes.
    #[error("a share of 0 is inside every zone; it must be above 0")]
    NoShare,
    /// A schedule that is never open.
    #[error("the schedule has no range: the alert would never come")]
    EmptySchedule,
    /// A range on no day.
    #[error("the range {range:?} is on no day of the week")]
    RangeWithoutDays {
        /// As given.
        range: String,
    },
    /// A range of no length.
    #[error("the range {range:?} ends when it begins; the whole day is 00:00-24:00")]
    EmptyRange {
        /// As given.
        range: String,
    },
    /// A range that is not `HH:MM-HH:MM`.
    #[error("{range:?} is not a range of times; write 22:00-06:30")]
    RangeSyntax {
        /// As given.
        range: String,
    },
    /// A time zone this machine does not know.
    #[error("the time zone {name:?} is not known here: {why}")]
    UnknownTimeZone {
        /// As given.
        name: String,
        /// What the search for it said.
        why: String,
    },
    /// A machine that does not say where it is.
    #[error("this machine's time zone is not known ({why}); name one, such as Europe/Rome")]
    NoSystemTimeZone {
        /// What the search for it said.
        why: String,
    },
}
