//! The bundled model on a GPU, beside the CPU: whole answers. With `BELVEDERE_NETWORKS=onnxruntime-cuda` its graphs run on
//! ONNX Runtime's CUDA provider, else on TensorRT. `make gpu-test` runs it; no other machine can.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "stand_in/shots.rs"]
mod shots;

use std::path::{Path, PathBuf};

use belvedere_kernels::{ImageView, PixelValues, Plane, PreprocessPlan};
use belvedere_models::decode::DecoderConfig;
use belvedere_models::engine::Pixels;
use belvedere_models::graph::Element;
use belvedere_models::{
    CancelToken, Checkpoint, Device, Florence, GenerationOptions, LoadOptions, Precision, Prompt,
    PromptStyle, Task, TaskInput, Tokenizer,
};
use shots::Shot;

use belvedere_ort_cuda::{Capturing, OrtCudaOptions};

/// Tokens of every answer: all pictures, three questions, greedy and with three beams.
type Answers = Vec<Vec<u32>>;

/// The folder of this crate, or where a machine has what is read of it to which the program was carried.
fn models() -> PathBuf {
    let models = std::env::var_os("BELVEDERE_MODELS").map(PathBuf::from);
    models.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).to_owned())
}

fn checkpoint() -> Checkpoint {
    Checkpoint::open(models().join("tiny")).unwrap()
}

fn load(checkpoint: &Checkpoint, device: Device, precision: Precision) -> Florence {
    let spec = checkpoint.preprocess_spec();
    let (width, height) = (spec.width, spec.height);
    let is_other = std::env::var("BELVEDERE_NETWORKS").is_ok_and(|networks| networks == "onnxruntime-cuda");
    if device == Device::TensorRt && is_other {
        let element = match precision {
            Precision::Exact => Element::F32,
            Precision::Fast => Element::F16,
        };
        let capturing = Capturing::Engine;
        let options = OrtCudaOptions { size_px: (width, height), element, rows: 8, capturing, library: None };
        let engine = belvedere_ort_cuda::engine(checkpoint, &options).unwrap();
        return Florence::with_engine(engine, DecoderConfig::new(checkpoint.config()));
    }
    let options = LoadOptions { width, height, device, precision, ..LoadOptions::default() };
    Florence::load(checkpoint, &options).unwrap()
}

fn pixels(checkpoint: &Checkpoint) -> Vec<PixelValues> {
    let mut plan = PreprocessPlan::new(checkpoint.preprocess_spec().clone()).unwrap();
    ["banner", "street", "tower"]
        .map(|name| {
            let path = models().join(format!("testdata/pictures/{name}.png"));
            let file = std::fs::File::open(path).unwrap();
            let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
            let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut bytes).unwrap();
            assert_eq!(info.color_type, png::ColorType::Rgb);
            let plane = Plane { bytes: &bytes, stride: info.line_size };
            plan.run(&ImageView::rgb8(info.width, info.height, plane).unwrap()).unwrap()
        })
        .into()
}

fn prompts(checkpoint: &Checkpoint) -> Vec<Prompt> {
    let file = models().join("tiny/tokenizer.json");
    let tokenizer = Tokenizer::open(&file, checkpoint.config().text.vocabulary).unwrap();
    let phrase = TaskInput::Text("red car".to_owned());
    [
        (Task::Caption, TaskInput::Nothing),
        (Task::ObjectDetection, TaskInput::Nothing),
        (Task::OpenVocabularyDetection, phrase),
    ]
    .map(|(task, input)| Prompt::new(&tokenizer, task, input, PromptStyle::default(), 60).unwrap())
    .into()
}

fn answers(device: Device, precision: Precision) -> Answers {
    let checkpoint = checkpoint();
    let mut florence = load(&checkpoint, device, precision);
    println!("{}", florence.device_description());
    let (prompts, cancel) = (prompts(&checkpoint), CancelToken::new());
    let prompts: Vec<&[u32]> = prompts.iter().map(Prompt::token_ids).collect();
    let pixels = pixels(&checkpoint);
    let views: Vec<Pixels<'_>> = pixels
        .iter()
        .map(|values| Pixels {
            width: values.width as usize,
            height: values.height as usize,
            data: &values.data,
        })
        .collect();
    let (features, _) = florence.encode_images(&views, &cancel).unwrap();
    let mut all = Answers::new();
    for beams in [1, 3] {
        let options = GenerationOptions { beams, max_new_tokens: 40, ..GenerationOptions::default() };
        // All pictures at once; the answers come in any order.
        let asked = features.iter().map(|features| florence.submit(features, &prompts, &options).unwrap());
        let asked: Vec<_> = asked.collect();
        let mut answered = Vec::new();
        while florence.in_flight() > 0 {
            answered.extend(florence.turn(&cancel).unwrap());
        }
        answered.sort_by_key(|answered| answered.submission);
        assert_eq!(answered.iter().map(|answered| answered.submission).collect::<Vec<_>>(), asked);
        let generations = answered.into_iter().flat_map(|answered| answered.result.unwrap());
        all.extend(generations.map(|generation| generation.token_ids));
    }
    all
}

/// Answers of so many tokens that a running batch moves to larger caches twice, beside a prompt that is longer than the first
/// buckets have room for, and after it short ones, which join those.
fn long_answers(device: Device) -> Answers {
    let checkpoint = checkpoint();
    let mut florence = load(&checkpoint, device, Precision::Exact);
    let cancel = CancelToken::new();
    let pixels = pixels(&checkpoint);
    let views: Vec<Pixels<'_>> = pixels.iter().map(Pixels::from).collect();
    let (features, _) = florence.encode_images(&views, &cancel).unwrap();
    let config = checkpoint.config();
    let spec = checkpoint.preprocess_spec();
    let longest = config.text.max_positions - config.image_tokens(spec.width, spec.height).unwrap();
    let prompts = prompts(&checkpoint);
    let short = prompts[0].token_ids();
    let long: Vec<u32> = short.iter().copied().cycle().take(longest).collect();
    let ask = |tokens| GenerationOptions {
        min_new_tokens: tokens,
        max_new_tokens: tokens,
        ..GenerationOptions::default()
    };
    let mut answered = Vec::new();
    let first = florence.submit(&features[0], &[short, short], &ask(80)).unwrap();
    // It has begun when the others come.
    answered.extend(florence.turn(&cancel).unwrap());
    let asked =
        [(1, long.as_slice(), 20), (2, short, 30), (1, short, 70)].map(|(picture, prompt, tokens)| {
            florence.submit(&features[picture], &[prompt], &ask(tokens)).unwrap()
        });
    while florence.in_flight() > 0 {
        answered.extend(florence.turn(&cancel).unwrap());
    }
    answered.sort_by_key(|answered| answered.submission);
    let found: Vec<_> = answered.iter().map(|answered| answered.submission).collect();
    assert_eq!(found, [&[first][..], &asked].concat());
    let generations = answered.into_iter().flat_map(|answered| answered.result.unwrap());
    generations.map(|generation| generation.token_ids).collect()
}

/// Without a GPU it is shown that the answers are as long as is asked for.
#[test]
fn long_answers_are_longer_than_the_first_caches() {
    let lengths: Vec<usize> = long_answers(Device::Cpu).iter().map(Vec::len).collect();
    assert_eq!(lengths, [81, 81, 21, 31, 71]);
}

/// The rows of caches and masks are copied one beside the other only here.
#[test]
#[ignore = "needs a GPU"]
fn a_gpu_moves_a_running_batch_to_larger_caches() {
    let expected = long_answers(Device::Cpu);
    let found = long_answers(Device::TensorRt);
    let same = found.iter().zip(&expected).filter(|(found, expected)| found == expected).count();
    // Behind its end an answer has no meaning, and its tokens may be decided by a rounding.
    println!("{same} of {} answers are the CPU's", expected.len());
    assert!(found.iter().map(Vec::len).eq(expected.iter().map(Vec::len)));
    assert!(same + 1 >= expected.len(), "{found:?} for {expected:?}");
}

/// Without a GPU it is shown at least that there is something to compare with.
#[test]
fn answers_differ_between_pictures_and_questions() {
    let answers = answers(Device::Cpu, Precision::Exact);
    assert_eq!(answers.len(), 3 * 3 * 2);
    let mut different = answers.clone();
    different.sort();
    different.dedup();
    assert!(different.len() > 4, "{answers:?}");
}

#[test]
#[ignore = "needs a GPU"]
fn a_gpu_gives_the_cpus_answers_in_f32_and_nearly_all_of_them_in_f16() {
    let expected = answers(Device::Cpu, Precision::Exact);
    assert_eq!(answers(Device::TensorRt, Precision::Exact), expected);
    let fast = answers(Device::TensorRt, Precision::Fast);
    let same = fast.iter().zip(&expected).filter(|(fast, exact)| fast == exact).count();
    println!("f16: {same} of {} answers are those of f32", expected.len());
    assert!(same * 10 >= expected.len() * 9, "{same} of {}", expected.len());
}

/// More frames than are encoded at once, of all layouts.
#[test]
#[ignore = "needs a GPU"]
fn a_gpu_prepares_frames_as_the_cpu_does() {
    let checkpoint = checkpoint();
    let spec = checkpoint.preprocess_spec();
    let mut random = fastrand::Rng::with_seed(4);
    let cancel = CancelToken::new();
    for precision in [Precision::Exact, Precision::Fast] {
        let mut florence = load(&checkpoint, Device::TensorRt, precision);
        let mut plan = PreprocessPlan::new(spec.clone()).unwrap();
        for _ in 0..10 {
            let shots: Vec<Shot> = (0..11).map(|_| Shot::any(&mut random, (1700, 680))).collect();
            let views: Vec<ImageView<'_>> = shots.iter().map(Shot::view).collect();
            let pixels: Vec<PixelValues> = views.iter().map(|view| plan.run(view).unwrap()).collect();
            for (view, expected) in views.iter().zip(&pixels) {
                let encoder = florence.engine().view_encoder().unwrap();
                let found = encoder.pixel_values(view, plan.spec()).unwrap();
                // What rounding to f16 may change of numbers below 4.
                let limit = if precision == Precision::Exact { 0.0 } else { 1.0 / 1024.0 };
                let same = found.iter().zip(&expected.data).all(|(a, b)| (a - b).abs() <= limit);
                assert!(same && found.len() == expected.data.len());
            }
            let found = florence.encode_views(&views, &mut plan, &cancel).unwrap().features;
            let pixels: Vec<Pixels<'_>> = pixels.iter().map(Pixels::from).collect();
            let expected = florence.encode_images(&pixels, &cancel).unwrap().0;
            for (found, expected) in found.iter().zip(&expected) {
                let found = florence.engine().read_features(found).unwrap();
                assert!(found == florence.engine().read_features(expected).unwrap());
            }
        }
    }
}
