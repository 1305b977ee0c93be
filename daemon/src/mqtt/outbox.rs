//! Messages on their way to the broker.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::counters::{MqttCounters, count};
use super::options::MAX_PACKET_BYTES;

/// At most this many results wait; one more drops the oldest.
const MAX_RESULTS: usize = 1000;
/// At most this many bytes of results wait; more drop the oldest.
const MAX_RESULT_BYTES: usize = 32 << 20;
/// What a packet has beside its topic and payload, generously.
const PACKET_OVERHEAD_BYTES: usize = 16;

/// A message for the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The whole topic.
    pub topic: String,
    /// Text or JSON.
    pub payload: Vec<u8>,
    /// A state is retained and sent at least once; a result is neither.
    pub is_state: bool,
}

/// A bounded queue in memory. Putting something in takes a short lock and never waits: results push
/// the oldest ones out, states replace the state of their topic. States go out before results.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    /// Wakes the link.
    filled: Notify,
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
}

impl Outbox {
    /// An empty outbox that counts with `counters`.
    pub fn new(counters: Arc<MqttCounters>) -> Outbox {
        Outbox { counters, ..Outbox::default() }
    }

    /// Puts a result in; drops the oldest ones where there is no room.
    pub fn push_result(&self, topic: String, payload: Vec<u8>) {
        let message = Message { topic, payload, is_state: false };
        if message.size() > MAX_PACKET_BYTES {
            count(&self.counters.dropped_too_large);
            tracing::warn!(topic = message.topic, "result dropped: larger than a packet may be");
            return;
        }
        let mut queue = self.lock();
        queue.result_bytes += message.size();
        queue.results.push_back(message);
        queue.shrink(&self.counters);
        drop(queue);
        self.filled.notify_one();
    }

    /// Sets the state that `topic` holds from now on.
    pub fn set_state(&self, topic: String, payload: impl Into<Vec<u8>>) {
        let mut queue = self.lock();
        queue.changed.retain(|changed| *changed != topic);
        queue.changed.push_back(topic.clone());
        queue.states.insert(topic, payload.into());
        drop(queue);
        self.filled.notify_one();
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        let queue = self.lock();
        queue.results.len() + queue.changed.len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the next message to send.
    pub(super) fn take(&self) -> Option<Message> {
        let mut queue = self.lock();
        while let Some(topic) = queue.changed.pop_front() {
            if let Some(payload) = queue.states.get(&topic).cloned() {
                return Some(Message { topic, payload, is_state: true });
            }
        }
        let message = queue.results.pop_front()?;
        queue.result_bytes -= message.size();
        Some(message)
    }

    /// Puts messages back that were taken and then not sent, in the order they were taken in.
    pub(super) fn give_back(&self, messages: impl DoubleEndedIterator<Item = Message>) {
        let mut queue = self.lock();
        // States go out again anyhow when there is a connection.
        for message in messages.filter(|message| !message.is_state).rev() {
            queue.result_bytes += message.size();
            queue.results.push_front(message);
        }
        queue.shrink(&self.counters);
    }

    /// Marks every state as not sent; `last` goes out after all others.
    pub(super) fn resend_states(&self, last: &str) {
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

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic elsewhere ends the process; the queue is whole between two statements.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Message {
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

    use super::{MAX_RESULTS, MqttCounters, Outbox};

    fn outbox() -> (Outbox, Arc<MqttCounters>) {
        let counters = Arc::new(MqttCounters::default());
        (Outbox::new(counters.clone()), counters)
    }

    fn topics(outbox: &Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.take()).map(|message| message.topic).collect()
    }

    #[test]
    fn a_full_outbox_drops_its_oldest_result_and_counts_it() {
        let (outbox, counters) = outbox();
        for index in 0..MAX_RESULTS + 3 {
            outbox.push_result(index.to_string(), Vec::new());
        }
        assert_eq!(outbox.len(), MAX_RESULTS);
        assert_eq!(outbox.take().unwrap().topic, "3");
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
        let first = outbox.take().unwrap();
        assert_eq!((first.topic.as_str(), first.is_state), ("porch/status", true));
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
        let taken = [outbox.take().unwrap(), outbox.take().unwrap()];
        outbox.give_back(taken.into_iter());
        assert_eq!(topics(&outbox), ["a", "b", "c"]);
    }
}
