//! Every kind of mistake.

use super::{Folder, GOOD};

/// One mistake each: the file, the key that is to be blamed, and a part of what is said.
pub(crate) fn cases() -> Vec<(String, &'static str, &'static str)> {
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
    vec![
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
    ]
}

#[test]
fn every_kind_of_mistake_is_blamed_on_its_key() {
    for (text, key, holds) in cases() {
        let lines = Folder::new(&text).problems();
        let blamed = lines.iter().any(|line| line.contains(&format!(" {key}: ")) && line.contains(holds));
        assert!(blamed, "{key} ... {holds} is not in {lines:#?}\nof\n{text}");
    }
}
