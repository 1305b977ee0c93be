use std::path::{Path, PathBuf};

use belvedere_kernels::RgbImage;
use belvedere_models::{Evidence, FoundRegion};
use belvedere_pipelines::{CameraName, SourceSpec, SourceUrl};
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::alerts::{AlertSettings, Phrase};
use crate::config::CameraAlert;
use crate::live::Live;
use crate::mqtt::spool::{Spool, SpoolKind, SpoolLimits, SpooledMessage};

const BOX: [f32; 4] = [10.0, 10.0, 40.0, 30.0];
const WITHIN: Duration = Duration::from_secs(20);

/// Alerts whose messages are read from the file that they wait in.
struct Test {
    folder: TempDir,
    alerting: Option<Alerting>,
    phrases: Vec<String>,
    frames: u64,
}

impl Test {
    /// A camera `porch` that is watched for `phrases`; a phrase is true at once and stays so for an hour.
    fn new(phrases: &[&str]) -> Test {
        let mut test =
            Test { folder: TempDir::new().unwrap(), alerting: None, phrases: Vec::new(), frames: 0 };
        test.run(phrases);
        test
    }

    /// Begins a run of the daemon, after the end of the one before.
    fn run(&mut self, phrases: &[&str]) {
        self.alerting = None;
        let outbox = Outbox::open(self.path(), SpoolLimits::default(), Arc::default()).unwrap();
        let alerting = Alerting::new(&[camera(phrases)], "home", Arc::new(outbox), Live::new().unwrap().0);
        alerting.begin();
        self.phrases = phrases.iter().map(|phrase| (*phrase).to_owned()).collect();
        self.alerting = Some(alerting);
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("spool.db")
    }

    fn alerting(&self) -> &Alerting {
        self.alerting.as_ref().unwrap()
    }

    /// Shows a frame on which each phrase is found with a score, or not at all.
    fn show(&mut self, scores: &[Option<f32>]) {
        self.show_of_size([64, 48], scores);
    }

    fn show_of_size(&mut self, [width, height]: [u32; 2], scores: &[Option<f32>]) {
        let picture = RgbImage { width, height, pixels: vec![90; (width * height * 3) as usize] };
        self.frames += 1;
        let frame = Frame::from_rgb(CameraName::new("porch").unwrap(), self.frames, picture);
        let asked = self.alerting().wanted(&frame);
        let found: Vec<FoundPhrase> = asked
            .iter()
            .map(|asked| {
                let place = self.phrases.iter().position(|phrase| phrase == asked.as_str()).unwrap();
                FoundPhrase { regions: scores[place].map(region).into_iter().collect() }
            })
            .collect();
        self.alerting().analysed(&frame, &frame.view().unwrap(), &asked, &found);
    }

    /// The camera is watched for `phrases` from now on.
    fn change(&mut self, phrases: &[&str]) {
        self.alerting().change(&camera(phrases));
        self.phrases = phrases.iter().map(|phrase| (*phrase).to_owned()).collect();
    }

    /// The run ends without a word; what it had said is on the disk.
    fn kill(&mut self) -> Vec<SpooledMessage> {
        self.alerting = None;
        messages(&self.path())
    }
}

/// `porch`, watched for `phrases`, each of which is true at once and stays so for an hour.
fn camera(phrases: &[&str]) -> CameraSettings {
    let rule = AlertSettings {
        min_frames: std::num::NonZeroU32::MIN,
        clear_after: Duration::from_secs(3600),
        ..AlertSettings::default()
    };
    let alert = |phrase: &&str| CameraAlert {
        phrase: Phrase::new(phrase).unwrap(),
        rule: rule.clone(),
        snapshot: SnapshotStyle::default(),
    };
    let url = SourceUrl::parse("test://ball").unwrap();
    CameraSettings {
        name: "porch".to_owned(),
        enabled: true,
        source: SourceSpec::new(CameraName::new("porch").unwrap(), url),
        tasks: Vec::new(),
        alerts: phrases.iter().map(alert).collect(),
        zones: Vec::new().into(),
    }
}

fn region(score: f32) -> FoundRegion {
    let evidence = Evidence { location: 0.9, label: -0.25, contrast: 3.0, region: None, rival: None };
    FoundRegion { box_px: BOX, score, evidence }
}

fn messages(path: &Path) -> Vec<SpooledMessage> {
    Spool::open(path, SpoolLimits::default()).unwrap().next_after(None, usize::MAX).unwrap()
}

fn json(message: &SpooledMessage) -> Value {
    serde_json::from_slice(&message.payload).unwrap()
}

fn events(messages: &[SpooledMessage]) -> Vec<Value> {
    messages.iter().filter(|message| message.kind == SpoolKind::Event).map(json).collect()
}

/// An event in words.
fn summary(event: &Value) -> String {
    let word = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
    [word("event_type"), word("phrase"), word("reason")].join(" ").trim_end().to_owned()
}

fn of_topic<'a>(messages: &'a [SpooledMessage], topic: &str) -> &'a [u8] {
    &messages.iter().find(|message| message.topic == topic).unwrap().payload
}

#[test]
fn an_alert_is_its_picture_its_event_and_then_what_is_retained() {
    let mut test = Test::new(&["a red dog"]);
    test.show(&[None]);
    test.show(&[Some(0.9)]);
    let messages = test.kill();
    let topics: Vec<&str> = messages.iter().map(|message| message.topic.as_str()).collect();
    assert_eq!(
        topics,
        [
            "home/porch/alert/a_red_dog/snapshot",
            "home/porch/alerts",
            "home/porch/alert/a_red_dog/attributes",
            "home/porch/alert/a_red_dog/state"
        ]
    );
    let picture = image::load_from_memory(&messages[0].payload).unwrap();
    assert_eq!((picture.width(), picture.height()), (64, 48));
    let event = json(&messages[1]);
    assert_eq!((&event["event_type"], &event["frame_id"]), (&Value::from("new"), &Value::from(2)));
    assert_eq!(event["snapshot"], topics[0]);
    assert_eq!(
        event["regions"][0]["evidence"],
        serde_json::json!({"location": 0.9, "label": -0.25, "contrast": 3.0})
    );
    assert_eq!(json(&messages[2]), event);
    assert_eq!(messages[3].payload, b"ON");
}

#[test]
fn every_phrase_is_said_to_be_off_at_the_start() {
    let messages = Test::new(&["a red dog", "a cat"]).kill();
    let states = ["home/porch/alert/a_red_dog/state", "home/porch/alert/a_cat/state"];
    assert_eq!(messages.len(), 2);
    assert_eq!(states.map(|topic| of_topic(&messages, topic)), [b"OFF", b"OFF"]);
}

#[test]
fn phrases_of_a_camera_have_lives_of_their_own() {
    let mut test = Test::new(&["a red dog", "a cat"]);
    test.show(&[None, Some(0.5)]);
    test.show(&[Some(0.5), None]);
    let events = events(&test.kill());
    let phrases: Vec<&Value> = events.iter().map(|event| &event["phrase"]).collect();
    assert_eq!(phrases, ["a cat", "a red dog"]);
}

#[test]
fn a_run_that_is_killed_leaves_an_event_open_and_the_next_one_ends_it_once() {
    let mut test = Test::new(&["a red dog"]);
    test.show(&[Some(0.5)]);
    let before = events(&test.kill());
    test.run(&["a red dog"]);
    let messages = test.kill();
    let after = events(&messages);
    assert_eq!(after.len(), 2, "{after:#?}");
    assert_eq!((&after[0], &after[1]["id"]), (&before[0], &before[0]["id"]));
    assert_eq!((&after[1]["event_type"], &after[1]["reason"]), (&"end".into(), &"interrupted".into()));
    assert_eq!(of_topic(&messages, "home/porch/alert/a_red_dog/state"), b"OFF");
    test.run(&["a red dog"]);
    assert_eq!(events(&test.kill()).len(), 2);
}

#[test]
fn a_phrase_that_left_with_its_event_open_leaves_nothing_retained() {
    let mut test = Test::new(&["a red dog"]);
    test.show(&[Some(0.5)]);
    test.run(&["a cat"]);
    let messages = test.kill();
    assert_eq!(events(&messages)[1]["reason"], "interrupted");
    for kind in ["state", "attributes", "snapshot"] {
        assert_eq!(of_topic(&messages, &format!("home/porch/alert/a_red_dog/{kind}")), b"", "{kind}");
    }
}

#[test]
fn the_end_of_the_daemon_ends_what_is_open_and_nothing_is_said_after_it() {
    let mut test = Test::new(&["a red dog"]);
    test.show(&[Some(0.5)]);
    test.alerting().stop();
    test.show(&[]);
    test.alerting().camera_offline("porch", "gone");
    assert_eq!(test.alerting().counts("porch").told, 1);
    let before = events(&test.kill());
    assert_eq!(before[1]["reason"], "shutdown");
    test.run(&["a red dog"]);
    assert_eq!(events(&test.kill()).len(), 2);
}

#[test]
fn a_camera_that_goes_offline_ends_its_events_with_the_reason() {
    let mut test = Test::new(&["a red dog"]);
    test.show(&[Some(0.5)]);
    test.alerting().camera_offline("yard", "of another camera");
    test.alerting().camera_offline("porch", "no answer");
    let messages = test.kill();
    let end = &events(&messages)[1];
    assert_eq!((&end["reason"], &end["detail"]), (&"camera_offline".into(), &"no answer".into()));
    assert_eq!(of_topic(&messages, "home/porch/alert/a_red_dog/state"), b"OFF");
}

#[test]
fn a_camera_that_is_switched_off_asks_for_nothing_and_its_frames_count_for_nothing() {
    let mut test = Test::new(&["a red dog"]);
    test.show(&[Some(0.5)]);
    test.alerting().set_enabled("porch", false);
    test.show(&[]);
    assert_eq!(test.alerting().counts("porch").ignored_sightings, 0);
    let events = events(&test.kill());
    assert_eq!((events.len(), &events[1]["reason"]), (2, &"disabled".into()));
}

#[test]
fn an_event_ends_though_no_frame_comes() {
    let mut test = Test::new(&["a red dog"]);
    // Nothing is to be waited for longer than this test takes.
    let alerts = test.alerting().of("porch").unwrap();
    for alert in &mut lock(&alerts).alerts {
        let short = AlertSettings {
            min_frames: std::num::NonZeroU32::MIN,
            clear_after: Duration::from_millis(1),
            unwatched_after: Duration::from_millis(1),
            ..AlertSettings::default()
        };
        let now = Moment { monotonic: Duration::ZERO, wall: SystemTime::now() };
        alert.rule.as_mut().unwrap().change_settings(now, short);
    }
    test.show(&[Some(0.5)]);
    let deadline = Instant::now() + WITHIN;
    let is_open = || {
        let is_on = |alert: &Alert| alert.rule.as_ref().unwrap().state() == AlertState::On;
        lock(&alerts).alerts.iter().any(is_on)
    };
    while is_open() {
        assert!(Instant::now() < deadline, "it does not end");
        test.alerting().tick();
        std::thread::yield_now();
    }
    assert_eq!(events(&test.kill())[1]["reason"], "no_frames");
}

#[test]
fn a_phrase_that_stays_keeps_its_event_while_others_come_and_go() {
    let mut test = Test::new(&["a red dog", "a cat"]);
    test.show(&[Some(0.5), Some(0.6)]);
    test.change(&["a bird", "a red dog"]);
    test.show(&[Some(0.7), Some(0.5)]);
    let messages = test.kill();
    let said: Vec<String> = events(&messages).iter().map(summary).collect();
    assert_eq!(said, ["new a red dog", "new a cat", "end a cat removed", "new a bird"]);
    for kind in ["state", "attributes", "snapshot"] {
        assert_eq!(of_topic(&messages, &format!("home/porch/alert/a_cat/{kind}")), b"", "{kind}");
    }
    assert_eq!(of_topic(&messages, "home/porch/alert/a_red_dog/state"), b"ON");
}

#[test]
fn a_phrase_that_is_written_otherwise_is_another_one_under_the_same_topics() {
    let mut test = Test::new(&["a red dog"]);
    test.show(&[Some(0.5)]);
    test.change(&["A red dog"]);
    let messages = test.kill();
    assert_eq!(summary(&events(&messages)[1]), "end a red dog removed");
    assert_eq!(of_topic(&messages, "home/porch/alert/a_red_dog/state"), b"OFF");
    assert_eq!(of_topic(&messages, "home/porch/alert/a_red_dog/snapshot"), b"");
}

#[test]
fn a_camera_that_leaves_ends_its_events_and_one_that_comes_begins_anew() {
    let mut test = Test::new(&["a red dog"]);
    test.show(&[Some(0.5)]);
    test.alerting().let_go("porch");
    test.show(&[]);
    assert_eq!(test.alerting().counts("porch").told, 0);
    test.alerting().take_in(&camera(&["a red dog"]));
    test.show(&[Some(0.5)]);
    let messages = test.kill();
    let said: Vec<String> = events(&messages).iter().map(summary).collect();
    assert_eq!(said, ["new a red dog", "end a red dog removed", "new a red dog"]);
    assert_eq!(of_topic(&messages, "home/porch/alert/a_red_dog/state"), b"ON");
}

#[test]
fn what_a_camera_has_counted_outlives_its_phrases() {
    let mut test = Test::new(&["a red dog", "a cat"]);
    test.show(&[Some(0.5), Some(0.6)]);
    test.change(&["a bird"]);
    assert_eq!(test.alerting().counts("porch").told, 2);
}

#[test]
fn a_phrase_that_comes_to_a_camera_that_is_switched_off_is_not_looked_for() {
    let mut test = Test::new(&["a red dog"]);
    test.alerting().set_enabled("porch", false);
    test.change(&["a red dog", "a cat"]);
    test.show(&[]);
    test.alerting().set_enabled("porch", true);
    test.show(&[None, Some(0.5)]);
    assert_eq!(events(&test.kill()).len(), 1);
}

#[test]
fn an_alert_that_is_to_have_no_picture_any_more_leaves_none_behind() {
    let mut test = Test::new(&["a red dog"]);
    test.show(&[Some(0.5)]);
    let mut plain = camera(&["a red dog"]);
    plain.alerts[0].rule.snapshot = false;
    test.alerting().change(&plain);
    let messages = test.kill();
    assert_eq!(of_topic(&messages, "home/porch/alert/a_red_dog/snapshot"), b"");
    assert_eq!(events(&messages).len(), 1);
}

#[test]
fn an_event_whose_picture_cannot_be_made_names_none_to_its_end() {
    let mut test = Test::new(&["a red dog"]);
    let mut large = camera(&["a red dog"]);
    large.alerts[0].snapshot.longest_side_px = 0;
    test.alerting().change(&large);
    // Wider than a JPEG may be.
    test.show_of_size([65_536, 48], &[Some(0.5)]);
    test.alerting().camera_offline("porch", "no answer");
    let events = events(&test.kill());
    let said: Vec<(String, &Value)> =
        events.iter().map(|event| (summary(event), &event["snapshot"])).collect();
    let expected =
        ["new a red dog", "end a red dog camera_offline"].map(|said| (said.to_owned(), &Value::Null));
    assert_eq!(said, expected);
}

#[test]
fn an_event_whose_picture_was_taken_back_ends_without_one() {
    let mut test = Test::new(&["a red dog"]);
    test.show(&[Some(0.5)]);
    let mut plain = camera(&["a red dog"]);
    plain.alerts[0].rule.snapshot = false;
    test.alerting().change(&plain);
    test.alerting().camera_offline("porch", "no answer");
    assert_eq!(events(&test.kill())[1]["snapshot"], Value::Null);
}
