//! What is told while engines are built, which takes from seconds to tens of minutes: to the terminal, the log, the broker
//! and systemd.
//!
//! The builder's threads only leave a note ([`BuildReporter::on_build`]). A thread of the reporter's reads it and tells the
//! listeners, each of which has a pace of its own.

mod log_lines;
mod pace;
mod reporter;
mod terminal_line;

use std::time::Duration;

use belvedere_models::engine::tensorrt::BuildProgress;

pub use log_lines::LogLines;
pub use pace::Pace;
pub use reporter::BuildReporter;
pub use terminal_line::TerminalLine;

/// What is known of building engines at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Building {
    /// The newest sign of life.
    pub progress: BuildProgress,
    /// Since the first one.
    pub elapsed: Duration,
    /// Whether it came since the listeners were told last.
    pub is_news: bool,
}

impl Building {
    /// How far everything has come, in whole percent; 100 is never reached before the end.
    pub fn percent(&self) -> u32 {
        ((self.progress.overall() * 100.0) as u32).min(99)
    }

    /// In a few words, which change with each percent.
    pub fn words(&self) -> String {
        let BuildProgress { graph, place, graphs, .. } = &self.progress;
        let graph = graph.as_str().replace('_', " ");
        format!("building engine: {graph} ({} of {graphs}), {} %", place + 1, self.percent())
    }

    /// In one line for people.
    pub fn line(&self) -> String {
        let BuildProgress { graph, place, graphs, phase, .. } = &self.progress;
        let phase = if phase.is_empty() { String::new() } else { format!(", {phase}") };
        format!(
            "building engines: {} %, {} ({} of {graphs}{phase}), {}",
            self.percent(),
            graph.as_str(),
            place + 1,
            in_words(self.elapsed)
        )
    }
}

/// Hears of building.
pub trait BuildListener: Send {
    /// Called at the first sign of life, at each new graph, and about once a second in between.
    fn tell(&mut self, building: &Building);

    /// Called once after the last [`tell`](Self::tell), whether or not the engines are there now.
    fn ended(&mut self, elapsed: Duration);
}

/// `3 min 12 s`
pub(crate) fn in_words(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use belvedere_models::engine::tensorrt::GraphName;

    use super::*;

    /// A sign of life in graph number `place` of three.
    pub(crate) fn progress(place: usize, done: f32) -> BuildProgress {
        let graph = GraphName::ALL.get(place).copied().unwrap_or(GraphName::Vision);
        BuildProgress { graph, place, graphs: 3, phase: "tactics".to_owned(), done }
    }

    /// The same, so many seconds after the first.
    pub(crate) fn building(place: usize, done: f32, seconds: u64) -> Building {
        Building { progress: progress(place, done), elapsed: Duration::from_secs(seconds), is_news: true }
    }

    #[test]
    fn the_line_says_how_far_what_and_how_long() {
        assert_eq!(
            building(1, 0.5, 192).line(),
            "building engines: 50 %, encoder (2 of 3, tactics), 3 min 12 s"
        );
    }

    #[test]
    fn it_is_not_done_before_it_ends() {
        assert_eq!(building(2, 1.0, 1).percent(), 99);
    }
}
