//! The daemon begins again with the allocator's settings, and nobody notices.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context, Result};
use belvedere_tests::{Daemon, belvedere};

use crate::scene::{Scene, WITHIN, assert_ends_well};

const SETTINGS: [&str; 3] = ["MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"];

/// Runs the daemon in an environment with nothing of the allocator's but `variables`, until it has read its configuration.
fn run(config: &str, variables: &[(&str, &str)]) -> Result<Daemon> {
    let daemon = Daemon::start_with(config, |command| {
        for name in SETTINGS.into_iter().chain(["GLIBC_TUNABLES"]) {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
    })?;
    daemon.process.stderr.wait_for("the configuration", WITHIN, |lines| {
        lines.iter().any(|line| line.contains("configuration loaded")).then_some(())
    })?;
    Ok(daemon)
}

/// What the allocator of the process that was started is told.
fn settings(daemon: &Daemon) -> Result<BTreeMap<String, String>> {
    let environment = fs::read(format!("/proc/{}/environ", daemon.process.id()))?;
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let settings = environment.split('\0').filter_map(|variable| variable.split_once('='));
    let settings = settings.filter(|(name, _)| SETTINGS.contains(name));
    Ok(settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[test]
fn the_process_that_was_started_goes_on_with_its_arguments_and_the_settings_and_ends_when_told() -> Result<()>
{
    let scene = Scene::new()?;
    let mut daemon = run(&scene.config(&[("porch", "test://ball")]), &[])?;
    let expected = ["2", "131072", "131072"].map(str::to_owned);
    assert_eq!(settings(&daemon)?, SETTINGS.map(str::to_owned).into_iter().zip(expected).collect());
    let arguments = fs::read(format!("/proc/{}/cmdline", daemon.process.id()))?;
    let config = daemon.config_path();
    let config = config.to_str().context("a path in UTF-8")?;
    let end = format!("\0run\0--config\0{config}\0");
    assert!(String::from_utf8_lossy(&arguments).ends_with(&end), "{arguments:?}");
    // Once, and not again.
    let loaded = |line: &&String| line.contains("configuration loaded");
    scene.results(0, "porch", 1)?;
    assert_eq!(daemon.process.stderr.all().iter().filter(loaded).count(), 1, "{}", daemon.output());
    assert!(!daemon.output().contains("cannot begin again"), "{}", daemon.output());
    assert_ends_well(&mut daemon)
}

#[test]
fn what_the_user_has_set_is_kept() -> Result<()> {
    let config = "[mqtt]\nurl = \"embedded\"\nlisten = \"127.0.0.1:0\"\noutbox = false\n\n\
                  [[camera]]\nname = \"porch\"\nurl = \"test://ball\"\ntasks = [\"caption\"]\n";
    let daemon = run(config, &[("MALLOC_ARENA_MAX", "7")])?;
    let expected = ["7", "131072", "131072"].map(str::to_owned);
    assert_eq!(settings(&daemon)?, SETTINGS.map(str::to_owned).into_iter().zip(expected).collect());
    drop(daemon);
    let daemon = run(config, &[("GLIBC_TUNABLES", "glibc.malloc.arena_max=3")])?;
    assert_eq!(settings(&daemon)?, BTreeMap::new(), "whoever tunes glibc tunes all of it");
    Ok(())
}

#[test]
fn exit_codes_are_those_of_the_process_that_goes_on() -> Result<()> {
    let finished = belvedere(&["run", "--config", "/nowhere/belvedere.toml"], Duration::from_secs(30))?;
    finished.assert_fails_saying(78, &["/nowhere/belvedere.toml"]);
    Ok(())
}
