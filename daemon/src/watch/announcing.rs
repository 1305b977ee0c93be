//! Home Assistant is told of the cameras.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

use crate::alerts::Slug;
use crate::config::Settings;
use crate::home_assistant::{
    Announced, Announcement, AskedTask, BIRTH_TOPIC, CameraDescription, DaemonDescription, LISTENING,
    PhraseDescription, Republication,
};
use crate::mqtt::{Inbox, InboxLimits, Outbox, Subscription, topics};

/// A broker that has not answered the subscription by then is announced to without having listened.
const SUBSCRIPTION_LIMIT: Duration = Duration::from_secs(10);
/// An announcement of ours that is longer would be of a camera with thousands of phrases, in bytes.
const MAX_ANNOUNCEMENT_BYTES: usize = 2 << 20;
/// `online` or `offline`.
const MAX_BIRTH_BYTES: usize = 16;
/// What turns up late is answered together.
const SETTLING: Duration = Duration::from_millis(500);
/// The prefix under which an earlier run announced, where this one is to announce nothing.
const DEFAULT_PREFIX: &str = "homeassistant";

/// Announces the daemon and its cameras at the start, when the configuration changes and when Home Assistant starts,
/// removes what is gone; see [`crate::home_assistant`]. Once said, announcements are states of the outbox, which says them
/// at each connection.
#[derive(Debug)]
pub(super) struct Announcing {
    announcer: Arc<Announcer>,
    available_topic: String,
    /// What stands at the broker.
    standing: Arc<Inbox>,
    /// What Home Assistant says of itself.
    births: Arc<Inbox>,
}

/// What is announced, and what was.
#[derive(Debug)]
pub(super) struct Announcer {
    outbox: Arc<Outbox>,
    announcements: Mutex<Announcements>,
}

#[derive(Debug)]
struct Announcements {
    now: Announcement,
    before: Announced,
    /// It is known what was announced before, and said what is so now.
    is_said: bool,
}

impl Announcer {
    /// Another configuration is announced from now on, at the same discovery topics.
    pub(super) fn change(&self, settings: &Settings) {
        let mut announcements = self.lock();
        let new = announcement(settings);
        let old = std::mem::replace(&mut announcements.now, new);
        if announcements.is_said {
            let Announcements { now, before, .. } = &mut *announcements;
            for message in old.messages() {
                before.read(now, &message.topic, &message.payload, true);
            }
            self.say(&announcements);
        }
    }

    /// Goes on where `other` ends, which announced at the same discovery topics.
    pub(super) fn succeed(&self, other: &Announcer) {
        let other = other.lock();
        let mut announcements = self.lock();
        announcements.before.clone_from(&other.before);
        announcements.is_said = other.is_said;
    }

    /// Nothing is announced at these discovery topics any more.
    pub(super) fn leave(&self) {
        let announcements = self.lock();
        self.outbox.take_back(announcements.now.messages().into_iter().map(|message| message.topic));
    }

    fn read(&self, topic: &str, payload: &[u8], is_retained: bool) -> bool {
        let mut announcements = self.lock();
        let Announcements { now, before, .. } = &mut *announcements;
        before.read(now, topic, payload, is_retained)
    }

    fn announce(&self) {
        let mut announcements = self.lock();
        announcements.is_said = true;
        self.say(&announcements);
    }

    fn say(&self, announcements: &Announcements) {
        let messages = announcements.now.replacing(&announcements.before);
        let (gone, standing): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| message.payload.is_empty());
        for message in standing {
            self.outbox.set_state(message.topic, message.payload);
        }
        // Through the spool: an older message of the topic may wait there still.
        self.outbox.take_back(gone.into_iter().map(|message| message.topic));
    }

    fn lock(&self) -> MutexGuard<'_, Announcements> {
        // A panic elsewhere ends the process; what is announced is whole between two statements.
        self.announcements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Announcing {
    /// Of what `settings` say, with what it must be able to hear.
    pub(super) fn new(settings: &Settings, outbox: Arc<Outbox>) -> (Announcing, Vec<Subscription>) {
        let root = &settings.mqtt.topic;
        let announcement = announcement(settings);
        let limits = InboxLimits { payload_bytes: MAX_ANNOUNCEMENT_BYTES, newest_of_topic: true };
        let ours = announcement.clone();
        let (standing, standing_inbox) =
            Subscription::new(announcement.subscription(), limits, move |topic| ours.is_about_ours(topic));
        let limits = InboxLimits { payload_bytes: MAX_BIRTH_BYTES, newest_of_topic: false };
        let (births, births_inbox) = Subscription::new(BIRTH_TOPIC.to_owned(), limits, |_| true);
        let mut subscriptions = vec![standing];
        if settings.mqtt.discovery.is_some() {
            subscriptions.push(births);
        }
        let announcements = Announcements { now: announcement, before: Announced::default(), is_said: false };
        let announcing = Announcing {
            announcer: Arc::new(Announcer { outbox, announcements: Mutex::new(announcements) }),
            available_topic: topics::available(root),
            standing: standing_inbox,
            births: births_inbox,
        };
        (announcing, subscriptions)
    }

    /// Where it is told of another configuration.
    pub(super) fn announcer(&self) -> Arc<Announcer> {
        Arc::clone(&self.announcer)
    }

    /// Announces, for ever.
    pub(super) async fn run(
        mut self,
        mut connected: watch::Receiver<bool>,
        subscribed: watch::Receiver<u64>,
    ) {
        if self.listen(&mut connected, subscribed).await.is_none() {
            return;
        }
        self.announcer.announce();
        let mut republication = Republication::default();
        let mut settled: Option<Instant> = None;
        loop {
            let due = republication.due().into_iter().chain(settled).min();
            tokio::select! {
                message = self.standing.next() => {
                    if self.announcer.read(&message.topic, &message.payload, message.is_retained) {
                        settled.get_or_insert(Instant::now() + SETTLING);
                    }
                }
                message = self.births.next() => {
                    let (now, chance) = (Instant::now(), fastrand::f64());
                    republication.heard(&message.payload, message.is_retained, now, chance);
                }
                change = connected.changed() => {
                    if change.is_err() {
                        return;
                    }
                    if *connected.borrow_and_update() {
                        republication.connected();
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                    let now = Instant::now();
                    if settled.take_if(|settled| *settled <= now).is_some() {
                        self.announcer.announce();
                    }
                    if republication.take(now) {
                        tracing::info!("Home Assistant has started; everything is said again");
                        self.announcer.outbox.resend_states(&self.available_topic);
                    }
                }
            }
        }
    }

    /// Takes in what was announced before, on one connection from its beginning; `None` when there will be no
    /// connection any more.
    async fn listen(
        &mut self,
        connected: &mut watch::Receiver<bool>,
        mut subscribed: watch::Receiver<u64>,
    ) -> Option<()> {
        let mut heard = 0;
        loop {
            connected.wait_for(|is_connected| *is_connected).await.ok()?;
            match timeout(SUBSCRIPTION_LIMIT, subscribed.wait_for(|times| *times > heard)).await {
                Ok(times) => heard = *times.ok()?,
                Err(_) if !*connected.borrow() => continue,
                Err(_) => {
                    tracing::warn!("broker does not answer the subscriptions; what it keeps is not known");
                    return Some(());
                }
            }
            let until = Instant::now() + LISTENING;
            while let Ok(message) = tokio::time::timeout_at(until.into(), self.standing.next()).await {
                self.announcer.read(&message.topic, &message.payload, message.is_retained);
            }
            if *connected.borrow_and_update() && *subscribed.borrow() == heard {
                return Some(());
            }
        }
    }
}

/// The topics of what is announced of `settings`.
pub(super) fn announced_topics(settings: &Settings) -> impl Iterator<Item = String> {
    announcement(settings).messages().into_iter().map(|message| message.topic)
}

fn announcement(settings: &Settings) -> Announcement {
    match &settings.mqtt.discovery {
        Some(prefix) => Announcement::of(&description(settings, prefix)),
        None => Announcement::of_nothing(&settings.mqtt.topic, DEFAULT_PREFIX),
    }
}

fn description(settings: &Settings, prefix: &str) -> DaemonDescription {
    let cameras = settings.cameras.iter().map(|camera| CameraDescription {
        name: camera.name.clone(),
        tasks: camera
            .tasks
            .iter()
            .map(|asked| AskedTask { task: asked.task, input: asked.text.clone() })
            .collect(),
        phrases: camera
            .alerts
            .iter()
            .map(|alert| PhraseDescription {
                phrase: alert.phrase.to_string(),
                slug: Slug::of(&alert.phrase).as_str().to_owned(),
                snapshot: alert.rule.snapshot,
            })
            .collect(),
    });
    DaemonDescription {
        topic: settings.mqtt.topic.clone(),
        discovery_prefix: prefix.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        stats_interval: settings.mqtt.stats_interval,
        cameras: cameras.collect(),
    }
}
