//! The hours of the week in which an alert may come.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::AlertError;

/// Ranges of the week, by the clocks of one time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    zone: TimeZone,
    ranges: Vec<WeeklyRange>,
}

/// A range of hours on some days of the week, such as 22:00-06:00 on Fridays and Saturdays. The days
/// are those on which it begins; one that does not end later than it begins ends on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeeklyRange {
    /// From Monday.
    days: [bool; 7],
    from: Time,
    /// `None` is 24:00.
    to: Option<Time>,
}

/// The time zone of a name such as `Europe/Rome`, or the machine's.
///
/// # Errors
/// [`AlertError::UnknownTimeZone`], or [`AlertError::NoSystemTimeZone`] where the machine does not say
/// where it is: a schedule that is hours off would be worse than none.
pub fn time_zone(name: Option<&str>) -> Result<TimeZone, AlertError> {
    match name {
        Some(name) => TimeZone::get(name)
            .map_err(|why| AlertError::UnknownTimeZone { name: name.to_owned(), why: why.to_string() }),
        None => TimeZone::try_system().map_err(|why| AlertError::NoSystemTimeZone { why: why.to_string() }),
    }
}

impl WeeklyRange {
    /// A range as it is written, `22:00-06:30`, on the days on which it begins. `24:00` is the end of
    /// the day.
    ///
    /// # Errors
    /// [`AlertError::RangeSyntax`], [`AlertError::EmptyRange`], [`AlertError::RangeWithoutDays`]
    pub fn parse(range: &str, days: &[Weekday]) -> Result<WeeklyRange, AlertError> {
        let syntax = || AlertError::RangeSyntax { range: range.to_owned() };
        let (from, to) = range.split_once('-').ok_or_else(syntax)?;
        let from = time(from.trim()).ok_or_else(syntax)?;
        let to = match to.trim() {
            "24:00" => None,
            to => Some(time(to).ok_or_else(syntax)?),
        };
        if to == Some(from) {
            return Err(AlertError::EmptyRange { range: range.to_owned() });
        }
        if days.is_empty() {
            return Err(AlertError::RangeWithoutDays { range: range.to_owned() });
        }
        let mut on = [false; 7];
        for (index, on) in on.iter_mut().enumerate() {
            *on = days.iter().any(|day| place(*day) == index);
        }
        Ok(WeeklyRange { days: on, from, to })
    }

    /// Whether the range that begins on `date` holds at `now`.
    fn holds(&self, date: Date, now: Timestamp, zone: &TimeZone) -> bool {
        if !self.days.get(place(date.weekday())).copied().unwrap_or(false) {
            return false;
        }
        let end = match self.to {
            Some(to) if to > self.from => Some(date.to_datetime(to)),
            to => date.tomorrow().ok().map(|next| next.to_datetime(to.unwrap_or(Time::midnight()))),
        };
        let begins = moment(zone, date.to_datetime(self.from), Which::First);
        let ends = end.and_then(|end| moment(zone, end, Which::Last));
        // Only at the end of the year 9999 is there no such moment.
        begins.is_some_and(|begins| begins <= now) && ends.is_none_or(|ends| now < ends)
    }
}

impl Schedule {
    /// A schedule that is open in any of `ranges`, by the clocks of `zone` (see [`time_zone`]).
    ///
    /// # Errors
    /// [`AlertError::EmptySchedule`] where there is no range.
    pub fn new(zone: TimeZone, ranges: Vec<WeeklyRange>) -> Result<Schedule, AlertError> {
        if ranges.is_empty() {
            return Err(AlertError::EmptySchedule);
        }
        Ok(Schedule { zone, ranges })
    }

    /// Whether an alert may come at `wall`. A range begins the first time that the clocks show its
    /// start and ends the last time that they show its end. So it is not interrupted when they are
    /// set back; and when they are set forward, a start or an end that they leave out is the moment
    /// at which they leave it out.
    ///
    /// A time outside the years -9999 to 9999 comes from a clock that is not to be trusted; the
    /// schedule is open then, as a missed alert is worse than one too many.
    pub fn is_open(&self, wall: SystemTime) -> bool {
        let Ok(now) = Timestamp::try_from(wall) else {
            return true;
        };
        let today = self.zone.to_datetime(now).date();
        // Where clocks are set back over midnight, tomorrow's range has begun and today is back.
        [today.yesterday(), Ok(today), today.tomorrow()]
            .into_iter()
            .flatten()
            .any(|date| self.ranges.iter().any(|range| range.holds(date, now, &self.zone)))
    }
}

fn place(day: Weekday) -> usize {
    usize::from(day.to_monday_zero_offset().unsigned_abs())
}

/// `HH:MM`, nothing else.
fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str| {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { digits.parse::<i8>().ok() } else { None }
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

/// Which of two moments at which clocks show the same.
#[derive(Clone, Copy)]
enum Which {
    First,
    Last,
}

/// The moment at which clocks show `civil`, or at which they are set forward past it.
fn moment(zone: &TimeZone, civil: DateTime, which: Which) -> Option<Timestamp> {
    let moments = zone.to_ambiguous_timestamp(civil);
    match (moments.offset(), which) {
        (AmbiguousOffset::Gap { .. }, _) => {
            // Read by the clocks of before and by those of after; between them clocks are set forward.
            let before = moments.earlier().ok()?;
            Some(zone.following(before).next()?.timestamp())
        }
        (_, Which::First) => moments.earlier().ok(),
        (_, Which::Last) => moments.later().ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use jiff::civil::Weekday::{self, Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::{Schedule, WeeklyRange, time_zone};
    use crate::alerts::AlertError;

    const EVERY_DAY: [Weekday; 7] = [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday];

    /// Central Europe, written out: no test depends on what the machine knows. Clocks are set forward
    /// on 30 March 2025 from 02:00 to 03:00 and back on 26 October 2025 from 03:00 to 02:00.
    fn europe() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn schedule(range: &str, days: &[Weekday]) -> Schedule {
        Schedule::new(europe(), vec![WeeklyRange::parse(range, days).unwrap()]).unwrap()
    }

    /// The times at which `schedule` opens and closes from `first` to `last`, to the minute, in UTC.
    fn changes(schedule: &Schedule, first: &str, last: &str) -> Vec<String> {
        let (mut now, last): (jiff::Timestamp, jiff::Timestamp) =
            (first.parse().unwrap(), last.parse().unwrap());
        let mut was_open = schedule.is_open(now.into());
        let mut changes = Vec::new();
        while now < last {
            now += jiff::SignedDuration::from_mins(1);
            let is_open = schedule.is_open(now.into());
            if is_open != was_open {
                changes.push(now.strftime("%d %H:%M").to_string());
                was_open = is_open;
            }
        }
        changes
    }

    #[test]
    fn a_range_over_midnight_belongs_to_the_day_it_begins_on() {
        // 21 November 2025 is a Friday; the zone is an hour before UTC.
        let night = schedule("22:00-06:30", &[Friday]);
        assert_eq!(changes(&night, "2025-11-20T00:00Z", "2025-11-27T00:00Z"), ["21 21:00", "22 05:30"]);
    }

    #[test]
    fn a_whole_day_ends_where_the_next_begins() {
        let weekend = schedule("00:00-24:00", &[Saturday, Sunday]);
        assert_eq!(changes(&weekend, "2025-11-17T00:00Z", "2025-11-27T00:00Z"), ["21 23:00", "23 23:00"]);
        assert_eq!(
            changes(&schedule("00:00-24:00", &EVERY_DAY), "2025-03-01T00:00Z", "2025-04-10T00:00Z"),
            [""; 0]
        );
    }

    #[test]
    fn a_start_or_an_end_that_clocks_leave_out_is_when_they_leave_it_out() {
        let changes = |range| changes(&schedule(range, &[Sunday]), "2025-03-29T12:00Z", "2025-03-30T12:00Z");
        // 02:00 is 01:00 UTC, and so is 03:00.
        assert_eq!(changes("02:30-05:00"), ["30 01:00", "30 03:00"]);
        assert_eq!(changes("01:30-02:30"), ["30 00:30", "30 01:00"]);
        assert_eq!(changes("02:30-03:15"), ["30 01:00", "30 01:15"]);
        assert_eq!(changes("02:10-02:50"), [""; 0], "no clock shows any of it");
        assert_eq!(changes("01:00-04:00"), ["30 00:00", "30 02:00"], "two hours");
    }

    #[test]
    fn a_range_is_not_interrupted_when_clocks_are_set_back() {
        let changes = |range| changes(&schedule(range, &[Sunday]), "2025-10-25T12:00Z", "2025-10-26T12:00Z");
        // 02:30 is 00:30 UTC and again 01:30.
        assert_eq!(changes("01:30-02:30"), ["25 23:30", "26 01:30"]);
        assert_eq!(changes("02:30-05:00"), ["26 00:30", "26 04:00"]);
        assert_eq!(changes("01:00-04:00"), ["25 23:00", "26 03:00"], "four hours");
    }

    #[test]
    fn ranges_and_schedules_without_a_moment_are_refused() {
        let refused = |range: &str| WeeklyRange::parse(range, &EVERY_DAY).unwrap_err();
        for range in [
            "22:00",
            "22:00-6:00",
            "25:00-26:00",
            "24:00-06:00",
            "a-b",
            "",
            "22:00-06:00-07:00",
            "+1:00-02:00",
        ] {
            assert_eq!(refused(range), AlertError::RangeSyntax { range: range.to_owned() });
        }
        assert_eq!(refused("08:00-08:00"), AlertError::EmptyRange { range: "08:00-08:00".to_owned() });
        assert_eq!(
            WeeklyRange::parse("08:00-09:00", &[]),
            Err(AlertError::RangeWithoutDays { range: "08:00-09:00".to_owned() })
        );
        assert_eq!(Schedule::new(europe(), vec![]), Err(AlertError::EmptySchedule));
    }

    #[test]
    fn a_time_zone_that_is_not_known_is_named() {
        assert!(matches!(time_zone(Some("Europe/Atlantis")),
            Err(AlertError::UnknownTimeZone { name, .. }) if name == "Europe/Atlantis"));
        assert!(time_zone(Some("UTC")).is_ok());
    }

    #[test]
    fn a_clock_outside_the_calendar_does_not_silence_alerts() {
        let never = schedule("08:00-08:01", &[Monday]);
        let nonsense = SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(1 << 50)).unwrap();
        assert!(never.is_open(nonsense));
        assert!(!never.is_open(SystemTime::UNIX_EPOCH));
    }

    proptest! {
        #[test]
        fn whenever_the_clock_shows_a_time_of_the_range_it_is_open(
            from in 0i8..24, to in 0i8..24, quarter in 0i8..4, second in 1_740_000_000_i64..1_765_000_000,
        ) {
            // 2025 from March to December, both changes of clocks included.
            let (from, to) = (format!("{from:02}:{:02}", quarter * 15), format!("{to:02}:30"));
            prop_assume!(from != to);
            let daily = schedule(&format!("{from}-{to}"), &EVERY_DAY);
            let now = jiff::Timestamp::from_second(second).unwrap();
            let clock = europe().to_datetime(now).strftime("%H:%M").to_string();
            let shown = if from < to { from <= clock && clock < to } else { clock >= from || clock < to };
            if shown {
                prop_assert!(daily.is_open(now.into()), "{from}-{to} at {clock}");
            } else if !europe().to_datetime(now).date().to_string().ends_with("10-26") {
                prop_assert!(!daily.is_open(now.into()), "{from}-{to} at {clock}");
            }
        }
    }
}
