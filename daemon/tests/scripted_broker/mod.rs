//! A broker that does what a test tells it, and nothing else.

// Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::net::SocketAddr;
use std::time::Duration;

use belvedere::config::{Broker, MqttSettings, OutboxSettings, Secret};
use bytes::BytesMut;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    ConnAck, ConnectReturnCode, Packet, PubAck, Publish, SubAck, SubscribeReasonCode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

pub const WITHIN: Duration = Duration::from_secs(20);

/// How a link reaches it.
pub fn settings(broker: SocketAddr) -> MqttSettings {
    MqttSettings {
        broker: Broker::Remote { host: broker.ip().to_string(), port: broker.port(), tls: None },
        username: Some("user".to_owned()),
        password: Some(Secret::new("hunter2")),
        topic: "root".to_owned(),
        client_id: "link-test".to_owned(),
        keep_alive: Duration::from_secs(30),
        stats_interval: Duration::from_secs(60),
        discovery: None,
        outbox: OutboxSettings::in_memory(),
    }
}

/// A broker that does what a test tells it.
pub struct ScriptedBroker(TcpListener);

impl ScriptedBroker {
    pub async fn start() -> ScriptedBroker {
        ScriptedBroker(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Takes the next client and answers its CONNECT, which is given too.
    pub async fn accept(&self, code: ConnectReturnCode) -> (Client, Packet) {
        self.accept_with(code, false).await
    }

    /// Like [`ScriptedBroker::accept`]; with `session_present` it claims to know the client's session.
    pub async fn accept_with(&self, code: ConnectReturnCode, session_present: bool) -> (Client, Packet) {
        let (stream, _) = timeout(WITHIN, self.0.accept()).await.expect("nobody connected").unwrap();
        let mut client = Client { stream, buffer: BytesMut::new() };
        let connect = client.next().await.unwrap();
        let mut answer = BytesMut::new();
        ConnAck::new(code, session_present).write(&mut answer).unwrap();
        client.stream.write_all(&answer).await.unwrap();
        (client, connect)
    }
}

pub struct Client {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Client {
    /// The next packet; `None` when the client has gone.
    pub async fn next(&mut self) -> Option<Packet> {
        loop {
            if let Ok(packet) = Packet::read(&mut self.buffer, 1 << 20) {
                return Some(packet);
            }
            let more = timeout(WITHIN, self.stream.read_buf(&mut self.buffer)).await.expect("silence");
            if more.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The next publication, not acknowledged.
    pub async fn unacknowledged(&mut self) -> Publish {
        loop {
            if let Packet::Publish(publish) = self.next().await.expect("gone") {
                return publish;
            }
        }
    }

    pub async fn acknowledge(&mut self, packet_id: u16) {
        let mut ack = BytesMut::new();
        PubAck::new(packet_id).write(&mut ack).unwrap();
        self.stream.write_all(&ack).await.unwrap();
    }

    /// Answers the next SUBSCRIBE, and gives its filters.
    pub async fn subscribe(&mut self) -> Vec<String> {
        loop {
            if let Packet::Subscribe(subscribe) = self.next().await.expect("gone") {
                let codes = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce); subscribe.filters.len()];
                let mut answer = BytesMut::new();
                SubAck::new(subscribe.pkid, codes).write(&mut answer).unwrap();
                self.stream.write_all(&answer).await.unwrap();
                return subscribe.filters.into_iter().map(|filter| filter.path).collect();
            }
        }
    }

    /// Passes a message on.
    pub async fn send(&mut self, topic: &str, payload: &[u8], is_retained: bool) {
        let mut publish = Publish::new(topic, QoS::AtMostOnce, payload.to_vec());
        publish.retain = is_retained;
        let mut packet = BytesMut::new();
        publish.write(&mut packet).unwrap();
        // A client that hangs up in the middle is what some tests want.
        let _ = self.stream.write_all(&packet).await;
    }

    /// The next publication, acknowledged if it wants that, as `topic=payload`.
    pub async fn publication(&mut self) -> String {
        let publish = self.unacknowledged().await;
        if publish.pkid != 0 {
            self.acknowledge(publish.pkid).await;
        }
        said(&publish)
    }
}

/// As `topic=payload`.
pub fn said(publish: &Publish) -> String {
    format!("{}={}", publish.topic, String::from_utf8_lossy(&publish.payload))
}
