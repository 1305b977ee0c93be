use std::{fmt::Write as _, time::Duration};

use crate::VitalSigns;

/// What was seen of the daemon at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Since the beginning.
    pub at: Duration,
    /// What the process holds.
    pub signs: VitalSigns,
    /// Cameras whose last status was `online`.
    pub online: usize,
    /// Results that arrived so far.
    pub results: u64,
    /// Alerts that the daemon's log told of so far.
    pub alerts: usize,
}

/// All samples, in order.
#[derive(Clone, Debug, Default)]
pub struct Record(Vec<Sample>);

impl Record {
    /// Adds the newest.
    pub fn add(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// All of them.
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// The medians of a number in the first fifth and in the last, once the first tenth is past, in which everything is
    /// touched for the first time; `None` where there are too few samples for that.
    pub fn first_and_last(&self, number: impl Fn(&Sample) -> f64) -> Option<(f64, f64)> {
        let steady = self.0.get(self.0.len() / 10..)?;
        let fifth = steady.len() / 5;
        if fifth < 3 {
            return None;
        }
        Some((
            median(steady[..fifth].iter().map(&number)),
            median(steady[steady.len() - fifth..].iter().map(&number)),
        ))
    }

    /// As a table with a line a sample.
    pub fn to_csv(&self) -> String {
        let mut csv = "seconds,resident_mib,threads,descriptors,cameras_online,results,alerts\n".to_owned();
        for Sample { at, signs, online, results, alerts } in &self.0 {
            let (seconds, mib) = (at.as_secs_f64(), signs.resident_mib());
            let VitalSigns { threads, descriptors, .. } = signs;
            let _ =
                writeln!(csv, "{seconds:.1},{mib:.1},{threads},{descriptors},{online},{results},{alerts}");
        }
        csv
    }
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_seen_and_the_beginning_is_not_taken_for_it() {
        let mut record = Record::default();
        for second in 0..100 {
            let mib = if second < 10 { 50 } else { 100 + second / 50 };
            let signs = VitalSigns { resident_bytes: mib << 20, ..VitalSigns::default() };
            record.add(Sample { at: Duration::from_secs(second), signs, ..Sample::default() });
        }
        assert_eq!(record.first_and_last(|sample| sample.signs.resident_mib()), Some((100.0, 101.0)));
        assert_eq!(Record::default().first_and_last(|sample| sample.online as f64), None);
    }
}
