//! Everything at once and in any order: what comes out must not depend on it.

use std::collections::HashMap;

use belvedere_kernels_host::HostDevice;
use belvedere_models::graph::Element;
use belvedere_models::{CancelToken, Florence, Generation, GenerationOptions, ImageFeatures, Submission};

use crate::models::Model;

/// Rounding of one engine's sums against the other's.
const TOLERANCE: f32 = 1e-3;

/// What the CPU makes of each question alone.
struct Oracle {
    cpu: Florence,
    features: Vec<ImageFeatures>,
    known: HashMap<(usize, Vec<u32>, [usize; 3]), Generation>,
}

impl Oracle {
    fn new(model: &Model, pictures: &[Vec<f32>]) -> Oracle {
        let mut cpu = model.on_cpu();
        let cancel = CancelToken::new();
        let encode = |data: &Vec<f32>| cpu.encode_image(model.pixels(data), &cancel).unwrap().0;
        let features = pictures.iter().map(encode).collect();
        Oracle { cpu, features, known: HashMap::new() }
    }

    fn answer(&mut self, picture: usize, prompt: &[u32], options: &GenerationOptions) -> Generation {
        let key = (picture, prompt.to_vec(), [options.beams, options.max_new_tokens, options.min_new_tokens]);
        let (cpu, features) = (&mut self.cpu, &self.features[picture]);
        let alone = || cpu.generate(features, &[prompt], options, &CancelToken::new()).unwrap().remove(0);
        self.known.entry(key).or_insert_with(alone).clone()
    }
}

struct Asked {
    submission: Submission,
    picture: usize,
    prompts: Vec<Vec<u32>>,
    options: GenerationOptions,
}

struct Chance<'m> {
    random: fastrand::Rng,
    model: &'m Model,
    longest_prompt: usize,
    slots: usize,
}

impl Chance<'_> {
    fn prompt(&mut self) -> Vec<u32> {
        // Mostly short, as tasks are.
        let most = if self.random.u8(..4) == 0 { self.longest_prompt } else { 8 };
        let length = self.random.usize(1..=most.min(self.longest_prompt));
        self.tokens(length)
    }

    fn tokens(&mut self, length: usize) -> Vec<u32> {
        let vocabulary = self.model.config.logit_rows() as u32;
        (0..length).map(|_| self.random.u32(3..vocabulary)).collect()
    }

    fn options(&mut self) -> GenerationOptions {
        let max_new_tokens = match self.random.u8(..6) {
            0 => self.random.usize(1..=3),
            1 => self.model.config.text.max_positions + 1,
            _ => self.random.usize(4..=30),
        };
        let least = self.random.usize(0..=max_new_tokens.min(25));
        let min_new_tokens = if self.random.bool() { 0 } else { least };
        let beams = if self.random.u8(..6) == 0 { self.random.usize(1..=self.slots.min(3)) } else { 1 };
        GenerationOptions { beams, max_new_tokens, min_new_tokens, ..GenerationOptions::default() }
    }

    fn answer(&mut self) -> Vec<u32> {
        let length = self.random.usize(0..=20);
        [vec![2, 0], self.tokens(length)].concat()
    }
}

#[track_caller]
fn assert_same(found: &Generation, expected: &Generation, what: &str) {
    assert_eq!(found.token_ids, expected.token_ids, "{what}");
    assert_near(&found.log_probs, &expected.log_probs, what);
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f32], what: &str) {
    let near = |(a, b): (&f32, &f32)| (a - b).abs() < TOLERANCE;
    let is_near = found.len() == expected.len() && found.iter().zip(expected).all(near);
    assert!(is_near, "{what}: {found:?}, expected {expected:?}");
}

/// A few dozen requests by chance; returns how many generations were compared.
fn run(model: &Model, oracle: &mut Oracle, pictures: &[Vec<f32>], seed: u64) -> usize {
    let mut random = fastrand::Rng::with_seed(seed);
    let rows = [1, 2, 3, 4, 8][random.usize(..5)];
    let device = HostDevice::seeded(seed);
    let engine = model.engine(&device, &model.profiles(rows), Element::F32);
    let mut gpu = model.on_device(engine.with_steps_ahead(random.usize(1..=8)));
    let longest_prompt = model.config.text.max_positions - model.image_tokens();
    let mut chance = Chance { random, model, longest_prompt, slots: rows };
    let cancel = CancelToken::new();
    let encode = |gpu: &mut Florence| {
        let pixels: Vec<_> = pictures.iter().map(|data| model.pixels(data)).collect();
        gpu.encode_images(&pixels, &cancel).unwrap().0
    };
    let mut features = encode(&mut gpu);
    let mut open: Vec<Asked> = Vec::new();
    let mut compared = 0;
    for _ in 0..40 {
        let picture = chance.random.usize(..pictures.len());
        match chance.random.u8(..16) {
            0..4 => {
                let prompts: Vec<_> = (0..chance.random.usize(1..=4)).map(|_| chance.prompt()).collect();
                let options = chance.options();
                let submission = gpu.submit(&features[picture], &prompts, &options).unwrap();
                open.push(Asked { submission, picture, prompts, options });
            }
            4 if !open.is_empty() => {
                let withdrawn = open.swap_remove(chance.random.usize(..open.len()));
                gpu.withdraw(withdrawn.submission);
            }
            5 => {
                let prompts: Vec<_> = (0..chance.random.usize(1..=5)).map(|_| chance.prompt()).collect();
                let options = chance.options();
                let found = gpu.generate(&features[picture], &prompts, &options, &cancel).unwrap();
                for (prompt, found) in prompts.iter().zip(&found) {
                    let expected = oracle.answer(picture, prompt, &options);
                    assert_same(found, &expected, &format!("seed {seed}, {prompt:?}, {options:?}"));
                    compared += 1;
                }
            }
            6 => {
                let prompts: Vec<_> = (0..chance.random.usize(1..=3)).map(|_| chance.prompt()).collect();
                let answers: Vec<_> = prompts.iter().map(|_| chance.answer()).collect();
                let given: Vec<&[u32]> = answers.iter().map(Vec::as_slice).collect();
                let keep = |florence: &mut Florence, features: &ImageFeatures| -> Vec<Vec<f32>> {
                    let kept: Vec<_> = prompts
                        .iter()
                        .map(|prompt| florence.keep_prompt(features, prompt, &cancel).unwrap())
                        .collect();
                    florence.score_kept(&kept.iter().collect::<Vec<_>>(), &given, &cancel).unwrap()
                };
                let found = keep(&mut gpu, &features[picture]);
                let expected = keep(&mut oracle.cpu, &oracle.features[picture]);
                for (found, expected) in found.iter().zip(&expected) {
                    assert_near(found, expected, &format!("seed {seed}, kept {prompts:?}, {answers:?}"));
                }
            }
            7 => {
                let each = chance.random.usize(1..=3);
                let prompts: Vec<_> = (0..chance.random.usize(1..=3)).map(|_| chance.prompt()).collect();
                let answers: Vec<_> = (0..each * prompts.len()).map(|_| chance.answer()).collect();
                let asked: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
                let given: Vec<&[u32]> = answers.iter().map(Vec::as_slice).collect();
                let score = |florence: &mut Florence, features: &ImageFeatures| {
                    florence.score(features, &asked, &given, each, &cancel).unwrap()
                };
                let found = score(&mut gpu, &features[picture]);
                let expected = score(&mut oracle.cpu, &oracle.features[picture]);
                for (found, expected) in found.iter().zip(&expected) {
                    assert_near(found, expected, &format!("seed {seed}, {prompts:?}, {answers:?}"));
                }
            }
            8 => features = encode(&mut gpu),
            _ => compared += take(&mut gpu, oracle, &mut open, seed),
        }
    }
    while !open.is_empty() {
        compared += take(&mut gpu, oracle, &mut open, seed);
    }
    assert_eq!(gpu.in_flight(), 0);
    compared
}

/// A turn; what it answers must have been asked, and all of it.
fn take(gpu: &mut Florence, oracle: &mut Oracle, open: &mut Vec<Asked>, seed: u64) -> usize {
    let mut compared = 0;
    for answered in gpu.turn(&CancelToken::new()).unwrap() {
        let at = open.iter().position(|asked| asked.submission == answered.submission);
        let Asked { picture, prompts, options, .. } = open.remove(at.expect("asked, and not withdrawn"));
        let found = answered.result.unwrap();
        assert_eq!(found.len(), prompts.len());
        for (prompt, found) in prompts.iter().zip(&found) {
            let expected = oracle.answer(picture, prompt, &options);
            let what = format!("seed {seed}, picture {picture}, {prompt:?}, {options:?}");
            assert_same(found, &expected, &what);
            compared += 1;
        }
    }
    compared
}

fn any_order(model: &Model, seeds: std::ops::Range<u64>) {
    let pictures = model.pictures();
    let mut oracle = Oracle::new(model, &pictures);
    let compared: usize = seeds.map(|seed| run(model, &mut oracle, &pictures, seed)).sum();
    assert!(compared > 100, "only {compared} generations");
}

#[test]
fn the_bundled_model_says_the_same_in_any_order() {
    any_order(&Model::bundled(), 0..12);
}

#[test]
fn a_model_by_chance_says_the_same_in_any_order() {
    any_order(&Model::random(7), 100..130);
}
