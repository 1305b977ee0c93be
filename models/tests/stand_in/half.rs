//! What float16 changes: the engine in it, its graphs as ONNX Runtime computes them on a CPU, which rounds to float16 behind
//! every operator. A GPU rounds less often.

use std::path::Path;

use belvedere_kernels_host::HostDevice;
use belvedere_models::graph::Element;
use belvedere_models::{CancelToken, GenerationOptions, Tokenizer};

use crate::models::Model;

#[test]
fn float16_answers_nearly_as_f32_does() {
    let model = Model::bundled();
    let cancel = CancelToken::new();
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tiny/tokenizer.json");
    let tokenizer = Tokenizer::open(&tokenizer, model.config.logit_rows()).unwrap();
    let prompts: Vec<Vec<u32>> = [
        "What does the image describe?",
        "Locate the objects with category name in the image.",
        "Locate red car in the image.",
    ]
    .map(|text| tokenizer.encode(text).unwrap())
    .to_vec();
    let scenes = [model.scenes(9), model.pictures()].concat();
    let mut runs = Vec::new();
    for element in [Element::F32, Element::F16] {
        let device = HostDevice::new();
        let mut gpu = model.on_device(model.engine(&device, &model.profiles(4), element));
        let mut answers = Vec::new();
        let mut values = Vec::new();
        for data in &scenes {
            let (features, _) = gpu.encode_image(model.pixels(data), &cancel).unwrap();
            values.push(gpu.engine().read_features(&features).unwrap());
            let options = GenerationOptions { max_new_tokens: 40, ..GenerationOptions::default() };
            answers.extend(gpu.generate(&features, &prompts, &options, &cancel).unwrap());
        }
        runs.push((values, answers));
    }
    let [(exact, exactly), (half, nearly)] = runs.try_into().unwrap();
    let mut worst_error = 0.0_f64;
    for (exact, half) in exact.iter().zip(&half) {
        let (mut difference, mut size) = (0.0, 0.0);
        for (a, b) in exact.iter().zip(half) {
            difference += f64::from(a - b).powi(2);
            size += f64::from(*a).powi(2);
        }
        worst_error = worst_error.max((difference / size).sqrt());
    }
    let equal = exactly.iter().zip(&nearly).filter(|(a, b)| a.token_ids == b.token_ids).count();
    let mut worst_log_prob = 0.0_f32;
    for (a, b) in exactly.iter().zip(&nearly).filter(|(a, b)| a.token_ids == b.token_ids) {
        let differences = a.log_probs.iter().zip(&b.log_probs).map(|(a, b)| (a - b).abs());
        worst_log_prob = differences.fold(worst_log_prob, f32::max);
    }
    println!(
        "{equal} of {} answers equal; image features: relative L2 error up to {worst_error:.5}; log-probabilities of \
         equal answers differ by up to {worst_log_prob:.4}",
        exactly.len()
    );
    assert!(worst_error < 0.01, "{worst_error}");
    assert!(equal * 10 >= exactly.len() * 9, "{equal} of {} are equal", exactly.len());
}
