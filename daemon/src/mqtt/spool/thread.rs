//! The thread that owns the spool.

use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::desk::{Desk, FRONT_BYTES, FRONT_MESSAGES};
use super::error::SpoolError;
use super::fallback::FallbackSpool;
use super::limits::SpoolLimits;
use super::message::{NewMessage, SpoolId, SpooledMessage, size};
use crate::mqtt::counters::MqttCounters;

/// The end waits so long for a disk that hangs.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// A spool behind two bounded queues in memory: one that is filled without waiting and that the thread
/// writes to the disk, all that waits as one commit; and one that the thread fills from the disk and
/// that the link empties. Dropping it writes what waits and ends the thread, unless the disk hangs.
#[derive(Debug)]
pub(in crate::mqtt) struct SpoolThread {
    shared: Arc<Shared>,
    /// As they were found at the start.
    notes: Vec<(String, Vec<u8>)>,
    /// The same.
    state_topics: Vec<String>,
    is_in_memory: bool,
}

#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    /// Wakes the thread.
    work: Condvar,
    /// Wakes those who wait for the thread to have done its work.
    done: Condvar,
    /// Wakes the link: the front is filled, or there is nothing left.
    filled: Arc<Notify>,
    counters: Arc<MqttCounters>,
}

impl SpoolThread {
    /// A spool in the file at `path`; see [`super::Spool::open`]. A disk that is full or fails is logged
    /// and tried again, meanwhile messages are in memory only. Whenever the front has been filled or
    /// everything has left, `filled` wakes.
    pub(in crate::mqtt) fn open(
        path: PathBuf,
        limits: SpoolLimits,
        filled: Arc<Notify>,
        counters: Arc<MqttCounters>,
    ) -> Result<SpoolThread, SpoolError> {
        SpoolThread::spawn(FallbackSpool::open(path, limits, Instant::now())?, false, filled, counters)
    }

    /// A spool that is lost with the process.
    pub(in crate::mqtt) fn in_memory(
        limits: SpoolLimits,
        filled: Arc<Notify>,
        counters: Arc<MqttCounters>,
    ) -> Result<SpoolThread, SpoolError> {
        SpoolThread::spawn(FallbackSpool::in_memory(limits)?, true, filled, counters)
    }

    fn spawn(
        spool: FallbackSpool,
        is_in_memory: bool,
        filled: Arc<Notify>,
        counters: Arc<MqttCounters>,
    ) -> Result<SpoolThread, SpoolError> {
        let (notes, state_topics) = (spool.notes(), spool.state_topics());
        let is_troubled = spool.next_try().is_some();
        let desk = Desk { has_more: true, spooled: spool.len(), is_troubled, ..Desk::default() };
        let (work, done) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { desk: Mutex::new(desk), work, done, filled, counters });
        let keeper = Keeper { spool, shared: Arc::clone(&shared), cursor: None };
        thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || keeper.run())
            .map_err(SpoolError::Thread)?;
        Ok(SpoolThread { shared, notes, state_topics, is_in_memory })
    }

    /// Puts messages in, of which the disk gets all or none; never waits for it. Where a slow disk has made
    /// too much wait, the oldest snapshot that waits for it is dropped, or else the oldest message, and
    /// counted.
    pub(in crate::mqtt) fn push(&self, messages: impl IntoIterator<Item = NewMessage>) {
        let mut desk = self.shared.lock();
        for message in messages {
            if message.kind.is_retained() {
                desk.forget_in_front(&message.topic);
            }
            desk.new_bytes += size(&message.topic, &message.payload);
            desk.new.push_back(message);
        }
        let dropped = desk.shrink();
        drop(desk);
        self.shared.work.notify_one();
        self.shared.counters.spool_dropped(dropped);
    }

    /// Takes the next message to send. It stays in the spool until it is acknowledged.
    pub(in crate::mqtt) fn take(&self) -> Option<SpooledMessage> {
        let mut desk = self.shared.lock();
        let message = desk.front.pop_front()?;
        desk.front_bytes -= message.size();
        if desk.wants_more() {
            self.shared.work.notify_one();
        }
        Some(message)
    }

    /// The broker has this message.
    pub(in crate::mqtt) fn acknowledge(&self, id: SpoolId) {
        self.shared.lock().acknowledged.push(id);
        self.shared.work.notify_one();
    }

    /// Begins at the oldest message again: all that was taken and not acknowledged is taken again.
    pub(in crate::mqtt) fn rewind(&self) {
        self.shared.lock().rewind();
        self.shared.work.notify_one();
    }

    /// The notes that an earlier process left, in their order, by their names.
    pub(in crate::mqtt) fn notes(&self) -> &[(String, Vec<u8>)] {
        &self.notes
    }

    /// The topics of the states that an earlier process left.
    pub(in crate::mqtt) fn state_topics(&self) -> &[String] {
        &self.state_topics
    }

    /// Whether what is accepted now would be lost with the process.
    pub(in crate::mqtt) fn is_in_memory_only(&self) -> bool {
        self.is_in_memory || self.shared.lock().is_troubled
    }

    /// How many messages wait for the broker, as far as is known; those that were sent and not
    /// acknowledged count.
    pub(in crate::mqtt) fn len(&self) -> usize {
        let desk = self.shared.lock();
        usize::try_from(desk.spooled).unwrap_or(usize::MAX).saturating_add(desk.new.len())
    }

    /// Whether everything that was put in has been taken.
    pub(in crate::mqtt) fn is_drained(&self) -> bool {
        let desk = self.shared.lock();
        desk.front.is_empty() && desk.new.is_empty() && !desk.has_more && !desk.is_busy && !desk.rewind
    }

    /// Waits until all that was put in and acknowledged so far is on the disk; false if that took longer
    /// than `limit`. Blocks its thread.
    pub(in crate::mqtt) fn flush(&self, limit: Duration) -> bool {
        let waits = |desk: &mut Desk| desk.is_busy || !desk.new.is_empty() || !desk.acknowledged.is_empty();
        let waited = self.shared.done.wait_timeout_while(self.shared.lock(), limit, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for SpoolThread {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_one();
        let waited =
            self.shared.done.wait_timeout_while(self.shared.lock(), CLOSE_LIMIT, |desk| !desk.has_ended);
        if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            tracing::warn!("the disk is busy for too long; not waiting for what is written last");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Desk> {
        // A panic elsewhere ends the process; the desk is whole between two statements.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's own.
struct Keeper {
    spool: FallbackSpool,
    shared: Arc<Shared>,
    /// The last message that was put in front.
    cursor: Option<SpoolId>,
}

impl Keeper {
    fn run(mut self) {
        while let Some((new, acknowledged)) = self.next_work() {
            let now = Instant::now();
            self.spool.write(acknowledged, new, now);
            if self.spool.recover(now) {
                self.shared.lock().rewind();
            }
            self.shared.counters.spool_dropped(self.spool.take_dropped());
            self.fill_front(now);
        }
        // The last chance of what is in memory because the disk failed.
        if let Some(next_try) = self.spool.next_try() {
            self.spool.recover(next_try);
            let lost = self.spool.in_memory_only();
            if lost > 0 {
                tracing::error!(lost, "alerts that no broker took are lost: the disk takes none either");
            }
        }
        let Keeper { spool, shared, .. } = self;
        // The file is closed before anyone is told.
        drop(spool);
        shared.lock().has_ended = true;
        shared.done.notify_all();
    }

    /// Waits for something to do; `None` when everything is written and there will be no more.
    fn next_work(&mut self) -> Option<(Vec<NewMessage>, Vec<SpoolId>)> {
        let mut desk = self.shared.lock();
        desk.is_busy = false;
        desk.spooled = self.spool.len();
        desk.is_troubled = self.spool.next_try().is_some();
        self.shared.done.notify_all();
        self.shared.filled.notify_one();
        loop {
            let now = Instant::now();
            let pause = self.spool.next_try().map(|next_try| next_try.saturating_duration_since(now));
            if desk.has_work() || pause == Some(Duration::ZERO) {
                break;
            }
            if desk.closed {
                return None;
            }
            desk = match pause {
                None => self.shared.work.wait(desk).unwrap_or_else(PoisonError::into_inner),
                Some(pause) => {
                    let woken = self.shared.work.wait_timeout(desk, pause);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        if mem::take(&mut desk.rewind) {
            self.cursor = None;
        }
        desk.is_busy = true;
        desk.new_bytes = 0;
        Some((mem::take(&mut desk.new).into(), mem::take(&mut desk.acknowledged)))
    }

    /// Reads ahead as far as there is room in front.
    fn fill_front(&mut self, now: Instant) {
        let (count, bytes) = {
            let desk = self.shared.lock();
            let count = FRONT_MESSAGES.saturating_sub(desk.front.len());
            (count, FRONT_BYTES.saturating_sub(desk.front_bytes))
        };
        if count == 0 || bytes == 0 {
            let mut desk = self.shared.lock();
            desk.has_more = true;
            return;
        }
        let found = self.spool.read_after(self.cursor, count, bytes, now);
        let mut desk = self.shared.lock();
        if desk.rewind {
            // What was read belongs to the reading that is over.
            return;
        }
        desk.has_more = !found.is_empty();
        for message in found {
            self.cursor = Some(message.id);
            let is_void = message.kind.is_retained()
                && desk.new.iter().any(|new| new.kind.is_retained() && new.topic == message.topic);
            if !is_void {
                desk.front_bytes += message.size();
                desk.front.push_back(message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::spool::SpoolKind;

    const WITHIN: Duration = Duration::from_secs(20);

    fn spool() -> SpoolThread {
        SpoolThread::in_memory(SpoolLimits::default(), Arc::default(), Arc::default()).unwrap()
    }

    fn put(spool: &SpoolThread, kind: SpoolKind, topic: &str, payload: Vec<u8>) {
        spool.push([NewMessage { kind, topic: topic.to_owned(), payload }]);
    }

    /// Everything in the spool, in order.
    fn take_all(spool: &SpoolThread) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while !spool.is_drained() {
            match spool.take() {
                Some(message) => all.push(message.payload),
                None => assert!(spool.flush(WITHIN)),
            }
        }
        all
    }

    #[test]
    fn many_more_messages_than_are_read_ahead_come_out_in_order_and_again_after_a_rewind() {
        let spool = spool();
        let all: Vec<Vec<u8>> = (0..200).map(|number: u32| number.to_string().into_bytes()).collect();
        for payload in &all {
            put(&spool, SpoolKind::Event, "alerts", payload.clone());
        }
        assert_eq!(take_all(&spool), all);
        spool.rewind();
        assert_eq!(take_all(&spool), all);
        assert_eq!(spool.len(), 200);
    }

    #[test]
    fn a_state_that_is_read_ahead_gives_way_to_a_newer_one_of_its_topic() {
        let spool = spool();
        put(&spool, SpoolKind::State, "state", b"ON".to_vec());
        put(&spool, SpoolKind::Event, "state", b"event".to_vec());
        assert!(spool.flush(WITHIN));
        put(&spool, SpoolKind::State, "state", b"OFF".to_vec());
        assert!(spool.flush(WITHIN));
        assert_eq!(take_all(&spool), [&b"event"[..], b"OFF"]);
    }

    #[test]
    fn a_message_larger_than_the_spool_is_dropped_and_counted() {
        let counters = Arc::new(MqttCounters::default());
        let limits = SpoolLimits { messages: 10, bytes: 1000 };
        let spool = SpoolThread::in_memory(limits, Arc::new(Notify::new()), Arc::clone(&counters)).unwrap();
        put(&spool, SpoolKind::Snapshot, "picture", vec![0; 2000]);
        assert!(spool.flush(WITHIN));
        assert_eq!(counters.counts().dropped_snapshots, 1);
    }
}
