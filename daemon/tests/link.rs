//! The link to the broker, against brokers that behave and brokers that do not.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod scripted_broker;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use belvedere::broker::EmbeddedBroker;
use belvedere::mqtt::{Link, LinkOptions, MqttCounters, Outbox};
use rumqttc::mqttbytes::v4::{ConnectReturnCode, Packet};
use scripted_broker::{ScriptedBroker, WITHIN, settings};
use tokio::time::timeout;

fn start(broker: SocketAddr) -> (Link, Arc<Outbox>) {
    let counters = Arc::new(MqttCounters::default());
    let outbox = Arc::new(Outbox::in_memory(Arc::clone(&counters)).unwrap());
    let options = LinkOptions::new(&settings(broker), None).unwrap();
    (Link::spawn(options, Arc::clone(&outbox), counters), outbox)
}

#[tokio::test]
async fn every_state_is_sent_again_after_a_lost_connection_and_available_last() {
    let broker = ScriptedBroker::start().await;
    let (_link, outbox) = start(broker.address());
    outbox.set_state("root/available".to_owned(), "online");
    outbox.set_state("root/porch/status".to_owned(), "offline");
    for _ in 0..3 {
        let (mut client, connect) = broker.accept(ConnectReturnCode::Success).await;
        let Packet::Connect(connect) = connect else { panic!("{connect:?}") };
        let will = connect.last_will.expect("no last will");
        assert_eq!(
            (will.topic.as_str(), &will.message[..], will.retain),
            ("root/available", &b"offline"[..], true)
        );
        assert_eq!(client.publication().await, "root/porch/status=offline");
        assert_eq!(client.publication().await, "root/available=online");
    }
}

#[tokio::test]
async fn results_made_while_the_broker_was_away_arrive_in_their_order() {
    let broker = ScriptedBroker::start().await;
    let (link, outbox) = start(broker.address());
    let (client, _) = broker.accept(ConnectReturnCode::Success).await;
    let mut connected = link.connected();
    timeout(WITHIN, connected.wait_for(|connected| *connected)).await.unwrap().unwrap();
    drop(client);
    timeout(WITHIN, connected.wait_for(|connected| !*connected)).await.unwrap().unwrap();
    for index in 0..50 {
        outbox.push_result("root/porch/ocr".to_owned(), index.to_string().into_bytes());
    }
    let (mut client, _) = broker.accept(ConnectReturnCode::Success).await;
    for index in 0..50 {
        assert_eq!(client.publication().await, format!("root/porch/ocr={index}"));
    }
}

#[tokio::test]
async fn a_refused_password_is_tried_again_until_it_is_taken() {
    let broker = ScriptedBroker::start().await;
    let (_link, outbox) = start(broker.address());
    outbox.set_state("root/available".to_owned(), "online");
    for code in [ConnectReturnCode::BadUserNamePassword, ConnectReturnCode::NotAuthorized] {
        let (_, connect) = broker.accept(code).await;
        let Packet::Connect(connect) = connect else { panic!("{connect:?}") };
        assert_eq!(connect.login.expect("no login").password, "hunter2");
    }
    let (mut client, _) = broker.accept(ConnectReturnCode::Success).await;
    assert_eq!(client.publication().await, "root/available=online");
}

#[tokio::test]
async fn stopping_sends_the_last_states_and_says_goodbye() {
    let broker = ScriptedBroker::start().await;
    let (link, outbox) = start(broker.address());
    outbox.set_state("root/available".to_owned(), "online");
    let (mut client, _) = broker.accept(ConnectReturnCode::Success).await;
    assert_eq!(client.publication().await, "root/available=online");
    outbox.set_state("root/available".to_owned(), "offline");
    let stopping = tokio::spawn(link.stop(WITHIN));
    assert_eq!(client.publication().await, "root/available=offline");
    assert_eq!(client.next().await, Some(Packet::Disconnect));
    timeout(WITHIN, stopping).await.expect("the link does not stop").unwrap();
}

#[tokio::test]
async fn a_broker_that_acknowledges_nothing_cannot_hold_the_end() {
    let broker = ScriptedBroker::start().await;
    let (link, outbox) = start(broker.address());
    outbox.set_state("root/available".to_owned(), "online");
    let (mut client, _) = broker.accept(ConnectReturnCode::Success).await;
    // Read, and not acknowledged.
    client.next().await.unwrap();
    timeout(WITHIN, link.stop(Duration::from_millis(200))).await.expect("the link does not stop");
}

/// An independent client, `mosquitto_sub`, that ends after `count` messages.
struct MosquittoSub(Child);

impl MosquittoSub {
    fn start(broker: SocketAddr, topic: &str, count: u32) -> MosquittoSub {
        let port = broker.port().to_string();
        let child = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &port, "-t", topic, "-C", &count.to_string(), "-W", "20"])
            .args(["-F", "%t=%p %r"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("mosquitto_sub (package mosquitto-clients) is needed");
        MosquittoSub(child)
    }

    /// Its lines, `topic=payload retained`.
    fn lines(self) -> Vec<String> {
        let output = self.0.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_broker_keeps_retained_states_and_sends_the_last_will() {
    let broker = EmbeddedBroker::start("127.0.0.1:0".parse().unwrap()).unwrap().address();
    let (link, outbox) = start(broker);
    outbox.set_state("root/available".to_owned(), "online");
    outbox.set_state("root/porch/status".to_owned(), "disabled");
    let mut connected = link.connected();
    timeout(WITHIN, connected.wait_for(|connected| *connected)).await.unwrap().unwrap();
    let mut counted = MosquittoSub::start(broker, "root/#", 2).lines();
    counted.sort();
    assert_eq!(counted, ["root/available=online 1", "root/porch/status=disabled 1"]);

    // Without a word to the broker: the will is its to send.
    let mut watching = MosquittoSub::start(broker, "root/available", 2);
    let mut lines = BufReader::new(watching.0.stdout.take().unwrap()).lines();
    // The retained `online` must have been seen before the connection is cut.
    let first = tokio::task::spawn_blocking(move || (lines.next(), lines));
    let (first, mut lines) = timeout(WITHIN, first).await.unwrap().unwrap();
    assert_eq!(first.unwrap().unwrap(), "root/available=online 1");
    drop(link);
    let second = tokio::task::spawn_blocking(move || lines.next());
    let second = timeout(2 * WITHIN, second).await.unwrap().unwrap();
    assert_eq!(second.unwrap().unwrap(), "root/available=offline 0");
    let late = tokio::task::spawn_blocking(move || MosquittoSub::start(broker, "root/available", 1).lines());
    assert_eq!(timeout(WITHIN, late).await.unwrap().unwrap(), ["root/available=offline 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_megabyte_passes() {
    let broker = EmbeddedBroker::start("127.0.0.1:0".parse().unwrap()).unwrap().address();
    let (link, outbox) = start(broker);
    outbox.set_state("root/big".to_owned(), vec![b'x'; 1 << 20]);
    let mut connected = link.connected();
    timeout(WITHIN, connected.wait_for(|connected| *connected)).await.unwrap().unwrap();
    let lines = tokio::task::spawn_blocking(move || MosquittoSub::start(broker, "root/big", 1).lines());
    let lines = timeout(2 * WITHIN, lines).await.unwrap().unwrap();
    assert_eq!(lines.first().map(String::len), Some("root/big=".len() + (1 << 20) + " 1".len()));
}
