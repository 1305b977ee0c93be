//! The valid word nearest to a wrong one.

/// The candidate with the smallest edit distance (Damerau-Levenshtein) to `word`, unless even that
/// one has little in common with it.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()).div_ceil(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_keyboard_finds_its_word() {
        let keys = ["name", "url", "fps", "tasks", "transport", "decoder"];
        assert_eq!(nearest("taks", keys).as_deref(), Some("tasks"));
        assert_eq!(nearest("FPS", keys).as_deref(), Some("fps"));
        assert_eq!(nearest("tranport", keys).as_deref(), Some("transport"));
    }

    #[test]
    fn a_word_like_no_other_finds_none() {
        assert_eq!(nearest("zzzzzzzz", ["name", "url"]), None);
        assert_eq!(nearest("anything", []), None);
    }
}
