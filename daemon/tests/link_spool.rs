//! What is in the spool reaches the broker, in order, whatever the broker does.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod scripted_broker;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use belvedere::mqtt::spool::{NewMessage, SpoolKind, SpoolLimits};
use belvedere::mqtt::{Link, LinkOptions, MqttCounters, Outbox};
use rumqttc::mqttbytes::v4::{ConnectReturnCode::Success, Packet};
use scripted_broker::{Client, ScriptedBroker, WITHIN, said, settings};
use tempfile::TempDir;
use tokio::task::yield_now;
use tokio::time::timeout;

const ALERTS: &str = "root/porch/alerts";
/// How many messages of the spool may be on their way.
const WINDOW: usize = 16;

fn outbox(folder: &TempDir) -> Arc<Outbox> {
    outbox_at(&folder.path().join("spool.db"))
}

fn outbox_at(path: &Path) -> Arc<Outbox> {
    let counters = Arc::new(MqttCounters::default());
    Arc::new(Outbox::open(path.to_owned(), SpoolLimits::default(), counters).unwrap())
}

fn link(broker: SocketAddr, outbox: &Arc<Outbox>) -> Link {
    let options = LinkOptions::new(&settings(broker), None).unwrap();
    Link::spawn(options, Arc::clone(outbox), Arc::new(MqttCounters::default()))
}

fn push(outbox: &Outbox, alerts: std::ops::Range<u32>) {
    for alert in alerts {
        outbox.push_event(ALERTS.to_owned(), alert.to_string().into_bytes());
    }
}

/// Takes these alerts, in this order and nothing between them, and acknowledges them.
#[track_caller]
fn expect<'a>(client: &'a mut Client, alerts: std::ops::Range<u32>) -> impl Future<Output = ()> + 'a {
    let at = std::panic::Location::caller();
    async move {
        for alert in alerts {
            assert_eq!(client.publication().await, format!("{ALERTS}={alert}"), "{at}");
        }
    }
}

/// Until the acknowledgement of everything in the spool has come.
async fn emptied(outbox: &Outbox) {
    let emptied = async {
        while outbox.spool_len() > 0 {
            yield_now().await;
        }
    };
    timeout(WITHIN, emptied).await.expect("acknowledged, and still in the spool");
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_made_while_the_broker_was_away_arrive_in_their_order() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    let link = link(broker.address(), &outbox);
    let mut connected = link.connected();
    let (client, _) = broker.accept(Success).await;
    timeout(WITHIN, connected.wait_for(|connected| *connected)).await.unwrap().unwrap();
    drop(client);
    timeout(WITHIN, connected.wait_for(|connected| !*connected)).await.unwrap().unwrap();
    push(&outbox, 0..50);
    let (mut client, _) = broker.accept(Success).await;
    expect(&mut client, 0..50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_was_not_acknowledged_is_sent_at_the_next_connection_and_not_after_it() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    let _link = link(broker.address(), &outbox);
    push(&outbox, 0..3);
    for _ in 0..3 {
        // Dies between PUBLISH and PUBACK.
        let (mut client, _) = broker.accept(Success).await;
        assert_eq!(said(&client.unacknowledged().await), format!("{ALERTS}=0"));
    }
    let (mut client, _) = broker.accept(Success).await;
    expect(&mut client, 0..2).await;
    assert_eq!(said(&client.unacknowledged().await), format!("{ALERTS}=2"));
    drop(client);
    let (mut client, _) = broker.accept(Success).await;
    push(&outbox, 3..5);
    expect(&mut client, 2..5).await;
}

/// A broker that closes the connection at alert 2, as brokers do at a message larger than they take.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_at_which_the_broker_cuts_every_connection_is_given_up_and_no_other() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    let counters = Arc::new(MqttCounters::default());
    let options = LinkOptions::new(&settings(broker.address()), None).unwrap();
    outbox.set_state("root/available".to_owned(), "online");
    push(&outbox, 0..5);
    let _link = Link::spawn(options, Arc::clone(&outbox), Arc::clone(&counters));
    let poison = format!("{ALERTS}=2");
    let mut taken = Vec::new();
    let mut cuts = 0;
    while taken.last().is_none_or(|last| last != &format!("{ALERTS}=4")) {
        let (mut client, _) = broker.accept(Success).await;
        loop {
            let publish = client.unacknowledged().await;
            if said(&publish) == poison {
                cuts += 1;
                break;
            }
            client.acknowledge(publish.pkid).await;
            taken.push(said(&publish));
            if taken.last().is_some_and(|last| last == &format!("{ALERTS}=4")) {
                break;
            }
        }
        assert!(cuts < 20, "{taken:?}");
    }
    taken.retain(|said| said != "root/available=online");
    taken.dedup();
    assert_eq!(taken, [0, 1, 3, 4].map(|alert| format!("{ALERTS}={alert}")));
    assert_eq!(counters.counts().dropped_refused, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_at_which_the_broker_cuts_every_connection_does_not_block_the_others() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    outbox.set_state("announcement".to_owned(), "large");
    outbox.set_state("root/available".to_owned(), "online");
    push(&outbox, 0..1);
    let _link = link(broker.address(), &outbox);
    for _ in 0..20 {
        let (mut client, _) = broker.accept(Success).await;
        loop {
            let publish = client.unacknowledged().await;
            if publish.topic == "announcement" {
                break;
            }
            client.acknowledge(publish.pkid).await;
            if publish.topic == ALERTS {
                return;
            }
        }
    }
    panic!("the alert does not come");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_broker_acknowledged_is_sent_by_the_next_process() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    {
        let outbox = outbox(&folder);
        let link = link(broker.address(), &outbox);
        push(&outbox, 0..30);
        let (mut client, _) = broker.accept(Success).await;
        expect(&mut client, 0..5).await;
        assert_eq!(said(&client.unacknowledged().await), format!("{ALERTS}=5"));
        // The acknowledgements have arrived when what they make room for comes.
        for _ in 6..WINDOW + 5 {
            client.unacknowledged().await;
        }
        timeout(WITHIN, link.stop(Duration::ZERO)).await.unwrap();
    }
    let outbox = outbox(&folder);
    let _link = link(broker.address(), &outbox);
    let (mut client, _) = broker.accept(Success).await;
    expect(&mut client, 5..30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_acknowledges_nothing_gets_a_few_alerts_and_all_results() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    let _link = link(broker.address(), &outbox);
    push(&outbox, 0..100);
    let (mut client, _) = broker.accept(Success).await;
    let mut ids = Vec::new();
    for alert in 0..WINDOW {
        let publish = client.unacknowledged().await;
        assert_eq!(said(&publish), format!("{ALERTS}={alert}"));
        ids.push(publish.pkid);
    }
    for result in 0..50 {
        outbox.push_result("root/porch/ocr".to_owned(), result.to_string().into_bytes());
        assert_eq!(said(&client.unacknowledged().await), format!("root/porch/ocr={result}"));
    }
    // One acknowledgement makes room for one.
    client.acknowledge(ids[0]).await;
    assert_eq!(said(&client.unacknowledged().await), format!("{ALERTS}={WINDOW}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_claims_to_know_the_session_gets_nothing_twice() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    let _link = link(broker.address(), &outbox);
    push(&outbox, 0..40);
    let (mut client, _) = broker.accept_with(Success, true).await;
    for _ in 0..WINDOW {
        client.unacknowledged().await;
    }
    drop(client);
    let (mut client, _) = broker.accept_with(Success, true).await;
    expect(&mut client, 0..40).await;
}

/// rumqttc numbers its packets from 1 to 100 and waits for the one whose number comes round again.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_never_comes_stops_the_link_until_the_next_connection_only() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    let _link = link(broker.address(), &outbox);
    push(&outbox, 0..150);
    let (mut client, _) = broker.accept(Success).await;
    for alert in 0..100 {
        let publish = client.unacknowledged().await;
        assert_eq!(said(&publish), format!("{ALERTS}={alert}"));
        if alert != 0 {
            client.acknowledge(publish.pkid).await;
        }
    }
    drop(client);
    let (mut client, _) = broker.accept(Success).await;
    expect(&mut client, 0..1).await;
    // The last acknowledgements may have been lost with the connection.
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != &format!("{ALERTS}=149")) {
        seen.push(client.publication().await);
    }
    let all: Vec<String> = (0..150).map(|alert| format!("{ALERTS}={alert}")).collect();
    assert!(all.ends_with(&seen) && seen.len() >= 50, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_kept_states_are_retained_and_alerts_are_not() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    outbox.push_snapshot("snapshot".to_owned(), b"jpeg".to_vec());
    push(&outbox, 0..1);
    outbox.push_snapshot("other".to_owned(), Vec::new());
    let _link = link(broker.address(), &outbox);
    let (mut client, _) = broker.accept(Success).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let publish = client.unacknowledged().await;
        seen.push((publish.topic, publish.retain));
    }
    let expected = [("snapshot", true), (ALERTS, false), ("other", true)];
    assert_eq!(seen, expected.map(|(topic, retain)| (topic.to_owned(), retain)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_state_is_said_again_at_each_connection() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    let _link = link(broker.address(), &outbox);
    let (mut client, _) = broker.accept(Success).await;
    outbox.keep_state("state".to_owned(), "OFF");
    outbox.keep_state("state".to_owned(), "ON");
    while client.publication().await != "state=ON" {}
    drop(client);
    let (mut client, _) = broker.accept(Success).await;
    assert_eq!(client.publication().await, "state=ON");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_an_alert_is_on_only_when_its_snapshot_and_its_event_have_come() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    outbox.set_state("root/available".to_owned(), "online");
    let link = link(broker.address(), &outbox);
    let mut connected = link.connected();
    let (mut client, _) = broker.accept(Success).await;
    outbox.keep_state("state".to_owned(), "OFF");
    while client.publication().await != "state=OFF" {}
    drop(client);
    timeout(WITHIN, connected.wait_for(|connected| !*connected)).await.unwrap().unwrap();
    let message = |kind, topic: &str, payload: &str| NewMessage {
        kind,
        topic: topic.to_owned(),
        payload: payload.as_bytes().to_vec(),
    };
    outbox.push_together(vec![
        message(SpoolKind::Snapshot, "snapshot", "jpeg"),
        message(SpoolKind::Event, ALERTS, "new"),
        message(SpoolKind::State, "attributes", "new"),
        message(SpoolKind::State, "state", "ON"),
    ]);
    let (mut client, _) = broker.accept(Success).await;
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last| last != "state=ON") {
        heard.push(client.publication().await);
    }
    // The acknowledgement of the state before may have been lost with the connection.
    heard.retain(|said| said != "state=OFF");
    let expected =
        ["root/available=online", "snapshot=jpeg", "root/porch/alerts=new", "attributes=new", "state=ON"];
    assert_eq!(heard, expected);
}

/// The broker cuts the connection at the state that is said again, so that this comes under suspicion.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_on_only_after_its_event_where_its_last_state_is_under_suspicion() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    outbox.set_state("root/available".to_owned(), "online");
    let link = link(broker.address(), &outbox);
    let mut connected = link.connected();
    let (mut client, _) = broker.accept(Success).await;
    outbox.keep_state("state".to_owned(), "OFF");
    while client.publication().await != "state=OFF" {}
    emptied(&outbox).await;
    drop(client);
    let (mut client, _) = broker.accept(Success).await;
    loop {
        let publish = client.unacknowledged().await;
        if publish.topic == "state" {
            break;
        }
        client.acknowledge(publish.pkid).await;
    }
    drop(client);
    timeout(WITHIN, connected.wait_for(|connected| !*connected)).await.unwrap().unwrap();
    outbox.push_event(ALERTS.to_owned(), b"new".to_vec());
    outbox.keep_state("state".to_owned(), "ON");
    let (mut client, _) = broker.accept(Success).await;
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last| last != "state=ON") {
        heard.push(client.publication().await);
    }
    assert_eq!(heard, ["root/available=online", "root/porch/alerts=new", "state=ON"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_state_at_which_the_broker_cuts_every_connection_is_given_up() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    let counters = Arc::new(MqttCounters::default());
    let options = LinkOptions::new(&settings(broker.address()), None).unwrap();
    let _link = Link::spawn(options, Arc::clone(&outbox), Arc::clone(&counters));
    let (mut client, _) = broker.accept(Success).await;
    outbox.keep_state("state".to_owned(), "ON");
    while client.publication().await != "state=ON" {}
    emptied(&outbox).await;
    drop(client);
    // Alerts go on meanwhile.
    for alert in 0.. {
        assert!(alert < 20, "the state is never given up");
        push(&outbox, alert..alert + 1);
        let (mut client, _) = broker.accept(Success).await;
        loop {
            let publish = client.unacknowledged().await;
            if said(&publish) == "state=ON" {
                break;
            }
            client.acknowledge(publish.pkid).await;
            if counters.counts().dropped_refused == 1 {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_sends_what_the_spool_holds_and_says_goodbye() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    let link = link(broker.address(), &outbox);
    let (mut client, _) = broker.accept(Success).await;
    let mut connected = link.connected();
    timeout(WITHIN, connected.wait_for(|connected| *connected)).await.unwrap().unwrap();
    push(&outbox, 0..60);
    let stopping = tokio::spawn(link.stop(WITHIN));
    expect(&mut client, 0..60).await;
    assert_eq!(client.next().await, Some(Packet::Disconnect));
    timeout(WITHIN, stopping).await.expect("the link does not stop").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_a_broker_that_acknowledges_nothing_still_gets_no_more_than_the_window() {
    let folder = TempDir::new().unwrap();
    let broker = ScriptedBroker::start().await;
    let outbox = outbox(&folder);
    let link = link(broker.address(), &outbox);
    push(&outbox, 0..60);
    let (mut client, _) = broker.accept(Success).await;
    client.unacknowledged().await;
    timeout(WITHIN, link.stop(Duration::from_millis(400))).await.expect("the link does not stop");
    let mut alerts = 1;
    while let Some(packet) = client.next().await {
        alerts += usize::from(matches!(packet, Packet::Publish(_)));
    }
    assert_eq!(alerts, WINDOW);
    assert_eq!(outbox.len(), 60);
}
