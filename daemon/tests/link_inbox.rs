//! What the broker passes on reaches the inbox that wants it, whatever else comes.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod scripted_broker;

use std::sync::Arc;

use belvedere::mqtt::{
    Inbox, InboxLimits, IncomingMessage, Link, LinkOptions, MqttCounters, Outbox, Subscription,
};
use rumqttc::mqttbytes::v4::ConnectReturnCode::Success;
use scripted_broker::{ScriptedBroker, WITHIN, settings};
use tokio::time::timeout;

struct Listening {
    link: Link,
    outbox: Arc<Outbox>,
    asked: Arc<Inbox>,
    switched: Arc<Inbox>,
}

fn listen(broker: &ScriptedBroker) -> Listening {
    let counters = Arc::new(MqttCounters::default());
    let outbox = Arc::new(Outbox::in_memory(Arc::clone(&counters)).unwrap());
    let limits = InboxLimits { payload_bytes: 1 << 20, newest_of_topic: false };
    let (ask, asked) = Subscription::new("root/+/ask".to_owned(), limits, |_| true);
    let (switch, switched) = Subscription::new("root/+/enabled/set".to_owned(), limits, |_| true);
    let options = LinkOptions::new(&settings(broker.address()), None).unwrap();
    let link = Link::spawn_listening(options, Arc::clone(&outbox), counters, vec![ask, switch]);
    Listening { link, outbox, asked, switched }
}

async fn next(inbox: &Inbox) -> IncomingMessage {
    timeout(WITHIN, inbox.next()).await.expect("no message came")
}

#[tokio::test]
async fn each_connection_subscribes_and_each_message_reaches_its_inbox() {
    let broker = ScriptedBroker::start().await;
    let listening = listen(&broker);
    let mut subscribed = listening.link.subscribed();
    for connection in 1..=3 {
        let (mut client, _) = broker.accept(Success).await;
        assert_eq!(client.subscribe().await, ["root/+/ask", "root/+/enabled/set"]);
        timeout(WITHIN, subscribed.wait_for(|times| *times == connection)).await.unwrap().unwrap();
        client.send("root/porch/enabled/set", b"OFF", true).await;
        client.send("root/porch/other", b"x", false).await;
        client.send("\u{fc}/porch/ask", b"x", false).await;
        client.send("root/porch/ask", &[0xff, 0], false).await;
        let switched = next(&listening.switched).await;
        assert_eq!((&switched.payload[..], switched.is_retained), (&b"OFF"[..], true));
        let asked = next(&listening.asked).await;
        assert_eq!((asked.topic.as_str(), &asked.payload[..]), ("root/porch/ask", &[0xff, 0][..]));
        assert!(!asked.is_retained);
        assert_eq!((listening.asked.try_next(), listening.switched.try_next()), (None, None));
    }
}

#[tokio::test]
async fn a_retained_message_too_large_to_take_does_not_keep_the_link_from_its_broker() {
    let broker = ScriptedBroker::start().await;
    let listening = listen(&broker);
    listening.outbox.set_state("root/available".to_owned(), "online");
    let large = vec![b'x'; 5 << 20];
    for _ in 0..3 {
        let (mut client, _) = broker.accept(Success).await;
        client.subscribe().await;
        client.send("root/porch/ask", &large, true).await;
        while client.next().await.is_some() {}
    }
    // Not a word of a subscription this time.
    let (mut client, _) = broker.accept(Success).await;
    assert_eq!(client.publication().await, "root/available=online");
    listening.outbox.push_result("root/result".to_owned(), Vec::new());
    assert_eq!(client.publication().await, "root/result=");
}
