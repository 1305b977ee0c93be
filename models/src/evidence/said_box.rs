//! Which tokens of an answer said a box.

use std::ops::Range;

use crate::ModelError;
use crate::parse::{Answer, Symbol, symbols};
use crate::tokens::Tokenizer;

/// A box in an answer, by its tokens' places in the sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SaidBox {
    /// The words before it; empty where there are none.
    pub(super) label: Range<usize>,
    /// Its four location tokens.
    pub(super) locations: [usize; 4],
    /// x1, y1, x2, y2 in location bins, as they were said.
    pub(super) bins: [u16; 4],
}

impl SaidBox {
    /// Every box of an answer in its order, the same ones that the answer is read as: those of open-vocabulary detection,
    /// where what stands beside a polygon's tokens is no box, or those of phrase grounding.
    ///
    /// # Errors
    /// [`ModelError::Decode`] only.
    pub(super) fn all(
        tokenizer: &Tokenizer,
        token_ids: &[u32],
        has_polygons: bool,
    ) -> Result<Vec<SaidBox>, ModelError> {
        let mut boxes = Vec::new();
        let mut label = 0..0;
        // Of the object being read: its boxes, unless a polygon's token shows that they are outlines.
        let mut object: Vec<SaidBox> = Vec::new();
        let mut is_polygon = false;
        let mut finish = |object: &mut Vec<SaidBox>, is_polygon: &mut bool| match std::mem::take(is_polygon)
            && has_polygons
        {
            true => object.clear(),
            false => boxes.append(object),
        };
        for symbol in symbols(tokenizer, Answer { token_ids, log_probs: &[] })? {
            match symbol {
                Symbol::Words { tokens, .. } => {
                    finish(&mut object, &mut is_polygon);
                    label = tokens;
                }
                Symbol::Locations(run) => {
                    object.extend(run.as_chunks::<4>().0.iter().map(|corners| SaidBox {
                        label: label.clone(),
                        locations: corners.map(|location| location.place),
                        bins: corners.map(|location| location.bin),
                    }))
                }
                Symbol::Separator => is_polygon = true,
                Symbol::PolygonStart => {
                    finish(&mut object, &mut is_polygon);
                    is_polygon = true;
                }
                Symbol::PolygonEnd => {
                    is_polygon = true;
                    finish(&mut object, &mut is_polygon);
                }
            }
        }
        finish(&mut object, &mut is_polygon);
        Ok(boxes)
    }

    /// The log-probabilities of the words and of the four locations. `log_probs[i]` belongs to token i + 1.
    pub(super) fn log_probs<'a>(&self, log_probs: &'a [f32]) -> (&'a [f32], Vec<f32>) {
        let Range { start, end } = self.label;
        let label = log_probs.get(start.saturating_sub(1)..end.saturating_sub(1)).unwrap_or_default();
        let location = |place: &usize| log_probs.get(place.checked_sub(1)?).copied();
        (label, self.locations.iter().map(location).collect::<Option<_>>().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::SaidBox;
    use crate::parse::{Answer, ParseMode, Shape};
    use crate::tasks::{PictureSize, Task};
    use crate::tokens::Tokenizer;

    const PICTURE: PictureSize = PictureSize { width: 1000, height: 1000 };

    fn tokenizer() -> Tokenizer {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tokenizer/tokenizer.json");
        Tokenizer::open(&file, 51289).unwrap()
    }

    fn one_spaced(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Labels and corners of the boxes that the parser finds.
    fn parsed(tokenizer: &Tokenizer, task: Task, token_ids: &[u32]) -> Vec<(String, [f32; 4])> {
        let answer = Answer { token_ids, log_probs: &[] };
        let regions = task.parse(tokenizer, answer, PICTURE, ParseMode::Default).unwrap().regions;
        let boxes = regions.into_iter().filter_map(|region| match region.shape {
            Shape::Box(corners_px) => Some((one_spaced(&region.label), corners_px)),
            _ => None,
        });
        boxes.collect()
    }

    fn said(tokenizer: &Tokenizer, task: Task, token_ids: &[u32]) -> Vec<(String, [f32; 4])> {
        let boxes =
            SaidBox::all(tokenizer, token_ids, task == Task::OpenVocabularyDetection).unwrap().into_iter();
        boxes
            .map(|said| {
                let label = tokenizer.decode_plain(&token_ids[said.label.clone()]).unwrap();
                assert_eq!(
                    said.locations.map(|place| token_ids[place]),
                    said.bins.map(|bin| tokenizer.vocabulary().location(bin))
                );
                (one_spaced(&label), PICTURE.box_px(said.bins))
            })
            .collect()
    }

    #[test]
    fn broken_answers_hold_the_same_boxes_as_the_parser_reads() {
        let tokenizer = tokenizer();
        let locs = |bins: &[u16]| -> String { bins.iter().map(|bin| format!("<loc_{bin}>")).collect() };
        let (three, four, one) = (locs(&[1, 2, 3]), locs(&[10, 20, 30, 40]), locs(&[7]));
        for (text, boxes) in [
            (format!("car{four}"), 1),
            (format!("car{three}<sep>{one}"), 0),
            (format!("car{three}<pad>{one}"), 1),
            (format!("car{three}<s>{one}{four}"), 2),
            (format!("car{three} {one}"), 0),
            (format!("car{four} {four}"), 2),
            (format!("car{four}<sep>{four}"), 0),
            (format!("car<poly>{four}{four}</poly>dog{four}"), 1),
            (format!("car{four}<poly>{four}{four}"), 1),
            (format!("car{three}</poly>{one}"), 0),
            (format!("{four}car"), 1),
        ] {
            let mut ids = vec![2];
            ids.extend(tokenizer.encode(&text).unwrap());
            let task = Task::OpenVocabularyDetection;
            let found = said(&tokenizer, task, &ids);
            assert_eq!(found.len(), boxes, "{text}");
            assert_eq!(found, parsed(&tokenizer, task, &ids), "{text}");
        }
    }

    #[test]
    fn any_answer_holds_the_same_boxes_as_the_parser_reads() {
        let tokenizer = tokenizer();
        let vocabulary = *tokenizer.vocabulary();
        let mut random = fastrand::Rng::with_seed(8);
        // Words that a grounding answer keeps, and white space.
        let words = [" car", " red", "dog", " ", "\n"]
            .map(|word| tokenizer.encode(word).unwrap()[1..].iter().copied().next().unwrap());
        let mut found = 0;
        for _ in 0..2000 {
            let token = |random: &mut fastrand::Rng| match random.u32(..16) {
                0..3 => words[random.usize(..words.len())],
                3 => vocabulary.separator,
                4 => [vocabulary.polygon_start, vocabulary.polygon_end][random.usize(..2)],
                5 => [vocabulary.bos, vocabulary.pad, u32::MAX][random.usize(..3)],
                _ => vocabulary.location(random.u16(..1000)),
            };
            let ids: Vec<u32> =
                std::iter::once(2).chain(std::iter::repeat_with(|| token(&mut random)).take(24)).collect();
            for task in [Task::OpenVocabularyDetection, Task::PhraseGrounding] {
                let mut boxes = said(&tokenizer, task, &ids);
                if task == Task::PhraseGrounding {
                    // Without a phrase before it nothing is grounded.
                    boxes.retain(|(label, _)| !label.is_empty());
                }
                assert_eq!(boxes, parsed(&tokenizer, task, &ids), "{ids:?}");
                found += boxes.len();
            }
        }
        assert!(found > 1000);
    }
}
