use super::{FilmTruth, LabelledBox, Tally, match_boxes};

/// What was found in one frame.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When the frame was captured, after the first one.
    pub seconds: f64,
    /// By kind.
    pub boxes: Vec<LabelledBox>,
}

/// Where the film was when the first frame was captured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    /// The frame of the film.
    pub frame: usize,
    /// How the results fit it.
    pub tally: Tally,
}

/// The one number that results do not say, found as the frame that lets all of them together fit best: by F1, and
/// where that is equal by mean IoU.
///
/// With a model that finds nothing, every frame fits as badly as any.
pub fn find_phase(truth: &FilmTruth, seen: &[Seen]) -> Phase {
    let of_frames: Vec<_> =
        (0..truth.len()).map(|frame| (truth.present_boxes(frame), truth.ignored_boxes(frame))).collect();
    let fit = |phase: usize| {
        let mut tally = Tally::default();
        for result in seen {
            let (present, ignored) = &of_frames[truth.frame_at(result.seconds, phase)];
            tally += match_boxes(&result.boxes, present, ignored);
        }
        Phase { frame: phase, tally }
    };
    let mut best = fit(0);
    for phase in 1..truth.len() {
        let phase = fit(phase);
        if (phase.tally.f1(), phase.tally.mean_iou()) > (best.tally.f1(), best.tally.mean_iou()) {
            best = phase;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{FilmTruth, LabelledBox, Seen, find_phase};

    const FRAMES: usize = 150;

    /// A car that drives to the right and back, a dog that stands there in the second half, and a truck that is mostly
    /// outside all the time.
    fn film() -> FilmTruth {
        let frames: Vec<_> = (0..FRAMES)
            .map(|frame| {
                let x = if frame < 100 { 4 * frame } else { 8 * (FRAMES - frame) };
                let mut objects = vec![
                    json!({"id": 0, "kind": "car", "colour": "red", "box": [x, 50, x + 80, 90], "visible": 1.0}),
                    json!({"id": 1, "kind": "truck", "colour": "blue", "box": [0, 100, 40, 200], "visible": 0.2}),
                ];
                if frame >= FRAMES / 2 {
                    objects.push(
                        json!({"id": 2, "kind": "dog", "colour": "black", "box": [500, 200, 560, 250], "visible": 1.0}),
                    );
                }
                objects
            })
            .collect();
        let film = json!({"width": 640, "height": 360, "fps": 15, "frames": frames});
        FilmTruth::read(&film.to_string()).unwrap()
    }

    /// Results at 5 a second, over more than a round, captured up to `late_ms` late, their boxes off by up to `off_px`.
    fn results(film: &FilmTruth, phase: usize, late_ms: f64, off_px: f64) -> Vec<Seen> {
        let mut random = fastrand::Rng::with_seed(1);
        (0..80)
            .map(|number| {
                let shown = f64::from(number) * 0.2;
                let mut boxes = film.present_boxes(film.frame_at(shown, phase));
                for found in &mut boxes {
                    found.corners_px = found.corners_px.map(|px| px + off_px * (2.0 * random.f64() - 1.0));
                }
                Seen { seconds: shown + random.f64() * late_ms / 1000.0, boxes }
            })
            .collect()
    }

    #[test]
    fn the_phase_of_perfect_results_is_found_whatever_it_is() {
        let film = film();
        for phase in [0, 1, 74, 149] {
            let found = find_phase(&film, &results(&film, phase, 0.0, 0.0));
            assert_eq!((found.frame, found.tally.f1(), found.tally.mean_iou()), (phase, 1.0, 1.0));
        }
    }

    #[test]
    fn noise_misses_and_inventions_leave_the_phase_where_it_is() {
        let film = film();
        let mut seen = results(&film, 42, 30.0, 4.0);
        for (number, result) in seen.iter_mut().enumerate() {
            match number % 5 {
                0 => result.boxes.clear(),
                1 => result.boxes.push(LabelledBox::new("car", [300.0, 250.0, 380.0, 290.0])),
                _ => {}
            }
        }
        let found = find_phase(&film, &seen);
        assert!(found.frame.abs_diff(42) <= 1, "{found:?}");
        assert!(found.tally.wrong == 16 && found.tally.f1() > 0.8 && found.tally.f1() < 0.9, "{found:?}");
    }

    #[test]
    fn what_is_mostly_outside_may_be_found_or_not() {
        let film = film();
        let mut seen = results(&film, 10, 0.0, 0.0);
        for result in &mut seen {
            result.boxes.push(LabelledBox::new("truck", [2.0, 100.0, 40.0, 198.0]));
        }
        assert_eq!(find_phase(&film, &seen).tally.f1(), 1.0);
    }

    #[test]
    fn without_results_every_frame_fits_as_badly() {
        assert_eq!(find_phase(&film(), &[]).tally.f1(), 0.0);
    }
}
