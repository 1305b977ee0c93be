use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use serde_json::Value;

use crate::{Broker, EventLog, Login};

/// A message as it came from the broker.
#[derive(Clone, Debug)]
pub struct Message {
    /// The whole topic.
    pub topic: String,
    /// The payload as text; what is no UTF-8 is replaced.
    pub payload: String,
    /// The payload as it is.
    pub bytes: Vec<u8>,
    /// When it came.
    pub received: SystemTime,
    /// Whether the broker had kept it from before the subscription.
    pub retained: bool,
}

impl Message {
    /// The payload as JSON; an error that shows it if it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.payload).with_context(|| format!("{}: {}", self.topic, self.payload))
    }
}

/// Collects every message of a broker, over reconnections too.
pub struct Subscriber {
    messages: EventLog<Message>,
    /// One for each time that the broker confirmed the subscription.
    subscribed: EventLog<()>,
    stop: Option<mpsc::Sender<()>>,
    client: Client,
}

impl Subscriber {
    /// Subscribes to everything and returns once the broker has confirmed it.
    pub fn start(broker: &Broker) -> Result<Self> {
        Self::connect((Ipv4Addr::LOCALHOST, broker.port()).into(), broker.login())
    }

    /// The same at a broker of somebody else's.
    pub fn connect(broker: SocketAddr, login: Option<Login>) -> Result<Self> {
        let client_id = format!("test-{:x}", fastrand::u64(..));
        let mut options = MqttOptions::new(client_id, broker.ip().to_string(), broker.port());
        options.set_max_packet_size(16 << 20, 16 << 20).set_keep_alive(Duration::from_secs(5));
        if let Some(login) = login {
            options.set_credentials(login.username, login.password);
        }
        let (client, mut connection) = Client::new(options, 100);
        let messages = EventLog::default();
        let subscribed = EventLog::default();
        let (stop, stopped) = mpsc::channel::<()>();
        thread::spawn({
            let (client, messages, subscribed) = (client.clone(), messages.clone(), subscribed.clone());
            move || {
                for event in connection.iter() {
                    match event {
                        Ok(Event::Incoming(Packet::ConnAck(_))) => {
                            // The queue has room: nothing else is ever sent.
                            let _ = client.try_subscribe("#", QoS::AtLeastOnce);
                        }
                        Ok(Event::Incoming(Packet::SubAck(_))) => subscribed.push(()),
                        Ok(Event::Incoming(Packet::Publish(publish))) => messages.push(Message {
                            topic: publish.topic.clone(),
                            payload: String::from_utf8_lossy(&publish.payload).into_owned(),
                            bytes: publish.payload.to_vec(),
                            received: SystemTime::now(),
                            retained: publish.retain,
                        }),
                        Ok(_) => {}
                        Err(_) => {
                            // The broker is away: try again shortly, unless this subscriber is dropped first.
                            if stopped.recv_timeout(Duration::from_millis(50))
                                != Err(RecvTimeoutError::Timeout)
                            {
                                break;
                            }
                        }
                    }
                }
            }
        });
        let subscriber = Self { messages, subscribed, stop: Some(stop), client };
        subscriber.wait_for_subscription(1)?;
        Ok(subscriber)
    }

    /// Waits until the broker has confirmed the subscription for the `count`th time: again after each of its restarts.
    pub fn wait_for_subscription(&self, count: usize) -> Result<()> {
        self.subscribed.wait_for("the subscription", Duration::from_secs(20), |events| {
            (events.len() >= count).then_some(())
        })
    }

    /// Every message so far.
    pub fn messages(&self) -> Vec<Message> {
        self.messages.all()
    }

    /// How many messages came so far: a mark for [`Subscriber::wait_for_after`].
    pub fn mark(&self) -> usize {
        self.messages.len()
    }

    /// The first message that `wanted` accepts, of those that came and those to come.
    pub fn wait_for(
        &self,
        what: &str,
        within: Duration,
        wanted: impl FnMut(&Message) -> bool,
    ) -> Result<Message> {
        self.wait_for_after(0, what, within, wanted)
    }

    /// The same for the messages after `mark`.
    pub fn wait_for_after(
        &self,
        mark: usize,
        what: &str,
        within: Duration,
        mut wanted: impl FnMut(&Message) -> bool,
    ) -> Result<Message> {
        // Each message is asked about once, in order.
        let mut seen = mark;
        self.messages.wait_for(what, within, |messages| {
            let fresh = &messages[seen..];
            seen = messages.len();
            fresh.iter().find(|message| wanted(message)).cloned()
        })
    }

    /// Waits until `found` makes something of all messages so far; it is asked at each new one.
    pub fn wait_until<R>(
        &self,
        what: &str,
        within: Duration,
        found: impl FnMut(&[Message]) -> Option<R>,
    ) -> Result<R> {
        self.messages.wait_for(what, within, found)
    }

    /// Waits for `payload` on `topic` after `mark`.
    pub fn wait_for_payload(
        &self,
        mark: usize,
        topic: &str,
        payload: &str,
        within: Duration,
    ) -> Result<Message> {
        self.wait_for_after(mark, &format!("{payload} on {topic}"), within, |message| {
            message.topic == topic && message.payload == payload
        })
    }

    /// Waits until `count` messages came on `topic` after `mark`, and returns them.
    pub fn wait_for_count(
        &self,
        mark: usize,
        topic: &str,
        count: usize,
        within: Duration,
    ) -> Result<Vec<Message>> {
        self.messages.wait_for(&format!("{count} messages on {topic}"), within, |messages| {
            let found: Vec<_> =
                messages[mark..].iter().filter(|message| message.topic == topic).cloned().collect();
            (found.len() >= count).then_some(found)
        })
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.stop.take();
        let _ = self.client.try_disconnect();
    }
}
