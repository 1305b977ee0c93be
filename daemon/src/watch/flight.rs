//! Frames between being taken and being finished, several at a time where the engine takes several.

use std::collections::VecDeque;

use belvedere_models::{Generation, ModelError};

/// What the model said of a frame.
pub(super) type Said = Result<Vec<Generation>, ModelError>;

/// Frames in flight. Those of one camera come out in the order in which they went in, whichever is answered first: its
/// alerts and whoever reads its results count on that.
pub(super) struct Flight<K, T> {
    frames: VecDeque<InFlight<K, T>>,
}

struct InFlight<K, T> {
    camera: String,
    /// What the model calls it.
    key: K,
    sequences: usize,
    /// Once it is answered.
    said: Option<Said>,
    frame: T,
}

impl<K, T> Default for Flight<K, T> {
    fn default() -> Flight<K, T> {
        Flight { frames: VecDeque::new() }
    }
}

impl<K: Copy + PartialEq, T> Flight<K, T> {
    /// A frame of `camera` was submitted, as so many sequences.
    pub(super) fn add(&mut self, camera: &str, key: K, sequences: usize, frame: T) {
        let camera = camera.to_owned();
        self.frames.push_back(InFlight { camera, key, sequences, said: None, frame });
    }

    /// A submission was answered.
    pub(super) fn answered(&mut self, key: K, said: Said) {
        if let Some(frame) = self.frames.iter_mut().find(|frame| frame.key == key) {
            frame.said = Some(said);
        }
    }

    /// The next frame that is answered and has no older one of its camera before it.
    pub(super) fn take_ready(&mut self) -> Option<(T, Said)> {
        let is_first = |at: usize, frame: &InFlight<K, T>| {
            self.frames.iter().take(at).all(|older| older.camera != frame.camera)
        };
        let mut answered = self.frames.iter().enumerate().filter(|(_, frame)| frame.said.is_some());
        let at = answered.find(|(at, frame)| is_first(*at, frame))?.0;
        let InFlight { frame, said, .. } = self.frames.remove(at)?;
        Some((frame, said?))
    }

    /// Everything, answered or not: there will be no more answers.
    pub(super) fn give_up(&mut self) -> Vec<(T, K)> {
        self.frames.drain(..).map(|frame| (frame.frame, frame.key)).collect()
    }

    /// Sequences that are not answered yet.
    pub(super) fn sequences(&self) -> usize {
        let open = self.frames.iter().filter(|frame| frame.said.is_none());
        open.map(|frame| frame.sequences).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames a1, b1, a2 of two cameras, two sequences each.
    fn flight() -> Flight<u32, &'static str> {
        let mut flight = Flight::default();
        for (key, camera, frame) in [(1, "a", "a1"), (2, "b", "b1"), (3, "a", "a2")] {
            flight.add(camera, key, 2, frame);
        }
        flight
    }

    fn ready(flight: &mut Flight<u32, &'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| flight.take_ready().map(|(frame, _)| frame)).collect()
    }

    #[test]
    fn a_frame_waits_for_the_older_ones_of_its_camera_and_for_no_others() {
        let mut flight = flight();
        assert_eq!(ready(&mut flight), [""; 0]);
        flight.answered(3, Ok(Vec::new()));
        assert_eq!(ready(&mut flight), [""; 0], "a1 is still out");
        flight.answered(2, Ok(Vec::new()));
        assert_eq!(ready(&mut flight), ["b1"]);
        flight.answered(1, Err(ModelError::Cancelled));
        assert_eq!(ready(&mut flight), ["a1", "a2"], "one that failed holds nothing up");
        assert!(flight.is_empty());
    }

    #[test]
    fn only_sequences_without_an_answer_take_room() {
        let mut flight = flight();
        assert_eq!(flight.sequences(), 6);
        flight.answered(3, Ok(Vec::new()));
        assert_eq!(flight.sequences(), 4);
        flight.answered(7, Ok(Vec::new()));
        assert_eq!(flight.sequences(), 4, "an answer to nothing");
    }

    #[test]
    fn what_is_given_up_comes_out_whole_and_in_order() {
        let mut flight = flight();
        flight.answered(3, Ok(Vec::new()));
        assert_eq!(flight.give_up(), [("a1", 1), ("b1", 2), ("a2", 3)]);
        assert!(flight.is_empty());
    }
}
