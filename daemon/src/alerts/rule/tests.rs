//! One phrase on one camera, told as a story: what is shown at which second, and what is said.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use crate::alerts::{
    AlertEvent, AlertRule, AlertSettings, AlertState, EndReason, EventKind, Moment, Phrase, Polygon,
    Schedule, SeenRegion, Sighting, StopReason, WeeklyRange, Zone, Zones,
};

const LEFT: [f32; 4] = [10.0, 10.0, 20.0, 20.0];
const RIGHT: [f32; 4] = [80.0, 10.0, 90.0, 20.0];

/// A Tuesday, 22:13:20 UTC.
fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn at(s: f64) -> Moment {
    let monotonic = Duration::from_secs_f64(s);
    Moment { monotonic, wall: start() + monotonic }
}

fn settings() -> AlertSettings {
    AlertSettings::default()
}

fn at_once() -> AlertSettings {
    AlertSettings { min_frames: NonZeroU32::MIN, cooldown: Duration::ZERO, ..settings() }
}

/// A rule and what it has said.
struct Story {
    rule: AlertRule,
    frame_id: u64,
}

impl Story {
    fn new(settings: AlertSettings) -> Story {
        let phrase = Phrase::new("a dog").unwrap();
        Story { rule: AlertRule::new("porch", phrase, settings, fastrand::Rng::with_seed(5)), frame_id: 0 }
    }

    fn frame(&mut self, s: f64, regions: &[(f32, [f32; 4])]) -> Vec<AlertEvent> {
        self.frame_id += 1;
        self.rule.sighting(&Sighting {
            frame_id: self.frame_id,
            captured: at(s),
            width: 100,
            height: 100,
            regions: regions
                .iter()
                .map(|&(score, box_px)| SeenRegion { score, box_px, evidence: None })
                .collect(),
        })
    }

    /// A frame that shows the phrase.
    fn dog(&mut self, s: f64) -> Vec<AlertEvent> {
        self.frame(s, &[(0.5, LEFT)])
    }

    /// A frame that does not.
    fn nothing(&mut self, s: f64) -> Vec<AlertEvent> {
        self.frame(s, &[])
    }

    fn tick(&mut self, s: f64) -> Vec<AlertEvent> {
        self.rule.tick(at(s))
    }
}

#[track_caller]
fn only(events: Vec<AlertEvent>) -> AlertEvent {
    let [event] = events.try_into().expect("one event");
    event
}

#[track_caller]
fn new(events: Vec<AlertEvent>) -> AlertEvent {
    let event = only(events);
    assert_eq!(event.kind, EventKind::New);
    event
}

#[track_caller]
fn update(events: Vec<AlertEvent>) -> AlertEvent {
    let event = only(events);
    assert_eq!(event.kind, EventKind::Update);
    event
}

#[track_caller]
fn end(events: Vec<AlertEvent>) -> (EndReason, AlertEvent) {
    let event = only(events);
    match event.kind.clone() {
        EventKind::End(reason) => (reason, event),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_phrase_is_told_with_the_frame_that_completes_min_frames() {
    let mut story = Story::new(AlertSettings { min_frames: NonZeroU32::new(3).unwrap(), ..settings() });
    assert_eq!(story.dog(0.0), []);
    assert_eq!(story.frame(0.5, &[(0.9, LEFT)]), []);
    assert_eq!(story.rule.state(), AlertState::Off);
    let event = new(story.frame(1.0, &[(0.2, RIGHT), (0.6, LEFT)]));
    assert_eq!((event.frame_id, event.first_frame_id), (3, 1));
    assert_eq!((event.score, event.top_score, event.regions.len()), (0.6, 0.9, 1));
    assert_eq!((event.started_at, event.captured_at), (at(0.0).wall, at(1.0).wall));
    assert_eq!((event.last_seen_at, event.ended_at), (at(1.0).wall, None));
    assert!(event.take_snapshot && event.has_snapshot);
    assert_eq!((story.rule.state(), event.turns()), (AlertState::On, Some(AlertState::On)));
}

#[test]
fn a_frame_without_it_begins_the_count_anew() {
    let mut story = Story::new(settings());
    for s in 0..10 {
        assert_eq!(story.dog(f64::from(s)), []);
        assert_eq!(story.frame(f64::from(s) + 0.5, &[(0.39, LEFT)]), [], "too low to count");
    }
    story.dog(10.0);
    let event = new(story.dog(10.5));
    assert_eq!(event.started_at, at(10.0).wall);
}

#[test]
fn frames_in_a_row_are_in_a_row_however_far_apart() {
    let mut story = Story::new(settings());
    story.dog(0.0);
    assert_eq!(story.tick(1000.0), []);
    new(story.dog(1000.0));
}

#[test]
fn the_same_frame_twice_is_one_frame() {
    let mut story = Story::new(settings());
    story.dog(0.0);
    story.frame_id = 0;
    assert_eq!(story.dog(0.0), []);
    assert_eq!(story.rule.counts().ignored_sightings, 1);
}

#[test]
fn an_event_ends_when_frames_have_not_shown_it_for_clear_after() {
    let mut story = Story::new(at_once());
    let opened = new(story.dog(0.0));
    assert_eq!(story.nothing(1.0), []);
    assert_eq!(story.tick(9.9), []);
    let (reason, event) = end(story.tick(10.0));
    assert_eq!(reason, EndReason::Cleared);
    assert_eq!((&event.id, event.turns()), (&opened.id, Some(AlertState::Off)));
    assert_eq!((event.ended_at, event.last_seen_at), (Some(at(10.0).wall), at(0.0).wall));
    assert!(event.has_snapshot && !event.take_snapshot);
    assert_eq!(story.rule.state(), AlertState::Off);
}

#[test]
fn a_frame_that_shows_it_in_time_keeps_an_event_open() {
    let mut story = Story::new(at_once());
    new(story.dog(0.0));
    for s in [9.0, 18.0, 27.0] {
        assert_eq!(story.nothing(s - 1.0), []);
        assert_eq!(story.dog(s), []);
    }
    assert_eq!(story.nothing(30.0), []);
    assert_eq!(end(story.nothing(37.0)).0, EndReason::Cleared, "the frame itself may end it");
}

#[test]
fn a_model_that_is_busy_elsewhere_is_no_evidence_that_somebody_left() {
    let mut story = Story::new(at_once());
    new(story.dog(0.0));
    assert_eq!(story.tick(69.0), []);
    assert_eq!(story.dog(69.5), []);
    assert_eq!(story.tick(139.4), []);
    assert_eq!(end(story.tick(139.5)).0, EndReason::NoFrames);
}

#[test]
fn only_frames_since_the_last_that_showed_it_are_evidence_that_it_is_gone() {
    let mut story = Story::new(at_once());
    new(story.dog(0.0));
    assert_eq!(story.nothing(1.0), []);
    assert_eq!(story.dog(2.0), []);
    assert_eq!(story.tick(30.0), [], "no frame since");
}

#[test]
fn a_late_frame_ends_the_event_before_it_begins_the_next() {
    let mut story = Story::new(at_once());
    let first = new(story.dog(0.0));
    story.nothing(1.0);
    let [ended, begun] = story.dog(20.0).try_into().unwrap();
    assert_eq!((ended.kind, ended.id), (EventKind::End(EndReason::Cleared), first.id.clone()));
    assert_eq!(begun.kind, EventKind::New);
    assert!(first.id < begun.id);
}

#[test]
fn the_cooldown_withholds_the_telling_until_it_is_over_and_not_the_watching() {
    let mut story = Story::new(settings());
    story.dog(0.0);
    new(story.dog(1.0));
    story.nothing(2.0);
    end(story.tick(11.0));
    // It comes back at 20 s and stays.
    for s in 20..61 {
        assert_eq!(story.dog(f64::from(s)), [], "{s} s");
        assert_eq!(story.rule.state(), AlertState::Off);
    }
    assert_eq!(story.tick(61.0), [], "an event begins with a frame");
    let event = new(story.dog(61.5));
    assert_eq!((event.started_at, event.first_frame_id), (at(20.0).wall, 4));
    assert_eq!(story.rule.counts().held_back, 0);
}

#[test]
fn what_comes_and_goes_within_the_cooldown_is_counted_and_does_not_move_it() {
    let mut story = Story::new(settings());
    story.dog(0.0);
    new(story.dog(1.0));
    story.nothing(2.0);
    end(story.tick(11.0));
    for s in [20.0, 40.0] {
        story.dog(s);
        story.dog(s + 1.0);
        story.nothing(s + 2.0);
        assert_eq!(story.tick(s + 11.0), []);
    }
    assert_eq!(story.rule.counts().held_back, 2);
    assert_eq!(story.dog(60.0), []);
    let event = new(story.dog(61.0));
    assert_eq!(event.started_at, at(60.0).wall);
    assert_eq!(story.rule.counts().told, 2);
}

#[test]
fn an_event_that_outlives_the_cooldown_may_be_followed_at_once() {
    let mut story = Story::new(settings());
    story.dog(0.0);
    new(story.dog(1.0));
    for s in 2..90 {
        assert_eq!(story.dog(f64::from(s)), []);
    }
    story.nothing(90.0);
    end(story.tick(99.0));
    story.dog(100.0);
    new(story.dog(101.0));
}

#[test]
fn a_clearly_better_frame_makes_a_new_snapshot() {
    let mut story = Story::new(at_once());
    new(story.frame(0.0, &[(0.5, LEFT)]));
    assert_eq!(story.frame(0.1, &[(0.59, LEFT)]), []);
    let better = update(story.frame(0.2, &[(0.61, LEFT)]));
    assert!(better.take_snapshot);
    assert_eq!((better.score, better.top_score, better.turns()), (0.61, 0.61, None));
    assert_eq!(story.frame(0.3, &[(0.7, LEFT)]), [], "compared with the last snapshot");
    assert_eq!(update(story.frame(0.4, &[(0.72, LEFT)])).frame_id, 5);
}

#[test]
fn without_snapshots_a_better_frame_is_nothing_to_say() {
    let mut story = Story::new(AlertSettings { snapshot: false, ..at_once() });
    let event = new(story.frame(0.0, &[(0.5, LEFT)]));
    assert!(!event.take_snapshot && !event.has_snapshot);
    assert_eq!(story.frame(0.2, &[(0.9, LEFT)]), []);
    story.rule.change_settings(at(0.3), at_once());
    assert!(update(story.frame(0.4, &[(0.5, LEFT)])).take_snapshot, "asked for since");
}

#[test]
fn an_event_whose_snapshot_failed_or_was_taken_back_names_none_until_there_is_another() {
    let mut story = Story::new(at_once());
    let event = new(story.frame(0.0, &[(0.5, LEFT)]));
    assert!(event.has_snapshot && !event.has_earlier_snapshot);
    story.rule.snapshot_failed();
    assert_eq!(story.frame(0.1, &[(0.5, LEFT)]), [], "no better than the one that failed");
    let better = update(story.frame(0.2, &[(0.7, LEFT)]));
    assert!(better.has_snapshot && !better.has_earlier_snapshot);
    let best = update(story.frame(0.3, &[(0.9, LEFT)]));
    assert!(best.has_snapshot && best.has_earlier_snapshot);
    story.rule.snapshot_failed();
    story.rule.change_settings(at(0.4), at_once());
    let without = AlertSettings { snapshot: false, ..at_once() };
    let (_, kept) = end(story.rule.camera_offline(at(0.5), "gone"));
    assert!(kept.has_snapshot, "the one before");

    new(story.frame(1.0, &[(0.5, LEFT)]));
    story.rule.change_settings(at(1.1), without);
    let (_, ended) = end(story.rule.camera_offline(at(1.2), "gone"));
    assert!(!ended.has_snapshot, "taken back");
}

fn halves() -> Zones {
    let zone = |name, from, to| {
        let corners = vec![[from, 0.0], [to, 0.0], [to, 1.0], [from, 1.0]];
        Zone::new(name, Polygon::new(corners).unwrap()).unwrap()
    };
    Zones::new(vec![zone("left", 0.0, 0.4), zone("right", 0.6, 1.0)], &[]).unwrap()
}

#[test]
fn other_zones_are_told_but_not_with_every_frame() {
    let mut story = Story::new(AlertSettings { zones: halves(), ..at_once() });
    let names = |zones: &[std::sync::Arc<str>]| zones.iter().map(ToString::to_string).collect::<Vec<_>>();
    let event = new(story.frame(0.0, &[(0.5, RIGHT)]));
    assert_eq!(names(&event.zones), ["right"]);
    // In and out: said when five seconds are over, and only if it is so then.
    assert_eq!(story.frame(1.0, &[(0.5, LEFT)]), []);
    assert_eq!(story.frame(5.0, &[(0.5, RIGHT)]), []);
    let moved = update(story.frame(5.5, &[(0.5, LEFT)]));
    assert_eq!(
        (names(&moved.zones), names(&moved.zones_entered)),
        (vec!["left".to_owned()], vec!["right".to_owned(), "left".to_owned()])
    );
    assert!(!moved.take_snapshot && moved.has_snapshot);
    assert_eq!(story.frame(10.4, &[(0.5, LEFT), (0.5, RIGHT)]), []);
    let both = update(story.frame(10.5, &[(0.5, RIGHT), (0.5, LEFT)]));
    assert_eq!(names(&both.zones), ["left", "right"]);
}

#[test]
fn a_camera_that_goes_offline_ends_its_event_with_the_reason() {
    let mut story = Story::new(at_once());
    new(story.dog(0.0));
    let (reason, event) = end(story.rule.camera_offline(at(3.0), "no answer"));
    assert_eq!(reason, EndReason::CameraOffline { detail: "no answer".to_owned() });
    assert_eq!(event.ended_at, Some(at(3.0).wall));
    assert_eq!(story.rule.camera_offline(at(4.0), "no answer"), []);
}

#[test]
fn a_frame_from_before_the_camera_went_offline_begins_nothing() {
    let mut story = Story::new(at_once());
    new(story.dog(0.0));
    end(story.rule.camera_offline(at(3.0), "no answer"));
    assert_eq!(story.dog(2.9), [], "the model had it all the while");
    assert_eq!(story.rule.state(), AlertState::Off);
    new(story.dog(3.1));
}

#[test]
fn going_offline_begins_the_count_of_frames_anew() {
    let mut story = Story::new(settings());
    story.dog(0.0);
    story.rule.camera_offline(at(1.0), "no answer");
    assert_eq!(story.dog(2.0), []);
    new(story.dog(3.0));
}

#[test]
fn a_camera_that_comes_back_may_number_its_frames_anew() {
    let mut story = Story::new(at_once());
    new(story.dog(0.0));
    end(story.rule.camera_offline(at(1.0), "no answer"));
    story.frame_id = 0;
    assert_eq!(new(story.dog(2.0)).frame_id, 1);
}

#[test]
fn switched_off_a_rule_says_nothing_and_keeps_its_cooldown() {
    let mut story = Story::new(AlertSettings { min_frames: NonZeroU32::MIN, ..settings() });
    new(story.dog(0.0));
    assert_eq!(end(story.rule.set_enabled(at(1.0), false)).0, EndReason::Disabled);
    assert!(!story.rule.wants_frames(at(2.0).wall));
    assert_eq!(story.dog(2.0), []);
    assert_eq!(story.tick(100.0), []);
    assert_eq!(story.rule.set_enabled(at(30.0), true), []);
    assert_eq!(story.rule.counts().ignored_sightings, 1);
    let mut story = Story::new(AlertSettings { min_frames: NonZeroU32::MIN, ..settings() });
    new(story.dog(0.0));
    story.rule.set_enabled(at(1.0), false);
    story.rule.set_enabled(at(2.0), true);
    assert_eq!(story.dog(3.0), []);
    assert_eq!(story.dog(59.0), []);
    new(story.dog(60.0));
}

#[test]
fn changed_settings_leave_an_open_event_open_and_judge_it_from_then_on() {
    let mut story = Story::new(at_once());
    new(story.dog(0.0));
    let stricter = AlertSettings {
        min_score: crate::alerts::Fraction::new(0.8).unwrap(),
        clear_after: Duration::from_secs(2),
        ..at_once()
    };
    assert_eq!(story.rule.change_settings(at(1.0), stricter), []);
    assert_eq!(story.dog(1.5), [], "no longer enough");
    assert_eq!(end(story.tick(2.0)).0, EndReason::Cleared);
}

#[test]
fn frames_counted_under_other_settings_are_forgotten() {
    let mut story = Story::new(settings());
    story.dog(0.0);
    story.rule.change_settings(at(0.5), settings());
    assert_eq!(story.dog(1.0), []);
    new(story.dog(2.0));
}

#[test]
fn a_rule_that_is_given_up_ends_its_event() {
    for (why, expected) in
        [(StopReason::Removed, EndReason::Removed), (StopReason::Shutdown, EndReason::Shutdown)]
    {
        let mut story = Story::new(at_once());
        new(story.dog(0.0));
        assert_eq!(end(story.rule.stop(at(1.0), why).into_iter().collect()).0, expected);
        assert_eq!(Story::new(at_once()).rule.stop(at(1.0), why), None);
    }
}

#[test]
fn an_event_ends_with_the_range_of_its_schedule() {
    // The story begins at 22:13:20, so the range ends 40 seconds into it.
    let range = WeeklyRange::parse("22:04-22:14", &[Weekday::Tuesday]).unwrap();
    let schedule = Schedule::new(TimeZone::UTC, vec![range]).unwrap();
    let mut story = Story::new(AlertSettings { schedule: Some(schedule), ..at_once() });
    new(story.dog(20.0));
    assert_eq!(story.dog(39.9), []);
    assert_eq!(end(story.tick(40.0)).0, EndReason::Schedule);
    assert!(story.rule.wants_frames(at(39.9).wall) && !story.rule.wants_frames(at(40.0).wall));
    assert_eq!(story.dog(39.95), [], "the model had it all the while");
    assert_eq!(story.dog(41.0), []);
    // A week later.
    new(story.dog(7.0 * 86_400.0 + 10.0));
}

#[test]
fn a_wall_clock_that_is_set_moves_neither_clearing_nor_the_length_of_an_event() {
    let mut story = Story::new(at_once());
    let opened = new(story.dog(0.0));
    story.nothing(1.0);
    let set_back = |s: f64| Moment { monotonic: Duration::from_secs_f64(s), wall: SystemTime::UNIX_EPOCH };
    assert_eq!(story.rule.tick(set_back(9.0)), []);
    let (_, event) = end(story.rule.tick(set_back(10.0)));
    assert_eq!(event.ended_at, Some(opened.started_at + Duration::from_secs(10)));
}

#[test]
fn an_event_with_nonsense_for_boxes_and_scores_is_no_event() {
    let mut story = Story::new(at_once());
    for (score, corner) in [(f32::NAN, 10.0), (0.9, f32::NAN), (f32::INFINITY, 10.0), (0.9, 1e30)] {
        let s = story.frame_id as f64;
        assert_eq!(story.frame(s, &[(score, [corner, corner, 1e31, 1e31])]), []);
    }
}
