use std::{fmt, time::Duration};

use super::{Kind, configurations::STEADY_FPS};
use crate::VitalSigns;

/// Memory may grow by so much, from the first looks to the last.
const MEMORY_GROWTH: f64 = 0.05;
/// Fewer looks say nothing about memory: what is touched for the first time is not what grows.
const LOOKS_FOR_MEMORY: usize = 9;
/// A stream of the test's server may fall behind its clock by so much on a busy machine.
const BEHIND: f64 = 0.02;

/// A number of a look.
type Number = fn(&Look) -> u64;

/// What happened to a camera that was in all configurations, the same in all.
#[derive(Clone, Debug)]
pub struct SteadyCamera {
    /// Its name.
    pub name: &'static str,
    /// Frames that came out of its decoder.
    pub decoded: u64,
    /// Of those, frames that its rate let through.
    pub admitted: u64,
    /// Of those, frames that were analysed.
    pub analysed: u64,
    /// And frames that were replaced by newer ones.
    pub superseded: u64,
    /// Failed and rebuilt pipelines.
    pub failures: u64,
    /// How often its status changed; once at the start and once at the end.
    pub status_changes: usize,
}

/// What the process held with the steady cameras alone.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// After so many configurations.
    pub reloads: usize,
    /// All of it.
    pub signs: VitalSigns,
    /// Threads that are not the runtime's, which come and go with what it has to do.
    pub own_threads: u64,
}

/// What came of it all.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Every configuration, with the time until it was said what became of it.
    pub reloads: Vec<(Kind, Duration)>,
    /// What the process held, again and again.
    pub looks: Vec<Look>,
    /// The cameras that were in all of them.
    pub steady: Vec<SteadyCamera>,
    /// Pipelines that hung and were left behind.
    pub abandoned_pipelines: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Of the frames of a camera that nothing was changed of, so many may be replaced by newer ones before the model takes
    /// them: it has other cameras too, and now and then another model is loaded beside it.
    pub allowed_superseded: f64,
}

impl Verdict {
    /// Everything that was not as it should be, in words.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for camera in &self.steady {
            let SteadyCamera { name, admitted, analysed, superseded, failures, status_changes, .. } = camera;
            let due = self.elapsed.as_secs_f64() * STEADY_FPS;
            if (*admitted as f64) < due * (1.0 - BEHIND) - 3.0 {
                faults.push(format!("{name}: {admitted} frames at its rate, {due:.0} were due"));
            }
            // One may be with the model at either end.
            if (*superseded as f64) > *admitted as f64 * self.allowed_superseded + 1.0
                || admitted.abs_diff(analysed + superseded) > 3
            {
                faults.push(format!(
                    "{name}: of {admitted} frames {analysed} were analysed, {superseded} superseded"
                ));
            }
            if *failures > 0 || *status_changes > 2 {
                faults.push(format!("{name}: {failures} failures, {status_changes} changes of its status"));
            }
        }
        if self.abandoned_pipelines > 0 {
            faults.push(format!("{} pipelines were left behind", self.abandoned_pipelines));
        }
        if let Some((first, last)) = self.ends() {
            let least = last.iter().map(|look| look.signs.resident_mib()).fold(f64::INFINITY, f64::min);
            let most = first.iter().map(|look| look.signs.resident_mib()).fold(0.0, f64::max);
            if self.looks.len() >= LOOKS_FOR_MEMORY && least > most * (1.0 + MEMORY_GROWTH) {
                faults.push(format!("memory grew from {most:.1} to {least:.1} MiB"));
            }
            let threads: Number = |look| look.own_threads;
            let numbers: [(&str, Number); 2] =
                [("threads", threads), ("descriptors", |look| look.signs.descriptors)];
            for (what, number) in numbers {
                let least = |looks: &[Look]| looks.iter().map(number).min().unwrap_or_default();
                let (before, after) = (least(first), least(last));
                if after > before {
                    faults.push(format!("{what} grew from {before} to {after}"));
                }
            }
        }
        faults
    }

    /// The first third of the looks and the last; `None` where there are too few of them.
    fn ends(&self) -> Option<(&[Look], &[Look])> {
        let third = self.looks.len() / 3;
        (third > 0).then(|| (&self.looks[..third], &self.looks[self.looks.len() - third..]))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "reloads  resident MiB  threads  of which not the runtime's  descriptors")?;
        for Look { reloads, signs, own_threads } in &self.looks {
            let VitalSigns { threads: all, descriptors, .. } = signs;
            writeln!(
                f,
                "{reloads:7}  {:12.1}  {all:7}  {own_threads:26}  {descriptors:11}",
                signs.resident_mib()
            )?;
        }
        for camera in &self.steady {
            let SteadyCamera { name, decoded, admitted, analysed, superseded, failures, status_changes } =
                camera;
            writeln!(
                f,
                "{name}: {decoded} decoded, {admitted} at its rate ({:.0} due), {analysed} analysed, {superseded} superseded, \
                 {failures} failures, {status_changes} changes of status",
                self.elapsed.as_secs_f64() * STEADY_FPS
            )?;
        }
        for kind in [Kind::Right, Kind::Wrong] {
            let mut times: Vec<u128> =
                self.reloads.iter().filter(|(of, _)| *of == kind).map(|(_, time)| time.as_millis()).collect();
            times.sort_unstable();
            let at = |share: f64| {
                times.get(((times.len() as f64 - 1.0) * share) as usize).copied().unwrap_or_default()
            };
            let count = times.len();
            writeln!(
                f,
                "{count} {kind:?}: {} ms (median), {} ms (95 %), {} ms (longest)",
                at(0.5),
                at(0.95),
                at(1.0)
            )?;
        }
        writeln!(
            f,
            "{:.0} s, {} pipelines left behind",
            self.elapsed.as_secs_f64(),
            self.abandoned_pipelines
        )?;
        for fault in self.faults() {
            writeln!(f, "FAULT: {fault}")?;
        }
        Ok(())
    }
}
