use std::{fmt, time::Duration};

use super::{Kind, configurations::STEADY_FPS};
use crate::VitalSigns;

/// Memory may grow by so much, from the looks of the middle to the last.
const MEMORY_GROWTH: f64 = 0.05;
/// Fewer looks say nothing about memory: what is touched for the first time is not what grows.
const LOOKS_FOR_MEMORY: usize = 9;
/// A stream of the test's server may fall behind its clock by so much on a busy machine.
const BEHIND: f64 = 0.02;
/// Two frames of a camera are never further apart: four times its rate. A stream that is opened again takes longer.
const LONGEST_GAP: Duration = Duration::from_secs(2);

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
    /// The longest time between two analysed frames.
    pub longest_gap: Duration,
    /// Whether the numbers of its frames only ever grew: a camera that is taken out and put back begins at 1.
    pub is_in_order: bool,
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
            let gap_ms = camera.longest_gap.as_millis();
            if camera.longest_gap > LONGEST_GAP || !camera.is_in_order {
                faults.push(format!("{name}: {gap_ms} ms without a frame, in order: {}", camera.is_in_order));
            }
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
            // Not the first: a kind of model that is loaded for the first time is no leak.
            let middle = &self.looks[first.len()..self.looks.len() - last.len()];
            let (before, after) = (median_mib(middle), median_mib(last));
            if self.looks.len() >= LOOKS_FOR_MEMORY && after > before * (1.0 + MEMORY_GROWTH) {
                faults.push(format!("memory grew from {before:.1} to {after:.1} MiB"));
            }
            // A pipeline that is kept has threads, or, where it was stopped, the descriptors of its bus.
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

/// Resident memory at the middle one of the looks.
fn median_mib(looks: &[Look]) -> f64 {
    let mut mib: Vec<f64> = looks.iter().map(|look| look.signs.resident_mib()).collect();
    mib.sort_unstable_by(f64::total_cmp);
    mib.get(mib.len() / 2).copied().unwrap_or_default()
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
            let SteadyCamera { name, decoded, admitted, analysed, superseded, failures, .. } = camera;
            let SteadyCamera { status_changes, longest_gap, .. } = camera;
            writeln!(
                f,
                "{name}: {decoded} decoded, {admitted} at its rate ({:.0} due), {analysed} analysed, {superseded} superseded, \
                 {failures} failures, {status_changes} changes of status, {} ms without a frame at most",
                self.elapsed.as_secs_f64() * STEADY_FPS,
                longest_gap.as_millis()
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
