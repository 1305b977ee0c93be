//! The support code itself: what the other tests take for granted.

use std::{net::TcpStream, time::Duration};

use anyhow::Result;
use belvedere_tests::{Broker, RtspServer, Stream, Subscriber};
use rumqttc::{Client, MqttOptions, QoS};

const WITHIN: Duration = Duration::from_secs(20);

#[test]
fn a_killed_rtsp_server_closes_its_port_and_comes_back_on_it() -> Result<()> {
    for stream in [Stream::H264, Stream::H265] {
        let mut server = RtspServer::start(stream)?;
        let address = server.url().replace("rtsp://", "").replace("/stream", "");
        TcpStream::connect(&address)?;
        server.kill()?;
        assert!(TcpStream::connect(&address).is_err());
        server.restart()?;
        TcpStream::connect(&address)?;
    }
    Ok(())
}

#[test]
fn a_subscriber_sees_messages_before_and_after_its_broker_is_killed() -> Result<()> {
    let mut broker = Broker::start()?;
    let subscriber = Subscriber::start(&broker)?;
    publish(&broker, "first")?;
    subscriber.wait_for_payload(0, "topic", "first", WITHIN)?;
    broker.kill()?;
    broker.restart()?;
    subscriber.wait_for_subscription(2)?;
    publish(&broker, "second")?;
    subscriber.wait_for_payload(0, "topic", "second", WITHIN)?;
    Ok(())
}

fn publish(broker: &Broker, payload: &str) -> Result<()> {
    let (client, mut connection) = Client::new(MqttOptions::new("publisher", "127.0.0.1", broker.port()), 10);
    client.publish("topic", QoS::AtLeastOnce, false, payload)?;
    client.disconnect()?;
    for event in connection.iter() {
        if event.is_err() {
            break;
        }
    }
    Ok(())
}
