//! Configurations from the outside: files in a folder, variables, and what is said about them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod documents;
mod http;
mod mistakes;
mod reference;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use belvedere::alerts::{
    AlertSettings, Fraction, Polygon, Schedule, SizeLimits, WeeklyRange, Zone, ZoneTest, Zones, time_zone,
};
use belvedere::config::{self, Broker, Problems, Settings};
use belvedere::snapshot::SnapshotStyle;
use jiff::civil::Weekday;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(main: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write("belvedere.toml", main);
        folder
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Settings, Problems> {
        self.load_with(&[])
    }

    fn load_with(&self, variables: &[(&str, &str)]) -> Result<Settings, Problems> {
        let variables = variables.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        config::load_with(&self.path("belvedere.toml"), variables.collect::<HashMap<_, _>>())
    }

    /// The problems' lines without the folder's path.
    #[track_caller]
    fn problems(&self) -> Vec<String> {
        self.lines(self.load().expect_err("the configuration was taken"))
    }

    fn lines(&self, problems: Problems) -> Vec<String> {
        let folder = format!("{}/", self.0.path().display());
        problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
    }
}

const GOOD: &str = r#"
[mqtt]
url = "mqtt://broker.local"

[[camera]]
name = "porch"
url = "rtsp://192.0.2.10/stream1"
tasks = ["caption"]
"#;

#[test]
fn the_smallest_configuration_has_the_documented_defaults() {
    let settings = Folder::new(GOOD).load().unwrap();
    assert_eq!(
        settings.mqtt.broker,
        Broker::Remote { host: "broker.local".to_owned(), port: 1883, tls: None }
    );
    assert_eq!(settings.mqtt.topic, "belvedere");
    assert_eq!(settings.mqtt.stats_interval, Duration::from_secs(60));
    assert_eq!(settings.model.path, None);
    assert_eq!(settings.model.beams, 1);
    let camera = &settings.cameras[0];
    assert!(camera.enabled);
    assert_eq!((camera.name.as_str(), camera.source.fps, camera.tasks.len()), ("porch", 2.0, 1));
}

#[test]
fn ten_mistakes_are_ten_lines_each_with_file_line_key_and_what_is_right() {
    let folder = Folder::new(
        r#"[mqtt]
url = "mqt://broker.local"
pasword_file = "/run/secret"
topic = "home/#"

[model]
device = "cuda"
threads = "four"

[[camera]]
name = "Porch"
url = "rtsp://192.0.2.10/stream1"
fps = 0
tasks = ["captoin", "phrase-grounding"]

[htpp]
listen = "127.0.0.1:8750"
"#,
    );
    let lines = folder.problems();
    let expected = [
        ("belvedere.toml:2: mqtt.url: ", "(did you mean \"mqtt\"?)"),
        ("belvedere.toml:3: mqtt.pasword_file: unknown key", "(did you mean \"password_file\"?)"),
        ("belvedere.toml:4: mqtt.topic: \"home/#\"", "only subscriptions may"),
        ("belvedere.toml:7: model.device: \"cuda\"", "auto, cpu, tensorrt"),
        ("belvedere.toml:8: model.threads: ", "must be a whole number, not a string"),
        ("belvedere.toml:11: camera[0].name: ", "\"Porch\""),
        ("belvedere.toml:13: camera[0].fps: ", "0 is not above 0"),
        ("belvedere.toml:14: camera[0].tasks[0]: ", "(did you mean \"caption\"?)"),
        ("belvedere.toml:14: camera[0].tasks[1]: ", "needs a text"),
        ("belvedere.toml:16: htpp: unknown key", ""),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, (begins, holds)) in lines.iter().zip(expected) {
        assert!(line.starts_with(begins) && line.contains(holds), "{line}\nshould be {begins}...{holds}");
    }
}

#[test]
fn alerts_have_the_documented_defaults_and_need_no_task() {
    let text = GOOD.replace("tasks = [\"caption\"]", "fps = 0.02\n[[camera.alert]]\nphrase = \"a dog\"");
    let camera = Folder::new(&text).load().unwrap().cameras.remove(0);
    assert!(camera.tasks.is_empty());
    let [alert] = &camera.alerts[..] else { panic!("{camera:?}") };
    let expected = AlertSettings { unwatched_after: Duration::from_secs(150), ..AlertSettings::default() };
    assert_eq!((alert.phrase.as_str(), &alert.rule), ("a dog", &expected));
    assert_eq!(alert.snapshot, SnapshotStyle::default());
}

const ALERT_WITH_EVERY_KEY: &str = r#"
[mqtt]
url = "mqtt://broker.local"

[[camera]]
name = "porch"
url = "rtsp://192.0.2.10/stream1"
fps = 5

[[camera.zone]]
name = "driveway"
polygon = [[0.1,0.5],[0.6,0.5],[0.6,1.0],[0.1,1.0]]

[[camera.alert]]
phrase = "person on a ladder"
min_score = 0.7
min_frames = 3
clear_after = "20s"
cooldown = "5m"
zones = ["driveway"]
zone_test = "share"
zone_share = 0.25
min_area = 0.01
max_area = 0.5
min_height = 0.1
max_height = 0.9
schedule = ["22:00-06:30", { hours = "00:00-24:00", days = ["sat", "sun"] }]
time_zone = "UTC"
snapshot = false
snapshot_boxes = false
snapshot_quality = 50
snapshot_longest_side = 0
"#;

#[test]
fn every_key_of_an_alert_means_what_it_says() {
    let camera = Folder::new(ALERT_WITH_EVERY_KEY).load().unwrap().cameras.remove(0);
    let fraction = |value| Fraction::new(value).unwrap();
    let polygon = Polygon::new(vec![[0.1, 0.5], [0.6, 0.5], [0.6, 1.0], [0.1, 1.0]]).unwrap();
    let sides = |min, max| [Some(fraction(min)), Some(fraction(max))];
    let every_day = "mon tue wed thu fri sat sun".split(' ').map(weekday).collect::<Vec<_>>();
    let ranges = vec![
        WeeklyRange::parse("22:00-06:30", &every_day).unwrap(),
        WeeklyRange::parse("00:00-24:00", &every_day[5..]).unwrap(),
    ];
    let rule = AlertSettings {
        min_score: fraction(0.7),
        min_frames: 3.try_into().unwrap(),
        clear_after: Duration::from_secs(20),
        unwatched_after: Duration::from_secs(60),
        cooldown: Duration::from_secs(300),
        zones: Zones::new(vec![Zone::new("driveway", polygon).unwrap()], &["driveway"]).unwrap(),
        zone_test: ZoneTest::share(0.25).unwrap(),
        size: SizeLimits::new(sides(0.01, 0.5), sides(0.1, 0.9)).unwrap(),
        schedule: Some(Schedule::new(time_zone(Some("UTC")).unwrap(), ranges).unwrap()),
        snapshot: false,
    };
    assert_eq!(camera.alerts[0].rule, rule);
    let style = SnapshotStyle { boxes: false, quality: 50, longest_side_px: 0 };
    assert_eq!(camera.alerts[0].snapshot, style);
}

fn weekday(name: &str) -> Weekday {
    let days = [
        ("mon", Weekday::Monday),
        ("tue", Weekday::Tuesday),
        ("wed", Weekday::Wednesday),
        ("thu", Weekday::Thursday),
        ("fri", Weekday::Friday),
        ("sat", Weekday::Saturday),
        ("sun", Weekday::Sunday),
    ];
    days.into_iter().find(|(day, _)| *day == name).unwrap().1
}

#[test]
fn a_second_camera_of_the_same_name_is_refused_even_in_another_file() {
    let folder = Folder::new(GOOD);
    folder.write(
        "conf.d/more.toml",
        "\n\n[[camera]]\nname = \"porch\"\nurl = \"test://\"\ntasks = [\"ocr\"]\n",
    );
    assert_eq!(
        folder.problems(),
        ["conf.d/more.toml:4: camera[1].name: camera[0] is named \"porch\" already"]
    );
}

#[test]
fn later_files_win_key_by_key_and_cameras_add_up() {
    let folder = Folder::new(GOOD);
    let camera =
        |name: &str| format!("[[camera]]\nname = \"{name}\"\nurl = \"test://\"\ntasks = [\"ocr\"]\n");
    folder.write("conf.d/20.toml", &format!("[mqtt]\ntopic = \"twenty\"\n{}", camera("yard")));
    folder.write("conf.d/10.toml", &format!("[mqtt]\ntopic = \"ten\"\nusername = \"u\"\n{}", camera("gate")));
    folder.write("conf.d/30.toml.bak", "not TOML");
    let settings = folder.load().unwrap();
    assert_eq!(settings.mqtt.topic, "twenty");
    assert_eq!(settings.mqtt.username.as_deref(), Some("u"));
    let names: Vec<&str> = settings.cameras.iter().map(|camera| camera.name.as_str()).collect();
    assert_eq!(names, ["porch", "gate", "yard"]);
}

#[test]
fn variables_win_over_files_and_are_named_when_they_are_wrong() {
    let folder = Folder::new(GOOD);
    let settings = folder
        .load_with(&[("BELVEDERE__MQTT__URL", "mqtts://other:1234"), ("BELVEDERE__MODEL__BEAMS", "3")])
        .unwrap();
    assert!(matches!(settings.mqtt.broker, Broker::Remote { port: 1234, tls: Some(_), .. }));
    assert_eq!(settings.model.beams, 3);
    let problems = folder.load_with(&[("BELVEDERE__MODEL__BEAMS", "many")]).unwrap_err();
    let lines = folder.lines(problems);
    assert_eq!(
        lines,
        ["environment BELVEDERE__MODEL__BEAMS: model.beams: must be a whole number from 1 to 16"]
    );
    let problems = folder.load_with(&[("BELVEDERE__MQTT__TOPICK", "x")]).unwrap_err();
    assert!(folder.lines(problems)[0].contains("did you mean \"topic\"?"));
}

#[test]
fn an_index_in_a_key_is_an_unknown_key_and_makes_no_list() {
    let problems = Folder::new(GOOD)
        .load_with(&[
            ("BELVEDERE__MODEL__S[42630517310441757].TEX", "x"),
            ("BELVEDERE__CAMERA[4000000000]__FPS", "1"),
            ("OTHER[4000000000]", "none of ours"),
        ])
        .unwrap_err();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, start) in lines.iter().zip([
        "environment BELVEDERE__CAMERA[4000000000]__FPS: camera[4000000000].fps: unknown key",
        "environment BELVEDERE__MODEL__S[42630517310441757].TEX: model.s[42630517310441757].tex: unknown key",
    ]) {
        assert!(line.starts_with(start), "{line}");
    }
    let lines = Folder::new(&format!("\"model[42630517310441757]\" = 1\n{GOOD}")).problems();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("belvedere.toml:1: model[42630517310441757]: unknown key"), "{lines:?}");
}

#[test]
fn what_is_hidden_beside_a_drop_in_is_no_configuration() {
    let folder = Folder::new(GOOD);
    folder.write("conf.d/10.toml", "[mqtt]\ntopic = \"seen\"\n");
    folder.write("conf.d/._10.toml", "\0\u{5}\u{16}\u{7}");
    // As an editor locks the file that it has open.
    std::os::unix::fs::symlink("user@host.1234:5678", folder.path("conf.d/.#10.toml")).unwrap();
    assert_eq!(folder.load().unwrap().mqtt.topic, "seen");
}

#[test]
fn a_key_with_line_ends_in_it_is_reported_on_one_line() {
    let folder = Folder::new(&format!("\"a\\nb\\u001b[31m\" = 1\n{GOOD}"));
    let problems = folder.load_with(&[("BELVEDERE__X\nY", "1")]).unwrap_err();
    let lines = folder.lines(problems);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains(char::is_control)), "{lines:?}");
}

#[test]
fn a_file_that_is_no_toml_is_named_with_its_line() {
    let lines = Folder::new("[mqtt]\nurl = \"mqtt://host\"\ntopic =\n").problems();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("belvedere.toml:3: not TOML: "), "{lines:?}");
}

#[test]
fn an_absent_file_is_named() {
    let path = Path::new("/nonexistent/belvedere.toml");
    let problems = config::load_with(path, HashMap::new()).unwrap_err().to_string();
    assert!(problems.starts_with("/nonexistent/belvedere.toml: cannot be read"), "{problems}");
}

#[test]
fn no_secret_is_shown_by_settings_or_problems() {
    let folder = Folder::new("");
    let password = folder.write("password", "hunter2\n");
    let credentials = folder.write("credentials", "eve:swordfish\n");
    let text = format!(
        "[mqtt]\nurl = \"mqtts://host\"\nusername = \"u\"\npassword_file = {password:?}\n\
         [[camera]]\nname = \"a\"\nurl = \"rtsp://bob:opensesame@192.0.2.1/\"\n\
         credentials_file = {credentials:?}\ntasks = [\"ocr\"]\n"
    );
    folder.write("belvedere.toml", &text);
    let settings = folder.load().unwrap();
    assert_eq!(settings.mqtt.password.as_ref().unwrap().reveal(), "hunter2");
    let shown = format!("{settings:?}");
    folder.write(
        "belvedere.toml",
        &text.replace("mqtt://host", "mqtt://carl:xyzzy@host").replace("[\"ocr\"]", "1"),
    );
    std::fs::write(&credentials, "swordfish").unwrap();
    let problems = folder.problems().join("\n");
    for secret in ["hunter2", "swordfish", "opensesame", "xyzzy"] {
        assert!(!shown.contains(secret), "{shown}");
        assert!(!problems.contains(secret), "{problems}");
    }
}
