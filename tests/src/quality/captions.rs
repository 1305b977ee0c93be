use std::collections::BTreeSet;

/// What a caption names: a colour and a kind each.
///
/// Reads captions as models/tiny/language.py writes them, such as `red car, two blue balls and green dog`, or `an empty
/// street`. How many there are of a thing is not looked at. `None` for anything else.
pub fn named(caption: &str) -> Option<BTreeSet<(String, String)>> {
    let caption = caption.trim();
    if caption == "an empty street" {
        return Some(BTreeSet::new());
    }
    caption.split(", ").flat_map(|part| part.split(" and ")).map(one).collect()
}

fn one(part: &str) -> Option<(String, String)> {
    let words: Vec<&str> = part.split(' ').collect();
    match words[..] {
        [colour, kind] if !colour.is_empty() && !kind.is_empty() => {
            Some((colour.to_owned(), kind.to_owned()))
        }
        ["two" | "three" | "four" | "five", colour, kinds] => Some((colour.to_owned(), singular(kinds)?)),
        _ => None,
    }
}

fn singular(kinds: &str) -> Option<String> {
    Some(match kinds {
        "people" => "person".to_owned(),
        "boxes" => "box".to_owned(),
        _ => kinds.strip_suffix('s')?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::named;

    fn pairs(caption: &str) -> Option<Vec<String>> {
        Some(named(caption)?.into_iter().map(|(colour, kind)| format!("{colour} {kind}")).collect())
    }

    #[test]
    fn a_caption_names_a_set_of_colours_and_kinds() {
        let caption = "red car, two blue balls and green dog";
        assert_eq!(pairs(caption).unwrap(), ["blue ball", "green dog", "red car"]);
        assert_eq!(pairs("red car").unwrap(), ["red car"]);
        assert_eq!(pairs("three black people and two red boxes").unwrap(), ["black person", "red box"]);
    }

    #[test]
    fn an_empty_street_names_nothing() {
        assert_eq!(pairs("an empty street").unwrap(), [""; 0]);
    }

    #[test]
    fn the_same_thing_twice_is_the_same_set() {
        assert_eq!(named("red car and red car"), named("two red cars"));
    }

    #[test]
    fn what_is_no_such_caption_is_not_read() {
        for caption in
            ["", "car", "two red car", "red car,blue ball", "red  car", "red car and", "six red cars"]
        {
            assert_eq!(named(caption), None, "{caption:?}");
        }
    }

    #[test]
    fn two_words_are_taken_for_a_colour_and_a_kind_whatever_they_are() {
        assert_eq!(pairs("a street").unwrap(), ["a street"]);
    }
}
