//! The binary from outside: exit codes and what is said where.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;
use std::process::{Command, Output};

fn belvedere(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_belvedere"))
        .args(arguments)
        .env_remove("BELVEDERE_LOG")
        .output()
        .unwrap()
}

fn config(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("belvedere.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const GOOD: &str = "[mqtt]\nurl = \"mqtts://broker.local\"\nusername = \"u\"\npassword_file = PASSWORD\n\
    [[camera]]\nname = \"porch\"\nurl = \"rtsp://eve:swordfish@192.0.2.1/\"\ntasks = [\"caption\"]\n";

#[test]
fn a_good_configuration_is_summed_up_without_its_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "hunter2").unwrap();
    let (_dir, path) = config(&GOOD.replace("PASSWORD", &format!("{password:?}")));
    let output = belvedere(&["check", "--config", &path]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for word in ["broker.local:8883", "porch", "192.0.2.1", "caption"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains("hunter2") && !said.contains("swordfish"), "{said}");
}

#[test]
fn a_wrong_configuration_is_78_with_a_line_for_each_mistake_for_check_and_run() {
    let (_dir, path) = config("[mqtt]\nurl = 1\ntopik = \"a\"\n[[camera]]\nname = \"A\"\n");
    for command in ["check", "run"] {
        let output = belvedere(&[command, "--config", &path]);
        assert_eq!(output.status.code(), Some(78), "{command}");
        let lines = text(&output.stderr);
        assert_eq!(lines.lines().count(), 5, "{lines}");
        assert!(lines.lines().all(|line| line.starts_with(&path)), "{lines}");
        assert!(output.stdout.is_empty());
    }
}

/// Where systemd puts what a unit's `LoadCredential=` names, and nothing is.
const CREDENTIALS: &str = "/run/credentials/belvedere-test-that-does-not-run.service";

#[test]
fn secrets_of_a_service_that_is_down_are_no_mistake_for_check_and_one_for_run() {
    let (_dir, path) = config(&format!(
        "[mqtt]\nurl = \"mqtts://broker.local\"\nusername = \"u\"\npassword_file = \"{CREDENTIALS}/mqtt\"\n\
         ca_file = \"{CREDENTIALS}/ca\"\n\
         [http]\nlisten = \"0.0.0.0:0\"\ntoken_file = \"{CREDENTIALS}/page\"\n\
         [[camera]]\nname = \"porch\"\nurl = \"rtsp://192.0.2.1/\"\ntasks = [\"caption\"]\n\
         credentials_file = \"{CREDENTIALS}/porch\"\n"
    ));
    let output = belvedere(&["check", "--config", &path]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    let notes: Vec<&str> = said.lines().filter(|line| line.starts_with("note: ")).collect();
    assert_eq!(notes.len(), 4, "{said}");
    assert!(notes.iter().all(|note| note.contains("it is there while the service runs")), "{said}");
    assert!(notes[0].starts_with(&format!("note: {path}:4: mqtt.password_file: ")), "{said}");
    let output = belvedere(&["run", "--config", &path]);
    assert_eq!(output.status.code(), Some(78));
    let lines = text(&output.stderr);
    assert_eq!(lines.lines().filter(|line| line.contains("No such file")).count(), 4, "{lines}");
    assert_eq!(lines.matches("; write it, or name another file").count(), 3, "{lines}");
}

#[test]
fn check_asks_the_model_whether_it_can_be_asked() {
    // Few characters, each of which is several tokens.
    let long = format!("a dog {}", "\u{1F415}".repeat(290));
    let camera = format!(
        "[[camera]]\nname = \"porch\"\nurl = \"test://\"\n[[camera.alert]]\nphrase = \"a dog\"\n\
         [[camera.alert]]\nphrase = {:?}\n",
        long
    );
    let (_dir, path) = config(&format!("[mqtt]\nurl = \"mqtt://broker.local\"\n{camera}"));
    let output = belvedere(&["check", "--config", &path]);
    let lines = text(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{lines}{}", text(&output.stdout));
    assert!(lines.starts_with(&format!("{path}:9: camera[0].alert[1].phrase: ")), "{lines}");
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

#[test]
fn check_opens_the_model_that_is_named() {
    let (dir, path) = config(
        "[mqtt]\nurl = \"mqtt://broker.local\"\n[model]\npath = \"/nonexistent/model\"\n\
         [[camera]]\nname = \"porch\"\nurl = \"test://\"\ntasks = [\"caption\"]\n",
    );
    let output = belvedere(&["check", "--config", &path]);
    let lines = text(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{lines}");
    assert!(lines.starts_with(&format!("{path}:4: model.path: ")), "{lines}");
    assert!(lines.contains("/nonexistent/model") && lines.contains("belvedere model pull"), "{lines}");
    drop(dir);
}

#[test]
fn doctor_reports_the_machine_beside_a_wrong_configuration_and_names_what_is_wrong() {
    let (_dir, path) = config("[mqtt]\nurl = 1\n");
    let output = belvedere(&["doctor", "--config", &path]);
    assert!(text(&output.stdout).contains("device auto"), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains(&format!("{path}:2: mqtt.url: ")), "{}", text(&output.stderr));
    // 69 where the machine lacks something besides.
    assert!(matches!(output.status.code(), Some(78 | 69)), "{:?}", output.status);
}

#[test]
fn a_log_for_programs_has_the_reason_of_a_failure_as_an_error() {
    let output = belvedere(&["--log-format", "json", "run", "--config", "/nonexistent/belvedere.toml"]);
    assert_eq!(output.status.code(), Some(78));
    let lines = text(&output.stderr);
    let line: serde_json::Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(line["level"], "ERROR", "{lines}");
    assert!(line["message"].as_str().unwrap().starts_with("/nonexistent/belvedere.toml: "), "{lines}");
    let output =
        belvedere(&["--log-format", "json", "--log-level", "off", "check", "--config", "/nonexistent"]);
    assert!(text(&output.stderr).contains("/nonexistent: "), "no level hides why: {output:?}");
}

#[test]
fn an_absent_configuration_is_78_and_named() {
    let output = belvedere(&["check", "--config", "/nonexistent/belvedere.toml"]);
    assert_eq!(output.status.code(), Some(78));
    let said = text(&output.stderr);
    assert!(said.contains("/nonexistent/belvedere.toml") && said.contains("--config"), "{said}");
}

#[test]
fn wrong_usage_is_2() {
    for arguments in [
        &["fly"][..],
        &[],
        &["infer"],
        &["infer", "--task", "dance", "a.png"],
        &["check", "--log-level", "loud=very"],
        &["probe", "gopher://camera"],
        &["probe", "test://", "--transport", "carrier-pigeon"],
        &["calibrate", "--phrase", "a <loc_5>", "--present", "/tmp", "--absent", "/tmp"],
    ] {
        assert_eq!(belvedere(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn every_command_explains_itself() {
    for command in
        ["run", "check", "demo", "infer", "model", "probe", "bench", "calibrate", "doctor", "selftest"]
    {
        let output = belvedere(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(text(&output.stdout).lines().count() > 5, "{command}");
    }
}

#[test]
fn a_folder_that_is_no_model_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().to_str().unwrap();
    for arguments in [&["model", "info", name][..], &["infer", "--model", name, "a.png"]] {
        let output = belvedere(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains(name), "{}", text(&output.stderr));
    }
}

#[test]
fn a_device_that_is_not_there_is_69_and_not_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let picture = dir.path().join("a.png");
    let pixel = belvedere_kernels::RgbImage { width: 1, height: 1, pixels: vec![0; 3] };
    belvedere::picture::write_png(&picture, &pixel).unwrap();
    let output = belvedere(&["infer", "--device", "tensorrt", picture.to_str().unwrap()]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("->"), "no next step: {said}");
    assert!(Path::new(&picture).exists());
}

#[test]
fn a_stream_that_is_not_there_is_1_and_says_so_without_its_password() {
    let output = belvedere(&["probe", "rtsp://eve:swordfish@127.0.0.1:1/x", "--timeout", "5s"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("127.0.0.1") && !said.contains("swordfish"), "{said}");
    assert!(said.contains("-> check the port"), "no next step: {said}");
}
