//! Phrase alerts from the film of the demonstration, found by the bundled model.

mod accepted;
mod delivery;
mod disk;
mod life;

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use belvedere_tests::{Broker, Daemon, Message, RtspServer, Stream, Subscriber};
use serde_json::Value;
use tempfile::TempDir;

/// Far more than anything here takes on a loaded machine with two cores.
pub(crate) const WITHIN: Duration = Duration::from_secs(120);

/// Each of them comes and goes several times in the film's 40 s.
pub(crate) const PHRASES: [&str; 6] =
    ["red car", "blue person", "white dog", "red person", "orange cone", "green dog"];

/// Alerts that begin with the first frame that shows the phrase, end with the first that does not, and come again at
/// once: as many as there can be.
pub(crate) const EAGER: &str = "min_frames = 1\nclear_after = \"1ms\"\ncooldown = \"0s\"\n";

/// A broker, someone who listens, the film as a camera, and a file for what must not be lost.
pub(crate) struct Watched {
    pub(crate) broker: Broker,
    pub(crate) subscriber: Subscriber,
    pub(crate) film: RtspServer,
    folder: TempDir,
}

impl Watched {
    pub(crate) fn new() -> Result<Self> {
        let broker = Broker::start()?;
        let subscriber = Subscriber::start(&broker)?;
        Ok(Self { broker, subscriber, film: RtspServer::start(Stream::Film)?, folder: TempDir::new()? })
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.folder.path().join("spool.db")
    }

    /// A configuration in which each of `cameras` watches the film for `phrases`, with `rule` for all of them.
    pub(crate) fn config(&self, cameras: &[&str], phrases: &[&str], rule: &str) -> String {
        let mut config = format!(
            "[mqtt]\nurl = {:?}\nstats_interval = \"500ms\"\noutbox = {:?}\n\n[model]\nthreads = 2\n",
            self.broker.url(),
            self.spool(),
        );
        for camera in cameras {
            let _ = write!(
                config,
                "\n[[camera]]\nname = {camera:?}\nurl = {:?}\nfps = 5\noffline_after = \"500ms\"\n\
                 first_frame_timeout = \"5s\"\nframe_timeout = \"2s\"\nanswer_timeout = \"1s\"\nlongest_backoff = \"1s\"\n",
                self.film.url()
            );
            for phrase in phrases {
                let phrase = toml_string(phrase);
                let _ = write!(config, "\n[[camera.alert]]\nphrase = {phrase}\n{rule}\n");
            }
        }
        config
    }

    /// Runs the daemon on [`Watched::config`] with eager alerts.
    pub(crate) fn run_eagerly(&self, cameras: &[&str]) -> Result<Daemon> {
        Daemon::start(&self.config(cameras, &PHRASES, EAGER))
    }

    /// Waits until so many events have begun.
    pub(crate) fn wait_for_new(&self, count: usize) -> Result<()> {
        self.subscriber.wait_until(&format!("{count} alerts"), WITHIN, |messages| {
            (messages.iter().filter(|message| is_event(message, "new")).count() >= count).then_some(())
        })
    }
}

/// TOML has JSON's escapes for what needs one here.
pub(crate) fn toml_string(text: &str) -> String {
    Value::from(text).to_string()
}

/// Whether a message is an alert event of that type.
pub(crate) fn is_event(message: &Message, event_type: &str) -> bool {
    message.topic.ends_with("/alerts") && message.json().is_ok_and(|event| event["event_type"] == event_type)
}

/// The alert events, without repetitions: what was sent and not acknowledged is sent again.
pub(crate) fn events(messages: &[Message]) -> Result<Vec<Value>> {
    let mut seen = HashSet::new();
    let fresh = messages.iter().filter(|message| message.topic.ends_with("/alerts"));
    fresh.filter(|message| seen.insert(message.payload.clone())).map(Message::json).collect()
}

/// The ids of the alerts that the daemon has told its log of, in order.
pub(crate) fn logged(daemon: &Daemon) -> Vec<String> {
    let of_line = |line: String| {
        let (_, fields) = line.split_once(": alert camera=")?;
        Some(fields.split_once("id=\"")?.1.split_once('"')?.0.to_owned())
    };
    daemon.process.stderr.all().into_iter().filter_map(of_line).collect()
}

/// Checks that each event has one `new`, first, and one `end`, last, and that a phrase has one at a time; how many
/// there are.
pub(crate) fn assert_whole_lives(events: &[Value]) -> Result<usize> {
    let mut open: BTreeMap<String, String> = BTreeMap::new();
    let mut ids = HashSet::new();
    for event in events {
        let text = |key: &str| event[key].as_str().with_context(|| format!("{key}: {event}"));
        let (subject, id) = (format!("{}: {}", text("camera")?, text("phrase")?), text("id")?.to_owned());
        let before = open.get(&subject).cloned();
        match text("event_type")? {
            "new" => {
                ensure!(before.is_none(), "{subject}: {id} begins while {before:?} is open");
                ensure!(ids.insert(id.clone()), "{id} begins twice");
                ensure!(event["ended_at"].is_null() && event["reason"].is_null(), "{event}");
                open.insert(subject, id);
            }
            "update" => ensure!(before == Some(id), "an update of what is not open: {event}"),
            "end" => {
                ensure!(before == Some(id), "an end of what is not open ({before:?}): {event}");
                ensure!(text("ended_at")? >= text("started_at")?, "{event}");
                text("reason")?;
                open.remove(&subject);
            }
            other => anyhow::bail!("{other:?}: {event}"),
        }
    }
    ensure!(open.is_empty(), "left open: {open:#?}");
    Ok(ids.len())
}
