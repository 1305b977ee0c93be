//! Many configurations one after the other, right and wrong, while cameras are watched: what the cameras lose that are in
//! all of them, and what is left behind.

mod configurations;
mod verdict;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;

use configurations::TASK;
pub use configurations::{Configurations, Kind};
pub use verdict::{Look, SteadyCamera, Verdict};

use crate::{Broker, Daemon, Message, RtspServer, SmallCheckpoint, Stream, Subscriber, VitalSigns};

/// Cameras that are in every configuration, the same in all.
const STEADY: [&str; 2] = ["steady-stream", "steady-test"];
/// Each of so many configurations is the one that the daemon began with: then it is looked at.
const LOOK_EVERY: usize = 20;
/// Far more than a reload takes; one that replaces the link waits for the broker, one that loads a model for that.
const RELOAD_WITHIN: Duration = Duration::from_secs(60);

/// What is done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// So many configurations.
    pub reloads: usize,
    /// Which of them.
    pub seed: u64,
    /// See [`Verdict::allowed_superseded`].
    pub allowed_superseded: f64,
}

/// Runs the plan.
pub fn run(plan: Plan) -> Result<Verdict> {
    let broker = Broker::start()?;
    let subscriber = Subscriber::start(&broker)?;
    let server = RtspServer::start(Stream::H264)?;
    let checkpoint = SmallCheckpoint::write()?;
    let mut configurations =
        Configurations::new(&broker.url(), checkpoint.path(), &server.url(), STEADY, plan.seed);
    let base = configurations.base();
    let daemon = Daemon::start_with(&base, |command| {
        command.env("BELVEDERE_LOG", "info");
    })?;
    let verdict = Verdict { allowed_superseded: plan.allowed_superseded, ..Verdict::default() };
    let mut stress = Stress { subscriber, daemon, verdict, read_at: None };
    for camera in STEADY {
        stress.subscriber.wait_for_payload(
            0,
            &format!("belvedere/{camera}/status"),
            "online",
            RELOAD_WITHIN,
        )?;
    }
    let begun = stress.stats()?;
    let started = Instant::now();
    for reload in 0..plan.reloads {
        let is_look = reload % LOOK_EVERY == LOOK_EVERY - 1;
        let (kind, text) = if is_look { (Kind::Right, base.clone()) } else { configurations.another() };
        stress.reload(kind, &text)?;
        if is_look {
            stress.look(reload + 1)?;
        }
    }
    let elapsed = started.elapsed();
    stress.reload(Kind::Right, &base)?;
    let ended = stress.stats()?;
    stress.end(&begun, &ended, elapsed)
}

struct Stress {
    subscriber: Subscriber,
    daemon: Daemon,
    verdict: Verdict,
    /// When the configuration before was read.
    read_at: Option<Timestamp>,
}

impl Stress {
    fn reload(&mut self, kind: Kind, text: &str) -> Result<()> {
        // Moments are told in milliseconds, and a wrong configuration takes less: the next moment is to be another.
        while self.read_at.is_some_and(|before| Timestamp::now().as_millisecond() <= before.as_millisecond())
        {
            std::thread::yield_now();
        }
        let (mark, clock) = (self.subscriber.mark(), Instant::now());
        self.daemon.reload(text)?;
        // A new link says what was so before, too, and may say it twice.
        let before = self.read_at;
        let is_new = |message: &Message| Some(Some(read_at(&message.json().ok()?)?) > before);
        let said = self.subscriber.wait_for_after(mark, "what became of it", RELOAD_WITHIN, |message| {
            message.topic == "belvedere/config" && is_new(message) == Some(true)
        });
        let said = said.with_context(|| format!("{kind:?}:\n{text}"))?.json()?;
        self.read_at = read_at(&said);
        let expected = match kind {
            Kind::Right => "ok",
            Kind::Wrong => "invalid",
        };
        ensure!(said["state"] == expected, "{said}, of:\n{text}");
        self.verdict.reloads.push((kind, clock.elapsed()));
        Ok(())
    }

    /// Notes what the process holds, once it watches the steady cameras alone.
    fn look(&mut self, reloads: usize) -> Result<()> {
        self.stats()?;
        self.stats()?;
        let signs = VitalSigns::of(&self.daemon.process)?;
        self.verdict.looks.push(Look { reloads, signs, own_threads: self.own_threads()? });
        Ok(())
    }

    /// The next statistics.
    fn stats(&self) -> Result<Value> {
        let mark = self.subscriber.mark();
        self.subscriber
            .wait_for_after(mark, "statistics", RELOAD_WITHIN, |m| m.topic == "belvedere/stats")?
            .json()
    }

    fn own_threads(&self) -> Result<u64> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.daemon.process.id()))?;
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        Ok(names.filter(|name| !name.starts_with("tokio-")).count() as u64)
    }

    fn end(mut self, begun: &Value, ended: &Value, elapsed: Duration) -> Result<Verdict> {
        self.daemon.terminate()?;
        let status = self.daemon.process.wait_exit(Duration::from_secs(10))?;
        ensure!(status.success(), "the daemon ended with {status}");
        let messages = self.subscriber.messages();
        for name in STEADY {
            let count = |of: &Value, path: &str| {
                let pointer = format!("/cameras/{name}/{path}");
                of.pointer(&pointer).and_then(Value::as_u64).with_context(|| format!("{pointer} in {of}"))
            };
            let since = |path: &str| Ok::<u64, anyhow::Error>(count(ended, path)? - count(begun, path)?);
            let results =
                messages.iter().filter(|message| message.topic == format!("belvedere/{name}/{TASK}"));
            let results: Vec<Value> = results.map(Message::json).collect::<Result<_>>()?;
            let statuses =
                messages.iter().filter(|message| message.topic == format!("belvedere/{name}/status"));
            // The end of the daemon says one too, and each new link says all that is so.
            let changes =
                statuses.clone().zip(statuses.skip(1)).filter(|(one, next)| one.payload != next.payload);
            self.verdict.steady.push(SteadyCamera {
                name,
                decoded: since("decoded")?,
                admitted: since("decoded")? - since("dropped/fps")?,
                analysed: since("analysed")?,
                superseded: since("dropped/superseded")?,
                failures: since("stream_errors")? + since("reconnects")?,
                status_changes: changes.count(),
                longest_gap: longest_gap(&results).with_context(|| format!("results of {name}"))?,
                is_in_order: results
                    .iter()
                    .map(|result| result["frame_id"].as_u64())
                    .is_sorted_by(|one, next| one < next),
            });
        }
        self.verdict.abandoned_pipelines =
            ended["abandoned_pipelines"].as_u64().context("abandoned_pipelines")?;
        self.verdict.elapsed = elapsed;
        Ok(self.verdict)
    }
}

/// When the configuration was read that a message is about.
fn read_at(said: &Value) -> Option<Timestamp> {
    said["read_at"].as_str()?.parse().ok()
}

/// The longest time between two frames of which there are results, one after the other.
fn longest_gap(results: &[Value]) -> Result<Duration> {
    let captured = |result: &Value| {
        let text = result["captured_at"].as_str().context("captured_at")?;
        Ok::<i64, anyhow::Error>(text.parse::<Timestamp>()?.as_millisecond())
    };
    let captured_ms = results.iter().map(captured).collect::<Result<Vec<i64>>>()?;
    let gap_ms = captured_ms.windows(2).map(|pair| pair[1] - pair[0]).max().context("two of them")?;
    Ok(Duration::from_millis(u64::try_from(gap_ms)?))
}
