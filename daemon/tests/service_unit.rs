//! The systemd unit, as systemd itself judges it. `systemd-analyze` needs no running systemd.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use belvedere::exit::Exit;

fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/belvedere.service")
}

/// What `systemd-analyze` says, on both streams; and whether it is content.
fn systemd_analyze(arguments: &[&str], unit: &Path) -> (String, bool) {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(unit)
        .output()
        .expect("systemd-analyze, of the package systemd, runs");
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&said).into_owned(), output.status.success())
}

#[test]
fn systemd_has_nothing_to_say_about_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("belvedere.service");
    let verify = |text: String| {
        fs::write(&copy, text).unwrap();
        // The manual pages are there in the package only, which is tested by itself.
        systemd_analyze(&["verify", "--man=no"], &copy)
    };
    let here = env!("CARGO_BIN_EXE_belvedere");
    let text = fs::read_to_string(unit()).unwrap().replace("/usr/bin/belvedere", here);
    assert_eq!(verify(text.clone()), (String::new(), true));
    let (said, _) = verify(text.replace("ProtectClock=yes", "ProtectClok=yes"));
    assert!(said.contains("ProtectClok"), "a mistake is not noticed: {said}");
}

#[test]
fn the_service_is_hardly_exposed() {
    let (said, is_good) = systemd_analyze(&["security", "--offline=true", "--threshold=25"], &unit());
    assert!(is_good, "the exposure is above 2.5:\n{said}");
    let (_, is_good) = systemd_analyze(&["security", "--offline=true", "--threshold=5"], &unit());
    assert!(!is_good, "the threshold is not looked at");
}

#[test]
fn a_wrong_configuration_is_not_tried_again() {
    let line = format!("RestartPreventExitStatus={}", Exit::Configuration.code());
    assert!(fs::read_to_string(unit()).unwrap().lines().any(|known| known == line), "{line}");
}
