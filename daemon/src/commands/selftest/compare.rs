//! Two observations of the same pictures, stage by stage.

use serde::Serialize;

use super::observed::{Answers, Observed, Seen};
use super::tolerances::Tolerances;

/// A stage's outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) outcome: Outcome,
    /// The numbers, with their limits, in words.
    pub(super) says: String,
}

/// How a stage came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    Passed,
    Failed,
}

impl Outcome {
    fn passed_if(holds: bool) -> Outcome {
        if holds { Outcome::Passed } else { Outcome::Failed }
    }
}

/// Every stage of the line.
pub(super) fn compare(expected: &Observed, found: &Observed, tolerances: &Tolerances) -> Vec<Stage> {
    let pairs: Vec<(&Seen, &Seen)> = expected.pictures.iter().zip(&found.pictures).collect();
    let greedy: Vec<_> = pairs.iter().map(|(expected, found)| (&expected.greedy, &found.greedy)).collect();
    let beams: Vec<_> = pairs.iter().map(|(expected, found)| (&expected.beams, &found.beams)).collect();
    vec![
        preprocess(&pairs, tolerances),
        features(&pairs, tolerances),
        scores(&greedy, tolerances),
        tokens(&greedy, tolerances),
        searched(&beams, tolerances),
    ]
}

fn preprocess(pairs: &[(&Seen, &Seen)], tolerances: &Tolerances) -> Stage {
    let limit = tolerances.pixels_levels;
    let layouts = || pairs.iter().flat_map(|(a, b)| a.pixel_values.iter().zip(&b.pixel_values));
    let same_size = pairs.iter().all(|(a, b)| a.pixel_values.len() == b.pixel_values.len())
        && layouts().all(|(a, b)| a.len() == b.len());
    let differences = layouts().flat_map(|(a, b)| a.iter().zip(b));
    // A level is 1/255 of the range before normalisation, which divides by about 0.225.
    let worst =
        differences.map(|(a, b)| f64::from((a - b).abs()) * 255.0 * LEAST_DEVIATION).fold(0.0, larger);
    Stage {
        name: "preprocess",
        outcome: Outcome::passed_if(worst <= limit && same_size && !pairs.is_empty()),
        says: format!("worst pixel {worst:.3} levels of 255 off (RGB, NV12, I420; limit {limit})"),
    }
}

/// Of the normalisation: the least of the three channels' standard deviations (ImageNet's blue one is the larger).
const LEAST_DEVIATION: f64 = 0.224;

fn features(pairs: &[(&Seen, &Seen)], tolerances: &Tolerances) -> Stage {
    let limit = tolerances.features;
    let errors = pairs.iter().map(|(expected, found)| relative_error(&expected.features, &found.features));
    let worst = errors.fold(0.0, larger);
    Stage {
        name: "vision",
        outcome: Outcome::passed_if(worst <= limit && !pairs.is_empty()),
        says: format!(
            "image features {:.3} % off (relative L2, worst picture; limit {:.1} %)",
            worst * 1e2,
            limit * 1e2
        ),
    }
}

/// The length of the difference over that of what is expected; infinite for vectors of different lengths.
fn relative_error(expected: &[f32], found: &[f32]) -> f64 {
    if expected.len() != found.len() {
        return f64::INFINITY;
    }
    let square = |value: f64| value * value;
    let difference: f64 = expected.iter().zip(found).map(|(a, b)| square(f64::from(a - b))).sum();
    let length: f64 = expected.iter().map(|value| square(f64::from(*value))).sum();
    (difference / length.max(f64::MIN_POSITIVE)).sqrt()
}

fn scores(pairs: &[(&Answers, &Answers)], tolerances: &Tolerances) -> Stage {
    let Tolerances { scores_mean, scores_worst, .. } = tolerances;
    let sequences = pairs
        .iter()
        .flat_map(|(expected, found)| expected.reference_scores.iter().zip(&found.reference_scores));
    let tokens = sequences.flat_map(|(expected, found)| expected.iter().zip(found));
    let differences: Vec<f64> = tokens.map(|(a, b)| f64::from((a - b).abs())).collect();
    let mean = differences.iter().sum::<f64>() / differences.len().max(1) as f64;
    let worst = differences.iter().copied().fold(0.0, larger);
    Stage {
        name: "encoder and decoder",
        outcome: Outcome::passed_if(
            mean <= *scores_mean && worst <= *scores_worst && !differences.is_empty(),
        ),
        says: format!(
            "log-probabilities of {} given tokens {mean:.4} off on average (limit {scores_mean}), {worst:.3} at worst \
             (limit {scores_worst})",
            differences.len()
        ),
    }
}

/// Where two answers part, and how much more probable the device holds its own token than the reference's there.
fn parting(expected: &Answers, found: &Answers, place: usize) -> Option<f64> {
    let (reference, own) = (expected.own.get(place)?, found.own.get(place)?);
    let at = reference.iter().zip(own).position(|(a, b)| a != b);
    let Some(at) = at else {
        // One goes on where the other has ended, which cannot be: the end is a token.
        return (reference.len() != own.len()).then_some(f64::INFINITY);
    };
    // The first token has no score.
    let score = |scores: &[Vec<f32>]| Some(f64::from(*scores.get(place)?.get(at.checked_sub(1)?)?));
    let gap =
        score(&found.own_scores).zip(score(&found.reference_scores)).map(|(own, reference)| own - reference);
    Some(gap.unwrap_or(f64::INFINITY))
}

fn tokens(pairs: &[(&Answers, &Answers)], tolerances: &Tolerances) -> Stage {
    let partings = |(expected, found): &(&Answers, &Answers)| {
        (0..expected.own.len()).map(|place| parting(expected, found, place)).collect::<Vec<_>>()
    };
    let partings: Vec<Option<f64>> = pairs.iter().flat_map(partings).collect();
    answers("greedy tokens", &partings, "part where the device holds both tokens within", tolerances)
}

/// A search weighs whole sequences: one that it did not find must be as good as its own, token for token on average.
fn searched(pairs: &[(&Answers, &Answers)], tolerances: &Tolerances) -> Stage {
    let mean = |scores: Option<&Vec<f32>>| {
        let scores = scores?;
        Some(scores.iter().map(|score| f64::from(*score)).sum::<f64>() / scores.len().max(1) as f64)
    };
    let gap = |expected: &Answers, found: &Answers, place: usize| {
        if expected.own.get(place)? == found.own.get(place)? {
            return None;
        }
        let (own, reference) = (mean(found.own_scores.get(place)), mean(found.reference_scores.get(place)));
        Some(own.zip(reference).map_or(f64::INFINITY, |(own, reference)| (own - reference).abs()))
    };
    let gaps: Vec<Option<f64>> = pairs
        .iter()
        .flat_map(|(expected, found)| (0..expected.own.len()).map(move |place| gap(expected, found, place)))
        .collect();
    answers("3 beams", &gaps, "are as probable for the device, per token, within", tolerances)
}

fn answers(name: &'static str, gaps: &[Option<f64>], words: &str, tolerances: &Tolerances) -> Stage {
    let limit = tolerances.near_tie;
    let others: Vec<f64> = gaps.iter().flatten().copied().collect();
    let worst = others.iter().copied().fold(0.0, larger);
    let same = gaps.len() - others.len();
    let mut says = format!("{same} of {} answers the same", gaps.len());
    if !others.is_empty() {
        says.push_str(&format!("; the others {words} {worst:.3} (limit {limit})"));
    }
    Stage { name, outcome: Outcome::passed_if(worst <= limit && !gaps.is_empty()), says }
}

/// What is no number counts as infinite: it must not pass.
fn larger(a: f64, b: f64) -> f64 {
    if b.is_nan() { f64::INFINITY } else { a.max(b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Tolerances = Tolerances {
        pixels_levels: 1.0,
        features: 0.01,
        scores_mean: 0.02,
        scores_worst: 0.5,
        near_tie: 0.2,
    };

    /// One answer of tokens 2, 0, then these, with a score for each token after the first.
    fn answer(tokens: &[u32], own: &[f32], reference: &[f32]) -> Answers {
        Answers {
            own: vec![[&[2, 0], tokens].concat()],
            own_scores: vec![[&[0.0], own].concat()],
            reference_scores: vec![[&[0.0], reference].concat()],
        }
    }

    #[test]
    fn answers_that_are_the_same_pass_whatever_their_scores() {
        let expected = answer(&[5, 6], &[-0.1, -0.2], &[-0.1, -0.2]);
        let stage = tokens(&[(&expected, &expected)], &LIMITS);
        assert_eq!((stage.outcome, stage.says.as_str()), (Outcome::Passed, "1 of 1 answers the same"));
    }

    #[test]
    fn answers_may_part_at_a_near_tie_and_nowhere_else() {
        let expected = answer(&[5, 6], &[-0.1, -0.7], &[-0.1, -0.7]);
        // Token 7 instead of 6: at a distance of 0.1, then of 1.
        let near = answer(&[5, 7], &[-0.1, -0.6], &[-0.1, -0.7]);
        let far = answer(&[5, 7], &[-0.1, -0.1], &[-0.1, -1.1]);
        assert_eq!(tokens(&[(&expected, &near)], &LIMITS).outcome, Outcome::Passed);
        assert_eq!(tokens(&[(&expected, &far)], &LIMITS).outcome, Outcome::Failed);
    }

    #[test]
    fn an_answer_that_is_cut_short_does_not_pass() {
        let expected = answer(&[5, 6], &[-0.1, -0.7], &[-0.1, -0.7]);
        let short = answer(&[5], &[-0.1], &[-0.1, -0.7]);
        assert_eq!(tokens(&[(&expected, &short)], &LIMITS).outcome, Outcome::Failed);
    }

    #[test]
    fn scores_are_held_to_their_mean_and_to_their_worst() {
        let expected = answer(&[5, 6], &[], &[-0.1, -0.2]);
        let outcome =
            |reference: &[f32]| scores(&[(&expected, &answer(&[5, 6], &[], reference))], &LIMITS).outcome;
        assert_eq!(outcome(&[-0.11, -0.21]), Outcome::Passed);
        assert_eq!(outcome(&[-0.2, -0.3]), Outcome::Failed, "on average");
        assert_eq!(outcome(&[-0.1, f32::NAN]), Outcome::Failed, "not a number");
        assert_eq!(scores(&[], &LIMITS).outcome, Outcome::Failed, "nothing was compared");
    }

    #[test]
    fn a_searched_answer_may_differ_where_it_is_as_good() {
        let expected = answer(&[5, 6], &[-0.5, -0.5], &[-0.5, -0.5]);
        let outcome = |own: &[f32]| {
            let found = answer(&[8, 9], own, &[-0.5, -0.5]);
            searched(&[(&expected, &found)], &LIMITS).outcome
        };
        assert_eq!(outcome(&[-0.4, -0.7]), Outcome::Passed);
        assert_eq!(outcome(&[-2.0, -2.0]), Outcome::Failed);
    }

    #[test]
    fn features_are_compared_by_their_relative_distance() {
        assert_eq!(relative_error(&[3.0, 4.0], &[3.0, 4.0]), 0.0);
        assert!((relative_error(&[3.0, 4.0], &[3.0, 4.5]) - 0.1).abs() < 1e-6);
        assert_eq!(relative_error(&[1.0], &[1.0, 2.0]), f64::INFINITY);
        assert!(larger(0.0, relative_error(&[1.0], &[f32::NAN])).is_infinite());
    }
}
