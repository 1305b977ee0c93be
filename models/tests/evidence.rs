//! What is gathered about phrases, on an engine whose logits a test gives.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;

use belvedere_models::decode::{DecoderConfig, EarlyStopping};
use belvedere_models::engine::scripted::ScriptedEngine;
use belvedere_models::engine::{BatchLimits, DecodeBatch, KeptPrompt, Pixels};
use belvedere_models::evidence::{Asked, Examiner, Look};
use belvedere_models::{
    CancelToken, Engine, Evidence, Florence, FoundPhrase, Generation, ImageFeatures, ModelError, PhraseForm,
    PictureSize, Prompt, Region, ScoreWeights, Shape, StageTimes, Tokenizer, WatchedPhrase,
};

const ROWS: usize = 51289;
const PICTURE: PictureSize = PictureSize { width: 1000, height: 1000 };

fn tokenizer() -> Tokenizer {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tokenizer/tokenizer.json");
    Tokenizer::open(&file, ROWS).unwrap()
}

/// A model that holds every token equally probable, but in answers to prompts that contain the first text, those of the
/// second text, which get `bonus`.
fn florence(favours: Option<(&str, &str, f32)>) -> Florence {
    florence_with_room(favours, usize::MAX)
}

/// The same, with room to keep so many prompts.
fn florence_with_room(favours: Option<(&str, &str, f32)>, room: usize) -> Florence {
    let tokenizer = tokenizer();
    let favoured = favours.map(|(prompt, text, bonus)| {
        let within = |text: &str| {
            let ids = tokenizer.encode(text).unwrap();
            ids[1..ids.len() - 1].to_vec()
        };
        (within(prompt), within(text), bonus)
    });
    let script = move |prompt: &[u32], _: &[u32]| {
        let mut logits = vec![0.0; ROWS];
        if let Some((in_prompt, ids, bonus)) = &favoured
            && prompt.windows(in_prompt.len()).any(|window| window == in_prompt.as_slice())
        {
            ids.iter().for_each(|id| logits[*id as usize] = *bonus);
        }
        logits
    };
    let mut engine = ScriptedEngine::new(ROWS, script);
    engine.room = room;
    Florence::with_engine(Box::new(engine), decoder())
}

fn decoder() -> DecoderConfig {
    DecoderConfig {
        vocabulary: ROWS,
        decoder_start: 2,
        eos: 2,
        forced_bos: Some(0),
        forced_eos: Some(2),
        no_repeat_ngram: 3,
        early_stopping: EarlyStopping::AtOnce,
        max_positions: 1024,
    }
}

/// That model, which cannot keep a prompt that contains the token.
struct Unwilling {
    inner: ScriptedEngine,
    token: u32,
}

impl Engine for Unwilling {
    fn description(&self) -> String {
        self.inner.description()
    }

    fn precision(&self) -> &'static str {
        self.inner.precision()
    }

    fn encode_image(
        &mut self,
        pixels: Pixels<'_>,
        cancel: &CancelToken,
    ) -> Result<ImageFeatures, ModelError> {
        self.inner.encode_image(pixels, cancel)
    }

    fn start<'e>(
        &'e mut self,
        features: &ImageFeatures,
        prompts: &[&[u32]],
        limits: BatchLimits,
        cancel: &CancelToken,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        self.inner.start(features, prompts, limits, cancel)
    }

    fn keep(
        &mut self,
        features: &ImageFeatures,
        prompt: &[u32],
        cancel: &CancelToken,
    ) -> Result<KeptPrompt, ModelError> {
        if prompt.contains(&self.token) {
            return Err(ModelError::Request { what: "memory", reason: "there is none".to_owned() });
        }
        self.inner.keep(features, prompt, cancel)
    }

    fn resume<'e>(
        &'e mut self,
        prompts: &[&KeptPrompt],
        limits: BatchLimits,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        self.inner.resume(prompts, limits)
    }
}

/// An answer in which every token but the forced one has this log-probability.
fn answer(text: &str, log_prob: f32) -> Generation {
    let mut token_ids = vec![2];
    token_ids.extend(tokenizer().encode(text).unwrap());
    let mut log_probs = vec![log_prob; token_ids.len() - 1];
    log_probs[0] = 0.0;
    Generation { token_ids, log_probs, timing: StageTimes::default() }
}

/// Of the phrases, asked in this form, with these answers.
fn examine(
    florence: &mut Florence,
    texts: &[&str],
    form: PhraseForm,
    answers: &[Generation],
    detected: &[Region],
) -> Vec<FoundPhrase> {
    let tokenizer = tokenizer();
    let phrases: Vec<WatchedPhrase> =
        texts.iter().map(|text| WatchedPhrase::new(&tokenizer, text, 400).unwrap()).collect();
    let phrases: Vec<&WatchedPhrase> = phrases.iter().collect();
    let questions: Vec<(Prompt, Vec<usize>)> = form.questions(&tokenizer, &phrases).unwrap();
    assert_eq!(questions.len(), answers.len());
    let asked: Vec<Asked<'_>> = questions
        .iter()
        .zip(answers)
        .map(|((prompt, phrases), answer)| Asked { prompt, phrases, answer })
        .collect();
    let features = ScriptedEngine::features();
    let look = Look { features: &features, picture: PICTURE, phrases: &phrases, asked: &asked, detected };
    let mut examiner = Examiner::new(ScoreWeights::UNFITTED, 8, 8);
    examiner.check_every_region();
    examiner.examine(florence, &tokenizer, look, &CancelToken::new()).unwrap()
}

/// The log-probability of any token where all are equally probable.
fn even() -> f32 {
    -(ROWS as f32).ln()
}

#[test]
fn a_box_is_worth_what_its_own_tokens_were_and_how_much_a_blank_picture_lacks() {
    let said = answer("red car<loc_100><loc_200><loc_300><loc_400>", -0.5);
    let found = examine(&mut florence(None), &["red car"], PhraseForm::Each, &[said], &[]);
    let region = found[0].regions[0];
    assert_eq!(region.box_px, [100.5, 200.5, 300.5, 400.5]);
    assert!((region.evidence.location - (-0.5_f32).exp()).abs() < 1e-6, "{region:?}");
    assert!((region.evidence.label + 0.5).abs() < 1e-6, "{region:?}");
    assert!((region.evidence.contrast - (-0.5 - even())).abs() < 1e-3, "{region:?}");
    assert!((region.evidence.region.unwrap() - even()).abs() < 1e-3, "{region:?}");
    assert_eq!(region.evidence.rival, None, "nothing else is watched for or detected");
}

#[test]
fn an_answer_without_a_box_finds_nothing() {
    let broken = "red car<loc_1><loc_2><loc_3> and<loc_400>";
    for text in ["", "red car", "red car<loc_100><loc_200><loc_300>", broken] {
        let found = examine(&mut florence(None), &["red car"], PhraseForm::Each, &[answer(text, -0.1)], &[]);
        assert_eq!(found, [FoundPhrase::default()], "{text:?}");
    }
}

#[test]
fn the_region_is_asked_back_with_other_phrases_and_detected_objects_as_rivals() {
    // Asked what is in the region, the model says "blue dog".
    let mut model = florence(Some((" region", "blue dog", 20.0)));
    let answers = [
        answer("red car<loc_100><loc_200><loc_300><loc_400>", -0.5),
        answer("a blue dog<loc_100><loc_200><loc_300><loc_400>", -0.5),
    ];
    let found = examine(&mut model, &["red car", "a blue dog"], PhraseForm::Each, &answers, &[]);
    let [car, dog] = [0, 1].map(|phrase| found[phrase].regions[0].evidence);
    assert!(dog.region.unwrap() > -1.0, "the article is not a part of what is said: {dog:?}");
    assert!(car.region.unwrap() < -10.0 && car.rival.unwrap() > -1.0, "{car:?}");
    assert!(dog.rival.unwrap() < -10.0, "{dog:?}");
    assert!(found[1].regions[0].score > found[0].regions[0].score);

    let at = |corners_px: [f32; 4], label: &str| Region {
        label: label.to_owned(),
        score: None,
        shape: Shape::Box(corners_px),
    };
    let here = [at([100.0, 200.0, 300.0, 400.0], "blue dog")];
    let found = examine(&mut model, &["red car"], PhraseForm::Each, &answers[..1], &here);
    assert!(found[0].regions[0].evidence.rival.unwrap() > -1.0, "what is detected there is a rival");
    let elsewhere = [at([600.0, 600.0, 900.0, 900.0], "blue dog")];
    let found = examine(&mut model, &["red car"], PhraseForm::Each, &answers[..1], &elsewhere);
    assert_eq!(found[0].regions[0].evidence.rival, None, "what is detected elsewhere is none");
    let same = [at([100.0, 200.0, 300.0, 400.0], "car")];
    let found = examine(&mut model, &["red car"], PhraseForm::Each, &answers[..1], &same);
    assert_eq!(found[0].regions[0].evidence.rival, None, "a car may be a red car");
}

#[test]
fn a_phrase_is_as_probable_in_a_region_as_all_of_its_words() {
    // Of "blue dog" the model would say the first word only: the other's log-probability is 20 less.
    let mut model = florence(Some((" region", "blue", 20.0)));
    let said = answer("blue dog<loc_100><loc_200><loc_300><loc_400>", -0.5);
    let found = examine(&mut model, &["blue dog"], PhraseForm::Each, &[said], &[]);
    let region = found[0].regions[0].evidence.region.unwrap();
    assert!((region + 10.0).abs() < 0.1, "{region}");
}

#[test]
fn every_region_in_doubt_is_checked_and_of_a_crowd_only_the_best_are_left() {
    let boxes = |count: u16| -> String {
        (1..=count).map(|i| format!("<loc_{i}><loc_{i}><loc_{}><loc_{}>", i + 100, i + 100)).collect()
    };
    for (said, left) in [(2, 2), (9, 4)] {
        let answers = [answer(&format!("red car{}", boxes(said)), -0.5)];
        let found = examine(&mut florence(None), &["red car"], PhraseForm::Each, &answers, &[]);
        assert_eq!(found[0].regions.len(), left);
        assert!(found[0].regions.iter().all(|region| region.evidence.region.is_some()), "{found:?}");
    }
    let answers = ["red car", "blue dog"].map(|text| answer(&format!("{text}{}", boxes(3)), -0.5));
    let found = examine(&mut florence(None), &["red car", "blue dog"], PhraseForm::Each, &answers, &[]);
    assert!(found.iter().all(|found| found.regions.len() == 3), "one phrase's do not count for another");
}

#[test]
fn in_one_group_each_box_goes_to_the_phrase_that_it_is_named_for() {
    let said = answer(
        "blue dog<loc_1><loc_2><loc_3><loc_4><loc_500><loc_500><loc_600><loc_600>a tree<loc_7><loc_7><loc_9><loc_9>",
        -0.5,
    );
    let found = examine(&mut florence(None), &["red car", "A blue dog"], PhraseForm::Grouped, &[said], &[]);
    assert_eq!(found[0], FoundPhrase::default());
    let boxes: Vec<[f32; 4]> = found[1].regions.iter().map(|region| region.box_px).collect();
    assert_eq!(boxes.len(), 2, "the tree was not asked for: {found:?}");
    assert!(boxes.contains(&[1.5, 2.5, 3.5, 4.5]) && boxes.contains(&[500.5, 500.5, 600.5, 600.5]));
}

#[test]
fn a_group_that_is_too_long_for_the_model_is_asked_in_parts() {
    let tokenizer = tokenizer();
    let texts: Vec<String> = (0..12).map(|i| format!("a person who carries {i} large boxes")).collect();
    let phrases: Vec<WatchedPhrase> =
        texts.iter().map(|text| WatchedPhrase::new(&tokenizer, text, 40).unwrap()).collect();
    let phrases: Vec<&WatchedPhrase> = phrases.iter().collect();
    let questions = PhraseForm::Grouped.questions(&tokenizer, &phrases).unwrap();
    assert!(questions.len() > 1);
    assert!(questions.iter().all(|(prompt, _)| prompt.token_ids().len() <= 40));
    let places: Vec<usize> = questions.into_iter().flat_map(|(_, places)| places).collect();
    assert_eq!(places, (0..12).collect::<Vec<_>>());
}

#[test]
fn untrusted_answers_are_read_without_a_panic_and_score_between_0_and_1() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut model = florence(None);
    for _ in 0..60 {
        let ids = std::iter::repeat_with(|| match random.u32(..4) {
            0 => random.u32(..),
            1 => random.u32(..50265),
            _ => random.u32(50269..51269),
        });
        // The engine takes no ids beyond its table; those come from the model, which has none either.
        let mut token_ids: Vec<u32> = vec![2, 0];
        token_ids.extend(ids.take(30).map(|id| id % ROWS as u32));
        let log_probs = (1..token_ids.len())
            .map(|_| [0.0, -1.0, f32::NEG_INFINITY, f32::NAN][random.usize(..4)])
            .collect();
        let said = Generation { token_ids, log_probs, timing: StageTimes::default() };
        let found = examine(&mut model, &["red car"], PhraseForm::Each, &[said], &[]);
        for region in &found[0].regions {
            assert!((0.0..=1.0).contains(&region.score), "{region:?}");
        }
    }
}

#[test]
fn what_is_kept_for_a_question_can_be_given_up() {
    let tokenizer = tokenizer();
    let phrase = WatchedPhrase::new(&tokenizer, "red car", 400).unwrap();
    let said = answer("red car<loc_1><loc_2><loc_3><loc_4>", -0.5);
    let (phrases, asked) = ([&phrase], [Asked { prompt: phrase.prompt(), phrases: &[0], answer: &said }]);
    let features = ScriptedEngine::features();
    let look =
        Look { features: &features, picture: PICTURE, phrases: &phrases, asked: &asked, detected: &[] };
    let mut examiner = Examiner::new(ScoreWeights::UNFITTED, 8, 8);
    assert!(!examiner.has_kept(phrase.prompt()));
    examiner.examine(&mut florence(None), &tokenizer, look, &CancelToken::new()).unwrap();
    assert!(examiner.has_kept(phrase.prompt()));
    examiner.forget(phrase.prompt());
    assert!(!examiner.has_kept(phrase.prompt()));
}

#[test]
fn where_too_few_questions_can_be_kept_the_evidence_is_the_same() {
    let tokenizer = tokenizer();
    let phrases = ["red car", "dog", "tall tree"];
    let phrases = phrases.map(|text| WatchedPhrase::new(&tokenizer, text, 400).unwrap());
    let answers = ["red car", "dog", "tall tree"]
        .map(|text| answer(&format!("{text}<loc_100><loc_200><loc_300><loc_400>"), -0.5));
    let features = ScriptedEngine::features();
    let favours = Some(("dog", "dog", 3.0));
    let look_at = |florence: &mut Florence, examiner: &mut Examiner, places: &[usize]| {
        let phrases: Vec<&WatchedPhrase> = places.iter().map(|place| &phrases[*place]).collect();
        let own: Vec<[usize; 1]> = (0..places.len()).map(|place| [place]).collect();
        let asked: Vec<Asked<'_>> = (phrases.iter().zip(&own).zip(places))
            .map(|((phrase, own), place)| Asked {
                prompt: phrase.prompt(),
                phrases: own,
                answer: &answers[*place],
            })
            .collect();
        let look =
            Look { features: &features, picture: PICTURE, phrases: &phrases, asked: &asked, detected: &[] };
        let found = examiner.examine(florence, &tokenizer, look, &CancelToken::new()).unwrap();
        found.into_iter().map(|found| found.regions[0].evidence).collect::<Vec<_>>()
    };
    for room in [0, 1, 2, 3] {
        let (mut enough, mut short) = (florence(favours), florence_with_room(favours, room));
        let [mut expected, mut found] = [(); 2].map(|()| Examiner::new(ScoreWeights::UNFITTED, 8, 8));
        for places in [&[0][..], &[0, 1, 2], &[1], &[2, 0], &[1]] {
            let expected = look_at(&mut enough, &mut expected, places);
            let found = look_at(&mut short, &mut found, places);
            assert_eq!(found, expected, "room for {room}, {places:?}");
        }
        // What fits is kept again.
        assert_eq!(found.has_kept(phrases[1].prompt()), room > 0, "room for {room}");
    }
}

/// Phrases that an examiner is shown with a box each.
struct Shown {
    tokenizer: Tokenizer,
    phrases: Vec<WatchedPhrase>,
}

impl Shown {
    fn new(count: usize) -> Shown {
        let tokenizer = tokenizer();
        let phrases = (0..count)
            .map(|i| WatchedPhrase::new(&tokenizer, &format!("car of kind {i}"), 400).unwrap())
            .collect();
        Shown { tokenizer, phrases }
    }

    fn examine(
        &self,
        examiner: &mut Examiner,
        florence: &mut Florence,
        which: std::ops::Range<usize>,
    ) -> Vec<FoundPhrase> {
        let phrases: Vec<&WatchedPhrase> = self.phrases[which].iter().collect();
        let said = answer("car<loc_1><loc_2><loc_3><loc_4>", -0.5);
        let places: Vec<[usize; 1]> = (0..phrases.len()).map(|place| [place]).collect();
        let asked: Vec<Asked<'_>> = phrases
            .iter()
            .zip(&places)
            .map(|(phrase, place)| Asked { prompt: phrase.prompt(), phrases: place, answer: &said })
            .collect();
        let features = ScriptedEngine::features();
        let look =
            Look { features: &features, picture: PICTURE, phrases: &phrases, asked: &asked, detected: &[] };
        examiner.examine(florence, &self.tokenizer, look, &CancelToken::new()).unwrap()
    }

    fn kept(&self, examiner: &Examiner) -> Vec<usize> {
        (0..self.phrases.len()).filter(|i| examiner.has_kept(self.phrases[*i].prompt())).collect()
    }
}

/// One that asks no region back: for what is kept alone.
fn cheap_examiner() -> Examiner {
    Examiner::new(ScoreWeights { doubt: (2.0, 2.0), ..ScoreWeights::UNFITTED }, 8, 8)
}

#[test]
fn the_questions_of_several_cameras_are_kept_beside_each_other() {
    let shown = Shown::new(44);
    let (mut examiner, mut model) = (cheap_examiner(), florence(None));
    for camera in [0..22, 22..44, 0..22] {
        shown.examine(&mut examiner, &mut model, camera);
    }
    assert_eq!(shown.kept(&examiner), (0..44).collect::<Vec<_>>());
}

#[test]
fn no_more_questions_are_kept_than_there_is_room_for_and_those_not_asked_lately_go_first() {
    let shown = Shown::new(100);
    let (mut examiner, mut model) = (cheap_examiner(), florence(None));
    let found = shown.examine(&mut examiner, &mut model, 0..100);
    assert!(found.iter().all(|found| found.regions[0].evidence.contrast > 5.0), "every phrase has contrast");
    assert_eq!(shown.kept(&examiner), (0..64).collect::<Vec<_>>());
    shown.examine(&mut examiner, &mut model, 10..64);
    shown.examine(&mut examiner, &mut model, 60..70);
    let kept: Vec<usize> = shown.kept(&examiner);
    assert_eq!(kept.len(), 64);
    assert!((10..70).all(|i| kept.contains(&i)), "{kept:?}");
}

#[test]
fn a_question_that_cannot_be_kept_costs_its_own_phrase_the_contrast_and_nothing_else() {
    let shown = Shown::new(3);
    let token = tokenizer().encode(" 1").unwrap()[1];
    let engine = Unwilling { inner: ScriptedEngine::new(ROWS, |_, _| vec![0.0; ROWS]), token };
    let mut model = Florence::with_engine(Box::new(engine), decoder());
    let found = shown.examine(&mut cheap_examiner(), &mut model, 0..3);
    let contrasts: Vec<f32> = found.iter().map(|found| found.regions[0].evidence.contrast).collect();
    assert!(contrasts[0] > 5.0 && contrasts[1] == 0.0 && contrasts[2] > 5.0, "{contrasts:?}");
}

#[test]
fn a_detected_object_with_an_endless_label_is_no_rival() {
    let said = answer("red car<loc_100><loc_200><loc_300><loc_400>", -0.5);
    let shape = Shape::Box([100.0, 200.0, 300.0, 400.0]);
    for (words, is_rival) in [(3, true), (100, false)] {
        let detected = [Region { label: "dog ".repeat(words), score: None, shape: shape.clone() }];
        let found = examine(
            &mut florence(None),
            &["red car"],
            PhraseForm::Each,
            std::slice::from_ref(&said),
            &detected,
        );
        assert_eq!(found[0].regions[0].evidence.rival.is_some(), is_rival, "{words} words");
    }
}

#[test]
fn white_space_between_the_boxes_of_a_phrase_is_no_other_phrase() {
    let said = answer("blue dog<loc_1><loc_2><loc_3><loc_4> <loc_500><loc_500><loc_600><loc_600>", -0.5);
    let found = examine(&mut florence(None), &["red car", "blue dog"], PhraseForm::Grouped, &[said], &[]);
    assert_eq!(found[1].regions.len(), 2, "{found:?}");
}

#[test]
fn evidence_that_is_not_finite_scores_nothing() {
    let good = Evidence { location: 0.9, label: -0.1, contrast: 3.0, region: Some(-0.1), rival: Some(-4.0) };
    let weights = ScoreWeights::UNFITTED;
    assert!(weights.score(&good) > 0.5);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for evidence in [
            Evidence { location: bad, ..good },
            Evidence { label: bad, ..good },
            Evidence { contrast: bad, ..good },
            Evidence { region: Some(bad), ..good },
            Evidence { rival: Some(bad), ..good },
        ] {
            assert_eq!(weights.score(&evidence), 0.0, "{evidence:?}");
        }
    }
}

#[test]
fn many_answers_are_judged_as_each_of_them_is_alone() {
    let mut model = florence(Some((" kind 1", "car", 3.0)));
    let shown = Shown::new(40);
    let (features, cancel) = (ScriptedEngine::features(), CancelToken::new());
    let prompts: Vec<&[u32]> = shown.phrases.iter().map(|phrase| phrase.prompt().token_ids()).collect();
    let texts = ["car", "a very small dog", "car car<loc_7>"];
    let answers: Vec<Vec<u32>> = (0..120).map(|i| answer(texts[i % 7 % 3], 0.0).token_ids).collect();
    let answers: Vec<&[u32]> = answers.iter().map(Vec::as_slice).collect();
    let together = model.score(&features, &prompts, &answers, 3, &cancel).unwrap();
    let kept: Vec<KeptPrompt> =
        prompts.iter().map(|prompt| model.keep_prompt(&features, prompt, &cancel).unwrap()).collect();
    let firsts: Vec<&[u32]> = answers.iter().step_by(3).copied().collect();
    let later = model.score_kept(&kept.iter().collect::<Vec<_>>(), &firsts, &cancel).unwrap();
    assert_eq!((together.len(), later.len()), (120, 40));
    for (place, prompt) in prompts.iter().enumerate() {
        let own = 3 * place..3 * place + 3;
        let alone = model.score(&features, &[prompt], &answers[own.clone()], 3, &cancel).unwrap();
        assert_eq!(alone, together[own.clone()]);
        assert_eq!(later[place], together[own.start]);
    }
}

#[test]
fn answers_that_do_not_fit_the_prompts_are_refused_as_a_request() {
    let (mut model, features, cancel) = (florence(None), ScriptedEngine::features(), CancelToken::new());
    for (answers, each) in [(0, 0), (1, 0), (3, 2), (1, 2)] {
        let answers = vec![&[2_u32, 0, 5][..]; answers];
        let refused = model.score(&features, &[&[0, 2]], &answers, each, &cancel);
        assert!(matches!(refused, Err(ModelError::Request { what: "answers", .. })), "{refused:?}");
    }
}
