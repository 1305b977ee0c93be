//! The default reading: what it repairs of the cases of spec section 7.4, and scores.

use belvedere_models::{Answer, ParseMode, PictureSize, Prompt, Region, Shape, Task, TaskOutput};
use serde_json::json;

use crate::support::{THOUSAND, boxed, locs, polygons, quad, read, read_ids, sequence, tokenizer};

fn output(task: Task, text: &str) -> TaskOutput {
    read(task, text, ParseMode::Default)
}

fn regions(task: Task, text: &str) -> Vec<Region> {
    output(task, text).regions
}

fn od(text: &str) -> Vec<Region> {
    regions(Task::ObjectDetection, text)
}

#[test]
fn a_broken_run_is_dropped_and_leaves_the_next_label_alone() {
    let text = format!("car{}dog{}", locs([1, 2, 3]), locs([4, 5, 6, 7]));
    assert_eq!(od(&text), [boxed("dog", [4, 5, 6, 7])]);
    assert_eq!(od(&format!("car{}", locs(1..=6))), [boxed("car", [1, 2, 3, 4])]);
}

#[test]
fn a_box_before_the_first_label_stays_and_has_none() {
    let text = format!("{}car{}", locs([1, 2, 3, 4]), locs([5, 6, 7, 8]));
    assert_eq!(od(&text), [boxed("", [1, 2, 3, 4]), boxed("car", [5, 6, 7, 8])]);
    assert_eq!(regions(Task::PhraseGrounding, &text), [boxed("car", [5, 6, 7, 8])]);
}

#[test]
fn labels_keep_their_letters_and_are_one_trimmed_line() {
    let label = |label: &str| od(&format!("{label}{}", locs([5, 6, 7, 8])))[0].label.clone();
    assert_eq!(label("café"), "café");
    assert_eq!(label("中新中 🚲"), "中新中 🚲");
    assert_eq!(label("a\nb"), "a b");
    assert_eq!(label("\r\n a \n"), "a");
    assert_eq!(label("a<b"), "a<b");
    assert_eq!(label("<od>car</od>"), "car", "special tokens are no words");
}

#[test]
fn an_inverted_box_is_turned_the_right_way_round() {
    assert_eq!(od(&format!("car{}", locs([900, 100, 100, 900]))), [boxed("car", [100, 100, 900, 900])]);
}

#[test]
fn runs_of_the_start_token_and_pads_are_nothing() {
    let mut ids = sequence(&format!("<s><s>car<pad>{}<s>{}", locs([1, 2]), locs([3, 4])));
    ids.extend([1, 1, 1]);
    let output = read_ids(Task::ObjectDetection, &ids, &[], THOUSAND, ParseMode::Default);
    assert_eq!(output.regions, [boxed("car", [1, 2, 3, 4])]);
    assert_eq!(output.text, "car<loc_1><loc_2><loc_3><loc_4>");
}

#[test]
fn an_answer_ends_at_its_end_token() {
    let mut ids = sequence("car");
    ids.extend(sequence("dog"));
    assert_eq!(read_ids(Task::Caption, &ids, &[], THOUSAND, ParseMode::Default).text, "car");
}

#[test]
fn white_space_between_boxes_does_not_take_their_label() {
    let text = format!("car{}\n{}", locs([1, 2, 3, 4]), locs([5, 6, 7, 8]));
    assert_eq!(od(&text), [boxed("car", [1, 2, 3, 4]), boxed("car", [5, 6, 7, 8])]);
}

#[test]
fn the_region_that_was_asked_about_is_stripped_from_its_text() {
    let text = " car<loc_52><loc_332><loc_932><loc_774>";
    for task in [Task::RegionToCategory, Task::RegionToDescription, Task::RegionToOcr] {
        assert_eq!(output(task, text), TaskOutput { text: "car".into(), regions: vec![] }, "{task}");
        assert_eq!(output(task, "<loc_52><loc_332><loc_932><loc_774>").text, "");
    }
    assert_eq!(output(Task::Caption, text).text, text.trim(), "a caption has no region to strip");
}

#[test]
fn grounding_leaves_out_what_the_reference_leaves_out() {
    let box_of = locs([1, 2, 3, 4]);
    let text = format!("it{box_of}The{box_of} the image {box_of}a café{box_of}");
    let grounded = regions(Task::PhraseGrounding, &text);
    assert_eq!(grounded, [boxed("The", [1, 2, 3, 4]), boxed("a café", [1, 2, 3, 4])]);
}

#[test]
fn region_proposals_have_no_labels() {
    let text = format!("{}car{}", locs(1..=9), locs(11..=14));
    let expected = [boxed("", [1, 2, 3, 4]), boxed("", [5, 6, 7, 8]), boxed("", [11, 12, 13, 14])];
    assert_eq!(regions(Task::RegionProposal, &text), expected);
}

#[test]
fn an_incomplete_quad_is_dropped_with_its_text() {
    let text = format!("x{}y{}", locs(1..=4), locs(1..=8));
    assert_eq!(regions(Task::OcrWithRegion, &text), [quad("y", [1, 2, 3, 4, 5, 6, 7, 8])]);
    let text = format!("a\nb{}", locs(1..=8));
    assert_eq!(regions(Task::OcrWithRegion, &text), [quad("a b", [1, 2, 3, 4, 5, 6, 7, 8])]);
}

#[test]
fn polygons_are_objects_of_outlines_with_an_area() {
    let (a, b) = ([10, 20, 30, 20, 30, 40], [50, 50, 60, 50, 60, 60]);
    let seg = |text: &str| regions(Task::ReferringExpressionSegmentation, text);
    let (pa, pb) = (locs(a), locs(b));
    assert_eq!(seg(&format!("{pa}<loc_7>")), [polygons("", &[&a])]);
    assert_eq!(seg(&format!("{pa}<sep>{pb}")), [polygons("", &[&a, &b])]);
    assert_eq!(
        seg(&format!("<poly>{pa}</poly><poly>{pb}</poly>")),
        [polygons("", &[&a]), polygons("", &[&b])]
    );
    assert_eq!(seg(&format!("a car{pa}")), [polygons("", &[&a])]);
    assert_eq!(seg(&format!("<poly>{pa}<sep>{}</poly>", locs(1..=5))), [polygons("", &[&a])], "two points");
    assert_eq!(seg(&format!("<poly>{pa}<sep>{pb}")), [polygons("", &[&a, &b])], "cut off");
    assert_eq!(seg(&locs([10, 20, 30])), []);
    assert_eq!(seg("<poly></poly><sep><poly>"), []);
}

#[test]
fn open_vocabulary_answers_may_mix_boxes_and_polygons() {
    let a = [10, 20, 30, 20, 30, 40];
    let text = format!("sign<poly>{}</poly>car{}", locs(a), locs(1..=8));
    let expected = [polygons("sign", &[&a]), boxed("car", [1, 2, 3, 4]), boxed("car", [5, 6, 7, 8])];
    assert_eq!(regions(Task::OpenVocabularyDetection, &text), expected);
}

/// Log-probabilities of the location tokens are the negated thousandths of their bins, of others 1 percent.
fn scored(task: Task, text: &str) -> Vec<f32> {
    let ids = sequence(text);
    let first = tokenizer().vocabulary().first_location;
    let log_prob =
        |id: &u32| id.checked_sub(first).filter(|bin| *bin < 1000).map_or(-4.6, |bin| bin as f32 / -1000.0);
    let log_probs: Vec<f32> = ids[1..].iter().map(log_prob).collect();
    let output = read_ids(task, &ids, &log_probs, THOUSAND, ParseMode::Default);
    output.regions.iter().map(|region| region.score.unwrap()).collect()
}

#[test]
fn every_kind_of_region_is_scored_by_all_of_its_location_tokens() {
    let close = |scores: Vec<f32>, means: &[f32]| {
        assert_eq!(scores.len(), means.len());
        for (score, mean) in scores.iter().zip(means) {
            assert!((score - (-mean / 1000.0).exp()).abs() < 1e-6, "{scores:?} {means:?}");
        }
    };
    let two = format!("café{}", locs([100, 200, 300, 400, 500, 600, 700, 900]));
    for task in
        [Task::ObjectDetection, Task::PhraseGrounding, Task::OpenVocabularyDetection, Task::RegionProposal]
    {
        close(scored(task, &two), &[250.0, 675.0]);
    }
    close(scored(Task::OcrWithRegion, &two), &[462.5]);
    let outlines = format!("{}<loc_999><sep>{}", locs([0, 100, 200, 300, 400, 500]), locs([300; 6]));
    close(scored(Task::ReferringExpressionSegmentation, &outlines), &[275.0]);
}

#[test]
fn scores_stay_with_their_tokens_after_a_broken_run() {
    let text = format!("car{}é{}", locs([1, 2, 3]), locs([700; 4]));
    assert!((scored(Task::ObjectDetection, &text)[0] - (-0.7_f32).exp()).abs() < 1e-6);
}

#[test]
fn without_log_probabilities_there_is_no_score() {
    let ids = sequence(&format!("car{}", locs(1..=8)));
    let all = vec![-0.5; ids.len() - 1];
    // Cut within the second box.
    let some = &all[..all.len() - 2];
    let regions =
        |log_probs| read_ids(Task::ObjectDetection, &ids, log_probs, THOUSAND, ParseMode::Default).regions;
    let scores =
        |log_probs| regions(log_probs).iter().map(|region| region.score.is_some()).collect::<Vec<_>>();
    assert_eq!(scores(&all), [true, true]);
    assert_eq!(scores(some), [true, false]);
    assert_eq!(scores(&[]), [false, false]);
}

#[test]
fn a_free_prompts_answer_is_its_text() {
    let prompt = Prompt::free(tokenizer(), "<DocVQA>What is the date?", 100).unwrap();
    let ids = sequence(" 1 May<loc_3>");
    let answer = Answer { token_ids: &ids, log_probs: &[] };
    let output = prompt.parse(tokenizer(), answer, THOUSAND, ParseMode::Default).unwrap();
    assert_eq!(output, TaskOutput { text: "1 May<loc_3>".into(), regions: vec![] });
}

#[test]
fn a_region_is_written_with_one_shape_and_its_score() {
    let ids = sequence("car<loc_53><loc_333><loc_933><loc_774>");
    let log_probs = vec![0.5_f32.ln(); ids.len() - 1];
    let output =
        read_ids(Task::ObjectDetection, &ids, &log_probs, PictureSize::new(640, 480), ParseMode::Default);
    let text = serde_json::to_string(&output).unwrap();
    let expected = r#"{"text":"car<loc_53><loc_333><loc_933><loc_774>","regions":[{"label":"car","score":0.5,"box":[34.24,160.08,597.44,371.76]}]}"#;
    assert_eq!(text, expected);

    let quad = Region { label: "x".into(), score: None, shape: Shape::Quad([0.5; 8]) };
    assert_eq!(serde_json::to_value(quad).unwrap(), json!({"label": "x", "quad": vec![0.5; 8]}));
    let mask = Region { label: "".into(), score: None, shape: Shape::Polygons(vec![vec![0.5; 6]]) };
    assert_eq!(serde_json::to_value(mask).unwrap(), json!({"label": "", "polygons": vec![vec![0.5; 6]]}));
}
