//! Every mistake of a configuration at once, with its file, its line and its key.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use anyhow::Result;
use belvedere_tests::{Finished, belvedere};
use tempfile::TempDir;

const WITHIN: Duration = Duration::from_secs(30);

fn check(command: &str, config: &str) -> Result<Finished> {
    let folder = TempDir::new()?;
    let path = folder.path().join("belvedere.toml");
    fs::write(&path, config)?;
    belvedere(&[command, "--config", &path.to_string_lossy()], WITHIN)
}

const GOOD: &str = r#"
[mqtt]
url = "embedded"

[[camera]]
name = "porch"
url = "test://ball"
tasks = ["caption"]
"#;

/// The line of each mistake is in a comment behind it.
const BAD: &str = r#"[mqtt]
url = "http://broker"
topic = "a/#"
usrname = "x"

[model]
device = "gpu"
max_new_tokens = 0

[[camera]]
name = "Front Door"
url = "rtps://camera/stream"
tasks = ["captoin"]
fps = -1

[[camera]]
name = "yard"
url = "rtsp://camera/stream"
tasks = ["phrase-grounding"]

[[camera]]
name = "yard"
url = "rtsp://camera/other"
tasks = []
"#;

#[test]
fn a_good_configuration_is_said_to_be_good() -> Result<()> {
    let finished = check("check", GOOD)?;
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    Ok(())
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line_and_key() -> Result<()> {
    for command in ["check", "run"] {
        let finished = check(command, BAD)?;
        finished.assert_fails_saying(
            78,
            &[
                "belvedere.toml:2: mqtt.url",
                "belvedere.toml:3: mqtt.topic",
                "belvedere.toml:4: mqtt.usrname",
                "\"username\"",
                "belvedere.toml:7: model.device",
                "belvedere.toml:8: model.max_new_tokens",
                "belvedere.toml:11: camera[0].name",
                "belvedere.toml:12: camera[0].url",
                "\"rtsp\"",
                "belvedere.toml:13: camera[0].tasks[0]",
                "\"caption\"",
                "belvedere.toml:14: camera[0].fps",
                "belvedere.toml:19: camera[1].tasks[0]",
                "belvedere.toml:22: camera[2].name",
                "belvedere.toml:24: camera[2].tasks",
            ],
        );
    }
    Ok(())
}

#[test]
fn a_file_that_is_no_toml_is_an_error_with_its_line() -> Result<()> {
    check("check", "[mqtt]\nurl = \n")?.assert_fails_saying(78, &["belvedere.toml:2"]);
    Ok(())
}

#[test]
fn a_configuration_that_is_not_there_is_named() -> Result<()> {
    let finished = belvedere(&["check", "--config", "/nowhere/belvedere.toml"], WITHIN)?;
    finished.assert_fails_saying(78, &["/nowhere/belvedere.toml"]);
    Ok(())
}

#[test]
fn an_embedded_broker_whose_port_is_taken_is_an_error_that_names_it() -> Result<()> {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = taken.local_addr()?.to_string();
    let config = GOOD.replace("url = \"embedded\"", &format!("url = \"embedded\"\nlisten = {address:?}"));
    check("run", &config)?.assert_fails_saying(1, &[&address]);
    Ok(())
}
