//! Hours of cameras and a broker that are killed again and again: what the daemon holds meanwhile, how fast each camera is
//! back, and whether an alert was lost.

mod alert_account;
mod plot;
mod record;
mod verdict;
mod world;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

pub use alert_account::AlertAccount;
pub use plot::plot;
pub use record::{Record, Sample};
pub use verdict::Verdict;
use world::World;

/// What is done, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// So many cameras, each with a server of its own.
    pub cameras: usize,
    /// From the first result of all cameras to the end.
    pub length: Duration,
    /// From the kill of one server to that of the next.
    pub server_every: Duration,
    /// From one kill of the broker to the next.
    pub broker_every: Duration,
    /// Of the streams.
    pub stream_fps: u32,
    /// Where the numbers go.
    pub out: PathBuf,
}

/// A killed server is away for so long.
const SERVER_AWAY: Duration = Duration::from_secs(1);
/// A killed broker is away for so long.
const BROKER_AWAY: Duration = Duration::from_secs(3);
/// From one look at the process to the next.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// Runs the plan; writes `soak.csv`, `soak.svg` and `soak.txt`, and says what came of it.
pub fn run(plan: &Plan) -> Result<Verdict> {
    fs::create_dir_all(&plan.out).with_context(|| plan.out.display().to_string())?;
    let mut world = World::new(plan)?;
    world.wait_for_all(Duration::from_secs(120))?;
    let started = Instant::now();
    let mut record = Record::default();
    let (mut server_due, mut broker_due, mut sample_due) =
        (plan.server_every, plan.broker_every, SAMPLE_EVERY);
    let mut victim = 0;
    while started.elapsed() < plan.length {
        let now = started.elapsed();
        if now >= broker_due {
            broker_due += plan.broker_every;
            world.kill_broker(BROKER_AWAY)?;
        } else if now >= server_due {
            server_due += plan.server_every;
            world.kill_server(victim % plan.cameras, SERVER_AWAY)?;
            victim += 1;
        } else if now >= sample_due {
            sample_due += SAMPLE_EVERY;
            record.add(world.sample(started.elapsed())?);
            // A run that is cut off leaves what it had.
            write(&plan.out, &record)?;
        } else {
            world.pass(server_due.min(broker_due).min(sample_due).min(plan.length).saturating_sub(now));
        }
    }
    // The last victim comes back, the last alerts arrive.
    world.wait_for_all(Duration::from_secs(30))?;
    let verdict = world.end(record, started.elapsed())?;
    write(&plan.out, &verdict.record)?;
    fs::write(plan.out.join("soak.txt"), verdict.to_string())?;
    Ok(verdict)
}

fn write(out: &Path, record: &Record) -> Result<()> {
    fs::write(out.join("soak.csv"), record.to_csv())?;
    fs::write(out.join("soak.svg"), plot(record))?;
    Ok(())
}
