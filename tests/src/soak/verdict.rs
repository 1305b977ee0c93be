use std::{fmt, time::Duration};

use super::{AlertAccount, Record, Sample};

/// Memory may grow by so much.
const MEMORY_GROWTH: f64 = 0.05;
/// Threads and descriptors may differ by so many: a camera may be away at the moment of a look.
const ADRIFT: f64 = 3.0;
/// A camera must be back within this time of its server.
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// What came of a soak.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The curve.
    pub record: Record,
    /// How long it ran.
    pub length: Duration,
    /// From the return of each killed server to the next frame of its camera that was analysed, by the camera.
    pub returns: Vec<(String, Option<Duration>)>,
    /// How often the broker was killed.
    pub broker_kills: usize,
    /// What became of the alerts.
    pub alerts: AlertAccount,
}

impl Verdict {
    /// Everything that was not as it should be, in words.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut compare = |what: &str, number: fn(&Sample) -> f64, allowed: fn(f64) -> f64| match self
            .record
            .first_and_last(number)
        {
            None => faults.push(format!("{what}: too few samples to compare")),
            Some((first, last)) if last > allowed(first) => {
                faults.push(format!("{what} grew from {first:.1} to {last:.1}"));
            }
            Some(_) => {}
        };
        compare("memory", |sample| sample.signs.resident_mib(), |first| first * (1.0 + MEMORY_GROWTH));
        compare("threads", |sample| sample.signs.threads as f64, |first| first + ADRIFT);
        compare("descriptors", |sample| sample.signs.descriptors as f64, |first| first + ADRIFT);
        for (camera, back) in &self.returns {
            match back {
                Some(back) if *back <= BACK_WITHIN => {}
                Some(back) => faults
                    .push(format!("{camera} was back only {:.1} s after its server", back.as_secs_f64())),
                None => faults.push(format!("{camera} did not come back before the next kill")),
            }
        }
        for id in &self.alerts.lost {
            faults.push(format!("alert {id} was lost"));
        }
        if self.alerts.told == 0 {
            faults.push("there was no alert to lose".to_owned());
        }
        faults
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |what: &str, number: fn(&Sample) -> f64| {
            let samples = self.record.samples();
            let least = samples.iter().map(number).fold(f64::INFINITY, f64::min);
            let most = samples.iter().map(number).fold(0.0, f64::max);
            let (first, last) = self.record.first_and_last(number).unwrap_or_default();
            writeln!(
                f,
                "{what:<18} first fifth {first:8.1}   last fifth {last:8.1}   least {least:8.1}   most {most:8.1}"
            )
        };
        row("memory, MiB", |sample| sample.signs.resident_mib())?;
        row("threads", |sample| sample.signs.threads as f64)?;
        row("descriptors", |sample| sample.signs.descriptors as f64)?;
        let mut back: Vec<f64> =
            self.returns.iter().filter_map(|(_, back)| back.map(|back| back.as_secs_f64())).collect();
        back.sort_by(f64::total_cmp);
        let at =
            |share: f64| back.get(((back.len() as f64 - 1.0) * share) as usize).copied().unwrap_or_default();
        let minutes = self.length.as_secs_f64() / 60.0;
        writeln!(
            f,
            "{minutes:.1} minutes; {} server kills, back after {:.1} s (median), {:.1} s (95 %), {:.1} s (longest)",
            self.returns.len(),
            at(0.5),
            at(0.95),
            at(1.0)
        )?;
        let AlertAccount { told, whole, died_with_broker, lost } = &self.alerts;
        writeln!(
            f,
            "{} broker kills; {told} alerts: {whole} arrived whole, {died_with_broker} died with a broker that had \
             acknowledged them, {} lost",
            self.broker_kills,
            lost.len()
        )?;
        for fault in self.faults() {
            writeln!(f, "FAULT: {fault}")?;
        }
        Ok(())
    }
}
