//! Any sequence of ids is an answer.

use belvedere_models::{Answer, ParseMode, PictureSize, Prompt, Region, Shape, Task, TaskOutput};

use crate::support::{read_ids, sequence, tokenizer};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % u64::from(limit)) as u32
    }

    /// Mostly locations in runs, with everything else between them.
    fn sequence(&mut self) -> Vec<u32> {
        let vocabulary = *tokenizer().vocabulary();
        let len = [0, 1, 2, 3, 30, 300, 4096][self.below(7) as usize];
        let text = self.below(10);
        let mut ids = Vec::with_capacity(len);
        while ids.len() < len {
            match self.below(20) {
                0 => ids.push(
                    [vocabulary.bos, vocabulary.pad, vocabulary.eos]
                        [self.below(60).saturating_sub(57) as usize],
                ),
                1 => ids.push(vocabulary.separator),
                2 => ids.push([vocabulary.polygon_start, vocabulary.polygon_end][self.below(2) as usize]),
                3 => ids.push(self.below(u32::MAX)),
                4 => ids.push(vocabulary.len + self.below(3)),
                other if other < 5 + text => ids.push(self.below(vocabulary.first_location)),
                _ => ids.extend((0..self.below(12)).map(|_| vocabulary.location(self.below(1000) as u16))),
            }
        }
        ids.truncate(len);
        ids
    }

    fn log_probs(&mut self, len: usize) -> Vec<f32> {
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3.0, -0.0, f32::MIN];
        let mut log_prob = || match self.below(200) {
            choice @ 0..6 => odd[choice as usize],
            _ => self.below(1000) as f32 / -300.0,
        };
        (0..len).map(|_| log_prob()).collect()
    }
}

fn coordinates(region: &Region) -> Vec<f32> {
    match &region.shape {
        Shape::Box(px) => px.to_vec(),
        Shape::Quad(px) => px.to_vec(),
        Shape::Polygons(outlines) => outlines.concat(),
    }
}

#[track_caller]
fn holds(output: &TaskOutput, ids: &[u32], picture: PictureSize, mode: ParseMode) {
    // The longest token of the vocabulary has 128 characters, the longest character four bytes.
    let text_limit = ids.len() * 512;
    assert!(output.text.len() <= text_limit);
    let mut count = 0;
    for region in &output.regions {
        assert!(region.label.len() <= text_limit);
        assert!(region.score.is_none_or(|score| (0.0..=1.0).contains(&score)), "{region:?}");
        let coordinates = coordinates(region);
        for [x, y] in coordinates.as_chunks::<2>().0 {
            assert!((0.0..=picture.width as f32).contains(x), "{region:?} in {picture}");
            assert!((0.0..=picture.height as f32).contains(y), "{region:?} in {picture}");
        }
        if let (Shape::Box([x1, y1, x2, y2]), ParseMode::Default) = (&region.shape, mode) {
            assert!(x1 <= x2 && y1 <= y2, "{region:?}");
        }
        count += coordinates.len();
    }
    assert!(count <= ids.len(), "no more coordinates than tokens");
    serde_json::to_string(output).unwrap();
}

#[test]
fn random_ids_give_bounded_answers_inside_the_picture() {
    let mut chance = Chance(20_241_115);
    let pictures = [(640, 480), (1, 1), (20_000, 3), (u32::MAX, u32::MAX), (0, 0)];
    let mut regions = [0; 2];
    for round in 0..120 {
        let (width, height) = pictures[round % pictures.len()];
        let picture = PictureSize::new(width, height);
        let ids = chance.sequence();
        let known = chance.below(2) as usize * ids.len();
        let log_probs = chance.log_probs(known);
        for task in Task::ALL {
            for mode in [ParseMode::Default, ParseMode::Reference] {
                let output = read_ids(task, &ids, &log_probs, picture, mode);
                holds(&output, &ids, picture, mode);
                regions[mode as usize] += output.regions.len();
            }
        }
        let free = Prompt::free(tokenizer(), "anything", 10).unwrap();
        let answer = Answer { token_ids: &ids, log_probs: &log_probs };
        holds(
            &free.parse(tokenizer(), answer, picture, ParseMode::Default).unwrap(),
            &ids,
            picture,
            ParseMode::Default,
        );
    }
    assert!(regions.iter().all(|count| *count > 10_000), "the sequences have regions to read: {regions:?}");
}

#[test]
fn locations_spelled_from_letters_stay_inside_the_picture() {
    // The text of a location token without being one: its first character is a token of its own.
    let spelled = |bin: &str| {
        let mut ids = tokenizer().encode("<").unwrap();
        ids.pop();
        ids.extend(tokenizer().encode(&format!("loc_{bin}>")).unwrap().iter().filter(|id| **id > 2));
        ids.split_off(1)
    };
    let numbers = ["5000", "99999999999999999999999999", "1000", "0"];
    let mut ids = sequence("car");
    ids.pop();
    ids.extend(numbers.iter().flat_map(|bin| spelled(bin)));
    let picture = PictureSize::new(640, 480);
    let text = tokenizer().decode(&ids).unwrap();
    assert!(text.ends_with("car<loc_5000><loc_99999999999999999999999999><loc_1000><loc_0>"), "{text}");

    let reference = read_ids(Task::ObjectDetection, &ids, &[], picture, ParseMode::Reference);
    holds(&reference, &ids, picture, ParseMode::Reference);
    assert_eq!(reference.regions.len(), 1, "the original takes them for locations");
    let default = read_ids(Task::ObjectDetection, &ids, &[], picture, ParseMode::Default);
    assert_eq!(default.regions, [], "only location tokens are locations");
}
