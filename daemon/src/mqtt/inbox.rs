//! Messages from others.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::counters::{MqttCounters, count};

/// So many messages wait in an inbox; one more is dropped.
const MAX_MESSAGES: usize = 256;
/// So many bytes wait in an inbox; a message that does not fit is dropped.
const MAX_BYTES: usize = 4 << 20;

/// A message that the broker passed on. Anybody may have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingMessage {
    /// The whole topic.
    pub topic: String,
    /// Any bytes.
    pub payload: Vec<u8>,
    /// It was said before the subscription, and the broker kept it.
    pub is_retained: bool,
}

/// What a link listens to. Each subscription has an inbox of its own, so that a flood of one kind of message
/// pushes no other kind out.
pub struct Subscription {
    filter: String,
    limits: InboxLimits,
    is_wanted: Box<dyn Fn(&str) -> bool + Send>,
    inbox: Arc<Inbox>,
}

/// What an inbox takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxLimits {
    /// A longer payload is dropped, in bytes.
    pub payload_bytes: usize,
    /// Only the newest message of each topic waits, in the place of the older one.
    pub newest_of_topic: bool,
}

/// The messages of a [`Subscription`] that nobody has read: bounded; what does not fit is dropped and counted.
#[derive(Debug, Default)]
pub struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<IncomingMessage>,
    bytes: usize,
}

impl Subscription {
    /// Of the topics that match `filter` (`+` stands for a level) and of which `is_wanted` says so; with where its
    /// messages can be read.
    pub fn new(
        filter: String,
        limits: InboxLimits,
        is_wanted: impl Fn(&str) -> bool + Send + 'static,
    ) -> (Subscription, Arc<Inbox>) {
        let inbox = Arc::new(Inbox::default());
        let subscription =
            Subscription { filter, limits, is_wanted: Box::new(is_wanted), inbox: Arc::clone(&inbox) };
        (subscription, inbox)
    }

    pub(super) fn filter(&self) -> &str {
        &self.filter
    }

    /// Whether a message on `topic` is for this subscription.
    pub(super) fn matches(&self, topic: &str) -> bool {
        let (mut levels, mut wanted) = (topic.split('/'), self.filter.split('/'));
        loop {
            match (levels.next(), wanted.next()) {
                (None, None) => return (self.is_wanted)(topic),
                (Some(_), Some("+")) => {}
                (Some(level), Some(filter)) if level == filter => {}
                _ => return false,
            }
        }
    }

    /// Puts a message in, or drops and counts it.
    pub(super) fn deliver(&self, message: IncomingMessage, counters: &MqttCounters) {
        count(&counters.received);
        if message.payload.len() > self.limits.payload_bytes {
            count(&counters.dropped_incoming);
            tracing::debug!(
                topic = message.topic,
                bytes = message.payload.len(),
                "message too long; dropped"
            );
            return;
        }
        let mut waiting = self.inbox.lock();
        if self.limits.newest_of_topic {
            waiting.forget(&message.topic);
        }
        let size = message.size();
        if waiting.messages.len() >= MAX_MESSAGES || waiting.bytes + size > MAX_BYTES {
            drop(waiting);
            count(&counters.dropped_incoming);
            tracing::debug!(topic = message.topic, "too many messages; dropped");
            return;
        }
        waiting.bytes += size;
        waiting.messages.push_back(message);
        drop(waiting);
        self.inbox.arrived.notify_one();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl Inbox {
    /// Waits for the next message. Safe to cancel. For one reader.
    pub async fn next(&self) -> IncomingMessage {
        loop {
            if let Some(message) = self.try_next() {
                return message;
            }
            self.arrived.notified().await;
        }
    }

    /// The next message, if there is one now.
    pub fn try_next(&self) -> Option<IncomingMessage> {
        let mut waiting = self.lock();
        let message = waiting.messages.pop_front()?;
        waiting.bytes -= message.size();
        Some(message)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A panic elsewhere ends the process; the queue is whole between two statements.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn forget(&mut self, topic: &str) {
        self.messages.retain(|message| message.topic != topic);
        self.bytes = self.messages.iter().map(IncomingMessage::size).sum();
    }
}

impl IncomingMessage {
    fn size(&self) -> usize {
        self.topic.len() + self.payload.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: InboxLimits = InboxLimits { payload_bytes: 1 << 20, newest_of_topic: false };

    fn subscription(limits: InboxLimits) -> (Subscription, Arc<Inbox>) {
        Subscription::new("root/+/set".to_owned(), limits, |_| true)
    }

    fn message(topic: &str, payload: Vec<u8>) -> IncomingMessage {
        IncomingMessage { topic: topic.to_owned(), payload, is_retained: false }
    }

    #[test]
    fn a_plus_stands_for_one_level_and_whoever_listens_may_want_fewer() {
        let (all, _) = subscription(LIMITS);
        for topic in ["root/porch/set", "root//set", "root/ü/set"] {
            assert!(all.matches(topic), "{topic}");
        }
        for topic in ["root/porch", "root/porch/set/x", "root/a/b/set", "ü/porch/set", "", "root/+/get"] {
            assert!(!all.matches(topic), "{topic}");
        }
        let (some, _) = Subscription::new("+".to_owned(), LIMITS, |topic| topic == "porch");
        assert!(some.matches("porch") && !some.matches("yard"));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let counters = MqttCounters::default();
        let (subscription, inbox) = subscription(LIMITS);
        subscription.deliver(message("a", vec![0; (1 << 20) + 1]), &counters);
        assert_eq!((counters.counts().dropped_incoming, inbox.try_next()), (1, None));
        for _ in 0..5 {
            subscription.deliver(message("a", vec![0; 1 << 20]), &counters);
        }
        assert_eq!(counters.counts().dropped_incoming, 3);
        assert_eq!(std::iter::from_fn(|| inbox.try_next()).count(), 3);
        for _ in 0..MAX_MESSAGES + 2 {
            subscription.deliver(message("a", Vec::new()), &counters);
        }
        assert_eq!(std::iter::from_fn(|| inbox.try_next()).count(), MAX_MESSAGES);
        assert_eq!(counters.counts().dropped_incoming, 5);
        assert_eq!(counters.counts().received, (6 + MAX_MESSAGES + 2) as u64);
    }

    #[test]
    fn of_a_switch_only_the_newest_position_waits() {
        let counters = MqttCounters::default();
        let (subscription, inbox) = subscription(InboxLimits { newest_of_topic: true, ..LIMITS });
        for _ in 0..1000 {
            subscription.deliver(message("porch", b"ON".to_vec()), &counters);
            subscription.deliver(message("yard", b"ON".to_vec()), &counters);
            subscription.deliver(message("porch", b"OFF".to_vec()), &counters);
        }
        let left: Vec<_> = std::iter::from_fn(|| inbox.try_next()).collect();
        assert_eq!(left, [message("yard", b"ON".to_vec()), message("porch", b"OFF".to_vec())]);
        assert_eq!(counters.counts().dropped_incoming, 0);
    }

    #[tokio::test]
    async fn a_reader_is_woken_by_a_message() {
        let (subscription, inbox) = subscription(LIMITS);
        let reader = tokio::spawn(async move { inbox.next().await });
        tokio::task::yield_now().await;
        subscription.deliver(message("a", b"x".to_vec()), &MqttCounters::default());
        let read = tokio::time::timeout(std::time::Duration::from_secs(20), reader).await;
        assert_eq!(read.unwrap().unwrap().payload, b"x");
    }
}
