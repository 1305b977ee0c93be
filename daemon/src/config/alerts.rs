//! `[[camera.zone]]` and `[[camera.alert]]`

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use config::{Value, ValueKind};

use super::reader::{Read, Reader};
use super::settings::CameraAlert;
use crate::alerts::{
    AlertError, AlertSettings, Fraction, Phrase, Polygon, Schedule, SizeLimits, UNWATCHED_AFTER, WeeklyRange,
    Zone, ZoneTest, Zones, slug_collisions, time_zone,
};
use crate::snapshot::SnapshotStyle;

/// More phrases would make a frame wait for its turn longer than anyone has in mind.
const MAX_ALERTS: usize = 100;
/// The longest `clear_after` and `cooldown`.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// The days of the week as they are written, from Monday.
const DAYS: [(&str, jiff::civil::Weekday); 7] = [
    ("mon", jiff::civil::Weekday::Monday),
    ("tue", jiff::civil::Weekday::Tuesday),
    ("wed", jiff::civil::Weekday::Wednesday),
    ("thu", jiff::civil::Weekday::Thursday),
    ("fri", jiff::civil::Weekday::Friday),
    ("sat", jiff::civil::Weekday::Saturday),
    ("sun", jiff::civil::Weekday::Sunday),
];

/// Reads the zones of a camera.
pub(super) fn zones(camera: &Reader<'_>) -> Read<Arc<[Zone]>> {
    let zones = camera.tables("zone", |table| {
        let name = table.required_string("name");
        let polygon = polygon(table);
        let (name, polygon) = (name?, polygon?);
        checked(table, "name", Zone::new(name, polygon))
    })?;
    let mut seen: Vec<&Arc<str>> = Vec::new();
    for (index, zone) in zones.iter().enumerate() {
        if seen.contains(&&zone.name) {
            let error = AlertError::SecondZoneOfName { name: zone.name.to_string() };
            camera.blame(&format!("zone[{index}].name"), error);
            return None;
        }
        seen.push(&zone.name);
    }
    Some(zones.into())
}

/// Reads the alerts of a camera that is asked about `fps` times a second and has `zones`; they are `None`
/// where they are wrong, and the alerts are read all the same.
pub(super) fn alerts(
    camera: &Reader<'_>,
    zones: Option<&Arc<[Zone]>>,
    fps: Option<f64>,
) -> Read<Vec<CameraAlert>> {
    let alerts = camera.tables_in_places("alert", |table| alert(table, zones, fps))?;
    if alerts.len() > MAX_ALERTS {
        camera.blame("alert", format_args!("there are {}; at most {MAX_ALERTS} are allowed", alerts.len()));
        return None;
    }
    // Those with a mistake are left out, so that what is said of the others names their own places.
    let whole: Vec<(usize, &CameraAlert)> =
        alerts.iter().enumerate().filter_map(|(place, alert)| Some((place, alert.as_ref()?))).collect();
    let collisions = slug_collisions(whole.iter().map(|(_, alert)| &alert.phrase));
    for collision in &collisions {
        if let Some((place, _)) = whole.get(collision.second_index) {
            camera.blame(&format!("alert[{place}].phrase"), collision);
        }
    }
    if !collisions.is_empty() {
        return None;
    }
    alerts.into_iter().collect()
}

fn alert(table: &Reader<'_>, zones: Option<&Arc<[Zone]>>, fps: Option<f64>) -> Read<CameraAlert> {
    let default = AlertSettings::default();
    let phrase = table.required_string("phrase").and_then(|text| checked(table, "phrase", Phrase::new(text)));
    let min_score = fraction(table, "min_score");
    let min_frames = table.whole_number("min_frames", 1..=1000);
    let clear_after = table.duration("clear_after", default.clear_after, Duration::from_millis(1)..=WEEK);
    let cooldown = table.duration("cooldown", default.cooldown, Duration::ZERO..=WEEK);
    let named = zone_names(table, zones);
    let zone_test = zone_test(table);
    let size = size(table);
    let schedule = schedule(table);
    let snapshot = table.boolean("snapshot", true);
    let style = snapshot_style(table);
    Some(CameraAlert {
        phrase: phrase?,
        rule: AlertSettings {
            min_score: min_score?.unwrap_or(default.min_score),
            min_frames: match min_frames? {
                None => default.min_frames,
                Some(frames) => NonZeroU32::new(u32::try_from(frames).ok()?)?,
            },
            clear_after: clear_after?,
            unwatched_after: unwatched_after(fps?),
            cooldown: cooldown?,
            zones: named?,
            zone_test: zone_test?,
            size: size?,
            schedule: schedule?,
            snapshot: snapshot?,
        },
        snapshot: style?,
    })
}

/// Well above the time between two frames of a camera that is looked at seldom.
fn unwatched_after(fps: f64) -> Duration {
    UNWATCHED_AFTER.max(Duration::try_from_secs_f64(3.0 / fps).unwrap_or(UNWATCHED_AFTER))
}

fn polygon(table: &Reader<'_>) -> Read<Polygon> {
    let list = match table.get("polygon").map(|value| &value.kind) {
        Some(ValueKind::Array(list)) => list,
        None => {
            table.blame("polygon", "is missing; write polygon = [[0.1, 0.5], [0.6, 0.5], [0.6, 1.0]]");
            return None;
        }
        Some(other) => {
            table.wrong_type("polygon", "a list of points", other);
            return None;
        }
    };
    let points: Vec<Read<[f64; 2]>> = list
        .iter()
        .enumerate()
        .map(|(index, value)| point(table, &format!("polygon[{index}]"), value))
        .collect();
    let points = points.into_iter().collect::<Read<Vec<_>>>()?;
    checked(table, "polygon", Polygon::new(points))
}

fn point(table: &Reader<'_>, key: &str, value: &Value) -> Read<[f64; 2]> {
    let numbers: Vec<f64> = match &value.kind {
        ValueKind::Array(list) => list
            .iter()
            .filter_map(|number| match number.kind {
                ValueKind::Float(number) => Some(number),
                ValueKind::I64(number) => Some(number as f64),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let point = <[f64; 2]>::try_from(numbers).ok();
    if point.is_none() {
        table.blame(key, "must be a point, two numbers from 0 to 1: [x, y]");
    }
    point
}

fn zone_names(table: &Reader<'_>, zones: Option<&Arc<[Zone]>>) -> Read<Zones> {
    let names = table.strings("zones")?;
    // Nothing can be said of names while the zones are wrong.
    let zones = zones?;
    for (index, name) in names.iter().enumerate() {
        if let Err(error @ AlertError::UnknownZone { .. }) = Zones::new(Arc::clone(zones), &[name]) {
            let known = zones.iter().map(|zone| &*zone.name);
            table.blame_with(&format!("zones[{index}]"), error, super::nearest::nearest(name, known));
            return None;
        }
    }
    checked(table, "zones", Zones::new(Arc::clone(zones), &names))
}

fn zone_test(table: &Reader<'_>) -> Read<ZoneTest> {
    #[derive(Clone, Copy)]
    enum Word {
        Test(ZoneTest),
        Share,
    }
    let words = [
        ("bottom-centre", Word::Test(ZoneTest::BottomCentre)),
        ("centre", Word::Test(ZoneTest::Centre)),
        ("share", Word::Share),
    ];
    let word = table.one_of("zone_test", &words, Word::Test(ZoneTest::default()));
    let share = table.number("zone_share");
    match (word?, share?) {
        (Word::Test(test), None) => Some(test),
        (Word::Test(_), Some(_)) => {
            table.blame("zone_share", "is for zone_test = \"share\" only");
            None
        }
        (Word::Share, None) => {
            table.blame("zone_share", "is missing; zone_test = \"share\" needs the least share of a box");
            None
        }
        (Word::Share, Some(share)) => checked(table, "zone_share", ZoneTest::share(share)),
    }
}

fn size(table: &Reader<'_>) -> Read<SizeLimits> {
    let min_area = fraction(table, "min_area");
    let max_area = fraction(table, "max_area");
    let min_height = fraction(table, "min_height");
    let max_height = fraction(table, "max_height");
    let (area, height) = ([min_area?, max_area?], [min_height?, max_height?]);
    let limits = SizeLimits::new(area, height);
    let key = match &limits {
        Err(AlertError::SizeLimits { what: "height", .. }) => "min_height",
        _ => "min_area",
    };
    checked(table, key, limits)
}

fn schedule(table: &Reader<'_>) -> Read<Option<Schedule>> {
    let zone = table.string("time_zone");
    let list = match table.get("schedule").map(|value| &value.kind) {
        None => {
            if zone?.is_some() {
                table.blame("time_zone", "is for a schedule, and there is none");
                return None;
            }
            return Some(None);
        }
        Some(ValueKind::Array(list)) => list,
        Some(other) => {
            table.wrong_type("schedule", "a list of hours, such as [\"22:00-06:30\"]", other);
            return None;
        }
    };
    let ranges: Vec<Read<WeeklyRange>> = list
        .iter()
        .enumerate()
        .map(|(index, value)| weekly_range(table, &format!("schedule[{index}]"), value))
        .collect();
    let ranges = ranges.into_iter().collect::<Read<Vec<_>>>();
    let key = if zone?.is_some() { "time_zone" } else { "schedule" };
    let zone = checked(table, key, time_zone(zone?));
    checked(table, "schedule", Schedule::new(zone?, ranges?)).map(Some)
}

/// `"22:00-06:30"`, every day, or `{ hours = "22:00-06:30", days = ["fri", "sat"] }`.
fn weekly_range(table: &Reader<'_>, key: &str, value: &Value) -> Read<WeeklyRange> {
    match &value.kind {
        ValueKind::String(hours) => checked(table, key, WeeklyRange::parse(hours, &DAYS.map(|(_, day)| day))),
        ValueKind::Table(entry) => table.read_table(table.path_of(key), entry, |entry: &Reader<'_>| {
            let hours = entry.required_string("hours");
            let days = days(entry);
            checked(entry, "hours", WeeklyRange::parse(hours?, &days?))
        }),
        other => {
            table.wrong_type(key, "hours such as \"22:00-06:30\" or { hours = ..., days = [...] }", other);
            None
        }
    }
}

fn days(entry: &Reader<'_>) -> Read<Vec<jiff::civil::Weekday>> {
    if entry.get("days").is_none() {
        return Some(DAYS.map(|(_, day)| day).to_vec());
    }
    let names = entry.strings("days")?;
    let days = names.iter().enumerate().map(|(index, name)| {
        let day = DAYS.iter().find(|(day, _)| day == name).map(|(_, day)| *day);
        if day.is_none() {
            let words = DAYS.map(|(day, _)| day);
            let what = format!("{name:?} is none of {}", words.join(", "));
            entry.blame_with(&format!("days[{index}]"), what, super::nearest::nearest(name, words));
        }
        day
    });
    // All of them are read before the first wrong one counts.
    days.collect::<Vec<_>>().into_iter().collect()
}

fn snapshot_style(table: &Reader<'_>) -> Read<SnapshotStyle> {
    let default = SnapshotStyle::default();
    let boxes = table.boolean("snapshot_boxes", default.boxes);
    let quality = table.whole_number("snapshot_quality", 1..=100);
    let longest_side = table.whole_number("snapshot_longest_side", 0..=65_535);
    Some(SnapshotStyle {
        boxes: boxes?,
        quality: quality?.and_then(|quality| u8::try_from(quality).ok()).unwrap_or(default.quality),
        longest_side_px: longest_side?
            .and_then(|px| u32::try_from(px).ok())
            .unwrap_or(default.longest_side_px),
    })
}

fn fraction(table: &Reader<'_>, key: &'static str) -> Read<Option<Fraction>> {
    match table.number(key)? {
        None => Some(None),
        Some(value) => checked(table, key, Fraction::new(value)).map(Some),
    }
}

/// What was made of the value of `key`, which is blamed where that failed.
fn checked<T>(table: &Reader<'_>, key: &str, made: Result<T, AlertError>) -> Read<T> {
    made.map_err(|error| table.blame(key, error)).ok()
}
