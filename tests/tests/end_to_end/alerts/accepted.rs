//! A daemon that is killed while alerts happen.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context, Result, ensure};
use belvedere_tests::Daemon;

use super::{WITHIN, Watched, assert_whole_lives, events, is_event, logged};
use crate::scene::assert_ends_well;

#[test]
fn no_accepted_alert_is_missing_and_no_event_left_open_after_five_kills_at_random_moments() -> Result<()> {
    kills(5)
}

#[test]
#[ignore = "takes long; five kills are tried always"]
fn no_accepted_alert_is_missing_and_no_event_left_open_after_fifty_kills_at_random_moments() -> Result<()> {
    kills(50)
}

fn kills(rounds: usize) -> Result<()> {
    let mut watched = Watched::new()?;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut told: Vec<Vec<String>> = Vec::new();
    for _ in 0..rounds {
        let mark = watched.subscriber.mark();
        let mut daemon = watched.run_eagerly(&["porch", "yard"])?;
        let mut wanted = random.usize(1..6);
        let seen = watched.subscriber.wait_for_after(mark, "alerts of this round", WITHIN, |message| {
            wanted -= usize::from(is_event(message, "new") && wanted > 0);
            wanted == 0
        });
        seen.with_context(|| daemon.output())?;
        // And any moment of what follows: nothing is waited for that could come.
        let moment = Duration::from_millis(random.u64(0..400));
        ensure!(daemon.process.exited_within(moment)?.is_none(), "it ended by itself: {}", daemon.output());
        daemon.process.kill()?;
        daemon.process.wait_output();
        told.push(logged(&daemon.process.stderr.all()));
    }
    // Once more, with nothing to see: what was accepted is told, and what was left open is ended.
    watched.film.kill()?;
    let mut daemon = watched.run_eagerly(&["porch", "yard"])?;
    let mark = watched.subscriber.mark();
    watched.subscriber.wait_for_after(mark, "everything to be told", WITHIN, |message| {
        let stats = message.json().ok().filter(|_| message.topic == "belvedere/stats");
        stats.is_some_and(|stats| stats["mqtt"]["waiting"] == 0)
    })?;
    assert_ends_well(&mut daemon)?;
    check_killed(&watched, &told, &daemon)
}

fn check_killed(watched: &Watched, told: &[Vec<String>], last: &Daemon) -> Result<()> {
    let events = events(&watched.subscriber.messages())?;
    let lives = assert_whole_lives(&events).with_context(|| last.output())?;
    let arrived: HashSet<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
    // A round may have been killed over what the one before it had left to tell.
    ensure!(told.concat().len() >= told.len(), "the logs tell of too few alerts: {told:?}");
    let mut lost = 0;
    for (round, ids) in told.iter().enumerate() {
        // What the disk had not got when the kill came was not accepted: the last ones, and no other.
        let accepted = ids.iter().take_while(|id| arrived.contains(id.as_str())).count();
        let missing = &ids[accepted..];
        ensure!(
            missing.iter().all(|id| !arrived.contains(id.as_str())),
            "round {round}: {missing:?} of {ids:?}"
        );
        lost += missing.len();
    }
    let interrupted = events.iter().filter(|event| event["reason"] == "interrupted").count();
    println!("{lives} alerts, {interrupted} interrupted, {lost} killed before they were accepted");
    ensure!(interrupted > 0, "no kill came while an event was open");
    Ok(())
}
