//! Prompts: the published ids, and inputs that are refused.

use belvedere_models::{
    InputKind, LocationBox, ModelError, PictureSize, Prompt, PromptStyle, Task, TaskInput,
};

use crate::support::{THOUSAND, ids, json, tokenizer};

/// 1024 positions less 577 image tokens.
const LIMIT: usize = 1024 - 577;

fn prompt(task: Task, input: TaskInput) -> Result<Prompt, ModelError> {
    Prompt::new(tokenizer(), task, input, PromptStyle::Trimmed, LIMIT)
}

fn from_reference(text: &str, style: PromptStyle) -> Result<Prompt, ModelError> {
    Prompt::from_reference(tokenizer(), text, style, LIMIT)
}

fn text(text: &str) -> TaskInput {
    TaskInput::Text(text.to_owned())
}

#[test]
fn every_row_of_the_table_of_prompts_has_its_published_ids() {
    let region = TaskInput::Region(LocationBox::from_tokens("<loc_52><loc_332><loc_932><loc_774>").unwrap());
    let [l1, l2, l3, l4] = [50321, 50601, 51201, 51043];
    let rows: [(Task, TaskInput, &str, &[u32]); 15] = [
        (
            Task::Caption,
            TaskInput::Nothing,
            "What does the image describe?",
            &[0, 2264, 473, 5, 2274, 6190, 116, 2],
        ),
        (
            Task::DetailedCaption,
            TaskInput::Nothing,
            "Describe in detail what is shown in the image.",
            &[0, 47066, 21700, 11, 4617, 99, 16, 2343, 11, 5, 2274, 4, 2],
        ),
        (
            Task::MoreDetailedCaption,
            TaskInput::Nothing,
            "Describe with a paragraph what is shown in the image.",
            &[0, 47066, 21700, 19, 10, 17818, 99, 16, 2343, 11, 5, 2274, 4, 2],
        ),
        (
            Task::Ocr,
            TaskInput::Nothing,
            "What is the text in the image?",
            &[0, 2264, 16, 5, 2788, 11, 5, 2274, 116, 2],
        ),
        (
            Task::OcrWithRegion,
            TaskInput::Nothing,
            "What is the text in the image, with regions?",
            &[0, 2264, 16, 5, 2788, 11, 5, 2274, 6, 19, 3806, 116, 2],
        ),
        (
            Task::ObjectDetection,
            TaskInput::Nothing,
            "Locate the objects with category name in the image.",
            &[0, 574, 22486, 5, 8720, 19, 4120, 766, 11, 5, 2274, 4, 2],
        ),
        (
            Task::DenseRegionCaption,
            TaskInput::Nothing,
            "Locate the objects in the image, with their descriptions.",
            &[0, 574, 22486, 5, 8720, 11, 5, 2274, 6, 19, 49, 24173, 4, 2],
        ),
        (
            Task::RegionProposal,
            TaskInput::Nothing,
            "Locate the region proposals in the image.",
            &[0, 574, 22486, 5, 976, 5327, 11, 5, 2274, 4, 2],
        ),
        (
            Task::PhraseGrounding,
            text("A green car parked in front of a yellow building."),
            "Locate the phrases in the caption: A green car parked in front of a yellow building.",
            &[0, 574, 22486, 5, 22810, 11, 5, 3747, 35, 83, 2272, 512, 9181, 11, 760, 9, 10, 5718, 745, 4, 2],
        ),
        (
            Task::OpenVocabularyDetection,
            text("a green car"),
            "Locate a green car in the image.",
            &[0, 574, 22486, 10, 2272, 512, 11, 5, 2274, 4, 2],
        ),
        (
            Task::ReferringExpressionSegmentation,
            text("a car"),
            "Locate a car in the image with mask",
            &[0, 574, 22486, 10, 512, 11, 5, 2274, 19, 11445, 2],
        ),
        (
            Task::RegionToSegmentation,
            region.clone(),
            "What is the polygon mask of region <loc_52><loc_332><loc_932><loc_774>",
            &[0, 2264, 16, 5, 11424, 14601, 11445, 9, 976, 1437, l1, l2, l3, l4, 2],
        ),
        (
            Task::RegionToCategory,
            region.clone(),
            "What is the region <loc_52><loc_332><loc_932><loc_774>?",
            &[0, 2264, 16, 5, 976, 1437, l1, l2, l3, l4, 116, 2],
        ),
        (
            Task::RegionToDescription,
            region.clone(),
            "What does the region <loc_52><loc_332><loc_932><loc_774> describe?",
            &[0, 2264, 473, 5, 976, 1437, l1, l2, l3, l4, 6190, 116, 2],
        ),
        (
            Task::RegionToOcr,
            region,
            "What text is in the region <loc_52><loc_332><loc_932><loc_774>?",
            &[0, 2264, 2788, 16, 11, 5, 976, 1437, l1, l2, l3, l4, 116, 2],
        ),
    ];
    for (task, input, text, ids) in rows {
        let prompt = prompt(task, input).unwrap();
        assert_eq!(prompt.text(), text);
        assert_eq!(prompt.token_ids(), ids, "{task}");
        assert_eq!(prompt.task(), Some(task));
    }
}

#[test]
fn the_published_prompts_have_their_ids() {
    let file = json("text_prompts.json");
    let prompts = file["prompts"].as_object().unwrap();
    assert_eq!(prompts.len(), 15);
    for (name, row) in prompts {
        assert!(Task::ALL.iter().any(|task| task.reference_name() == name), "{name}");
        let text = row["text"].as_str().unwrap();
        assert_eq!(tokenizer().encode(text).unwrap(), ids(&row["ids"]), "{name}");
    }
}

#[test]
fn prompts_of_the_published_answers_have_their_ids() {
    let file = json("published_answers.json");
    let cases = file["cases"].as_array().unwrap().iter().filter(|case| case["encoder_text_ids"].is_array());
    for case in cases {
        let prompt = from_reference(case["prompt"].as_str().unwrap(), PromptStyle::Trimmed).unwrap();
        let mut expected = ids(&case["encoder_text_ids"]);
        expected.retain(|id| *id != tokenizer().vocabulary().pad);
        assert_eq!(prompt.token_ids(), expected);
    }
}

#[test]
fn prompts_become_what_transformers_makes_of_them() {
    for row in json("text_goldens.json")["prompts"].as_array().unwrap() {
        let prompt = from_reference(row["prompt"].as_str().unwrap(), PromptStyle::Trimmed).unwrap();
        assert_eq!(prompt.text(), row["text"].as_str().unwrap());
        assert_eq!(prompt.token_ids(), ids(&row["ids"]), "{:?}", prompt.text());
    }
}

#[test]
fn the_original_keeps_white_space_around_the_input() {
    let given = "<OPEN_VOCABULARY_DETECTION> a car";
    assert_eq!(from_reference(given, PromptStyle::Verbatim).unwrap().text(), "Locate  a car in the image.");
    assert_eq!(from_reference(given, PromptStyle::Trimmed).unwrap().text(), "Locate a car in the image.");
}

#[test]
fn several_phrases_are_joined_by_the_and_token() {
    let phrases = TaskInput::Phrases(vec!["a cat ".into(), " ".into(), "a dog".into()]);
    let prompt = prompt(Task::OpenVocabularyDetection, phrases).unwrap();
    assert_eq!(prompt.text(), "Locate a cat<and>a dog in the image.");
    assert_eq!(prompt.token_ids().iter().filter(|id| **id == 51288).count(), 1);
}

#[test]
fn a_task_name_beside_other_text_is_refused_as_in_the_reference() {
    let error = from_reference("<OD> a car", PromptStyle::Trimmed).unwrap_err();
    assert!(matches!(error, ModelError::TaskNameNotAlone { name: "<OD>", .. }), "{error}");
    let error = from_reference("<REGION_TO_OCR>here", PromptStyle::Trimmed).unwrap_err();
    assert!(matches!(error, ModelError::RegionText { .. }), "{error}");
}

#[test]
fn a_task_refuses_the_input_of_another() {
    let region = || TaskInput::Region(LocationBox::from_pixels([0.0, 0.0, 1.0, 1.0], THOUSAND).unwrap());
    for task in Task::ALL {
        let nothing = prompt(task, TaskInput::Nothing);
        let text = prompt(task, text("a car"));
        let region = prompt(task, region());
        let taken = [nothing.is_ok(), text.is_ok(), region.is_ok()];
        match task.input() {
            InputKind::Nothing => assert_eq!(taken, [true, false, false], "{task}"),
            InputKind::Text => assert_eq!(taken, [false, true, false], "{task}"),
            InputKind::Region => assert_eq!(taken, [false, false, true], "{task}"),
        }
        for error in [nothing, text, region].into_iter().filter_map(Result::err) {
            assert!(error.to_string().contains(task.name()), "{error}");
        }
    }
}

#[test]
fn an_empty_text_is_a_missing_text() {
    for input in [text(" \n"), TaskInput::Phrases(vec![]), TaskInput::Phrases(vec![" ".into()])] {
        let error = prompt(Task::PhraseGrounding, input).unwrap_err();
        assert_eq!(error.to_string(), "task phrase-grounding needs a text");
    }
}

#[test]
fn a_prompt_too_long_for_the_model_is_an_error_that_says_by_how_much() {
    let words = |count: usize| Prompt::free(tokenizer(), &" car".repeat(count), LIMIT);
    assert_eq!(words(LIMIT - 2).unwrap().token_ids().len(), LIMIT);
    let error = words(LIMIT - 1).unwrap_err();
    assert!(matches!(error, ModelError::PromptTooLong { tokens: 448, limit: 447, .. }), "{error}");
    assert!(error.to_string().len() < 250, "the text is not repeated in full");
}

#[test]
fn the_image_placeholder_is_refused_in_a_text() {
    let error = prompt(Task::OpenVocabularyDetection, text("an <image>")).unwrap_err();
    assert!(error.to_string().contains("\"<image>\""), "{error}");
}

#[test]
fn boxes_in_pixels_get_the_bins_that_transformers_gives_them() {
    let file = json("text_goldens.json");
    let rows = file["bins"].as_array().unwrap();
    let mut read = 0;
    for row in rows {
        let [width, height]: [u32; 2] = serde_json::from_value(row["picture"].clone()).unwrap();
        let [x1, y1, x2, y2]: [f32; 4] = serde_json::from_value(row["box"].clone()).unwrap();
        let picture = PictureSize::new(width, height);
        // The reference takes boxes without area, prompts do not.
        let Ok(region) = LocationBox::from_pixels([x1, y1, x2, y2], picture) else {
            assert!(x1 == x2 || y1 == y2, "{row}");
            continue;
        };
        let bins: [u16; 4] = serde_json::from_value(row["bins"].clone()).unwrap();
        assert_eq!(region.bins(), bins, "{row}");
        read += 1;
    }
    assert!(read * 2 > rows.len(), "most rows have an area");
}

#[test]
fn a_region_outside_the_picture_is_an_error_that_says_both() {
    let picture = PictureSize::new(640, 480);
    let nan = f32::NAN;
    for corners in [
        [-1.0, 0.0, 10.0, 10.0],
        [0.0, 0.0, 641.0, 10.0],
        [0.0, 0.0, 10.0, 480.5],
        [10.0, 0.0, 5.0, 10.0],
        [5.0, 5.0, 5.0, 10.0],
        [nan, 0.0, 10.0, 10.0],
        [0.0, 0.0, f32::INFINITY, 10.0],
    ] {
        let error = LocationBox::from_pixels(corners, picture).unwrap_err();
        assert!(matches!(error, ModelError::RegionOutsidePicture { .. }));
        assert!(error.to_string().contains("640x480"), "{error}");
    }
    let whole = LocationBox::from_pixels([0.0, 0.0, 640.0, 480.0], picture).unwrap();
    assert_eq!(whole.to_string(), "<loc_0><loc_0><loc_999><loc_999>");
}

#[test]
fn a_region_written_as_tokens_must_be_four_of_them() {
    for text in [
        "",
        "<loc_1><loc_2><loc_3>",
        "<loc_1><loc_2><loc_3><loc_1000>",
        "<loc_1> <loc_2><loc_3><loc_4>",
        "x",
        "<loc_+1><loc_2><loc_3><loc_4>",
        "<loc_01><loc_2><loc_3><loc_4>",
    ] {
        assert!(LocationBox::from_tokens(text).is_err(), "{text}");
    }
    assert!(LocationBox::from_tokens("<loc_1><loc_2><loc_3><loc_4><loc_5>").is_err());
}

#[test]
fn task_names_are_those_of_the_commands() {
    let names: Vec<&str> = Task::ALL.iter().map(|task| task.name()).collect();
    let expected = "caption, detailed-caption, more-detailed-caption, object-detection, dense-region-caption, \
                    region-proposal, phrase-grounding, open-vocabulary-detection, \
                    referring-expression-segmentation, region-to-segmentation, region-to-category, \
                    region-to-description, region-to-ocr, ocr, ocr-with-region";
    assert_eq!(names.join(", "), expected);
    for task in Task::ALL {
        assert_eq!(task.name().parse::<Task>().unwrap(), task);
        assert_eq!(serde_json::to_value(task).unwrap(), task.name());
        assert_eq!(serde_json::from_value::<Task>(task.name().into()).unwrap(), task);
    }
}

#[test]
fn an_unknown_task_name_is_answered_with_the_nearest() {
    let nearest = |name: &str| match name.parse::<Task>() {
        Err(ModelError::UnknownTask { nearest, .. }) => nearest,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(nearest("object_detection"), "object-detection");
    assert_eq!(nearest("Caption"), "caption");
    assert_eq!(nearest("grounding"), "phrase-grounding");
    assert_eq!(nearest("<OD>"), "object-detection");
    assert_eq!(nearest("ocr with regions"), "ocr-with-region");
    nearest("");
}
