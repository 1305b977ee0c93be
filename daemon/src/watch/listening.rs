//! The link to the broker, with everyone who listens on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::announcing::{Announcer, Announcing};
use super::asking;
use super::cameras::Cameras;
use super::switches;
use crate::config::Settings;
use crate::mqtt::{InboxLimits, Link, LinkOptions, MqttCounters, Outbox, Subscription, topics};

/// A link and its listeners: commands to cameras, questions, and what stands at the broker for Home Assistant.
pub(super) struct Listening {
    pub(super) link: Link,
    announcer: Arc<Announcer>,
    listeners: JoinSet<()>,
}

impl Listening {
    /// Connects as `options` say and listens for what `settings` want; `connected` says whether there is a connection, of
    /// whichever link there is. Must be called within a tokio runtime.
    pub(super) fn begin(
        options: LinkOptions,
        settings: &Settings,
        outbox: &Arc<Outbox>,
        counters: &Arc<MqttCounters>,
        cameras: &Cameras,
        connected: &watch::Sender<bool>,
    ) -> Listening {
        let Cameras { switches, asking, .. } = cameras;
        let root = &settings.mqtt.topic;
        let (announcing, mut subscriptions) = Announcing::new(settings, Arc::clone(outbox));
        let limits = InboxLimits { payload_bytes: switches::MAX_PAYLOAD_BYTES, newest_of_topic: true };
        let known = Arc::clone(switches);
        let (subscription, commands) =
            Subscription::new(topics::enabled_set(root, "+"), limits, move |topic| known.has(topic));
        subscriptions.push(subscription);
        let limits = InboxLimits { payload_bytes: asking::MAX_PAYLOAD_BYTES, newest_of_topic: false };
        let (subscription, questions) = Subscription::new(topics::ask(root, "+"), limits, |_| true);
        subscriptions.push(subscription);
        let link = Link::spawn_listening(options, Arc::clone(outbox), Arc::clone(counters), subscriptions);
        let announcer = announcing.announcer();
        let mut listeners = JoinSet::new();
        listeners.spawn(announcing.run(link.connected(), link.subscribed()));
        listeners.spawn(Arc::clone(switches).hear(commands));
        listeners.spawn(Arc::clone(asking).hear(questions));
        listeners.spawn(pass_on(link.connected(), connected.clone()));
        Listening { link, announcer, listeners }
    }

    /// Who announces the configuration to Home Assistant.
    pub(super) fn announcer(&self) -> &Announcer {
        &self.announcer
    }

    /// Hears nothing more.
    pub(super) async fn turn_away(&mut self) {
        self.listeners.shutdown().await;
    }

    /// Hears nothing more, and leaves the broker in good order within `limit`.
    pub(super) async fn end(mut self, limit: Duration) {
        self.turn_away().await;
        self.link.stop(limit).await;
    }
}

async fn pass_on(mut from: watch::Receiver<bool>, to: watch::Sender<bool>) {
    loop {
        to.send_replace(*from.borrow_and_update());
        if from.changed().await.is_err() {
            return;
        }
    }
}
