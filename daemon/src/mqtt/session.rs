//! What a link does: connections one after another, and what goes through them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::mqttbytes::v4::{Publish, SubAck, SubscribeFilter, SubscribeReasonCode};
use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, Outgoing, Packet, QoS};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::backoff::Backoff;
use super::counters::{MqttCounters, count};
use super::failure::{is_cut, is_too_large, reason};
use super::inbox::{IncomingMessage, Subscription};
use super::message::{Class, Message};
use super::options::LinkOptions;
use super::outbox::Outbox;
use super::suspicion::{MessageKey, Stage, Suspicion};

/// So many messages are handed to the protocol before it says that it wrote them; and so many of the
/// spool's are on their way without an acknowledgement.
const WINDOW: usize = 16;
/// Beside the window, the protocol's queue holds the subscriptions.
const QUEUE: usize = WINDOW + 1;
/// A connection that lasted so long begins the waits anew. One that is cut each time it is made, perhaps
/// because of what is sent, does not.
const STEADY: Duration = Duration::from_secs(10);
/// At the end, so much of the time is left for the goodbye: the spool keeps what has not been sent then.
const GOODBYE: Duration = Duration::from_millis(300);
/// A large message may take so long to be written to a slow network.
const WRITE_LIMIT_S: u64 = 60;
/// After so many connections in a row that were lost to a message too large to take, nothing is subscribed to
/// for a while: such a message may be retained, and then it comes again at each subscription.
const TOO_LARGE_IN_A_ROW: u32 = 3;
const DEAF: Duration = Duration::from_secs(600);

/// The state of the task behind a [`super::Link`].
pub(super) struct Session {
    options: LinkOptions,
    client: AsyncClient,
    events: Option<EventLoop>,
    outbox: Arc<Outbox>,
    counters: Arc<MqttCounters>,
    subscriptions: Vec<Subscription>,
    connected: watch::Sender<bool>,
    subscribed: watch::Sender<u64>,
    stopping: watch::Receiver<Option<Instant>>,
    /// Set once the link is to stop.
    deadline: Option<Instant>,
    /// Nothing more is taken from the spool.
    is_leaving: bool,
    goodbye_said: bool,
    /// Handed to the protocol, not yet written by it.
    handed: VecDeque<Message>,
    /// Written with QoS 1, not yet acknowledged, by their packet identifiers.
    unacknowledged: HashMap<u16, Sent>,
    /// Messages written on this connection.
    written: u64,
    suspicion: Suspicion,
    backoff: Backoff,
    connected_at: Option<Instant>,
    too_large_in_a_row: u32,
    deaf_until: Option<Instant>,
}

/// A message on its way.
struct Sent {
    /// Its place among those of this connection.
    order: u64,
    topic: String,
    key: MessageKey,
}

impl Session {
    pub(super) fn new(
        options: LinkOptions,
        outbox: Arc<Outbox>,
        counters: Arc<MqttCounters>,
        subscriptions: Vec<Subscription>,
        connected: watch::Sender<bool>,
        subscribed: watch::Sender<u64>,
        stopping: watch::Receiver<Option<Instant>>,
    ) -> Session {
        let (client, events) = protocol(&options);
        Session {
            options,
            client,
            events: Some(events),
            outbox,
            counters,
            subscriptions,
            connected,
            subscribed,
            stopping,
            deadline: None,
            is_leaving: false,
            goodbye_said: false,
            handed: VecDeque::new(),
            unacknowledged: HashMap::new(),
            written: 0,
            suspicion: Suspicion::default(),
            backoff: Backoff::new(),
            connected_at: None,
            too_large_in_a_row: 0,
            deaf_until: None,
        }
    }

    pub(super) async fn run(mut self) {
        let Some(mut events) = self.events.take() else {
            return;
        };
        while let Some(event) = self.next_event(&mut events).await {
            match event {
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
                Ok(event) => {
                    if matches!(event, Event::Incoming(Packet::ConnAck(_))) {
                        // Until now it was the limit of connecting.
                        events.network_options.set_connection_timeout(WRITE_LIMIT_S);
                    }
                    self.handle(event);
                }
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
                if let Some(sent) = self.unacknowledged.remove(&ack.pkid) {
                    self.suspicion.acknowledged(&sent.key);
                    if let MessageKey::Spooled(id) = sent.key {
                        self.outbox.acknowledge(id);
                    }
                }
            }
            Event::Incoming(Packet::SubAck(ack)) => self.hear(&ack),
            Event::Incoming(Packet::Publish(publish)) => self.receive(publish),
            Event::Outgoing(Outgoing::Publish(packet_id)) => {
                let written = self.handed.pop_front();
                count(&self.counters.published);
                self.written += 1;
                let order = self.written;
                if let Some(message) = written
                    && let Some(key) = message.key()
                {
                    self.unacknowledged.insert(packet_id, Sent { order, topic: message.topic, key });
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
            let suspicion_deadline = self.suspicion.deadline();
            tokio::select! {
                event = &mut poll => return Some(event),
                () = self.outbox.filled(), if is_connected && self.handed.len() < WINDOW => {}
                () = sleep_until(suspicion_deadline.unwrap_or(leaving)), if suspicion_deadline.is_some() => {
                    self.suspicion.tick(Instant::now());
                }
                deadline = stop_deadline(&mut self.stopping), if self.deadline.is_none() => {
                    // Dropped: not a word, so that the broker sends the last will.
                    self.deadline = Some(deadline?);
                    if !is_connected {
                        return None;
                    }
                    self.counters.results_discarded(self.outbox.discard_results());
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
            let Some(message) = self.next_message() else {
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
                    // Cannot be: the queue has room for the window and the subscriptions, and for a goodbye
                    // when nothing more is handed over.
                    tracing::error!(topic = message.topic, "the protocol takes no message");
                    self.outbox.give_back(std::iter::once(message));
                    self.outbox.rewind();
                    return;
                }
            }
        }
        let all_arrived = self.handed.is_empty() && self.unacknowledged.is_empty();
        let all_sent = self.is_leaving || self.outbox.is_all_said();
        if self.deadline.is_some() && all_arrived && all_sent {
            self.goodbye_said = self.client.try_disconnect().is_ok();
        }
    }

    fn next_message(&mut self) -> Option<Message> {
        match self.suspicion.stage() {
            Stage::Open => {
                let has_room_for_spooled = !self.is_leaving && self.spooled_on_their_way() < WINDOW;
                self.outbox.take(has_room_for_spooled)
            }
            Stage::Others => {
                let suspect = self.suspicion.suspect()?.clone();
                let has_room_for_spooled = !self.is_leaving && self.spooled_on_their_way() < WINDOW;
                let other = match &suspect {
                    MessageKey::State(topic) => self.outbox.take_before_state(topic, has_room_for_spooled),
                    MessageKey::Spooled(_) => self.outbox.take_own_state(),
                };
                if other.is_some() || !self.handed.is_empty() || !self.unacknowledged.is_empty() {
                    return other;
                }
                let alone = match &suspect {
                    // None yet where the disk is still being read.
                    MessageKey::State(topic) if !self.outbox.is_turn_of_state(topic) => return None,
                    MessageKey::State(topic) => self.outbox.take_state_of(topic),
                    MessageKey::Spooled(_) if self.outbox.is_spool_drained() => None,
                    // The same.
                    MessageKey::Spooled(_) => Some(self.outbox.take_spooled()?),
                };
                if alone.as_ref().and_then(Message::key).as_ref() == Some(&suspect) {
                    self.suspicion.sent_alone(Instant::now());
                    return alone;
                }
                self.suspicion.acquit();
                alone.or_else(|| self.next_message())
            }
            Stage::Alone => None,
        }
    }

    /// From when on nothing more is begun, where there is a deadline.
    fn leaving_time(&self) -> Instant {
        let deadline = self.deadline.unwrap_or_else(Instant::now);
        deadline.checked_sub(GOODBYE).unwrap_or(deadline)
    }

    /// How many messages of the spool were taken and are not acknowledged.
    fn spooled_on_their_way(&self) -> usize {
        let handed =
            self.handed.iter().filter(|message| matches!(message.class, Class::Spooled { .. })).count();
        let sent = self.unacknowledged.values().filter(|sent| matches!(sent.key, MessageKey::Spooled(_)));
        handed + sent.count()
    }

    fn begin(&mut self) {
        tracing::info!(broker = self.options.address(), "broker connected");
        count(&self.counters.connects);
        let now = Instant::now();
        self.connected_at = Some(now);
        self.written = 0;
        self.suspicion.connected(now);
        self.deaf_until = self.deaf_until.filter(|until| now < *until);
        if !self.subscriptions.is_empty() && self.deaf_until.is_none() {
            let filters = self
                .subscriptions
                .iter()
                .map(|subscription| SubscribeFilter::new(subscription.filter().to_owned(), QoS::AtLeastOnce));
            if self.client.try_subscribe_many(filters).is_err() {
                // Cannot be: the filters are made of a checked root, and the queue is empty.
                tracing::error!("the protocol takes no subscription");
            }
        }
        self.outbox.resend_states(&self.options.available_topic);
        self.connected.send_replace(true);
    }

    /// The broker has answered the subscriptions.
    fn hear(&self, ack: &SubAck) {
        for (subscription, code) in self.subscriptions.iter().zip(&ack.return_codes) {
            if *code == SubscribeReasonCode::Failure {
                let topic = subscription.filter();
                tracing::warn!(topic, "broker refuses the subscription; is there an access list?");
            }
        }
        self.subscribed.send_modify(|times| *times += 1);
    }

    fn receive(&self, publish: Publish) {
        match self.subscriptions.iter().find(|subscription| subscription.matches(&publish.topic)) {
            Some(subscription) => {
                let (topic, payload, is_retained) = (publish.topic, publish.payload.to_vec(), publish.retain);
                subscription.deliver(IncomingMessage { topic, payload, is_retained }, &self.counters);
            }
            None => tracing::trace!(topic = publish.topic, "message for nobody"),
        }
    }

    fn lose(&mut self, error: &ConnectionError) {
        let broker = self.options.address();
        let reason = reason(error);
        if self.connected.send_replace(false) {
            tracing::warn!(broker, reason, "broker lost");
            self.suspect(is_cut(error));
        } else {
            tracing::warn!(broker, reason, "broker cannot be reached");
        }
        if self.connected_at.take().is_some_and(|connected_at| connected_at.elapsed() >= STEADY) {
            self.backoff.reset();
            self.too_large_in_a_row = 0;
        }
        if is_too_large(error) {
            self.too_large_in_a_row += 1;
            if self.too_large_in_a_row >= TOO_LARGE_IN_A_ROW {
                let minutes = DEAF.as_secs() / 60;
                tracing::error!(
                    minutes,
                    "broker passes on messages too large to take; not listening for a while"
                );
                self.deaf_until = Some(Instant::now() + DEAF);
                self.too_large_in_a_row = 0;
            }
        }
        self.outbox.give_back(self.handed.drain(..));
        self.unacknowledged.clear();
        self.outbox.rewind();
    }

    /// Finds out whether the connection ended at a message that must be given up.
    fn suspect(&mut self, is_cut: bool) {
        let first = self.unacknowledged.values().min_by_key(|sent| sent.order);
        let topic = first.map(|sent| sent.topic.clone()).unwrap_or_default();
        let Some(given_up) = self.suspicion.lost(is_cut, first.map(|sent| sent.key.clone())) else {
            return;
        };
        count(&self.counters.dropped_refused);
        tracing::error!(topic, "message given up: the broker cuts the connection each time it comes");
        match given_up {
            MessageKey::State(topic) => self.outbox.forget_state(&topic),
            MessageKey::Spooled(id) => self.outbox.acknowledge(id),
        }
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
    AsyncClient::new(options.to_mqtt(), QUEUE)
}

/// Waits until the link is to stop; gives the moment by which it must have, `None` if it was dropped.
async fn stop_deadline(stopping: &mut watch::Receiver<Option<Instant>>) -> Option<Instant> {
    stopping.wait_for(Option::is_some).await.ok().and_then(|deadline| *deadline)
}
