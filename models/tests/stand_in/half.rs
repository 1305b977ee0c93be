//! What float16 changes: the engine in it, its graphs as ONNX Runtime computes them on a CPU, which rounds to float16 behind
//! every operator. A GPU rounds less often.

use std::path::Path;

use belvedere_kernels_host::HostDevice;
use belvedere_models::engine::BatchLimits;
use belvedere_models::graph::Element;
use belvedere_models::{CancelToken, Florence, Generation, GenerationOptions, ImageFeatures, Tokenizer};

use crate::models::Model;

/// What one precision makes of all pictures.
#[derive(Default)]
struct Seen {
    features: Vec<Vec<f32>>,
    answers: Vec<Generation>,
    /// Of every place of the answers that f32 gives.
    logits: Vec<Vec<f32>>,
}

fn prompts(model: &Model) -> Vec<Vec<u32>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tiny/tokenizer.json");
    let tokenizer = Tokenizer::open(&file, model.config.logit_rows()).unwrap();
    let texts = [
        "What does the image describe?",
        "Locate the objects with category name in the image.",
        "Locate red car in the image.",
    ];
    texts.map(|text| tokenizer.encode(text).unwrap()).to_vec()
}

/// The logits from which each token of given answers but the forced ones is chosen.
fn follow(
    florence: &mut Florence,
    features: &ImageFeatures,
    prompts: &[Vec<u32>],
    answers: &[Generation],
) -> Vec<Vec<f32>> {
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let answers: Vec<&[u32]> = answers.iter().map(|answer| answer.token_ids.as_slice()).collect();
    let longest = answers.iter().map(|answer| answer.len()).max().unwrap();
    let limits = BatchLimits { beams: 1, max_length: longest + 1 };
    let mut batch = florence.engine().start(features, &prompts, limits, &CancelToken::new()).unwrap();
    let rows: Vec<Vec<f32>> = batch.force(&answers, 1).unwrap().into_rows().map(|row| row.to_vec()).collect();
    let of_answer =
        |(at, answer): (usize, &&[u32])| rows[at * longest + 1..at * longest + answer.len() - 1].to_vec();
    answers.iter().enumerate().flat_map(of_answer).collect()
}

fn look(model: &Model, element: Element, pictures: &[Vec<f32>], leader: Option<&Seen>) -> Seen {
    let cancel = CancelToken::new();
    let prompts = prompts(model);
    let options = GenerationOptions { max_new_tokens: 40, ..GenerationOptions::default() };
    let mut gpu = model.on_device(model.engine(&HostDevice::new(), &model.profiles(4), element));
    let mut seen = Seen::default();
    for (number, data) in pictures.iter().enumerate() {
        let (features, _) = gpu.encode_image(model.pixels(data), &cancel).unwrap();
        seen.features.push(gpu.engine().read_features(&features).unwrap());
        let answers = gpu.generate(&features, &prompts, &options, &cancel).unwrap();
        let own = number * prompts.len()..(number + 1) * prompts.len();
        let followed = leader.map_or(answers.as_slice(), |leader| &leader.answers[own]);
        seen.logits.extend(follow(&mut gpu, &features, &prompts, followed));
        seen.answers.extend(answers);
    }
    seen
}

/// The largest relative distance of two rows that belong together.
fn worst_error(exact: &[Vec<f32>], half: &[Vec<f32>]) -> f64 {
    assert_eq!(exact.len(), half.len());
    let error = |(exact, half): (&Vec<f32>, &Vec<f32>)| {
        let square = |value: f32| f64::from(value).powi(2);
        let difference: f64 = exact.iter().zip(half).map(|(a, b)| square(a - b)).sum();
        (difference / exact.iter().map(|value| square(*value)).sum::<f64>()).sqrt()
    };
    exact.iter().zip(half).map(error).fold(0.0, f64::max)
}

#[test]
fn float16_answers_nearly_as_f32_does() {
    let model = Model::bundled();
    let pictures = [model.scenes(9), model.pictures()].concat();
    let exact = look(&model, Element::F32, &pictures, None);
    let half = look(&model, Element::F16, &pictures, Some(&exact));
    let [features, logits] =
        [worst_error(&exact.features, &half.features), worst_error(&exact.logits, &half.logits)];
    let pairs = exact.answers.iter().zip(&half.answers);
    let equal = pairs.filter(|(exact, half)| exact.token_ids == half.token_ids).count();
    let asked = exact.answers.len();
    println!(
        "{equal} of {asked} answers equal; relative L2 error up to {features:.5} of image features, {logits:.5} of \
         {} rows of logits",
        exact.logits.len()
    );
    assert!(features > 0.0 && features < 0.005, "image features: {features}");
    assert!(logits > 0.0 && logits < 0.02, "logits: {logits}");
    assert!(equal * 10 >= asked * 9, "{equal} of {asked} answers are equal");
}
