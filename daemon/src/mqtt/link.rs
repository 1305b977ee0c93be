//! The connection to the broker: made for ever, fed from the outbox.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::counters::MqttCounters;
use super::inbox::Subscription;
use super::options::LinkOptions;
use super::outbox::Outbox;
use super::session::Session;

/// A running connection. Dropping it ends it without a word to the broker, which then sends the last
/// will; [`Link::stop`] ends it in good order.
#[derive(Debug)]
pub struct Link {
    /// Holds the moment by which a stop must have ended.
    stop: watch::Sender<Option<Instant>>,
    connected: watch::Receiver<bool>,
    subscribed: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Link {
    /// Connects in the background, for ever: a broker that is away, or refuses, is tried again after
    /// growing, jittered waits. At each connection all states of the outbox are sent again, and all of its
    /// spool that the broker has not acknowledged. Must be called within a tokio runtime.
    pub fn spawn(options: LinkOptions, outbox: Arc<Outbox>, counters: Arc<MqttCounters>) -> Link {
        Link::spawn_listening(options, outbox, counters, Vec::new())
    }

    /// Like [`Link::spawn`], and subscribes at each connection; what comes goes to the inbox of the first
    /// subscription that wants it.
    pub fn spawn_listening(
        options: LinkOptions,
        outbox: Arc<Outbox>,
        counters: Arc<MqttCounters>,
        subscriptions: Vec<Subscription>,
    ) -> Link {
        // What another link took before, and no broker acknowledged, is taken again.
        outbox.rewind();
        let (stop, stopping) = watch::channel(None);
        let (now_connected, connected) = watch::channel(false);
        let (now_subscribed, subscribed) = watch::channel(0);
        let session =
            Session::new(options, outbox, counters, subscriptions, now_connected, now_subscribed, stopping);
        Link { stop, connected, subscribed, task: tokio::spawn(session.run()) }
    }

    /// Whether there is a connection; changes wake the receiver.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// On how many connections the broker has answered the subscriptions; changes wake the receiver.
    pub fn subscribed(&self) -> watch::Receiver<u64> {
        self.subscribed.clone()
    }

    /// Sends the states that wait and what the spool holds, as far as there is time, drops the results
    /// that wait, says goodbye and closes; takes no longer than `limit`, and no time where there is no
    /// connection.
    pub async fn stop(mut self, limit: Duration) {
        self.leave(limit).await;
    }

    /// The same, for a link that another one takes the place of.
    pub async fn leave(&mut self, limit: Duration) {
        let _ = self.stop.send(Some(Instant::now() + limit));
        // The session watches the deadline itself; this is for a network that blocks it.
        if timeout(limit + Duration::from_millis(100), &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}
