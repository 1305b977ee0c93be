//! The spool keeps what it accepted, in order and within its bounds, through restarts and damage.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use belvedere::mqtt::spool::{Dropped, Spool, SpoolError, SpoolKind, SpoolLimits};
use rusqlite::Connection;
use tempfile::TempDir;

const NO_LIMITS: SpoolLimits = SpoolLimits { messages: u64::MAX, bytes: u64::MAX };

/// A folder that goes with the test, and a path in it whose folder is not there yet.
fn place() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state/spool.db");
    (folder, path)
}

fn open(path: &Path) -> Spool {
    Spool::open(path, NO_LIMITS).unwrap()
}

fn payloads(spool: &Spool) -> Vec<String> {
    let messages = spool.next_after(None, usize::MAX).unwrap();
    messages.into_iter().map(|message| String::from_utf8(message.payload).unwrap()).collect()
}

fn append_events(spool: &mut Spool, payloads: &[&str]) {
    for payload in payloads {
        spool.append(SpoolKind::Event, "alerts", payload.as_bytes()).unwrap();
    }
}

#[test]
fn messages_come_out_in_the_order_they_went_in_and_until_they_are_acknowledged() {
    let (_folder, path) = place();
    let mut spool = open(&path);
    append_events(&mut spool, &["a", "b", "c", "d"]);
    let first = spool.next_after(None, 2).unwrap();
    assert_eq!(first.iter().map(|message| &message.payload[..]).collect::<Vec<_>>(), [b"a", b"b"]);
    let rest = spool.next_after(Some(first[1].id), 10).unwrap();
    assert_eq!(rest.iter().map(|message| &message.payload[..]).collect::<Vec<_>>(), [b"c", b"d"]);
    spool.acknowledge(first[1].id).unwrap();
    spool.acknowledge(first[1].id).unwrap();
    assert_eq!(payloads(&spool), ["a", "c", "d"]);
    assert_eq!(spool.len(), 3);
}

#[test]
fn what_was_not_acknowledged_is_there_after_a_restart_in_the_same_order() {
    let (_folder, path) = place();
    let mut spool = open(&path);
    append_events(&mut spool, &["a", "b", "c"]);
    spool.append(SpoolKind::Snapshot, "picture", &[b'x'; 1 << 20]).unwrap();
    let before = spool.next_after(None, 9).unwrap();
    spool.acknowledge(before[0].id).unwrap();
    let (len, bytes) = (spool.len(), spool.bytes());
    drop(spool);
    let mut spool = open(&path);
    assert_eq!(spool.next_after(None, 9).unwrap(), before[1..]);
    assert_eq!((spool.len(), spool.bytes()), (len, bytes));
    let last = spool.append(SpoolKind::Event, "alerts", b"d").unwrap();
    assert!(last > before[3].id);
}

#[test]
fn a_newer_retained_message_takes_the_place_of_the_older_one_of_its_topic() {
    let mut spool = Spool::in_memory(NO_LIMITS).unwrap();
    let older = spool.append(SpoolKind::State, "state", b"ON").unwrap();
    append_events(&mut spool, &["a"]);
    spool.append(SpoolKind::State, "other", b"ON").unwrap();
    spool.append(SpoolKind::State, "state", b"OFF").unwrap();
    append_events(&mut spool, &["b"]);
    assert_eq!(payloads(&spool), ["a", "ON", "OFF", "b"]);
    // The older one was on its way: its acknowledgement takes nothing else out.
    spool.acknowledge(older).unwrap();
    assert_eq!(payloads(&spool), ["a", "ON", "OFF", "b"]);
    assert_eq!(spool.take_dropped(), Dropped::default());
    assert_eq!(spool.len(), 4);
}

#[test]
fn the_oldest_snapshots_are_dropped_first_then_the_oldest_events_and_states_last() {
    let mut spool = Spool::in_memory(SpoolLimits { messages: 3, ..NO_LIMITS }).unwrap();
    spool.append(SpoolKind::State, "state", b"ON").unwrap();
    append_events(&mut spool, &["a"]);
    spool.append(SpoolKind::Snapshot, "1", b"one").unwrap();
    spool.append(SpoolKind::Snapshot, "2", b"two").unwrap();
    assert_eq!(payloads(&spool), ["ON", "a", "two"]);
    append_events(&mut spool, &["b", "c"]);
    assert_eq!(payloads(&spool), ["ON", "b", "c"]);
    assert_eq!(spool.take_dropped(), Dropped { snapshots: 2, events: 1, states: 0 });
    // Worth less than all that is there.
    spool.append(SpoolKind::Snapshot, "3", b"three").unwrap();
    assert_eq!(payloads(&spool), ["ON", "b", "c"]);
    assert_eq!(spool.take_dropped(), Dropped { snapshots: 1, events: 0, states: 0 });
}

#[test]
fn bytes_are_bounded_and_a_message_larger_than_the_bound_drops_no_other() {
    let mut spool = Spool::in_memory(SpoolLimits { bytes: 10_000, ..NO_LIMITS }).unwrap();
    for payload in ["a", "b", "c", "d"] {
        spool.append(SpoolKind::Event, "alerts", payload.repeat(3000).as_bytes()).unwrap();
    }
    let initials: Vec<String> = payloads(&spool).iter().map(|payload| payload[..1].to_owned()).collect();
    assert_eq!(initials, ["b", "c", "d"]);
    assert!(spool.bytes() <= 10_000);
    spool.append(SpoolKind::Event, "alerts", &[b'x'; 10_000]).unwrap();
    assert_eq!(spool.len(), 3);
    assert_eq!(spool.take_dropped().events, 2);
}

/// By their names.
fn notes(spool: &Spool) -> Vec<(String, String)> {
    let text = |payload| String::from_utf8(payload).unwrap();
    spool.notes().unwrap().into_iter().map(|note| (note.topic, text(note.payload))).collect()
}

#[test]
fn notes_survive_a_restart_and_are_neither_sent_nor_counted_nor_dropped() {
    let (_folder, path) = place();
    let limits = SpoolLimits { messages: 2, bytes: 10_000 };
    let mut spool = Spool::open(&path, limits).unwrap();
    for (name, text) in [("one", "1"), ("two", "2"), ("one", "again")] {
        spool.append(SpoolKind::Note, name, text.as_bytes()).unwrap();
    }
    append_events(&mut spool, &["a", "b", "c"]);
    drop(spool);
    let mut spool = Spool::open(&path, limits).unwrap();
    let note = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    assert_eq!(notes(&spool), [note("two", "2"), note("one", "again")]);
    assert_eq!((payloads(&spool), spool.len()), (vec!["b".to_owned(), "c".to_owned()], 2));
    spool.append(SpoolKind::Note, "two", b"").unwrap();
    assert_eq!(notes(&spool), [note("one", "again")]);
}

#[test]
fn file_and_folder_are_for_this_user_alone() {
    let (_folder, path) = place();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut spool = open(&path);
    append_events(&mut spool, &["a"]);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
    drop(spool);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    open(&path);
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_file_that_is_open_cannot_be_opened_again() {
    let (_folder, path) = place();
    let mut spool = open(&path);
    assert!(matches!(Spool::open(&path, NO_LIMITS), Err(SpoolError::InUse { .. })));
    append_events(&mut spool, &["a"]);
    assert!(matches!(Spool::open(&path, NO_LIMITS), Err(SpoolError::InUse { .. })));
    drop(spool);
    assert_eq!(payloads(&open(&path)), ["a"]);
}

#[test]
fn a_damaged_file_is_set_aside_and_a_fresh_one_begun() {
    let (_folder, path) = place();
    let aside = path.with_extension("db.damaged");
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, "this is not a database at all".repeat(1000)).unwrap();
    let mut spool = open(&path);
    assert!(fs::read(&aside).unwrap().starts_with(b"this is not"));
    append_events(&mut spool, &["a"]);
    drop(spool);
    assert_eq!(payloads(&open(&path)), ["a"]);

    // Damage within, and a second file in the place of the first.
    let mut spool = open(&path);
    append_events(&mut spool, &[&"b".repeat(100_000)]);
    drop(spool);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes.truncate(middle);
    fs::write(&path, &bytes).unwrap();
    assert!(open(&path).is_empty());
    assert_eq!(fs::read(&aside).unwrap().len(), middle);
}

#[test]
fn a_file_of_a_newer_version_is_refused_with_both_versions() {
    let (_folder, path) = place();
    drop(open(&path));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let error = Spool::open(&path, NO_LIMITS).unwrap_err();
    assert!(matches!(error, SpoolError::Newer { found: 7, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("version 7"), "{error}");
}

#[test]
fn a_database_of_something_else_is_refused_and_left_as_it_is() {
    let (_folder, path) = place();
    fs::create_dir(path.parent().unwrap()).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE recipe (name)").unwrap();
    assert!(matches!(Spool::open(&path, NO_LIMITS), Err(SpoolError::Foreign { .. })));
    Connection::open(&path).unwrap().execute_batch("INSERT INTO recipe VALUES ('soup')").unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = Spool::open(&folder.path().join("file/spool.db"), NO_LIMITS).unwrap_err();
    assert!(error.to_string().contains("/file"), "{error}");
}
