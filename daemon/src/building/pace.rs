//! When something is to be said again.

use std::time::Duration;

use super::Building;

/// Lets the first word about each graph through, and one every so often.
#[derive(Debug)]
pub struct Pace {
    every: Duration,
    /// Graph and time of the last word.
    last: Option<(usize, Duration)>,
}

impl Pace {
    /// One word in so much time.
    pub fn new(every: Duration) -> Pace {
        Pace { every, last: None }
    }

    /// Whether something is to be said of this now.
    pub fn admits(&mut self, building: &Building) -> bool {
        let (place, now) = (building.progress.place, building.elapsed);
        let is_due = self.last.is_none_or(|(graph, then)| graph != place || now >= then + self.every);
        if is_due {
            self.last = Some((place, now));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::building;
    use super::*;

    #[test]
    fn each_graph_is_named_once_and_then_at_the_pace() {
        let mut pace = Pace::new(Duration::from_secs(30));
        let said = [(0, 0), (0, 1), (0, 29), (0, 30), (0, 31), (1, 32), (1, 61), (1, 62)];
        let said: Vec<bool> =
            said.map(|(place, seconds)| pace.admits(&building(place, 0.0, seconds))).to_vec();
        assert_eq!(said, [true, false, false, true, false, true, false, true]);
    }
}
