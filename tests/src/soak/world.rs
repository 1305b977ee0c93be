use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::Path,
    sync::mpsc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use tempfile::TempDir;

use super::{AlertAccount, Plan, Record, Sample, Verdict};
use crate::{Broker, Daemon, Door, RtspServer, Stream, Subscriber, VitalSigns, write_film};

/// What every camera is watched for: things that come and go in the film.
const PHRASES: [&str; 2] = ["red car", "blue person"];
/// As many alerts as there can be.
const RULE: &str = "min_frames = 1\nclear_after = \"1s\"\ncooldown = \"0s\"\nsnapshot_longest_side = 320\n";
/// What is looked at is there already.
const NOW: Duration = Duration::from_secs(1);
/// Frames analysed per second and camera.
const FPS: f64 = 1.0;

/// The daemon, its cameras and its broker.
pub(super) struct World {
    broker: Broker,
    /// The daemon's way to the broker. A broker that comes back has forgotten who listens, and acknowledges what nobody
    /// hears: the daemon is let in when the subscriber is there.
    door: Door,
    subscriber: Subscriber,
    servers: Vec<RtspServer>,
    daemon: Daemon,
    /// The server that came back, and when.
    returned: Vec<(usize, SystemTime)>,
    broker_kills: Vec<Timestamp>,
    subscriptions: usize,
    /// Nothing is ever sent: it is waited on.
    silence: (mpsc::Sender<()>, mpsc::Receiver<()>),
    _folder: TempDir,
}

impl World {
    pub(super) fn new(plan: &Plan) -> Result<Self> {
        let folder = TempDir::new()?;
        let film = folder.path().join("film.mp4");
        write_film(&film, 1280, 720, plan.stream_fps)?;
        // Streams are named by paths that live as long as the program.
        let film: &'static Path = Box::leak(film.into_boxed_path());
        let broker = Broker::start()?;
        let (door, subscriber) = (Door::to(broker.port())?, Subscriber::start(&broker)?);
        let servers =
            (0..plan.cameras).map(|_| RtspServer::start(Stream::File(film))).collect::<Result<Vec<_>>>()?;
        let mut config =
            format!("[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n\n[model]\nthreads = 1\n", door.port());
        for (place, server) in servers.iter().enumerate() {
            let _ = write!(
                config,
                "\n[[camera]]\nname = \"camera{place}\"\nurl = {:?}\nfps = {FPS:.1}\ntasks = [\"caption\"]\n\
                 answer_timeout = \"2s\"\nframe_timeout = \"3s\"\noffline_after = \"1s\"\nlongest_backoff = \"4s\"\n",
                server.url()
            );
            for phrase in PHRASES {
                // The pictures of one camera are enough: this program keeps every message.
                let snapshot = place == 0;
                let _ = write!(
                    config,
                    "\n[[camera.alert]]\nphrase = \"{phrase}\"\nsnapshot = {snapshot}\n{RULE}"
                );
            }
        }
        let daemon = Daemon::start_with(&config, |command| {
            command.env("BELVEDERE_LOG", "info");
        })?;
        Ok(Self {
            broker,
            door,
            subscriber,
            servers,
            daemon,
            returned: Vec::new(),
            broker_kills: Vec::new(),
            subscriptions: 1,
            silence: mpsc::channel(),
            _folder: folder,
        })
    }

    /// Waits until every camera has been analysed once more.
    pub(super) fn wait_for_all(&self, within: Duration) -> Result<()> {
        let mark = self.subscriber.mark();
        for camera in 0..self.servers.len() {
            self.subscriber.wait_for_count(mark, &format!("belvedere/camera{camera}/caption"), 1, within)?;
        }
        Ok(())
    }

    pub(super) fn kill_server(&mut self, place: usize, away: Duration) -> Result<()> {
        self.servers[place].kill()?;
        self.pass(away);
        self.servers[place].restart()?;
        self.returned.push((place, SystemTime::now()));
        Ok(())
    }

    pub(super) fn kill_broker(&mut self, away: Duration) -> Result<()> {
        self.door.close();
        self.broker_kills.push(Timestamp::now());
        self.broker.kill()?;
        self.pass(away);
        self.broker.restart()?;
        self.subscriptions += 1;
        self.subscriber.wait_for_subscription(self.subscriptions)?;
        self.door.open();
        Ok(())
    }

    pub(super) fn sample(&mut self, at: Duration) -> Result<Sample> {
        ensure!(
            self.daemon.process.is_running()?,
            "the daemon ended: {:?}",
            self.daemon.process.stderr.all().last()
        );
        let signs = VitalSigns::of(&self.daemon.process)?;
        let (online, results) = self.subscriber.wait_until("messages", NOW, |messages| {
            let mut status: BTreeMap<&str, &str> = BTreeMap::new();
            for message in messages.iter().filter(|message| message.topic.ends_with("/status")) {
                status.insert(&message.topic, &message.payload);
            }
            let online = status.values().filter(|status| **status == "online").count();
            Some((
                online,
                messages.iter().filter(|message| message.topic.ends_with("/caption")).count() as u64,
            ))
        })?;
        let alerts = self.daemon.process.stderr.wait_for("lines", NOW, |lines| {
            Some(lines.iter().filter(|line| line.contains(" alert camera=")).count())
        })?;
        Ok(Sample { at, signs, online, results, alerts })
    }

    /// Lets time pass.
    pub(super) fn pass(&self, time: Duration) {
        let _ = self.silence.1.recv_timeout(time);
    }

    /// Ends the daemon in good order and adds everything up.
    pub(super) fn end(mut self, record: Record, length: Duration) -> Result<Verdict> {
        self.daemon.terminate()?;
        let status = self.daemon.process.wait_exit(Duration::from_secs(10))?;
        ensure!(status.success(), "the daemon ended with {status}");
        self.daemon.process.wait_output();
        let messages = self.subscriber.messages();
        let mut captured: BTreeMap<&str, Vec<SystemTime>> = BTreeMap::new();
        for message in messages.iter().filter(|message| message.topic.ends_with("/caption")) {
            let json = message.json()?;
            let moment: Timestamp = json["captured_at"].as_str().context("captured_at")?.parse()?;
            captured.entry(&message.topic).or_default().push(moment.into());
        }
        let returns = self.returned.iter().enumerate().map(|(kill, (place, up))| {
            let next = self.returned[kill + 1..].iter().find(|(other, _)| other == place).map(|(_, up)| *up);
            let frames = captured.get(format!("belvedere/camera{place}/caption").as_str());
            let back = frames.into_iter().flatten().find(|frame| *frame >= up);
            let back = back.filter(|back| next.is_none_or(|next| **back < next));
            (format!("camera{place}"), back.and_then(|back| back.duration_since(*up).ok()))
        });
        let lines = self.daemon.process.stderr.all();
        Ok(Verdict {
            returns: returns.collect(),
            broker_kills: self.broker_kills.len(),
            alerts: AlertAccount::new(&lines, &messages, &self.broker_kills),
            record,
            length,
        })
    }
}
