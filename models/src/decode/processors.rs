/// The reference's logits processors, in the order of transformers' `_get_logits_processor` (spec 4.6): no repeated
/// n-gram, no end before the least number of tokens, forced first token, forced end.
///
/// The two bans only set −inf, so their order does not matter. A forced token overrides every ban, and a forced end
/// overrides a forced first token, as later processors do: with as many tokens at least as at most, the last is still
/// the forced end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processors {
    /// 0 switches the ban off.
    pub(crate) no_repeat_ngram: usize,
    pub(crate) eos: u32,
    /// Tokens after the start token before which `eos` is banned; 0 switches the ban off.
    pub(crate) min_new_tokens: usize,
    pub(crate) forced_bos: Option<u32>,
    pub(crate) forced_eos: Option<u32>,
    /// Longest sequence, the start token included.
    pub(crate) max_length: usize,
}

impl Processors {
    /// The only token allowed after a sequence of `length` tokens, if one is forced; its log-prob is 0.
    pub(crate) fn forced(&self, length: usize) -> Option<u32> {
        let end = self.forced_eos.filter(|_| length + 1 == self.max_length);
        end.or(self.forced_bos.filter(|_| length == 1))
    }

    /// Tokens that may not follow `sequence`, possibly more than once each.
    pub(crate) fn banned<'s>(&self, sequence: &'s [u32]) -> impl Iterator<Item = u32> + use<'s> {
        // What `MinNewTokensLengthLogitsProcessor` compares: the tokens there are, not the one being chosen. The end
        // that completes the least number is banned too, unless it is forced.
        let early = sequence.len().saturating_sub(1) < self.min_new_tokens;
        self.repeated(sequence).chain(early.then_some(self.eos))
    }

    /// Tokens that would repeat an n-gram of `sequence`.
    fn repeated<'s>(&self, sequence: &'s [u32]) -> impl Iterator<Item = u32> + use<'s> {
        let n = self.no_repeat_ngram;
        let tail =
            n.checked_sub(1).and_then(|keep| sequence.len().checked_sub(keep)).map(|from| &sequence[from..]);
        tail.into_iter().flat_map(move |tail| {
            sequence
                .windows(n)
                .filter(move |gram| gram.get(..n - 1) == Some(tail))
                .filter_map(|gram| gram.last().copied())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processors() -> Processors {
        Processors {
            no_repeat_ngram: 3,
            eos: 2,
            min_new_tokens: 0,
            forced_bos: Some(0),
            forced_eos: Some(2),
            max_length: 10,
        }
    }

    fn banned(sequence: &[u32]) -> Vec<u32> {
        processors().banned(sequence).collect()
    }

    #[test]
    fn a_third_token_is_banned_after_the_pair_it_followed() {
        assert_eq!(banned(&[2, 0, 7, 8, 9, 7, 8]), [9]);
        assert_eq!(banned(&[2, 0, 7, 8, 9, 7, 8, 5, 7, 8]), [9, 5]);
    }

    #[test]
    fn a_run_of_one_token_stops_at_three() {
        assert_eq!(banned(&[2, 0, 0]), [] as [u32; 0]);
        assert_eq!(banned(&[2, 0, 0, 0]), [0]);
    }

    #[test]
    fn sequences_shorter_than_the_ngram_ban_nothing() {
        for sequence in [&[][..], &[2], &[2, 0]] {
            assert_eq!(banned(sequence), [] as [u32; 0]);
        }
    }

    #[test]
    fn a_size_of_zero_bans_nothing() {
        let off = Processors { no_repeat_ngram: 0, ..processors() };
        assert_eq!(off.banned(&[2, 0, 0, 0, 0]).count(), 0);
    }

    #[test]
    fn the_end_is_banned_until_there_are_enough_tokens() {
        let least = Processors { min_new_tokens: 3, ..processors() };
        let banned = |sequence: &[u32]| least.banned(sequence).collect::<Vec<_>>();
        assert_eq!(banned(&[2]), [2]);
        assert_eq!(banned(&[2, 0, 7]), [2]);
        assert_eq!(banned(&[2, 0, 7, 8]), [] as [u32; 0]);
    }

    #[test]
    fn both_bans_hold_at_once() {
        let least = Processors { min_new_tokens: 8, ..processors() };
        assert_eq!(least.banned(&[2, 0, 7, 8, 9, 7, 8]).collect::<Vec<_>>(), [9, 2]);
    }

    #[test]
    fn the_first_token_and_the_end_are_forced() {
        assert_eq!(processors().forced(1), Some(0));
        assert_eq!(processors().forced(2), None);
        assert_eq!(processors().forced(9), Some(2));
    }

    #[test]
    fn a_forced_end_overrides_a_forced_first_token() {
        assert_eq!(Processors { max_length: 2, ..processors() }.forced(1), Some(2));
    }
}
