//! Configurations from the outside: files in a folder, variables, and what is said about them.

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

/// One mistake each: what is put where, the key that is to be blamed, and a part of what is said.
#[test]
fn every_kind_of_mistake_is_blamed_on_its_key() {
    let mqtt = |lines: &str| GOOD.replace("url = \"mqtt://broker.local\"", lines);
    let camera = |lines: &str| format!("{GOOD}{lines}\n");
    let tasks = |list: &str| GOOD.replace("[\"caption\"]", list);
    const POLYGON: &str = "polygon = [[0, 0], [1, 0], [1, 1]]";
    let zone = |lines: &str| camera(&format!("[[camera.zone]]\nname = \"lawn\"\n{lines}"));
    // With a phrase among the lines they are the second alert's.
    let alert = |lines: &str| {
        let second = if lines.starts_with("phrase") { "[[camera.alert]]\n" } else { "" };
        camera(&format!("[[camera.alert]]\nphrase = \"a dog\"\n{second}{lines}"))
    };
    let cases: Vec<(String, &str, &str)> = vec![
        (mqtt(""), "mqtt.url", "missing"),
        (mqtt("url = 3"), "mqtt.url", "must be a string, not a whole number"),
        (mqtt("url = \"\""), "mqtt.url", "empty"),
        (mqtt("url = \"broker.local\""), "mqtt.url", "no URL"),
        (mqtt("url = \"embeded://x\""), "mqtt.url", "did you mean \"embedded\"?"),
        (mqtt("url = \"mqtt://\""), "mqtt.url", "host"),
        (mqtt("url = \"mqtt://u:p@host\""), "mqtt.url", "username and password_file"),
        (mqtt("url = \"mqtt://host/topic\""), "mqtt.url", "mqtt.topic"),
        (mqtt("url = \"mqtt://host\"\nlisten = \"127.0.0.1:1\""), "mqtt.listen", "embedded"),
        (mqtt("url = \"embedded\"\nlisten = \"here\""), "mqtt.listen", "127.0.0.1:1883"),
        (mqtt("url = \"mqtt://host\"\nca_file = \"/absent\""), "mqtt.ca_file", "mqtts"),
        (mqtt("url = \"mqtts://host\"\nca_file = \"/absent\""), "mqtt.ca_file", "/absent"),
        (
            mqtt("url = \"mqtt://host\"\nusername = \"u\"\npassword_file = \"/absent\""),
            "mqtt.password_file",
            "/absent",
        ),
        (mqtt("url = \"mqtt://host\"\npassword = \"p\""), "mqtt.password", "did you mean \"password_file\"?"),
        (mqtt("url = \"mqtt://host\"\nkeep_alive = \"10 parsecs\""), "mqtt.keep_alive", "no length of time"),
        (mqtt("url = \"mqtt://host\"\nkeep_alive = \"1ms\""), "mqtt.keep_alive", "between"),
        (mqtt("url = \"mqtt://host\"\ndiscovery = true"), "mqtt.discovery", "false or a string"),
        (mqtt("url = \"mqtt://host\"\ndiscovery = \"a/#\""), "mqtt.discovery", "only subscriptions may"),
        (mqtt("url = \"mqtt://host\"\noutbox = true"), "mqtt.outbox", "false or a string"),
        (mqtt("url = \"mqtt://host\"\noutbox_messages = 0"), "mqtt.outbox_messages", "from 1"),
        (mqtt("url = \"mqtt://host\"\noutbox_size = \"64\""), "mqtt.outbox_size", "64MiB"),
        (mqtt("url = \"mqtt://host\"\noutbox_size = \"1KiB\""), "mqtt.outbox_size", "between"),
        (mqtt("url = \"mqtt://host\"\nclient_key_file = \"/absent\""), "mqtt.client_key_file", "mqtts"),
        (
            mqtt("url = \"mqtts://host\"\nclient_key_file = \"/dev/null\""),
            "mqtt.client_certificate_file",
            "missing",
        ),
        (
            mqtt("url = \"mqtts://host\"\nclient_certificate_file = \"/dev/null\""),
            "mqtt.client_key_file",
            "missing",
        ),
        (
            mqtt("url = \"mqtt://host\"\nusername = \"u\"\npassword_file = \"/proc/sys/kernel/ostype\""),
            "mqtt.url",
            "allow_plain_text_password",
        ),
        (mqtt("url = \"mqtt://host\"\ntopic = \"$SYS\""), "mqtt.topic", "$"),
        (format!("model = 1\n{GOOD}"), "model", "must be a table"),
        (format!("{GOOD}[model]\nprecision = \"exakt\""), "model.precision", "did you mean \"exact\"?"),
        (format!("{GOOD}[model]\nbeams = 0"), "model.beams", "from 1 to 16"),
        (format!("{GOOD}[model]\nthreads = -1"), "model.threads", "from 1"),
        (GOOD.replace("name = \"porch\"", ""), "camera[0].name", "missing"),
        (GOOD.replace("\"porch\"", "\"stats\""), "camera[0].name", "topic of the daemon"),
        (GOOD.replace("\"porch\"", "\"front door\""), "camera[0].name", "front door"),
        (GOOD.replace("rtsp://192.0.2.10", "rstp://192.0.2.10"), "camera[0].url", "did you mean \"rtsp\"?"),
        (GOOD.replace("rtsp://192.0.2.10/stream1", "porch.mp4"), "camera[0].url", "without a base"),
        (camera("fps = -1.5"), "camera[0].fps", "-1.5"),
        (camera("fps = nan"), "camera[0].fps", "finite"),
        (camera("fps = \"2\""), "camera[0].fps", "must be a number, not a string"),
        (camera("transport = \"tpc\""), "camera[0].transport", "did you mean \"tcp\"?"),
        (camera("decoder = \"softwar\""), "camera[0].decoder", "did you mean \"software\"?"),
        (camera("enabled = \"yes\""), "camera[0].enabled", "must be true or false"),
        (camera("credentials_file = \"/absent\""), "camera[0].credentials_file", "/absent"),
        (camera("frame_timeout = 10"), "camera[0].frame_timeout", "must be a string"),
        (camera("zone = 1"), "camera[0].zone", "a list of tables"),
        (camera("zones = []"), "camera[0].zones", "did you mean \"zone\"?"),
        (zone("polygon = [[0, 0], [1, 1]]"), "camera[0].zone[0].polygon", "2 points"),
        (zone("polygon = [[0, 0], [1, 2], [0.5, 1]]"), "camera[0].zone[0].polygon", "outside the picture"),
        (zone("polygon = [[0, 0], [1], [0.5, 1]]"), "camera[0].zone[0].polygon[1]", "[x, y]"),
        (zone("polygon = [[0, 0], [1, 1], [1, 0], [0, 1]]"), "camera[0].zone[0].polygon", "meets itself"),
        (zone(""), "camera[0].zone[0].polygon", "missing"),
        (zone(&format!("{POLYGON}\nnmae = 1")), "camera[0].zone[0].nmae", "did you mean \"name\"?"),
        (
            zone(&format!("{POLYGON}\n[[camera.zone]]\nname = \"lawn\"\n{POLYGON}")),
            "camera[0].zone[1].name",
            "two zones are named",
        ),
        (camera("[[camera.alert]]"), "camera[0].alert[0].phrase", "missing"),
        (camera("[[camera.alert]]\nphrase = \"a <loc_5>\""), "camera[0].alert[0].phrase", "'<'"),
        (alert(&format!("phrase = {:?}", "x".repeat(301))), "camera[0].alert[1].phrase", "301 characters"),
        (alert("phrase = \"A  Dog!\""), "camera[0].alert[1].phrase", "would be published where \"a dog\" is"),
        (alert("phrase = \"a dog\""), "camera[0].alert[1].phrase", "asked for already"),
        (alert("min_score = 40"), "camera[0].alert[0].min_score", "not between 0 and 1"),
        (alert("min_frames = 0"), "camera[0].alert[0].min_frames", "from 1"),
        (alert("clear_after = \"0s\""), "camera[0].alert[0].clear_after", "between"),
        (alert("cooldown = 60"), "camera[0].alert[0].cooldown", "must be a string"),
        (alert("cooldwon = \"60s\""), "camera[0].alert[0].cooldwon", "did you mean \"cooldown\"?"),
        (alert("zones = [\"lawm\"]"), "camera[0].alert[0].zones[0]", "has no zone \"lawm\""),
        (alert("zone_test = \"center\""), "camera[0].alert[0].zone_test", "did you mean \"centre\"?"),
        (alert("zone_test = \"share\""), "camera[0].alert[0].zone_share", "missing"),
        (alert("zone_test = \"share\"\nzone_share = 0"), "camera[0].alert[0].zone_share", "above 0"),
        (alert("zone_share = 0.5"), "camera[0].alert[0].zone_share", "only"),
        (alert("min_area = 0.5\nmax_area = 0.1"), "camera[0].alert[0].min_area", "nothing is"),
        (alert("min_height = 0.5\nmax_height = 0.1"), "camera[0].alert[0].min_height", "nothing is"),
        (alert("schedule = []"), "camera[0].alert[0].schedule", "never come"),
        (alert("schedule = [\"22-6\"]"), "camera[0].alert[0].schedule[0]", "22:00-06:30"),
        (
            alert("schedule = [{ hours = \"22:00-06:00\", days = [\"fry\"] }]"),
            "camera[0].alert[0].schedule[0].days[0]",
            "did you mean \"fri\"?",
        ),
        (
            alert("schedule = [\"22:00-06:00\"]\ntime_zone = \"Europe/Roma\""),
            "camera[0].alert[0].time_zone",
            "not known here",
        ),
        (alert("time_zone = \"Europe/Rome\""), "camera[0].alert[0].time_zone", "there is none"),
        (alert("snapshot_quality = 0"), "camera[0].alert[0].snapshot_quality", "from 1 to 100"),
        (tasks("[]"), "camera[0].tasks", "no task"),
        (tasks("\"caption\""), "camera[0].tasks", "must be a list"),
        (tasks("[3]"), "camera[0].tasks[0]", "a task's name"),
        (tasks("[\"caption\", \"caption\"]"), "camera[0].tasks[1]", "already"),
        (tasks("[{ task = \"caption\", text = \"a cat\" }]"), "camera[0].tasks[0].task", "takes no text"),
        (tasks("[{ task = \"phrase-grounding\" }]"), "camera[0].tasks[0].task", "needs a text"),
        (
            tasks("[{ task = \"phrase-grounding\", txt = \"a\" }]"),
            "camera[0].tasks[0].txt",
            "did you mean \"text\"?",
        ),
        (tasks("[{ text = \"a\" }]"), "camera[0].tasks[0].task", "missing"),
        (tasks("[\"region-to-ocr\"]"), "camera[0].tasks[0]", "region"),
        ("[[camera]]\nname = \"a\"\nurl = \"test://\"\ntasks = [\"ocr\"]".to_owned(), "mqtt", "missing"),
        ("[mqtt]\nurl = \"mqtt://host\"".to_owned(), "camera", "no camera"),
        ("camera = 1\n[mqtt]\nurl = \"mqtt://host\"".to_owned(), "camera", "list of tables"),
    ];
    for (text, key, holds) in cases {
        let lines = Folder::new(&text).problems();
        let blamed = lines.iter().any(|line| line.contains(&format!(" {key}: ")) && line.contains(holds));
        assert!(blamed, "{key} ... {holds} is not in {lines:#?}\nof\n{text}");
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

#[test]
fn every_key_of_an_alert_means_what_it_says() {
    let text = r#"
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
    let camera = Folder::new(&format!("{GOOD}{text}")).load().unwrap().cameras.remove(0);
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
