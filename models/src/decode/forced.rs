use super::scan::{LogSumExp, all_finite};
use crate::ModelError;
use crate::engine::Logits;

/// The log-probability of each token of each sequence given those before it, read off the logits of
/// [`force`](crate::engine::DecodeBatch::force): entry t of a row belongs to the sequence's token t + 1. Logits are
/// normalised over the first `vocabulary` tokens, without any processor's bans. The second token, which generation
/// forces, has 0.
///
/// # Errors
/// Logits that are not finite.
pub(crate) fn log_probs_of(
    logits: Logits<'_>,
    sequences: &[&[u32]],
    vocabulary: usize,
    precision: &'static str,
) -> Result<Vec<Vec<f32>>, ModelError> {
    let longest = sequences.iter().map(|sequence| sequence.len()).max().unwrap_or(0);
    let rows: Vec<&mut [f32]> = logits.into_rows().collect();
    let of_sequence = rows.chunks(longest.max(1)).zip(sequences).enumerate();
    of_sequence
        .map(|(row, (positions, sequence))| {
            let next = sequence.iter().skip(1);
            let given = positions.iter().zip(next).enumerate().map(|(step, (position, token))| {
                if step == 0 {
                    return Ok(0.0);
                }
                let known = position.get(..vocabulary.min(position.len())).unwrap_or_default();
                if !all_finite(known) {
                    return Err(ModelError::LogitsNotFinite { step, row, precision });
                }
                let logit = known.get(*token as usize).copied().unwrap_or(f32::NEG_INFINITY);
                Ok(LogSumExp::of(known).map_or(f32::NEG_INFINITY, |of| of.log_prob(logit)))
            });
            given.collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::log_probs_of;
    use crate::engine::Logits;

    #[test]
    fn each_token_is_judged_by_the_logits_of_the_position_before_it() {
        // Two rows of three positions over two tokens (and one column that belongs to no token).
        let ln = |p: f32| p.ln();
        let mut logits = vec![
            5.0,
            5.0,
            9.0,
            ln(0.25),
            ln(0.75),
            9.0,
            ln(0.5),
            ln(0.5),
            9.0, // the third is never asked
            5.0,
            5.0,
            9.0,
            ln(0.9),
            ln(0.1),
            9.0,
            0.0,
            0.0,
            9.0,
        ];
        let sequences: [&[u32]; 2] = [&[1, 0, 1], &[1, 0]];
        let given = log_probs_of(Logits::new(&mut logits, 3), &sequences, 2, "exact").unwrap();
        assert_eq!((given[0].len(), given[1].len()), (2, 1));
        assert_eq!((given[0][0], given[1][0]), (0.0, 0.0), "the forced token");
        assert!((given[0][1] - ln(0.75)).abs() < 1e-6, "{given:?}");
    }

    #[test]
    fn logits_that_are_not_finite_are_an_error() {
        let mut logits = vec![0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0];
        let sequences: [&[u32]; 1] = [&[1, 0, 1]];
        assert!(log_probs_of(Logits::new(&mut logits, 2), &sequences, 2, "exact").is_err());
    }
}
