//! Building in the log.

use std::time::Duration;

use super::{BuildListener, Building, Pace};

const EVERY: Duration = Duration::from_secs(30);

/// A line for each graph, and one every half minute.
#[derive(Debug)]
pub struct LogLines {
    pace: Pace,
}

impl Default for LogLines {
    fn default() -> LogLines {
        LogLines { pace: Pace::new(EVERY) }
    }
}

impl BuildListener for LogLines {
    fn tell(&mut self, building: &Building) {
        if self.pace.admits(building) {
            let progress = &building.progress;
            tracing::info!(
                graph = progress.graph.as_str(),
                graphs = format!("{} of {}", progress.place + 1, progress.graphs),
                percent = building.percent(),
                elapsed_s = building.elapsed.as_secs(),
                "building engines for this GPU; they are kept"
            );
        }
    }

    fn ended(&mut self, elapsed: Duration) {
        tracing::info!(elapsed_s = elapsed.as_secs(), "no longer building engines");
    }
}
