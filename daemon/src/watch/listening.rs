//! The link to the broker, with everyone who listens on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::announcing::{Announcer, Announcing};
use super::asking::{self, Asking};
use super::switches::{self, Switches};
use crate::config::Settings;
use crate::mqtt::{InboxLimits, Link, LinkOptions, MqttCounters, Outbox, Subscription, topics};

/// A link and its listeners: commands to cameras, questions, and what stands at the broker for Home Assistant.
pub(super) struct Listening {
    pub(super) link: Link,
    announcer: Arc<Announcer>,
    listeners: JoinSet<()>,
}

impl Listening {
    /// Connects as `options` say and listens for what `settings` want. Must be called within a tokio runtime.
    pub(super) fn begin(
        options: LinkOptions,
        settings: &Settings,
        outbox: &Arc<Outbox>,
        counters: &Arc<MqttCounters>,
        switches: &Arc<Switches>,
        asking: &Arc<Asking>,
    ) -> Listening {
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
