//! A broker that is away.

use std::{collections::HashSet, time::Duration};

use anyhow::{Result, ensure};

use super::{WITHIN, Watched, assert_whole_lives, events, logged};
use crate::scene::assert_ends_well;

#[test]
fn alerts_of_a_time_without_broker_arrive_when_it_is_back_all_and_in_order() -> Result<()> {
    alerts_without_broker(8, Duration::ZERO)
}

#[test]
#[ignore = "a minute without a broker; the short form is run always"]
fn fifty_alerts_of_a_minute_without_broker_arrive_when_it_is_back_all_and_in_order() -> Result<()> {
    alerts_without_broker(50, Duration::from_secs(60))
}

/// Kills the broker while at least `count` alerts begin, and for `away` at least.
fn alerts_without_broker(count: usize, away: Duration) -> Result<()> {
    let mut watched = Watched::new()?;
    let mut daemon = watched.run_eagerly(&["porch", "yard"])?;
    watched.wait_for_new(1)?;
    watched.broker.kill()?;
    let before = logged(&daemon.process.stderr.all()).len();
    let killed = std::time::Instant::now();
    // Each line of the log wakes the wait; the stream of frames does not end.
    let told_without = daemon.process.stderr.wait_for("alerts without a broker", WITHIN + away, |lines| {
        let told = logged(lines);
        (told.len() >= before + count && killed.elapsed() >= away).then_some(told)
    })?;
    watched.broker.restart()?;
    watched.subscriber.wait_for_subscription(2)?;
    let last = told_without.last().cloned().unwrap_or_default();
    watched.subscriber.wait_for("the last alert of the time without broker", WITHIN, |message| {
        message.topic.ends_with("/alerts") && message.payload.contains(&last)
    })?;
    assert_ends_well(&mut daemon)?;
    daemon.process.wait_output();

    let mut told = logged(&daemon.process.stderr.all());
    let mut events = events(&watched.subscriber.messages())?;
    let begun = events.iter().filter(|event| event["event_type"] == "new");
    let arrived: Vec<String> = begun.filter_map(|event| event["id"].as_str().map(str::to_owned)).collect();
    // What the broker had acknowledged and not yet passed on died with it; that was before it was away.
    let lost: HashSet<String> =
        told.iter().take(before).filter(|id| !arrived.contains(id)).cloned().collect();
    told.retain(|id| !lost.contains(id));
    events.retain(|event| event["id"].as_str().is_none_or(|id| !lost.contains(id)));
    for camera in ["porch", "yard"] {
        let of = |ids: &[String]| -> Vec<String> {
            ids.iter().filter(|id| id.contains(&format!(".{camera}."))).cloned().collect()
        };
        assert_eq!(of(&arrived), of(&told), "{camera}");
    }
    let lives = assert_whole_lives(&events)?;
    ensure!(lives >= count, "{lives}");
    println!(
        "{} alerts in {:?} without broker, {lives} in all",
        told_without.len() - before,
        killed.elapsed()
    );
    let ended = events.iter().filter(|event| event["event_type"] == "end").count();
    assert_eq!(ended, lives);
    Ok(())
}
