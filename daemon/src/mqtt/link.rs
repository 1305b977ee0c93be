//! The connection to the broker: made for ever, fed from the outbox.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, Outgoing, Packet, QoS};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::backoff::Backoff;
use super::counters::{MqttCounters, count};
use super::options::LinkOptions;
use super::outbox::{Class, Message, Outbox};
use super::spool::SpoolId;

/// So many messages are handed to the protocol before it says that it wrote them; and so many of the
/// spool's are on their way without an acknowledgement.
const WINDOW: usize = 16;
/// A connection that lasted so long begins the waits anew. One that is cut each time it is made, perhaps
/// because of what is sent, does not.
const STEADY: Duration = Duration::from_secs(10);
/// At the end, so much of the time is left for the goodbye: the spool keeps what has not been sent then.
const GOODBYE: Duration = Duration::from_millis(300);

/// A running connection. Dropping it ends it without a word to the broker, which then sends the last
/// will; [`Link::stop`] ends it in good order.
#[derive(Debug)]
pub struct Link {
    /// Holds the moment by which a stop must have ended.
    stop: watch::Sender<Option<Instant>>,
    connected: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Link {
    /// Connects in the background, for ever: a broker that is away, or refuses, is tried again after
    /// growing, jittered waits. At each connection all states of the outbox are sent again, and all of its
    /// spool that the broker has not acknowledged. Must be called within a tokio runtime.
    pub fn spawn(options: LinkOptions, outbox: Arc<Outbox>, counters: Arc<MqttCounters>) -> Link {
        let (stop, stopping) = watch::channel(None);
        let (now_connected, connected) = watch::channel(false);
        let (client, events) = protocol(&options);
        let session = Session {
            options,
            client,
            outbox,
            counters,
            connected: now_connected,
            stopping,
            deadline: None,
            is_leaving: false,
            goodbye_said: false,
            handed: VecDeque::new(),
            unacknowledged: HashMap::new(),
            backoff: Backoff::new(),
            connected_at: None,
        };
        Link { stop, connected, task: tokio::spawn(session.run(events)) }
    }

    /// Whether there is a connection; changes wake the receiver.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// Sends the states that wait and what the spool holds, as far as there is time, drops the results
    /// that wait, says goodbye and closes; takes no longer than `limit`, and no time where there is no
    /// connection.
    pub async fn stop(self, limit: Duration) {
        let _ = self.stop.send(Some(Instant::now() + limit));
        // The session watches the deadline itself; this is for a network that blocks it.
        let _ = timeout(limit + Duration::from_millis(100), self.task).await;
    }
}

/// The state of the task behind a [`Link`].
struct Session {
    options: LinkOptions,
    client: AsyncClient,
    outbox: Arc<Outbox>,
    counters: Arc<MqttCounters>,
    connected: watch::Sender<bool>,
    stopping: watch::Receiver<Option<Instant>>,
    /// Set once the link is to stop.
    deadline: Option<Instant>,
    /// Nothing more is taken from the spool.
    is_leaving: bool,
    goodbye_said: bool,
    /// Handed to the protocol, not yet written by it.
    handed: VecDeque<Message>,
    /// Written with QoS 1, not yet acknowledged, by their packet identifiers; with their place where they
    /// are the spool's.
    unacknowledged: HashMap<u16, Option<SpoolId>>,
    backoff: Backoff,
    connected_at: Option<Instant>,
}

impl Session {
    async fn run(mut self, mut events: EventLoop) {
        while let Some(event) = self.next_event(&mut events).await {
            match event {
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
                Ok(event) => self.handle(event),
                Err(error) => {
                    // An acknowledgement may have come in front of the end.
                    let left: Vec<Event> = events.state.events.drain(..).collect();
                    left.into_iter().for_each(|event| self.handle(event));
                    self.lose(&error);
                    if !self.wait_to_retry().await {
                        return;
                    }
                    (self.client, events) = protocol(&self.options);
                }
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Incoming(Packet::ConnAck(_)) => self.begin(),
            Event::Incoming(Packet::PubAck(ack)) => {
                if let Some(Some(id)) = self.unacknowledged.remove(&ack.pkid) {
                    self.outbox.acknowledge(id);
                }
            }
            Event::Outgoing(Outgoing::Publish(packet_id)) => {
                let written = self.handed.pop_front();
                count(&self.counters.published);
                if packet_id != 0 {
                    self.unacknowledged.insert(packet_id, written.and_then(|message| message.spool_id()));
                }
            }
            _ => {}
        }
    }

    /// The protocol's next event; `None` when it is time to stop. A poll of the protocol is never
    /// dropped half-way, except at the very end: a packet might be half written.
    async fn next_event(&mut self, events: &mut EventLoop) -> Option<Result<Event, ConnectionError>> {
        let poll = events.poll();
        tokio::pin!(poll);
        loop {
            self.feed();
            let is_connected = *self.connected.borrow();
            let leaving = self.leaving_time();
            tokio::select! {
                event = &mut poll => return Some(event),
                () = self.outbox.filled(), if is_connected && self.handed.len() < WINDOW => {}
                deadline = stop_deadline(&mut self.stopping), if self.deadline.is_none() => {
                    // Dropped: not a word, so that the broker sends the last will.
                    self.deadline = Some(deadline?);
                    if !is_connected {
                        return None;
                    }
                    self.outbox.discard_results();
                }
                () = sleep_until(leaving), if self.deadline.is_some() && !self.is_leaving => {
                    self.is_leaving = true;
                }
                () = sleep_until(self.deadline.unwrap_or_else(Instant::now)), if self.deadline.is_some() => {
                    tracing::warn!(broker = self.options.address(), "broker did not answer in time; leaving");
                    return None;
                }
            }
        }
    }

    /// Hands messages over while there is a connection and room; says goodbye when it is time and
    /// everything has arrived.
    fn feed(&mut self) {
        if !*self.connected.borrow() || self.goodbye_said {
            return;
        }
        while self.handed.len() < WINDOW {
            let has_room_for_spooled = !self.is_leaving && self.spooled_on_their_way() < WINDOW;
            let Some(message) = self.outbox.take(has_room_for_spooled) else {
                break;
            };
            let (qos, is_retained) = match message.class {
                Class::Result => (QoS::AtMostOnce, false),
                Class::State => (QoS::AtLeastOnce, true),
                Class::Spooled { is_retained, .. } => (QoS::AtLeastOnce, is_retained),
            };
            let handed_over =
                self.client.try_publish(&message.topic, qos, is_retained, message.payload.clone());
            match handed_over {
                Ok(()) => self.handed.push_back(message),
                Err(_) => {
                    // Cannot be: the window is as large as the channel, which holds a goodbye only when
                    // nothing more is handed over.
                    tracing::error!(topic = message.topic, "the protocol takes no message");
                    self.outbox.give_back(std::iter::once(message));
                    self.outbox.rewind();
                    return;
                }
            }
        }
        let all_arrived = self.handed.is_empty() && self.unacknowledged.is_empty();
        let all_sent = self.is_leaving || self.outbox.is_spool_drained();
        if self.deadline.is_some() && all_arrived && all_sent {
            self.goodbye_said = self.client.try_disconnect().is_ok();
        }
    }

    /// From when on nothing more is begun, where there is a deadline.
    fn leaving_time(&self) -> Instant {
        let deadline = self.deadline.unwrap_or_else(Instant::now);
        deadline.checked_sub(GOODBYE).unwrap_or(deadline)
    }

    /// How many messages of the spool were taken and are not acknowledged.
    fn spooled_on_their_way(&self) -> usize {
        let handed = self.handed.iter().filter_map(Message::spool_id).count();
        handed + self.unacknowledged.values().flatten().count()
    }

    fn begin(&mut self) {
        tracing::info!(broker = self.options.address(), "broker connected");
        count(&self.counters.connects);
        self.connected_at = Some(Instant::now());
        self.outbox.resend_states(&self.options.available_topic);
        self.connected.send_replace(true);
    }

    fn lose(&mut self, error: &ConnectionError) {
        let broker = self.options.address();
        let reason = reason(error);
        if self.connected.send_replace(false) {
            tracing::warn!(broker, reason, "broker lost");
        } else {
            tracing::warn!(broker, reason, "broker cannot be reached");
        }
        if self.connected_at.take().is_some_and(|connected_at| connected_at.elapsed() >= STEADY) {
            self.backoff.reset();
        }
        self.outbox.give_back(self.handed.drain(..));
        self.unacknowledged.clear();
        self.outbox.rewind();
    }

    /// Waits for the next try; false when the link is to stop instead.
    async fn wait_to_retry(&mut self) -> bool {
        if self.deadline.is_some() {
            return false;
        }
        let wait = self.backoff.next();
        tracing::debug!(?wait, "trying the broker again");
        timeout(wait, stop_deadline(&mut self.stopping)).await.is_err()
    }
}

/// A protocol that knows of no connection before. rumqttc would go on with the old one, but some of what it
/// keeps belongs to the lost connection: acknowledgements that were read and not yet told of, which would
/// be taken for those of new messages with the same packet identifiers; a message that waits for its
/// identifier to become free, which stops all others for ever; and, where the broker claims to know the
/// session, messages that the spool sends again as well. What is to be sent again, the outbox knows.
fn protocol(options: &LinkOptions) -> (AsyncClient, EventLoop) {
    AsyncClient::new(options.to_mqtt(), WINDOW)
}

/// Waits until the link is to stop; gives the moment by which it must have, `None` if it was dropped.
async fn stop_deadline(stopping: &mut watch::Receiver<Option<Instant>>) -> Option<Instant> {
    stopping.wait_for(Option::is_some).await.ok().and_then(|deadline| *deadline)
}

/// In words that a user can act on.
fn reason(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(ConnectReturnCode::BadUserNamePassword) => {
            "it refuses the user name or password".to_owned()
        }
        ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized) => {
            "not authorised: it refuses the user name or password, or wants one".to_owned()
        }
        ConnectionError::ConnectionRefused(ConnectReturnCode::BadClientId) => {
            "it refuses mqtt.client_id".to_owned()
        }
        ConnectionError::ConnectionRefused(code) => format!("it refuses the connection ({code:?})"),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            "it does not answer in time".to_owned()
        }
        ConnectionError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
