//! Frames per second and their age over the last minutes.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

/// What one number stands for, in seconds.
const STEP_S: u64 = 2;
/// So many numbers are kept: five minutes.
const STEPS: usize = 150;
/// The rate now is that of so many whole steps.
const RATE_STEPS: usize = 3;

/// A ring of short steps of time. Pure: moments come from outside, as times since the daemon began.
#[derive(Debug, Default)]
pub struct History {
    /// The last one is still going on.
    steps: VecDeque<Step>,
    /// The number of the last one; steps are counted from the beginning.
    newest: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Step {
    frames: u64,
    age_ms_sum: u64,
}

/// A history to look at: of whole steps, the oldest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryValues {
    /// What one number stands for, in seconds.
    pub step_s: u64,
    /// Frames analysed per second.
    pub fps: Vec<f64>,
    /// Their mean age in milliseconds when they were published; null where there was none.
    pub age_ms: Vec<Option<u64>>,
}

impl History {
    /// A frame of `age` was analysed at `now`.
    pub fn analysed(&mut self, now: Duration, age: Duration) {
        self.advance(now);
        if let Some(step) = self.steps.back_mut() {
            step.frames += 1;
            step.age_ms_sum += u64::try_from(age.as_millis()).unwrap_or(u64::MAX / 1024);
        }
    }

    /// Frames per second over the last few whole steps, of which there may be none yet.
    pub fn fps(&mut self, now: Duration) -> f64 {
        self.advance(now);
        let whole = self.steps.iter().rev().skip(1).take(RATE_STEPS);
        let (steps, frames) = whole.fold((0, 0), |(steps, frames), step| (steps + 1, frames + step.frames));
        if steps == 0 { 0.0 } else { hundredths(frames as f64 / (steps * STEP_S) as f64) }
    }

    /// All of it.
    pub fn values(&mut self, now: Duration) -> HistoryValues {
        self.advance(now);
        let whole = self.steps.iter().take(self.steps.len().saturating_sub(1));
        HistoryValues {
            step_s: STEP_S,
            fps: whole.clone().map(|step| hundredths(step.frames as f64 / STEP_S as f64)).collect(),
            age_ms: whole.map(|step| step.age_ms_sum.checked_div(step.frames)).collect(),
        }
    }

    /// Begins the steps up to that of `now`.
    fn advance(&mut self, now: Duration) {
        let wanted = now.as_secs() / STEP_S;
        if self.steps.is_empty() {
            self.newest = wanted;
            self.steps.push_back(Step::default());
        }
        // After a suspend everything is old.
        let behind = wanted.saturating_sub(self.newest).min(STEPS as u64 + 1);
        for _ in 0..behind {
            self.steps.push_back(Step::default());
        }
        self.newest = self.newest.max(wanted);
        while self.steps.len() > STEPS + 1 {
            self.steps.pop_front();
        }
    }
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_whole_steps_are_told_and_the_oldest_comes_first() {
        let mut history = History::default();
        history.analysed(s(10), Duration::from_millis(100));
        history.analysed(s(11), Duration::from_millis(300));
        assert_eq!(history.values(s(11)).fps, Vec::<f64>::new());
        assert_eq!(history.fps(s(11)), 0.0);
        history.analysed(s(15), Duration::from_millis(50));
        let values = history.values(s(16));
        assert_eq!(values.fps, [1.0, 0.0, 0.5]);
        assert_eq!(values.age_ms, [Some(200), None, Some(50)]);
        assert_eq!(history.fps(s(16)), 0.5);
    }

    #[test]
    fn it_is_bounded_and_a_long_pause_empties_it() {
        let mut history = History::default();
        (0..2000).for_each(|second| history.analysed(s(second), Duration::ZERO));
        assert_eq!(history.values(s(2000)).fps.len(), STEPS);
        assert!(history.values(s(2000)).fps.iter().all(|fps| *fps == 1.0));
        let later = history.values(s(1_000_000));
        assert!(later.fps.len() == STEPS && later.fps.iter().all(|fps| *fps == 0.0));
        assert_eq!(history.fps(s(1_000_000)), 0.0);
    }
}
