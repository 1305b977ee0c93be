//! A process that is killed loses nothing that it said was accepted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use belvedere::mqtt::spool::{Spool, SpoolKind, SpoolLimits};
use belvedere::mqtt::{MqttCounters, Outbox};
use tempfile::TempDir;

const NO_LIMITS: SpoolLimits = SpoolLimits { messages: u64::MAX, bytes: u64::MAX };
/// What the children of these tests get their file from.
const FILE: &str = "BELVEDERE_TEST_SPOOL";
const LIFE: &str = "BELVEDERE_TEST_LIFE";

/// This binary again, to run one of the ignored tests below.
fn child(test: &str, path: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env(FILE, path).stdout(Stdio::piped());
    command
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// About 200 bytes, and sometimes a hundred times as much: the log is played back into the file then.
fn payload(name: &str) -> Vec<u8> {
    let number: usize = name.rsplit('.').next().unwrap().parse().unwrap();
    let repeats = if number % 5 == 4 { 4000 } else { 40 };
    format!("{name} ").repeat(repeats).into_bytes()
}

#[test]
fn what_was_accepted_survives_fifty_kills_at_random_moments() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("spool.db");
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut accepted = Vec::new();
    let (mut leaving, mut left) = (BTreeSet::new(), BTreeSet::new());
    for life in 0..50 {
        let mut process =
            child("puts_and_takes_until_it_is_killed", &path).env(LIFE, life.to_string()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut take = |line: String| match line.split_once(' ') {
            Some(("accepted", name)) => accepted.push(name.to_owned()),
            Some(("leaving", name)) => drop(leaving.insert(name.to_owned())),
            Some(("left", name)) => drop(left.insert(name.to_owned())),
            _ => {}
        };
        for _ in 0..random.usize(5..80) {
            take(lines.next().expect("the child ended by itself"));
        }
        // And any moment within the next steps.
        for _ in 0..random.u32(0..200_000) {
            std::hint::spin_loop();
        }
        process.kill().unwrap();
        // A line may be cut off by the end; then it says nothing.
        lines.filter(|line| line.ends_with(|end: char| end.is_ascii_digit())).for_each(take);
        process.wait().unwrap();

        let spool = Spool::open(&path, NO_LIMITS).unwrap();
        let held: Vec<Vec<u8>> =
            spool.next_after(None, usize::MAX).unwrap().into_iter().map(|message| message.payload).collect();
        let places: BTreeMap<&[u8], usize> =
            held.iter().enumerate().map(|(place, payload)| (&payload[..], place)).collect();
        let mut last = None;
        for name in &accepted {
            let place = places.get(&payload(name)[..]).copied();
            if left.contains(name) {
                assert_eq!(place, None, "{name} had left; life {life}");
            } else if !leaving.contains(name) {
                assert!(place.is_some(), "{name} was accepted and is missing; life {life}");
            }
            assert!(place.is_none() || place > last, "{name} is out of order; life {life}");
            last = place.or(last);
        }
        // Whatever was decided in the moment of the kill.
        accepted.retain(|name| places.contains_key(&payload(name)[..]));
    }
    assert!(!left.is_empty() && !accepted.is_empty());
}

#[test]
#[ignore = "run by what_was_accepted_survives_fifty_kills_at_random_moments"]
fn puts_and_takes_until_it_is_killed() {
    let path = PathBuf::from(env::var_os(FILE).unwrap());
    let life = env::var(LIFE).unwrap();
    let mut spool = Spool::open(&path, NO_LIMITS).unwrap();
    for number in 0.. {
        let name = format!("{life}.{number}");
        spool.append(SpoolKind::Event, "alerts", &payload(&name)).unwrap();
        say(&format!("accepted {name}"));
        if number % 3 == 0
            && let Some(oldest) = spool.next_after(None, 1).unwrap().first()
        {
            let text = String::from_utf8(oldest.payload.clone()).unwrap();
            let name = text.split_once(' ').unwrap().0;
            say(&format!("leaving {name}"));
            spool.acknowledge(oldest.id).unwrap();
            say(&format!("left {name}"));
        }
    }
}

/// Its files may not grow beyond 200 KiB, which the system says with the error of a failing write.
#[test]
fn a_process_whose_disk_takes_no_more_goes_on_and_keeps_what_was_on_disk() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("spool.db");
    let inner = child("puts_a_hundred_large_alerts", &path);
    let mut command = Command::new("bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\""]).arg(inner.get_program());
    let output = command.args(inner.get_args()).env(FILE, &path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("100 wait"), "{said}");

    let spool = Spool::open(&path, NO_LIMITS).unwrap();
    let held = spool.next_after(None, usize::MAX).unwrap();
    assert!((5..100).contains(&held.len()), "{}", held.len());
    for (number, message) in held.into_iter().enumerate() {
        assert_eq!(message.payload, payload(&format!("0.{}", number * 10 + 4)));
    }
}

#[test]
#[ignore = "run by a_process_whose_disk_takes_no_more_goes_on_and_keeps_what_was_on_disk"]
fn puts_a_hundred_large_alerts() {
    let path = PathBuf::from(env::var_os(FILE).unwrap());
    let outbox = Outbox::open(path, NO_LIMITS, Arc::new(MqttCounters::default())).unwrap();
    for number in 0..100 {
        outbox.push_event("alerts".to_owned(), payload(&format!("0.{}", number * 10 + 4)));
        assert!(outbox.flush(Duration::from_secs(60)));
    }
    say(&format!("{} wait", outbox.len()));
}
