//! Messages on their way to the broker.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::counters::{MqttCounters, count};
use super::options::MAX_PACKET_BYTES;
use super::spool::{NewMessage, SpoolError, SpoolId, SpoolKind, SpoolLimits, SpoolThread};
use super::suspicion::MessageKey;

/// At most this many results wait; one more drops the oldest.
const MAX_RESULTS: usize = 1000;
/// At most this many bytes of results wait; more drop the oldest.
const MAX_RESULT_BYTES: usize = 32 << 20;
/// What a packet has beside its topic and payload, generously.
const PACKET_OVERHEAD_BYTES: usize = 16;

/// What a spool without a file holds at most.
const MEMORY_LIMITS: SpoolLimits = SpoolLimits { messages: 2000, bytes: 64 << 20 };

/// A message for the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) class: Class,
}

/// How a message is sent, and what becomes of it when the connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Sent at most once; goes back to its queue if it was not written.
    Result,
    /// What is so now: retained, sent at least once, and again at each connection.
    State,
    /// Sent at least once; stays in the spool until it is acknowledged.
    Spooled { id: SpoolId, is_retained: bool },
}

/// Messages on their way to the broker. Putting something in takes a short lock and never waits, neither
/// for the broker nor for the disk.
///
/// - Results ([`Outbox::push_result`]) wait in memory, bounded; they push the oldest ones out.
/// - States ([`Outbox::set_state`]) are what is so while this process lives. They are in memory; a newer
///   one replaces the older one of its topic, and all of them are said again at each connection.
/// - Events, snapshots and kept states go through the spool: to the disk first, then to the broker, until
///   it acknowledges them, across restarts.
///
/// States go out first, then what is in the spool, in its order, then results.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    spool: SpoolThread,
    /// Wakes the link.
    filled: Arc<Notify>,
    counters: Arc<MqttCounters>,
}

#[derive(Debug, Default)]
struct Queue {
    results: VecDeque<Message>,
    result_bytes: usize,
    /// The last state of every topic: all of them go out again at each connection.
    states: BTreeMap<String, Vec<u8>>,
    /// Topics of states that have not been sent.
    changed: VecDeque<String>,
    /// Topics whose end may still wait in the spool: what they hold next must not overtake it.
    taken_back: BTreeSet<String>,
}

impl Outbox {
    /// An outbox whose spool is the file at `path`, with what it still held; counts with `counters`. A disk
    /// that is full or fails is logged and tried again, and meanwhile the spool is in memory.
    ///
    /// # Errors
    /// See [`super::spool::Spool::open`].
    pub fn open(
        path: PathBuf,
        limits: SpoolLimits,
        counters: Arc<MqttCounters>,
    ) -> Result<Outbox, SpoolError> {
        let filled = Arc::new(Notify::new());
        let spool = SpoolThread::open(path, limits, Arc::clone(&filled), Arc::clone(&counters))?;
        Ok(Outbox { queue: Mutex::default(), spool, filled, counters })
    }

    /// An empty outbox whose spool is lost with the process; everything else is the same.
    ///
    /// # Errors
    /// There is no memory, or no thread.
    pub fn in_memory(counters: Arc<MqttCounters>) -> Result<Outbox, SpoolError> {
        let filled = Arc::new(Notify::new());
        let spool = SpoolThread::in_memory(MEMORY_LIMITS, Arc::clone(&filled), Arc::clone(&counters))?;
        Ok(Outbox { queue: Mutex::default(), spool, filled, counters })
    }

    /// Puts a result in; drops the oldest ones where there is no room.
    pub fn push_result(&self, topic: String, payload: Vec<u8>) {
        let message = Message { topic, payload, class: Class::Result };
        if !self.fits_packet(&message.topic, &message.payload) {
            return;
        }
        let mut queue = self.lock();
        queue.result_bytes += message.size();
        queue.results.push_back(message);
        queue.shrink(&self.counters);
        drop(queue);
        self.filled.notify_one();
    }

    /// Sets the state that `topic` holds from now on, for what only this process can say: it is forgotten
    /// with it, and the next one begins by saying what is so then.
    pub fn set_state(&self, topic: String, payload: impl Into<Vec<u8>>) {
        let mut queue = self.lock();
        if queue.taken_back.contains(&topic) {
            drop(queue);
            return self.keep_state(topic, payload);
        }
        queue.changed.retain(|changed| *changed != topic);
        queue.changed.push_back(topic.clone());
        queue.states.insert(topic, payload.into());
        drop(queue);
        self.filled.notify_one();
    }

    /// Sets the state that `topic` holds from now on, for what the broker must hear even if this process
    /// ends first. It goes through the spool, behind the events that are there, and is said again at each
    /// connection like every state. An empty payload takes the topic's retained message away. A topic is
    /// either set or kept, not both.
    pub fn keep_state(&self, topic: String, payload: impl Into<Vec<u8>>) {
        let payload = payload.into();
        if self.fits_packet(&topic, &payload) {
            self.lock().states.insert(topic.clone(), payload.clone());
            self.spool.push([NewMessage { kind: SpoolKind::State, topic, payload }]);
        }
    }

    /// The topics hold nothing from now on: the broker is told through the spool to forget what it retains, even if this
    /// process ends first. A topic may be set or kept again later; then that goes through the spool, behind its end.
    pub fn take_back(&self, topics: impl IntoIterator<Item = String>) {
        let topics: Vec<String> = topics.into_iter().collect();
        let mut queue = self.lock();
        for topic in &topics {
            queue.states.remove(topic);
            queue.taken_back.insert(topic.clone());
        }
        queue.changed.retain(|changed| !topics.contains(changed));
        drop(queue);
        let ends =
            topics.into_iter().map(|topic| NewMessage { kind: SpoolKind::State, topic, payload: Vec::new() });
        self.spool.push(ends);
    }

    /// Puts an alert event in: sent at least once, in order, not retained.
    pub fn push_event(&self, topic: String, payload: Vec<u8>) {
        if self.fits_packet(&topic, &payload) {
            self.spool.push([NewMessage { kind: SpoolKind::Event, topic, payload }]);
        }
    }

    /// Puts a snapshot in: sent at least once, retained; a newer one of its topic replaces it.
    pub fn push_snapshot(&self, topic: String, payload: Vec<u8>) {
        if self.fits_packet(&topic, &payload) {
            self.spool.push([NewMessage { kind: SpoolKind::Snapshot, topic, payload }]);
        }
    }

    /// Puts everything in that belongs to one event, in this order: after a crash all of it is there, or
    /// nothing. Kinds are as in [`Outbox::push_snapshot`], [`Outbox::push_event`], [`Outbox::keep_state`] and
    /// [`Outbox::notes`]. A note about an event stands right behind it.
    pub fn push_together(&self, messages: Vec<NewMessage>) {
        let fitting =
            messages.into_iter().filter(|message| self.fits_packet(&message.topic, &message.payload));
        let fitting: Vec<NewMessage> = fitting.collect();
        let mut queue = self.lock();
        for state in fitting.iter().filter(|message| message.kind == SpoolKind::State) {
            queue.states.insert(state.topic.clone(), state.payload.clone());
        }
        drop(queue);
        self.spool.push(fitting);
    }

    /// What an earlier process wrote down for this one ([`SpoolKind::Note`]), by its name, and did not take
    /// back by an empty note of that name.
    pub fn notes(&self) -> &[(String, Vec<u8>)] {
        self.spool.notes()
    }

    /// Whether what is accepted now would be lost with the process: there is no file, or the disk fails.
    pub fn is_spool_in_memory_only(&self) -> bool {
        self.spool.is_in_memory_only()
    }

    /// Waits until all that was put in and acknowledged so far is on the disk, or, while the disk fails, in
    /// memory; false if that took longer than `limit`. Blocks its thread: not for those of a runtime.
    pub fn flush(&self, limit: Duration) -> bool {
        self.spool.flush(limit)
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        let queue = self.lock();
        queue.results.len() + queue.changed.len() + self.spool.len()
    }

    /// How many of them must not be lost.
    pub fn spool_len(&self) -> usize {
        self.spool.len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the next message to send; one of the spool only where the link has room for it.
    pub(super) fn take(&self, has_room_for_spooled: bool) -> Option<Message> {
        let spooled = || if has_room_for_spooled { self.take_spooled() } else { None };
        self.take_state(None).or_else(spooled).or_else(|| self.take_result())
    }

    /// Takes the next state to send that is not `except`.
    pub(super) fn take_state(&self, except: Option<&str>) -> Option<Message> {
        let mut queue = self.lock();
        loop {
            let next = queue.changed.iter().position(|topic| Some(topic.as_str()) != except)?;
            let topic = queue.changed.remove(next)?;
            if let Some(payload) = queue.states.get(&topic).cloned() {
                return Some(Message { topic, payload, class: Class::State });
            }
        }
    }

    /// Takes the next message of the spool.
    pub(super) fn take_spooled(&self) -> Option<Message> {
        let message = self.spool.take()?;
        let class = Class::Spooled { id: message.id, is_retained: message.kind.is_retained() };
        Some(Message { topic: message.topic, payload: message.payload, class })
    }

    fn take_result(&self) -> Option<Message> {
        let mut queue = self.lock();
        let message = queue.results.pop_front()?;
        queue.result_bytes -= message.size();
        Some(message)
    }

    /// Puts messages back that were taken and then not sent, in the order they were taken in. Only results
    /// go back: states are said again at the next connection, and the spool has its messages still.
    pub(super) fn give_back(&self, messages: impl DoubleEndedIterator<Item = Message>) {
        let mut queue = self.lock();
        for message in messages.filter(|message| message.class == Class::Result).rev() {
            queue.result_bytes += message.size();
            queue.results.push_front(message);
        }
        queue.shrink(&self.counters);
    }

    /// The broker has this message.
    pub(super) fn acknowledge(&self, id: SpoolId) {
        self.spool.acknowledge(id);
    }

    /// The state of `topic` is not said again, until it is set anew.
    pub(super) fn forget_state(&self, topic: &str) {
        let mut queue = self.lock();
        queue.states.remove(topic);
        queue.changed.retain(|changed| changed != topic);
    }

    /// From now on everything in the spool is taken again that was not acknowledged.
    pub(super) fn rewind(&self) {
        self.spool.rewind();
    }

    /// Whether nothing in the spool waits to be taken.
    pub(super) fn is_spool_drained(&self) -> bool {
        self.spool.is_drained()
    }

    /// Marks every state as not sent; `last` goes out after all others. Each connection does that by itself.
    pub fn resend_states(&self, last: &str) {
        let mut queue = self.lock();
        let topics = queue.states.keys().filter(|topic| *topic != last);
        let mut changed: VecDeque<String> = topics.cloned().collect();
        if queue.states.contains_key(last) {
            changed.push_back(last.to_owned());
        }
        queue.changed = changed;
    }

    /// Drops the results that wait: at the end, only states are worth waiting for.
    pub(super) fn discard_results(&self) -> usize {
        let mut queue = self.lock();
        queue.result_bytes = 0;
        queue.results.drain(..).count()
    }

    /// Waits until something was put in since the last wait.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    fn fits_packet(&self, topic: &str, payload: &[u8]) -> bool {
        let fits = topic.len() + payload.len() + PACKET_OVERHEAD_BYTES <= MAX_PACKET_BYTES;
        if !fits {
            count(&self.counters.dropped_too_large);
            tracing::warn!(topic, "message dropped: larger than a packet may be");
        }
        fits
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic elsewhere ends the process; the queue is whole between two statements.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Message {
    /// What it is known by, where it is to be acknowledged.
    pub(super) fn key(&self) -> Option<MessageKey> {
        match self.class {
            Class::Spooled { id, .. } => Some(MessageKey::Spooled(id)),
            Class::State => Some(MessageKey::State(self.topic.clone())),
            Class::Result => None,
        }
    }

    /// Bytes on the wire, at most.
    fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + PACKET_OVERHEAD_BYTES
    }
}

impl Queue {
    fn shrink(&mut self, counters: &MqttCounters) {
        while self.results.len() > MAX_RESULTS || self.result_bytes > MAX_RESULT_BYTES {
            let Some(oldest) = self.results.pop_front() else {
                break;
            };
            self.result_bytes -= oldest.size();
            count(&counters.dropped_outbox_full);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Class, MAX_RESULTS, MqttCounters, Outbox};

    fn outbox() -> (Outbox, Arc<MqttCounters>) {
        let counters = Arc::new(MqttCounters::default());
        (Outbox::in_memory(counters.clone()).unwrap(), counters)
    }

    fn topics(outbox: &Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.take(true)).map(|message| message.topic).collect()
    }

    #[test]
    fn a_full_outbox_drops_its_oldest_result_and_counts_it() {
        let (outbox, counters) = outbox();
        for index in 0..MAX_RESULTS + 3 {
            outbox.push_result(index.to_string(), Vec::new());
        }
        assert_eq!(outbox.len(), MAX_RESULTS);
        assert_eq!(outbox.take(true).unwrap().topic, "3");
        assert_eq!(counters.counts().dropped_outbox_full, 3);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (outbox, counters) = outbox();
        for index in 0..5 {
            outbox.push_result(index.to_string(), vec![0; 10 << 20]);
        }
        assert_eq!(topics(&outbox), ["2", "3", "4"]);
        assert_eq!(counters.counts().dropped_outbox_full, 2);
    }

    #[test]
    fn a_result_larger_than_a_packet_is_dropped_and_counted() {
        let (outbox, counters) = outbox();
        outbox.push_result("big".to_owned(), vec![0; 16 << 20]);
        assert!(outbox.is_empty());
        assert_eq!(counters.counts().dropped_too_large, 1);
    }

    #[test]
    fn only_the_last_state_of_a_topic_is_sent_and_before_results() {
        let (outbox, _) = outbox();
        outbox.push_result("result".to_owned(), Vec::new());
        outbox.set_state("porch/status".to_owned(), "offline");
        outbox.set_state("porch/status".to_owned(), "online");
        let first = outbox.take(true).unwrap();
        assert_eq!((first.topic.as_str(), first.class), ("porch/status", Class::State));
        assert_eq!(first.payload, b"online");
        assert_eq!(topics(&outbox), ["result"]);
    }

    #[test]
    fn every_state_goes_out_again_after_a_connection_and_available_last() {
        let (outbox, _) = outbox();
        for topic in ["available", "porch/status", "yard/status"] {
            outbox.set_state(topic.to_owned(), "online");
        }
        assert_eq!(topics(&outbox).len(), 3);
        outbox.resend_states("available");
        assert_eq!(topics(&outbox), ["porch/status", "yard/status", "available"]);
    }

    #[test]
    fn results_that_were_not_sent_keep_their_order() {
        let (outbox, _) = outbox();
        for topic in ["a", "b", "c"] {
            outbox.push_result(topic.to_owned(), Vec::new());
        }
        let taken = [outbox.take(true).unwrap(), outbox.take(true).unwrap()];
        outbox.give_back(taken.into_iter());
        assert_eq!(topics(&outbox), ["a", "b", "c"]);
    }

    /// Everything there is, whatever the thread of the spool has read so far: topics and payloads.
    fn all(outbox: &Outbox) -> Vec<(String, String)> {
        let mut all = Vec::new();
        while !outbox.is_empty() {
            assert!(outbox.flush(std::time::Duration::from_secs(20)));
            while let Some(message) = outbox.take(true) {
                all.push((message.topic, String::from_utf8(message.payload).unwrap()));
                if let Class::Spooled { id, .. } = message.class {
                    outbox.acknowledge(id);
                }
            }
        }
        all
    }

    #[test]
    fn what_a_topic_holds_after_it_was_taken_back_does_not_overtake_its_end() {
        let (outbox, _) = outbox();
        let said = |topic: &str, payload: &str| (topic.to_owned(), payload.to_owned());
        outbox.set_state("porch/status".to_owned(), "online");
        outbox.set_state("yard/status".to_owned(), "online");
        outbox.take_back(["porch/status".to_owned()]);
        assert_eq!(all(&outbox), [said("yard/status", "online"), said("porch/status", "")]);
        outbox.take_back(["yard/status".to_owned()]);
        outbox.set_state("yard/status".to_owned(), "offline");
        outbox.set_state("yard/status".to_owned(), "online");
        assert_eq!(all(&outbox).last(), Some(&said("yard/status", "online")));
        outbox.resend_states("available");
        assert_eq!(all(&outbox), [said("yard/status", "online")]);
    }
}
