//! What most tests begin with: a broker, someone who listens, a small model, and a configuration that names them.

use std::{fmt::Write as _, time::Duration};

use anyhow::Result;
use belvedere_tests::{Broker, Daemon, ResultMessage, SmallCheckpoint, Subscriber, assert_result_shape};

/// Far more than anything here takes on a loaded machine with two cores: a test that waits so long has failed.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

/// The one task that the tests ask for.
pub(crate) const TASK: &str = "object-detection";

pub(crate) struct Scene {
    pub(crate) broker: Broker,
    pub(crate) subscriber: Subscriber,
    pub(crate) checkpoint: SmallCheckpoint,
}

impl Scene {
    pub(crate) fn new() -> Result<Self> {
        let broker = Broker::start()?;
        let subscriber = Subscriber::start(&broker)?;
        Ok(Self { broker, subscriber, checkpoint: SmallCheckpoint::write()? })
    }

    /// A configuration with these cameras, each a name and an address, and timeouts short enough to wait for.
    pub(crate) fn config(&self, cameras: &[(&str, &str)]) -> String {
        let mut config = format!(
            "[mqtt]\nurl = {:?}\n\n[model]\npath = {:?}\nprecision = \"exact\"\nmax_new_tokens = 12\nthreads = 1\n",
            self.broker.url(),
            self.checkpoint.path(),
        );
        for (name, url) in cameras {
            let _ = write!(
                config,
                "\n[[camera]]\nname = {name:?}\nurl = {url:?}\nfps = 10\ntasks = [{TASK:?}]\n\
                 first_frame_timeout = \"5s\"\nframe_timeout = \"2s\"\nanswer_timeout = \"1s\"\noffline_after = \"500ms\"\nlongest_backoff = \"1s\"\n"
            );
        }
        config
    }

    /// Runs the daemon on [`Scene::config`].
    pub(crate) fn run(&self, cameras: &[(&str, &str)]) -> Result<Daemon> {
        Daemon::start(&self.config(cameras))
    }

    /// Waits for `count` results of `camera` after `mark`, all of the promised shape.
    pub(crate) fn results(&self, mark: usize, camera: &str, count: usize) -> Result<Vec<ResultMessage>> {
        let topic = format!("belvedere/{camera}/{TASK}");
        let messages = self.subscriber.wait_for_count(mark, &topic, count, WITHIN)?;
        messages.iter().map(|message| assert_result_shape(message, camera, TASK)).collect()
    }

    /// Waits for a status of `camera` after `mark`.
    pub(crate) fn status(&self, mark: usize, camera: &str, status: &str) -> Result<()> {
        self.subscriber.wait_for_payload(mark, &format!("belvedere/{camera}/status"), status, WITHIN)?;
        Ok(())
    }

    /// Waits for `belvedere/available` to be `payload` after `mark`.
    pub(crate) fn available(&self, mark: usize, payload: &str) -> Result<()> {
        self.subscriber.wait_for_payload(mark, "belvedere/available", payload, WITHIN)?;
        Ok(())
    }

    /// What a client that comes only now is told to be so.
    pub(crate) fn retained(&self, topic: &str) -> Result<String> {
        let message =
            Subscriber::start(&self.broker)?.wait_for(&format!("{topic}, retained"), WITHIN, |message| {
                message.topic == topic && message.retained
            })?;
        Ok(message.payload)
    }
}

/// Asks the daemon to end and checks that it does so in time, without an error.
pub(crate) fn assert_ends_well(daemon: &mut Daemon) -> Result<()> {
    daemon.terminate()?;
    let status = daemon.process.wait_exit(Duration::from_secs(5))?;
    assert_eq!(status.code(), Some(0), "{}", daemon.output());
    assert!(!daemon.output().contains("panic"), "{}", daemon.output());
    Ok(())
}
