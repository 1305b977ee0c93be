use std::{thread, time::Duration};

use anyhow::{Context, Result};
use rumqttc::{Client, Event, MqttOptions, Outgoing, Packet, QoS};

use crate::{Broker, EventLog};

/// Someone else at the broker, who says things.
pub struct Publisher {
    client: Client,
    acknowledged: EventLog<()>,
    published: usize,
}

impl Publisher {
    /// Connects to a broker that lets everyone in.
    pub fn start(broker: &Broker) -> Result<Self> {
        let client_id = format!("publisher-{:x}", fastrand::u64(..));
        let mut options = MqttOptions::new(client_id, "127.0.0.1", broker.port());
        options.set_max_packet_size(64 << 20, 64 << 20).set_keep_alive(Duration::from_secs(30));
        let (client, mut connection) = Client::new(options, 100);
        let acknowledged = EventLog::default();
        let log = acknowledged.clone();
        thread::spawn(move || {
            for event in connection.iter() {
                match event {
                    Ok(Event::Incoming(Packet::PubAck(_))) => log.push(()),
                    Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        });
        Ok(Self { client, acknowledged, published: 0 })
    }

    /// Says `payload` on `topic`.
    pub fn publish(&mut self, topic: &str, payload: impl Into<Vec<u8>>) -> Result<()> {
        self.send(topic, payload.into(), false)
    }

    /// Says it, and lets the broker keep it.
    pub fn retain(&mut self, topic: &str, payload: impl Into<Vec<u8>>) -> Result<()> {
        self.send(topic, payload.into(), true)
    }

    /// Waits until the broker has everything.
    pub fn wait_until_all_taken(&self, within: Duration) -> Result<()> {
        self.acknowledged
            .wait_for("acknowledgements", within, |taken| (taken.len() >= self.published).then_some(()))
    }

    fn send(&mut self, topic: &str, payload: Vec<u8>, retain: bool) -> Result<()> {
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload).context("publishing")?;
        self.published += 1;
        Ok(())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.client.try_disconnect();
    }
}
