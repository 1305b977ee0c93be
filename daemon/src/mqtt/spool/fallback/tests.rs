use tempfile::TempDir;

use super::*;
use crate::mqtt::spool::SpoolKind;

const LIMITS: SpoolLimits = SpoolLimits { messages: 1000, bytes: 64 << 20 };

struct Test {
    spool: FallbackSpool,
    now: Instant,
    folder: TempDir,
}

impl Test {
    fn new() -> Test {
        let (folder, now) = (TempDir::new().unwrap(), Instant::now());
        let spool = FallbackSpool::open(folder.path().join("spool.db"), LIMITS, now).unwrap();
        Test { spool, now, folder }
    }

    /// Events of 5000 bytes that begin with a number.
    fn write(&mut self, acknowledged: &[SpoolId], events: std::ops::Range<u32>) {
        let event = |number: u32| NewMessage {
            kind: SpoolKind::Event,
            topic: "alerts".to_owned(),
            payload: format!("{number:05000}").into_bytes(),
        };
        self.spool.write(acknowledged.to_vec(), events.map(event).collect(), self.now);
    }

    fn read(&mut self) -> Vec<(SpoolId, u32)> {
        self.read_some(usize::MAX, u64::MAX)
    }

    fn read_some(&mut self, count: usize, bytes: u64) -> Vec<(SpoolId, u32)> {
        let number = |message: SpooledMessage| {
            (message.id, String::from_utf8(message.payload).unwrap().parse().unwrap())
        };
        let messages = self.spool.read_after(None, count, bytes, self.now);
        messages.into_iter().map(number).collect()
    }

    fn numbers(&mut self) -> Vec<u32> {
        self.read().into_iter().map(|(_, number)| number).collect()
    }

    fn fill_disk(&self) {
        self.spool.disk.as_ref().unwrap().allow_pages_more(10);
    }

    /// Time for the next try has come.
    fn recover(&mut self) -> bool {
        self.now += RETRY;
        self.spool.recover(self.now)
    }

    /// What a restart finds.
    fn numbers_on_disk(self) -> Vec<u32> {
        drop(self.spool);
        let spool = FallbackSpool::open(self.folder.path().join("spool.db"), LIMITS, self.now).unwrap();
        Test { spool, ..self }.numbers()
    }
}

#[test]
fn a_full_disk_is_gone_on_from_in_memory_and_gets_all_of_it_when_there_is_room() {
    let mut test = Test::new();
    test.write(&[], 0..2);
    test.fill_disk();
    test.write(&[], 2..20);
    test.write(&[], 20..30);
    assert!(test.spool.next_try().is_some());
    assert_eq!(test.numbers(), (0..30).collect::<Vec<_>>());
    assert_eq!(test.spool.len(), 30);

    // Still full.
    test.recover();
    assert!(test.spool.next_try().is_some());
    assert_eq!(test.numbers(), (0..30).collect::<Vec<_>>());

    test.spool.disk.as_ref().unwrap().allow_pages_more(10_000);
    assert!(!test.recover(), "nothing was passed over");
    assert_eq!(test.spool.next_try(), None);
    test.write(&[], 30..31);
    assert_eq!(test.spool.memory.len(), 0);
    assert_eq!(test.numbers_on_disk(), (0..31).collect::<Vec<_>>());
}

#[test]
fn what_is_acknowledged_while_the_disk_is_full_does_not_come_out_again() {
    let mut test = Test::new();
    test.write(&[], 0..2);
    test.fill_disk();
    test.write(&[], 2..20);
    let ids: Vec<SpoolId> = test.read().into_iter().map(|(id, _)| id).collect();
    test.write(&[ids[0], ids[2], ids[3]], 20..21);
    let expected: Vec<u32> = [1].into_iter().chain(4..21).collect();
    assert_eq!(test.numbers(), expected);
    assert_eq!(test.spool.len(), expected.len() as u64);
    test.spool.disk.as_ref().unwrap().allow_pages_more(10_000);
    test.recover();
    assert_eq!(test.numbers(), expected);
    assert_eq!(test.numbers_on_disk(), expected);
}

#[test]
fn notes_of_the_time_in_which_the_disk_was_full_reach_it_and_take_away_those_that_are_there() {
    let note = |name: &str, payload: &str| NewMessage {
        kind: SpoolKind::Note,
        topic: name.to_owned(),
        payload: payload.as_bytes().to_vec(),
    };
    let mut test = Test::new();
    test.spool.write(Vec::new(), vec![note("ended", "1"), note("open", "1")], test.now);
    test.fill_disk();
    test.write(&[], 0..20);
    assert!(test.spool.next_try().is_some());
    let later = vec![note("ended", ""), note("new", "2"), note("short", "3"), note("short", "")];
    test.spool.write(Vec::new(), later, test.now);
    assert_eq!(test.spool.len(), 20);
    test.spool.disk.as_ref().unwrap().allow_pages_more(10_000);
    test.recover();
    let names: Vec<String> = test.spool.notes().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["open", "new"]);
    assert_eq!(test.spool.memory.notes().unwrap(), []);
}

#[test]
fn a_full_disk_is_not_tried_before_it_is_time() {
    let mut test = Test::new();
    test.fill_disk();
    test.write(&[], 0..20);
    test.spool.disk.as_ref().unwrap().allow_pages_more(10_000);
    assert!(!test.spool.recover(test.now));
    assert!(test.spool.next_try().is_some());
    assert_eq!(test.spool.disk.as_ref().unwrap().len(), 0);
}

#[test]
fn what_came_before_the_disk_could_be_read_goes_behind_what_is_on_it() {
    let mut test = Test::new();
    test.write(&[], 0..3);
    let path = test.folder.path().join("spool.db");
    test.spool = FallbackSpool::in_memory(LIMITS).unwrap();
    test.spool.place = Some((path.clone(), LIMITS));
    test.spool.begin(Err(SpoolError::DiskFull { path }), test.now).unwrap();
    test.write(&[], 3..6);
    let before = test.read();
    assert_eq!(test.numbers(), [3, 4, 5]);

    assert!(test.recover(), "reading is to begin again");
    assert_eq!(test.numbers(), [0, 1, 2, 3, 4, 5]);
    // An acknowledgement that was on its way takes nothing else out.
    test.write(&[before[0].0], 6..7);
    assert_eq!(test.numbers_on_disk(), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_disk_that_cannot_be_read_is_opened_again_and_read_from_the_beginning() {
    let mut test = Test::new();
    test.write(&[], 0..3);
    let error =
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_READ), None);
    let error = SpoolError::new(test.folder.path().join("spool.db"), error);
    test.spool.fail(&error, test.spool.next_id, test.now);
    test.write(&[], 3..5);
    assert_eq!(test.numbers(), [3, 4]);
    assert!(test.recover(), "reading is to begin again");
    assert_eq!(test.numbers(), [0, 1, 2, 3, 4]);
}

#[test]
fn what_left_while_the_disk_was_full_takes_no_place_in_what_is_read() {
    let mut test = Test::new();
    test.write(&[], 0..10);
    test.fill_disk();
    test.write(&[], 10..30);
    assert!(test.spool.next_try().is_some());
    let ids: Vec<SpoolId> = test.read().into_iter().map(|(id, _)| id).collect();
    test.write(&ids[..6], 30..31);
    let read = |test: &mut Test, count, bytes| -> Vec<u32> {
        test.read_some(count, bytes).into_iter().map(|(_, number)| number).collect()
    };
    // Two messages are more than so many bytes, and the first six on the disk have left.
    assert_eq!(read(&mut test, 16, 6000), [6, 7]);
    assert_eq!(read(&mut test, 3, u64::MAX), [6, 7, 8]);
    assert_eq!(read(&mut test, 6, u64::MAX), [6, 7, 8, 9, 10, 11]);
}
