//! A secret appears nowhere, whatever goes wrong and however much is logged.

use std::{fs, time::Duration};

use anyhow::Result;
use belvedere_tests::{Broker, Daemon, Login, RtspServer, SmallCheckpoint, Stream, Subscriber, belvedere};
use tempfile::TempDir;

use crate::scene::{Scene, WITHIN, assert_ends_well};

const USER: &str = "watchman";
const PASSWORD: &str = "s3cret-Passw0rd";
const WRONG: &str = "wr0ng-Passw0rd";

fn assert_absent(secrets: &[&str], text: &str) {
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} appears in {text}");
    }
}

/// Watches `url`, and says all that it and GStreamer can say: GStreamer's own debug output is the leak that others have had.
fn start_talkative(scene: &Scene, url: &str) -> Result<Daemon> {
    Daemon::start_with(&scene.config(&[("porch", url)]), |command| {
        command.env("BELVEDERE_LOG", "trace").env("GST_DEBUG", "rtsp*:6,GST_ELEMENT*:5,uri*:6,default:4");
    })
}

#[test]
fn a_wrong_broker_password_is_an_error_that_does_not_show_it() -> Result<()> {
    let broker = Broker::start_with_login(Login { username: USER, password: PASSWORD })?;
    let folder = TempDir::new()?;
    let password_file = folder.path().join("password");
    fs::write(&password_file, WRONG)?;
    let checkpoint = SmallCheckpoint::write()?;
    let config = format!(
        "[mqtt]\nurl = {:?}\nusername = {USER:?}\npassword_file = {password_file:?}\n[model]\npath = {:?}\n\
         [[camera]]\nname = \"porch\"\nurl = \"test://ball\"\ntasks = [\"caption\"]\n",
        broker.url(),
        checkpoint.path(),
    );
    let mut daemon = Daemon::start(&config)?;
    daemon.process.stderr.wait_for("a complaint about the broker", WITHIN, |lines| {
        lines.iter().any(|line| line.contains("user name or password")).then_some(())
    })?;
    assert_ends_well(&mut daemon)?;
    assert_absent(&[WRONG], &daemon.output());
    Ok(())
}

#[test]
fn the_right_broker_password_is_let_in_and_not_shown() -> Result<()> {
    let broker = Broker::start_with_login(Login { username: USER, password: PASSWORD })?;
    let subscriber = Subscriber::start(&broker)?;
    let folder = TempDir::new()?;
    let password_file = folder.path().join("password");
    fs::write(&password_file, format!("{PASSWORD}\n"))?;
    let checkpoint = SmallCheckpoint::write()?;
    let config = format!(
        "[mqtt]\nurl = {:?}\nusername = {USER:?}\npassword_file = {password_file:?}\n[model]\npath = {:?}\n\
         [[camera]]\nname = \"porch\"\nurl = \"test://ball\"\ntasks = [\"caption\"]\n",
        broker.url(),
        checkpoint.path(),
    );
    let mut daemon = Daemon::start(&config)?;
    subscriber.wait_for_payload(0, "belvedere/available", "online", WITHIN)?;
    assert_ends_well(&mut daemon)?;
    assert_absent(&[PASSWORD], &daemon.output());
    Ok(())
}

#[test]
fn credentials_in_a_camera_url_work_and_appear_nowhere() -> Result<()> {
    let scene = Scene::new()?;
    let server = RtspServer::start_with_login(Stream::H264, USER, PASSWORD)?;
    let mut daemon = start_talkative(&scene, &server.url_with(USER, PASSWORD))?;
    scene.results(0, "porch", 3)?;
    assert_ends_well(&mut daemon)?;
    assert_nowhere(&scene, &daemon, &[PASSWORD, &base64(USER, PASSWORD)]);
    Ok(())
}

#[test]
fn wrong_credentials_in_a_camera_url_are_an_error_that_does_not_show_them() -> Result<()> {
    let scene = Scene::new()?;
    let server = RtspServer::start_with_login(Stream::H264, USER, PASSWORD)?;
    let mut daemon = start_talkative(&scene, &server.url_with(USER, WRONG))?;
    scene.status(0, "porch", "offline")?;
    daemon.process.stderr.wait_for("a complaint about the camera's credentials", WITHIN, |lines| {
        lines.iter().any(|line| line.contains("unauthorised") && line.contains("porch")).then_some(())
    })?;
    assert_ends_well(&mut daemon)?;
    assert_nowhere(&scene, &daemon, &[WRONG, &base64(USER, WRONG)]);
    Ok(())
}

#[test]
fn probe_says_what_is_wrong_with_a_login_and_does_not_show_it() -> Result<()> {
    let server = RtspServer::start_with_login(Stream::H264, USER, PASSWORD)?;
    let finished =
        belvedere(&["probe", &server.url_with(USER, WRONG), "--timeout", "10s"], Duration::from_secs(30))?;
    assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
    assert_absent(&[WRONG], &format!("{finished:?}"));
    let finished =
        belvedere(&["probe", &server.url_with(USER, PASSWORD), "--format", "json"], Duration::from_secs(30))?;
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert_absent(&[PASSWORD], &format!("{finished:?}"));
    assert!(finished.stdout.contains("320"), "{finished:#?}");
    Ok(())
}

fn assert_nowhere(scene: &Scene, daemon: &Daemon, secrets: &[&str]) {
    assert_absent(secrets, &daemon.output());
    for message in scene.subscriber.messages() {
        assert_absent(secrets, &format!("{message:?}"));
    }
}

/// As basic authentication sends it.
fn base64(user: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = format!("{user}:{password}").into_bytes();
    let mut text = String::new();
    // The last, incomplete group is left out: a leak would hold those before it.
    for group in bytes.chunks_exact(3) {
        let bits = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
        for shift in [18, 12, 6, 0] {
            text.push(char::from(DIGITS[(bits >> shift) as usize & 63]));
        }
    }
    text
}
