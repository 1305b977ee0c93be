//! How much of a call goes through an engine at once. What a call takes in memory must not follow from how much was
//! asked, nor from what a model said.

use std::ops::Range;

/// Prompts encoded together; full-size base holds 22 MB of cross caches for each.
const MAX_PROMPTS: usize = 16;
/// Rows decoded together. The decoder is bound by computing by then, so that more would gain nothing.
const MAX_ROWS: usize = 32;
/// Logits of given answers at once: 64 MiB, which an engine may hold twice.
const MAX_LOGITS: usize = 16 << 20;

/// The prompts that are answered together, by their places: portions of about the same size.
pub(crate) fn of_prompts(prompts: usize, beams: usize) -> impl Iterator<Item = Range<usize>> {
    let most = (MAX_ROWS / beams.max(1)).clamp(1, MAX_PROMPTS);
    let size = prompts.div_ceil(prompts.div_ceil(most).max(1)).max(1);
    (0..prompts).step_by(size).map(move |first| first..prompts.min(first + size))
}

/// The prompts whose given answers are judged together, by their places: `each` answers to a prompt, logits for
/// `vocabulary` tokens at every position of the longest. A single prompt's are never parted.
pub(crate) fn of_answers(answers: &[&[u32]], each: usize, vocabulary: usize) -> Vec<Range<usize>> {
    let mut portions: Vec<Range<usize>> = Vec::new();
    let mut longest = 0;
    for (place, answers) in answers.chunks(each.max(1)).enumerate() {
        let own = answers.iter().map(|answer| answer.len()).max().unwrap_or(0);
        if let Some(last) = portions.last_mut() {
            let prompts = last.len() + 1;
            let rows = prompts.saturating_mul(each);
            let logits = rows.saturating_mul(longest.max(own)).saturating_mul(vocabulary);
            if prompts <= MAX_PROMPTS && logits <= MAX_LOGITS {
                last.end = place + 1;
                longest = longest.max(own);
                continue;
            }
        }
        portions.push(place..place + 1);
        longest = own;
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_is_in_one_portion_and_no_portion_is_larger_than_it_may_be() {
        for beams in [0, 1, 3, 16, 100] {
            for prompts in 0..70 {
                let portions: Vec<Range<usize>> = of_prompts(prompts, beams).collect();
                assert!(portions.iter().all(|portion| (1..=MAX_PROMPTS).contains(&portion.len())));
                assert!(
                    portions.iter().all(|portion| portion.len() == 1 || portion.len() * beams <= MAX_ROWS)
                );
                assert!(portions.into_iter().flatten().eq(0..prompts), "{prompts} prompts, {beams} beams");
            }
        }
        assert_eq!(of_prompts(22, 1).collect::<Vec<_>>(), [0..11, 11..22], "none is nearly empty");
    }

    #[test]
    fn answers_are_judged_in_portions_of_bounded_logits_where_more_than_one_prompt_is_in_them() {
        let sizes = [2, 3, 9, 400, 5, 1, 0, 40, 7, 120, 2];
        let answers: Vec<Vec<u32>> = (0..99).map(|i| vec![0; sizes[i % sizes.len()]]).collect();
        let answers: Vec<&[u32]> = answers.iter().map(Vec::as_slice).collect();
        for each in [1, 3, 9] {
            let vocabulary = 51289;
            let portions = of_answers(&answers, each, vocabulary);
            assert!(portions.len() > 3);
            for portion in &portions {
                let rows = portion.start * each..portion.end * each;
                let longest = answers[rows.clone()].iter().map(|answer| answer.len()).max().unwrap();
                assert!(portion.len() == 1 || rows.len() * longest * vocabulary <= MAX_LOGITS);
                assert!(portion.len() <= MAX_PROMPTS);
            }
            assert!(portions.into_iter().flatten().eq(0..99 / each));
        }
    }
}
