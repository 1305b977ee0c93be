//! The publish stage: a result from the outbox over a broker on loopback to a subscriber.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use belvedere_models::{Region, Shape, Task};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use tokio::time::timeout;

use super::super::CommandError;
use super::samples::Samples;
use crate::broker::EmbeddedBroker;
use crate::config::{Broker, MqttSettings, OutboxSettings};
use crate::messages::{ResultMessage, TimingMs, to_json};
use crate::mqtt::{Link, LinkOptions, MqttCounters, Outbox, topics};

const LIMIT: Duration = Duration::from_secs(10);
const ROOT: &str = "bench";

pub(super) fn measure(iterations: u32, samples: &mut Samples) -> Result<(), CommandError> {
    let broker = EmbeddedBroker::start(SocketAddr::from(([127, 0, 0, 1], 0)))?.address();
    let runtime = super::super::run::runtime()?;
    let measured = runtime.block_on(async {
        let (client, mut events) = subscriber(broker);
        let missed = || CommandError::Missed("a published result did not arrive".to_owned());
        timeout(LIMIT, subscribe(&client, &mut events)).await.map_err(|_| missed())??;
        let counters = Arc::new(MqttCounters::default());
        let outbox = Arc::new(Outbox::in_memory(Arc::clone(&counters))?);
        let link = Link::spawn(LinkOptions::new(&settings(broker), None)?, Arc::clone(&outbox), counters);
        let mut connected = link.connected();
        let _ = timeout(LIMIT, connected.wait_for(|connected| *connected)).await.map_err(|_| missed())?;
        for frame_id in 0..u64::from(iterations) {
            let clock = Instant::now();
            outbox.push_result(topics::result(ROOT, "clip", "object-detection"), result(frame_id));
            timeout(LIMIT, arrival(&mut events)).await.map_err(|_| missed())??;
            samples.add("publish", clock.elapsed().as_secs_f64() * 1e3);
        }
        link.stop(LIMIT).await;
        Ok(())
    });
    runtime.shutdown_background();
    measured
}

fn settings(broker: SocketAddr) -> MqttSettings {
    MqttSettings {
        broker: Broker::Remote { host: broker.ip().to_string(), port: broker.port(), tls: None },
        username: None,
        password: None,
        topic: ROOT.to_owned(),
        client_id: "belvedere-bench".to_owned(),
        keep_alive: Duration::from_secs(30),
        stats_interval: Duration::from_secs(60),
        discovery: None,
        outbox: OutboxSettings::in_memory(),
    }
}

fn subscriber(broker: SocketAddr) -> (AsyncClient, EventLoop) {
    let options = MqttOptions::new("belvedere-bench-subscriber", broker.ip().to_string(), broker.port());
    AsyncClient::new(options, 16)
}

async fn subscribe(client: &AsyncClient, events: &mut EventLoop) -> Result<(), CommandError> {
    let lost = |error: &dyn std::fmt::Display| CommandError::Missed(format!("the subscriber: {error}"));
    client.try_subscribe(format!("{ROOT}/clip/#"), QoS::AtMostOnce).map_err(|error| lost(&error))?;
    loop {
        if let Event::Incoming(Packet::SubAck(_)) = events.poll().await.map_err(|error| lost(&error))? {
            return Ok(());
        }
    }
}

async fn arrival(events: &mut EventLoop) -> Result<(), CommandError> {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(_))) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(CommandError::Missed(format!("the subscriber: {error}"))),
        }
    }
}

/// A result of ten regions.
fn result(frame_id: u64) -> Vec<u8> {
    let region = |index: u8| Region {
        label: "person on a ladder".to_owned(),
        score: Some(0.5),
        shape: Shape::Box([f32::from(index), 1.5, 640.25, 480.0]),
    };
    let regions: Vec<Region> = (0..10).map(region).collect();
    to_json(&ResultMessage {
        camera: "clip",
        frame_id,
        captured_at: SystemTime::now(),
        age_ms: 0,
        width: 1280,
        height: 720,
        task: Task::ObjectDetection,
        input: None,
        text: "person on a ladder",
        regions: &regions,
        timing_ms: TimingMs::default(),
    })
}
