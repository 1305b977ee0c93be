//! A disk that takes no more.

use std::process::Command;

use anyhow::{Result, ensure};
use belvedere_tests::Daemon;

use super::{EAGER, PHRASES, WITHIN, Watched, assert_whole_lives, events, is_event};
use crate::scene::assert_ends_well;

#[test]
fn a_full_disk_is_said_clearly_and_the_daemon_goes_on_and_uses_it_when_there_is_room() -> Result<()> {
    let watched = Watched::new()?;
    let config = watched.config(&["porch"], &PHRASES, EAGER);
    // A write that exceeds the limit is to fail, not to end the process.
    let mut daemon = Daemon::start_with(&config, |command| {
        let mut shell = Command::new("bash");
        shell
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        *command = shell;
    })?;
    watched.wait_for_new(1)?;
    limit_files(&daemon, "32768:")?;
    let says = |daemon: &Daemon, text: &str| {
        daemon
            .process
            .stderr
            .wait_for(text, WITHIN, |lines| lines.iter().any(|line| line.contains(text)).then_some(()))
    };
    says(&daemon, "kept in memory only, and a restart would lose them")?;
    let in_memory = |is_so: bool| {
        move |message: &belvedere_tests::Message| {
            let stats = message.json().ok().filter(|_| message.topic == "belvedere/stats");
            stats.is_some_and(|stats| stats["mqtt"]["spool_in_memory_only"] == is_so)
        }
    };
    let mark = watched.subscriber.mark();
    watched.subscriber.wait_for_after(mark, "statistics that say so", WITHIN, in_memory(true))?;
    watched.subscriber.wait_for_after(mark, "an alert", WITHIN, |message| is_event(message, "new"))?;

    limit_files(&daemon, "unlimited:")?;
    says(&daemon, "the spool is on disk again")?;
    let mark = watched.subscriber.mark();
    watched.subscriber.wait_for_after(mark, "statistics that say so", WITHIN, in_memory(false))?;
    assert_ends_well(&mut daemon)?;
    ensure!(assert_whole_lives(&events(&watched.subscriber.messages())?)? >= 2);
    Ok(())
}

/// Sets how large the files of the process may become: a disk of one's own for it.
fn limit_files(daemon: &Daemon, limit: &str) -> Result<()> {
    let status = Command::new("prlimit")
        .args(["--pid", &daemon.process.id().to_string(), &format!("--fsize={limit}")])
        .status()?;
    ensure!(status.success(), "prlimit: {status}");
    Ok(())
}
