//! Messages on their way to the broker.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::counters::{MqttCounters, count};
use super::message::{Class, Message, size_on_wire};
use super::options::MAX_PACKET_BYTES;
use super::spool::{NewMessage, SpoolError, SpoolId, SpoolKind, SpoolLimits, SpoolThread};

/// At most this many results wait; one more drops the oldest.
const MAX_RESULTS: usize = 1000;
/// At most this many bytes of results wait; more drop the oldest.
const MAX_RESULT_BYTES: usize = 32 << 20;

/// What a spool without a file holds at most.
const MEMORY_LIMITS: SpoolLimits = SpoolLimits { messages: 2000, bytes: 64 << 20 };

/// Messages on their way to the broker. Putting something in takes a short lock and never waits, neither
/// for the broker nor for the disk.
///
/// - Results ([`Outbox::push_result`]) wait in memory, bounded; they push the oldest ones out.
/// - States ([`Outbox::set_state`]) are what is so while this process lives. They are in memory; a newer
///   one replaces the older one of its topic, and all of them are said again at each connection.
/// - Events, snapshots and kept states go through the spool: to the disk first, then to the broker, until
///   it acknowledges them, across restarts.
///
/// States go out first, then what is in the spool, in its order, then kept states that are said again, then results:
/// nobody is to hear that an alert is on before its snapshot and its event are there.
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
    /// Topics of `states` that went through the spool.
    kept: BTreeSet<String>,
    /// Of those, which are to be said again, behind what is in the spool.
    kept_again: VecDeque<String>,
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
        // An earlier process may have taken them back, and no broker may know yet.
        let taken_back = spool.state_topics().iter().cloned().collect();
        Ok(Outbox { queue: Mutex::new(Queue { taken_back, ..Queue::default() }), spool, filled, counters })
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
        queue.kept.remove(&topic);
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
        self.push_together(vec![NewMessage { kind: SpoolKind::State, topic, payload }]);
    }

    /// The topics hold nothing from now on: the broker is told through the spool to forget what it retains, even if this
    /// process ends first. A topic may be set or kept again later; then that goes through the spool, behind its end.
    pub fn take_back(&self, topics: impl IntoIterator<Item = String>) {
        let topics: Vec<String> = topics.into_iter().collect();
        let mut queue = self.lock();
        for topic in &topics {
            queue.forget(topic);
            queue.taken_back.insert(topic.clone());
        }
        let ends =
            topics.into_iter().map(|topic| NewMessage { kind: SpoolKind::State, topic, payload: Vec::new() });
        // Under the lock: what a topic holds next goes behind its end.
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
            queue.kept.insert(state.topic.clone());
            // The spool says it now, in its place.
            queue.kept_again.retain(|again| *again != state.topic);
        }
        // Under the lock: a connection that begins in between would find the spool empty, and say it out of its place.
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
        queue.results.len() + queue.changed.len() + queue.kept_again.len() + self.spool.len()
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
        let own = self.take_own_state();
        let spooled = || if has_room_for_spooled { self.take_spooled() } else { None };
        own.or_else(spooled).or_else(|| self.take_kept()).or_else(|| self.take_result())
    }

    /// Takes the next state to send that need not wait for the spool: no kept one.
    pub(super) fn take_own_state(&self) -> Option<Message> {
        self.lock().take_state(|_| true)
    }

    /// Takes the next message that can go before the state of `topic`: another state that need not wait for the spool,
    /// and, where `topic` is of a kept state, what is in the spool. That may be what the topic is to hold now.
    pub(super) fn take_before_state(&self, topic: &str, has_room_for_spooled: bool) -> Option<Message> {
        let (own, is_kept) = {
            let mut queue = self.lock();
            (queue.take_state(|other| other != topic), queue.kept.contains(topic))
        };
        own.or_else(|| if is_kept && has_room_for_spooled { self.take_spooled() } else { None })
    }

    /// Whether nothing is left that the state of `topic` must wait for: a kept one waits for the spool.
    pub(super) fn is_turn_of_state(&self, topic: &str) -> bool {
        let queue = self.lock();
        !queue.kept.contains(topic) || self.spool.is_drained()
    }

    /// Takes the state of `topic` if it waits to be said, and need not wait for the spool.
    pub(super) fn take_state_of(&self, topic: &str) -> Option<Message> {
        let mut queue = self.lock();
        let own = queue.take_state(|other| other == topic);
        own.or_else(|| if self.spool.is_drained() { queue.take_kept(|other| other == topic) } else { None })
    }

    /// Takes the next kept state to say again, once nothing in the spool is before it.
    fn take_kept(&self) -> Option<Message> {
        let mut queue = self.lock();
        if self.spool.is_drained() { queue.take_kept(|_| true) } else { None }
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
        self.lock().forget(topic);
    }

    /// From now on everything in the spool is taken again that was not acknowledged.
    pub(super) fn rewind(&self) {
        self.spool.rewind();
    }

    /// Whether nothing in the spool waits to be taken.
    pub(super) fn is_spool_drained(&self) -> bool {
        self.spool.is_drained()
    }

    /// Whether everything but results has been taken.
    pub(super) fn is_all_said(&self) -> bool {
        let queue = self.lock();
        queue.changed.is_empty() && queue.kept_again.is_empty() && self.spool.is_drained()
    }

    /// Marks every state as not sent; `last` goes out after all others but the kept ones. Each connection does that by
    /// itself.
    pub fn resend_states(&self, last: &str) {
        let mut queue = self.lock();
        let topics = queue.states.keys().filter(|topic| *topic != last).cloned();
        let (kept, mut changed): (VecDeque<String>, VecDeque<String>) =
            topics.partition(|topic| queue.kept.contains(topic));
        if queue.states.contains_key(last) {
            changed.push_back(last.to_owned());
        }
        queue.changed = changed;
        queue.kept_again = kept;
    }

    /// What `topic` holds.
    #[cfg(test)]
    pub(crate) fn state(&self, topic: &str) -> Option<Vec<u8>> {
        self.lock().states.get(topic).cloned()
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
        let fits = size_on_wire(topic, payload) <= MAX_PACKET_BYTES;
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

impl Queue {
    fn take_state(&mut self, is_wanted: impl Fn(&str) -> bool) -> Option<Message> {
        take_from(&mut self.changed, &self.states, is_wanted)
    }

    fn take_kept(&mut self, is_wanted: impl Fn(&str) -> bool) -> Option<Message> {
        take_from(&mut self.kept_again, &self.states, is_wanted)
    }

    fn forget(&mut self, topic: &str) {
        self.states.remove(topic);
        self.kept.remove(topic);
        self.changed.retain(|changed| changed != topic);
        self.kept_again.retain(|again| again != topic);
    }

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

/// The first of `topics` that is wanted, with what it holds.
fn take_from(
    topics: &mut VecDeque<String>,
    states: &BTreeMap<String, Vec<u8>>,
    is_wanted: impl Fn(&str) -> bool,
) -> Option<Message> {
    loop {
        let next = topics.iter().position(|topic| is_wanted(topic))?;
        let topic = topics.remove(next)?;
        if let Some(payload) = states.get(&topic).cloned() {
            return Some(Message { topic, payload, class: Class::State });
        }
    }
}

#[cfg(test)]
mod tests;
