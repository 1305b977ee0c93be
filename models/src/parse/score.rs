//! How sure the model was of a region's place.

/// Log-probabilities are at most 0; rounding may carry one this far above.
const ROUNDING: f32 = 1e-3;

/// exp of the mean of log-probabilities: the geometric mean of the probabilities (spec sections 7.3 and 8.4).
///
/// `None` if there are none, if one is missing, or if one is no log-probability.
pub(super) fn geometric_mean(log_probs: impl IntoIterator<Item = Option<f32>>) -> Option<f32> {
    let (mut sum, mut count) = (0.0_f64, 0_u32);
    for log_prob in log_probs {
        // NaN fails the comparison; minus infinity, a probability of 0, does not.
        let log_prob = log_prob.filter(|log_prob| *log_prob <= ROUNDING)?;
        sum += f64::from(log_prob.min(0.0));
        count += 1;
    }
    (count > 0).then(|| (sum / f64::from(count)).exp() as f32)
}

#[cfg(test)]
mod tests {
    use super::geometric_mean;

    #[test]
    fn the_score_is_the_geometric_mean_of_the_probabilities() {
        let score = geometric_mean([0.5_f32, 0.5, 0.125, 0.5].map(|p| Some(p.ln())));
        assert!((score.unwrap() - 0.353_553_4).abs() < 1e-6, "{score:?}");
    }

    #[test]
    fn an_impossible_token_scores_zero() {
        assert_eq!(geometric_mean([Some(-0.1), Some(f32::NEG_INFINITY)]), Some(0.0));
    }

    #[test]
    fn no_score_is_made_up() {
        assert_eq!(geometric_mean([]), None);
        assert_eq!(geometric_mean([Some(-0.1), None]), None);
        assert_eq!(geometric_mean([Some(-0.1), Some(f32::NAN)]), None);
        assert_eq!(geometric_mean([Some(-0.1), Some(f32::INFINITY)]), None);
        assert_eq!(geometric_mean([Some(-0.1), Some(2.5)]), None);
    }
}
