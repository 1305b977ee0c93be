use std::collections::BTreeMap;

use belvedere_models::Evidence;
use serde::Serialize;

use crate::quality::Scene;

/// Phrases that are there, asked about a scene at most; as many that are not are asked with them.
const PRESENT: usize = 2;
const KINDS: [&str; 8] = ["car", "truck", "person", "dog", "ball", "box", "cone", "bicycle"];
const COLOURS: [&str; 8] = ["red", "green", "blue", "yellow", "orange", "purple", "white", "black"];
/// So many of the absent phrases share colour or kind with something that is there.
const LIKENESS_SHARE: f64 = 0.6;

/// A phrase in a picture: what is true, and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct PhraseFrame {
    /// The scene's number.
    pub scene: usize,
    /// What was asked for.
    pub phrase: String,
    /// Whether it is there.
    pub is_there: bool,
    /// The best region's score; 0 where there is none.
    pub score: f32,
    /// What the score is made of; `None` where there is no region.
    pub evidence: Option<Evidence>,
}

/// The phrases that scene `number` is asked for, with whether they are there: as many that are as are not, and one that
/// is not for an empty scene. Seven in ten name a colour.
pub fn questions(number: usize, scene: &Scene) -> Vec<(String, bool)> {
    let mut rng = fastrand::Rng::with_seed(number as u64);
    let worded = |rng: &mut fastrand::Rng, colour: &str, kind: &str| match rng.f64() < 0.7 {
        true => format!("{colour} {kind}"),
        false => kind.to_owned(),
    };
    let mut named = scene.named.clone();
    rng.shuffle(&mut named);
    let mut asked = BTreeMap::new();
    for (colour, kind) in named.iter().take(PRESENT) {
        asked.insert(worded(&mut rng, colour, kind), true);
    }
    let wanted = asked.len() + asked.len().max(1);
    while asked.len() < wanted {
        let (mut colour, mut kind) =
            (rng.choice(COLOURS).unwrap_or("red"), rng.choice(KINDS).unwrap_or("car"));
        if !named.is_empty() && rng.f64() < LIKENESS_SHARE {
            let (like_colour, like_kind) = &named[rng.usize(..named.len())];
            match rng.bool() {
                true => colour = like_colour,
                false => kind = like_kind,
            }
        }
        let phrase = worded(&mut rng, colour, kind);
        let is_there =
            named.iter().any(|(colour, kind)| phrase == *kind || phrase == format!("{colour} {kind}"));
        if !is_there {
            asked.insert(phrase, false);
        }
    }
    asked.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::questions;
    use crate::quality::Scene;

    fn scene(named: &[[&str; 2]]) -> Scene {
        serde_json::from_value(serde_json::json!({
            "picture": "scene.png", "crc32": 1, "named": named, "objects": [], "questions": {},
        }))
        .unwrap()
    }

    #[test]
    fn half_of_the_phrases_are_absent_and_they_are_truly_absent() {
        let scene = scene(&[["red", "car"], ["blue", "dog"], ["red", "ball"]]);
        for number in 0..200 {
            let asked = questions(number, &scene);
            let present: Vec<_> = asked.iter().filter(|(_, is_there)| *is_there).collect();
            assert_eq!(asked.len(), 2 * present.len(), "{asked:?}");
            let there = ["car", "dog", "ball", "red car", "blue dog", "red ball"];
            assert!(asked.iter().all(|(phrase, is_there)| there.contains(&phrase.as_str()) == *is_there));
        }
    }

    #[test]
    fn an_empty_scene_is_asked_for_one_thing_that_is_not_there() {
        let asked = questions(3, &scene(&[]));
        assert!(matches!(asked.as_slice(), [(_, false)]), "{asked:?}");
    }
}
