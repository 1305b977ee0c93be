/// What an open-vocabulary question asks for: a kind, perhaps of one colour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Phrase {
    /// `None` for any colour.
    pub colour: Option<String>,
    /// Of the thing.
    pub kind: String,
}

impl Phrase {
    /// Reads `red car`, `a red car`, `the car` and the like; `None` for anything else.
    pub fn read(text: &str) -> Option<Self> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        if let Some(&("a" | "an" | "the")) = words.first() {
            words.remove(0);
        }
        match words[..] {
            [kind] => Some(Self { colour: None, kind: kind.to_owned() }),
            [colour, kind] => Some(Self { colour: Some(colour.to_owned()), kind: kind.to_owned() }),
            _ => None,
        }
    }

    /// Whether it means a thing of this colour and kind.
    pub fn means(&self, colour: &str, kind: &str) -> bool {
        self.kind == kind && self.colour.as_deref().is_none_or(|wanted| wanted == colour)
    }
}

#[cfg(test)]
mod tests {
    use super::Phrase;

    #[test]
    fn a_phrase_without_a_colour_means_all_of_a_kind() {
        let car = Phrase::read("the car").unwrap();
        assert!(car.means("red", "car") && car.means("blue", "car") && !car.means("red", "dog"));
        let red_car = Phrase::read("red car").unwrap();
        assert!(red_car.means("red", "car") && !red_car.means("blue", "car") && !red_car.means("red", "dog"));
        assert_eq!(Phrase::read("a red car").unwrap(), red_car);
    }

    #[test]
    fn a_sentence_is_no_phrase() {
        assert_eq!(Phrase::read(""), None);
        assert_eq!(Phrase::read("the"), None);
        assert_eq!(Phrase::read("a red car on a road"), None);
    }
}
