//! The edge cases and worked examples of spec section 7.4, as the original parsers read them.

use belvedere_models::{ParseMode, PictureSize, Region, Shape, Task};

use crate::support::{THOUSAND, boxed, ids, json, locs, polygons, quad, read, read_ids, sequence};

fn regions(task: Task, text: &str) -> Vec<Region> {
    read(task, text, ParseMode::Reference).regions
}

fn od(text: &str) -> Vec<Region> {
    regions(Task::ObjectDetection, text)
}

fn segmented(text: &str) -> Vec<Region> {
    let regions = regions(Task::ReferringExpressionSegmentation, text);
    assert_eq!(regions, self::regions(Task::RegionToSegmentation, text));
    regions
}

#[test]
fn an_empty_answer_has_no_boxes() {
    assert_eq!(od(""), []);
}

#[test]
fn a_broken_run_leaks_into_the_next_label() {
    let text = format!("car{}dog{}", locs([1, 2, 3]), locs([4, 5, 6, 7]));
    assert_eq!(od(&text), [boxed("loc_3>dog", [4, 5, 6, 7])]);
}

#[test]
fn the_rest_of_a_run_is_dropped() {
    assert_eq!(od(&format!("car{}", locs(1..=6))), [boxed("car", [1, 2, 3, 4])]);
}

#[test]
fn a_box_before_the_first_label_is_lost_and_spoils_the_label() {
    let text = format!("{}car{}", locs([1, 2, 3, 4]), locs([5, 6, 7, 8]));
    assert_eq!(od(&text), [boxed("loc_4>car", [5, 6, 7, 8])]);
}

#[test]
fn letters_outside_ascii_are_dropped() {
    assert_eq!(od(&format!("café{}", locs([5, 6, 7, 8]))), [boxed("caf", [5, 6, 7, 8])]);
}

#[test]
fn a_line_end_in_a_label_drops_the_chunk() {
    assert_eq!(od(&format!("a\nb{}", locs([5, 6, 7, 8]))), []);
}

#[test]
fn a_label_begins_after_its_last_less_than_sign() {
    assert_eq!(od(&format!("a<b{}", locs([5, 6, 7, 8]))), [boxed("b", [5, 6, 7, 8])]);
}

#[test]
fn an_inverted_box_stays_inverted() {
    let inverted = [900, 900, 100, 100];
    assert_eq!(od(&format!("car{}", locs(inverted))), [boxed("car", inverted)]);
}

#[test]
fn grounding_leaves_out_pronouns_with_their_case() {
    let box_of = locs([1, 2, 3, 4]);
    let grounded = regions(Task::PhraseGrounding, &format!("it{box_of}The{box_of}the{box_of}"));
    assert_eq!(grounded, [boxed("The", [1, 2, 3, 4])]);
}

#[test]
fn grounding_repeats_the_label_for_every_box() {
    let grounded = regions(Task::PhraseGrounding, &format!("trees{}", locs(1..=8)));
    assert_eq!(grounded, [boxed("trees", [1, 2, 3, 4]), boxed("trees", [5, 6, 7, 8])]);
}

#[test]
fn an_odd_value_of_a_polygon_is_dropped() {
    let points = [10, 20, 30, 20, 30, 40];
    assert_eq!(segmented(&(locs(points) + "<loc_7>")), [polygons("", &[&points])]);
}

#[test]
fn a_separator_stands_between_the_polygons_of_one_object() {
    let (a, b) = ([10, 20, 30, 20, 30, 40], [50, 50, 60, 50, 60, 60]);
    assert_eq!(segmented(&format!("{}<sep>{}", locs(a), locs(b))), [polygons("", &[&a, &b])]);
}

#[test]
fn polygon_tokens_enclose_objects() {
    let (a, b) = ([10, 20, 30, 20, 30, 40], [50, 50, 60, 50, 60, 60]);
    let text = format!("<poly>{}</poly><poly>{}</poly>", locs(a), locs(b));
    assert_eq!(segmented(&text), [polygons("", &[&a]), polygons("", &[&b])]);
}

#[test]
fn segmentation_ignores_text() {
    let points = [10, 20, 30, 20, 30, 40];
    assert_eq!(segmented(&format!("a car{}", locs(points))), [polygons("", &[&points])]);
}

#[test]
fn three_values_are_no_polygon() {
    assert_eq!(segmented(&locs([10, 20, 30])), []);
}

#[test]
fn open_vocabulary_polygons_are_labelled() {
    let (a, b) = ([10, 20, 30, 20, 30, 40], [50, 50, 60, 50, 60, 60]);
    let text = format!("sign<poly>{}</poly>STOP<poly>{}</poly>", locs(a), locs(b));
    let found = regions(Task::OpenVocabularyDetection, &text);
    assert_eq!(found, [polygons("sign", &[&a]), polygons("STOP", &[&b])]);
}

#[test]
fn one_label_serves_several_objects_of_several_polygons() {
    let (p, q, r) = ([1, 2, 3, 4, 5, 6], [11, 12, 13, 14, 15, 16], [21, 22, 23, 24, 25, 26]);
    let text = format!("a<poly>{}<sep>{}</poly><poly>{}</poly>", locs(p), locs(q), locs(r));
    let found = regions(Task::OpenVocabularyDetection, &text);
    assert_eq!(found, [polygons("a", &[&p, &q]), polygons("a", &[&r])]);
}

#[test]
fn the_first_text_read_with_its_quad_begins_with_the_decoder_start() {
    let text = format!("CUDA{}88{}", locs(1..=8), locs(11..=18));
    let found = regions(Task::OcrWithRegion, &text);
    let second = [11, 12, 13, 14, 15, 16, 17, 18];
    assert_eq!(found, [quad("</s>CUDA", [1, 2, 3, 4, 5, 6, 7, 8]), quad("88", second)]);
}

#[test]
fn an_incomplete_quad_becomes_part_of_the_next_text() {
    let text = format!("x{}y{}", locs(1..=4), locs(1..=8));
    let label = "</s>x<loc_1><loc_2><loc_3><loc_4>y";
    assert_eq!(regions(Task::OcrWithRegion, &text), [quad(label, [1, 2, 3, 4, 5, 6, 7, 8])]);
}

#[test]
fn a_text_read_with_its_quad_begins_after_the_line_end() {
    let text = format!("a\nb{}", locs(1..=8));
    assert_eq!(regions(Task::OcrWithRegion, &text), [quad("b", [1, 2, 3, 4, 5, 6, 7, 8])]);
}

#[test]
fn a_regions_text_keeps_the_region_and_the_pads() {
    let mut ids = sequence("car<loc_52><loc_332><loc_932><loc_774>");
    ids.push(1);
    let output =
        read_ids(Task::RegionToCategory, &ids, &[], PictureSize::new(640, 480), ParseMode::Reference);
    assert_eq!(output.text, "car<loc_52><loc_332><loc_932><loc_774><pad>");
    assert_eq!(output.regions, []);
}

#[test]
fn boxes_are_scored_by_their_location_tokens() {
    let ids = sequence(&format!("car{}dog{}", locs(1..=4), locs(5..=12)));
    // `<s>` is the first token after the decoder's start and has a log-probability of 0.
    let log_probs: Vec<f32> = (0..ids.len() - 1).map(|index| -0.1 * index as f32).collect();
    let output = read_ids(Task::ObjectDetection, &ids, &log_probs, THOUSAND, ParseMode::Reference);
    let scores: Vec<(&str, f32)> =
        output.regions.iter().map(|r| (r.label.as_str(), r.score.unwrap())).collect();
    let expected = [("car", 0.70469), ("dog", 0.42741), ("dog", 0.28650)];
    assert_eq!(scores.len(), 3);
    for ((label, score), (expected_label, expected_score)) in scores.into_iter().zip(expected) {
        assert_eq!(label, expected_label);
        assert!((score - expected_score).abs() < 5e-6, "{label} {score} {expected_score}");
    }
}

#[test]
fn other_tasks_than_detection_and_dense_captions_have_no_scores() {
    let ids = sequence(&format!("car{}", locs(1..=8)));
    let log_probs = vec![-0.1; ids.len() - 1];
    for task in Task::ALL {
        let output = read_ids(task, &ids, &log_probs, THOUSAND, ParseMode::Reference);
        let scored = matches!(task, Task::ObjectDetection | Task::DenseRegionCaption);
        assert!(output.regions.iter().all(|region| region.score.is_some() == scored), "{task}");
    }
}

/// The boxes as transformers reports them: truncated to integers.
fn whole_pixels(regions: &[Region]) -> Vec<[i32; 4]> {
    let corners = regions.iter().map(|region| match &region.shape {
        Shape::Box(corners) => corners.map(|px| px as i32),
        other => panic!("not a box: {other:?}"),
    });
    corners.collect()
}

fn close(shape: &Shape, expected: [f32; 4]) -> bool {
    let Shape::Box(corners) = shape else { return false };
    corners.iter().zip(expected).all(|(px, expected)| (px - expected).abs() < 1e-4)
}

#[test]
fn published_answers_have_their_published_boxes_in_both_modes() {
    let file = json("published_answers.json");
    let mut boxes = 0;
    for case in file["cases"].as_array().unwrap().iter().filter(|case| case["parsed_bboxes_int"].is_array()) {
        let picture = match case["image"].as_str().unwrap() {
            "A" => PictureSize::new(1300, 876),
            _ => PictureSize::new(640, 480),
        };
        let prompt = case["prompt"].as_str().unwrap();
        let task = *Task::ALL.iter().find(|task| prompt.starts_with(task.reference_name())).unwrap();
        let expected: Vec<[i32; 4]> = serde_json::from_value(case["parsed_bboxes_int"].clone()).unwrap();
        for mode in [ParseMode::Reference, ParseMode::Default] {
            let regions = read_ids(task, &ids(&case["output_ids"]), &[], picture, mode).regions;
            assert_eq!(whole_pixels(&regions), expected, "{prompt} {mode:?}");
            let labels: Vec<&str> = regions.iter().map(|region| region.label.as_str()).collect();
            let published = case["labels"].as_array().cloned().unwrap_or(vec!["".into(); expected.len()]);
            assert_eq!(serde_json::to_value(labels).unwrap(), serde_json::Value::Array(published));
        }
        boxes += expected.len();
    }
    assert_eq!(boxes, 10 + 3 + 4 + 8 + 1);
}

#[test]
fn published_captions_read_as_published() {
    let file = json("published_answers.json");
    let case = |model: &str, prompt: &str| {
        let cases = file["cases"].as_array().unwrap();
        ids(
            &cases.iter().find(|case| case["model"] == model && case["prompt"] == prompt).unwrap()["output_ids"],
        )
    };
    for mode in [ParseMode::Reference, ParseMode::Default] {
        let short = read_ids(Task::Caption, &case("large", "<CAPTION>"), &[], THOUSAND, mode);
        assert_eq!(short.text, "a green car parked in front of a yellow building");
        let long = read_ids(Task::DetailedCaption, &case("base", "<DETAILED_CAPTION>"), &[], THOUSAND, mode);
        assert!(
            long.text.starts_with(
                "The image shows a stop sign sitting on the side of a street in Chinatown, New York City. "
            ),
            "{}",
            long.text
        );
    }
}

#[test]
fn worked_examples_have_their_float_pixels() {
    let car = PictureSize::new(640, 480);
    let text = "car<loc_53><loc_333><loc_933><loc_774>door handle<loc_425><loc_503><loc_474><loc_515>\
                wheel<loc_709><loc_576><loc_865><loc_772><loc_150><loc_584><loc_309><loc_773>";
    for mode in [ParseMode::Reference, ParseMode::Default] {
        let regions = read_ids(Task::ObjectDetection, &sequence(text), &[], car, mode).regions;
        let labels: Vec<&str> = regions.iter().map(|region| region.label.as_str()).collect();
        assert_eq!(labels, ["car", "door handle", "wheel", "wheel"]);
        assert!(close(&regions[0].shape, [34.24, 160.08, 597.44, 371.76]), "{regions:?}");
        assert_eq!(
            whole_pixels(&regions),
            [[34, 160, 597, 371], [272, 241, 303, 247], [454, 276, 553, 370], [96, 280, 198, 371]]
        );

        let notebook = "car<loc_52><loc_332><loc_932><loc_774>";
        let regions = read_ids(Task::ObjectDetection, &sequence(notebook), &[], car, mode).regions;
        assert!(close(&regions[0].shape, [33.6, 159.6, 596.8, 371.76]), "{regions:?}");

        let grounded =
            "A green car<loc_53><loc_331><loc_909><loc_780>a yellow building<loc_2><loc_8><loc_998><loc_635>";
        let regions = read_ids(Task::PhraseGrounding, &sequence(grounded), &[], car, mode).regions;
        let labels: Vec<&str> = regions.iter().map(|region| region.label.as_str()).collect();
        assert_eq!(labels, ["A green car", "a yellow building"]);
    }
}

#[test]
fn boxes_published_with_a_decimal_are_middles_of_bins() {
    // COCO 000000039769, 640x480, as a third party's port reports it to a tenth of a pixel.
    let picture = PictureSize::new(640, 480);
    let cats_couch_remotes = [
        [17.0, 54.0, 318.4, 471.6],
        [346.6, 25.7, 639.0, 372.7],
        [0.3, 0.2, 639.0, 479.3],
        [40.6, 73.7, 175.7, 116.9],
        [333.1, 76.6, 370.2, 186.5],
    ];
    for [x1, y1, x2, y2] in cats_couch_remotes {
        let x = |px: f32| (picture.x_px(picture.x_bin(px)) - px).abs();
        let y = |px: f32| (picture.y_px(picture.y_bin(px)) - px).abs();
        assert!([x(x1), y(y1), x(x2), y(y2)].into_iter().all(|off_px| off_px < 0.0501));
    }
}

#[test]
fn a_chinese_sign_keeps_its_text_and_its_quad() {
    let text = "<s><s>中新中<loc_533><loc_68><loc_653><loc_68><loc_653><loc_128><loc_533><loc_128>\
                88<loc_1><loc_2><loc_3><loc_2><loc_3><loc_4><loc_1><loc_4>";
    let street = PictureSize::new(1300, 876);
    for (mode, first) in [(ParseMode::Reference, "</s>中新中"), (ParseMode::Default, "中新中")] {
        let regions = read_ids(Task::OcrWithRegion, &sequence(text), &[], street, mode).regions;
        assert_eq!([regions[0].label.as_str(), regions[1].label.as_str()], [first, "88"]);
        let Shape::Quad(corners) = regions[0].shape else { panic!("a quad") };
        assert_eq!(corners.map(|px| px as i32), [693, 60, 849, 60, 849, 112, 693, 112]);
    }
}
