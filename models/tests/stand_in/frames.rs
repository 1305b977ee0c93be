//! Frames that the device prepares are to it what the CPU's preprocessing makes of them.

use ::half::f16;
use belvedere_kernels::device::Device;
use belvedere_kernels::{ImageView, PixelFormat, PreprocessPlan, PreprocessSpec};
use belvedere_kernels_host::HostDevice;
use belvedere_models::engine::Pixels;
use belvedere_models::engine::tensorrt::{DeviceEngine, Purpose};
use belvedere_models::graph::Element;
use belvedere_models::{CancelToken, Florence, GenerationOptions, ImageFeatures, ModelError};

use crate::models::Model;
use crate::ort_networks::OrtNetworks;
use crate::shots::Shot;

type Engine = DeviceEngine<HostDevice, OrtNetworks>;

/// With a specification unlike any checkpoint's.
fn plan(model: &Model) -> PreprocessPlan {
    let spec = PreprocessSpec::imagenet(model.size.0, model.size.1);
    PreprocessPlan::new(PreprocessSpec { mean: [0.5, 0.4, 0.45], ..spec }).unwrap()
}

/// An engine with room for frames of this size.
fn engine(model: &Model, device: &HostDevice, element: Element, frame_px: (u32, u32)) -> Engine {
    let networks = model.networks(device, element);
    let profiles = model.profiles(4);
    let (config, size) = (&model.config, model.size);
    DeviceEngine::for_frames(device.clone(), networks, config, size, &profiles, element, frame_px).unwrap()
}

fn views(shots: &[Shot]) -> Vec<ImageView<'_>> {
    shots.iter().map(Shot::view).collect()
}

fn shots(random: &mut fastrand::Rng, count: usize, most: (u32, u32)) -> Vec<Shot> {
    (0..count).map(|_| Shot::any(random, most)).collect()
}

/// What the CPU makes of them.
fn prepared(plan: &mut PreprocessPlan, shots: &[Shot]) -> Vec<Vec<f32>> {
    shots.iter().map(|shot| plan.run(&shot.view()).unwrap().data).collect()
}

fn values(florence: &mut Florence, features: &[ImageFeatures]) -> Vec<Vec<f32>> {
    features.iter().map(|features| florence.engine().read_features(features).unwrap()).collect()
}

/// Features of frames as the device prepares them, and of the same as the CPU does.
fn both(model: &Model, florence: &mut Florence, shots: &[Shot]) -> [Vec<Vec<f32>>; 2] {
    let (mut plan, cancel) = (plan(model), CancelToken::new());
    let found = florence.encode_views(&views(shots), &mut plan, &cancel).unwrap().features;
    let found = values(florence, &found);
    let prepared = prepared(&mut plan, shots);
    let pixels: Vec<Pixels<'_>> = prepared.iter().map(|data| model.pixels(data)).collect();
    let expected = florence.encode_images(&pixels, &cancel).unwrap().0;
    [found, values(florence, &expected)]
}

#[test]
fn what_the_vision_graph_is_given_is_what_the_cpu_prepares_rounded_once() {
    let model = Model::random(2);
    let mut random = fastrand::Rng::with_seed(5);
    for element in [Element::F32, Element::F16] {
        for device in [HostDevice::new(), HostDevice::sharing_memory(), HostDevice::seeded(1)] {
            let mut florence = model.on_device(engine(&model, &device, element, (200, 150)));
            let (mut plan, rounded) = (plan(&model), |value: f32| match element {
                Element::F32 => value,
                Element::F16 => f16::from_f32(value).to_f32(),
            });
            for shot in shots(&mut random, 12, (150, 100)) {
                let encoder = florence.engine().view_encoder().unwrap();
                assert!(encoder.takes(&shot.view(), plan.spec()));
                let found = encoder.pixel_values(&shot.view(), plan.spec()).unwrap();
                let expected: Vec<f32> =
                    plan.run(&shot.view()).unwrap().data.into_iter().map(rounded).collect();
                assert!(found == expected, "{element:?}");
            }
        }
    }
}

#[test]
fn features_of_frames_are_those_of_pixels_that_the_cpu_prepared() {
    let model = Model::random(2);
    let mut random = fastrand::Rng::with_seed(9);
    for element in [Element::F32, Element::F16] {
        for device in [HostDevice::new(), HostDevice::sharing_memory(), HostDevice::seeded(3)] {
            let mut florence = model.on_device(engine(&model, &device, element, (200, 150)));
            for count in [1, 2, 3, 19] {
                let shots = shots(&mut random, count, (150, 100));
                let [found, expected] = both(&model, &mut florence, &shots);
                assert!(found == expected, "{count} frames, {element:?}");
                assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "pictures of nothing");
            }
        }
    }
}

/// Each frame fills the ring's slot alone, and the vision graph takes four of them at once.
#[test]
fn no_frame_is_written_over_another_that_the_device_has_yet_to_read() {
    let model = Model::random(2);
    let mut random = fastrand::Rng::with_seed(13);
    let size = (150, 100);
    for device in [HostDevice::new(), HostDevice::sharing_memory()] {
        let mut florence = model.on_device(engine(&model, &device, Element::F32, size));
        let formats = [PixelFormat::Nv12, PixelFormat::I420];
        let shots: Vec<Shot> =
            (0..11).map(|i| Shot::of(&mut random, formats[i % 2], (size.0 - i as u32, size.1))).collect();
        let [found, expected] = both(&model, &mut florence, &shots);
        assert!(found == expected);
    }
}

#[test]
fn frames_that_are_larger_than_planned_are_prepared_by_the_cpu_and_stand_in_their_places() {
    let model = Model::random(2);
    let mut random = fastrand::Rng::with_seed(21);
    let device = HostDevice::new();
    let mut florence = model.on_device(engine(&model, &device, Element::F32, (64, 48)));
    let plan = plan(&model);
    let sizes = [(60, 40), (300, 200), (30, 64), (65, 2), (64, 48), (2, 300), (48, 64)];
    let shots: Vec<Shot> = sizes.iter().map(|size| Shot::of(&mut random, PixelFormat::Nv12, *size)).collect();
    let encoder = florence.engine().view_encoder().unwrap();
    let taken = shots.iter().map(|shot| encoder.takes(&shot.view(), plan.spec()));
    assert_eq!(taken.collect::<Vec<_>>(), [true, false, true, false, true, false, true]);
    let [found, expected] = both(&model, &mut florence, &shots);
    // In batches of other sizes, ONNX Runtime adds up in another order.
    let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
    for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!(found.iter().zip(expected).all(near), "frame {place}");
    }
}

#[test]
fn a_frame_that_the_device_does_not_take_is_refused_where_it_is_given_all_the_same() {
    let model = Model::random(2);
    let mut random = fastrand::Rng::with_seed(22);
    let mut florence = model.on_device(engine(&model, &HostDevice::new(), Element::F32, (64, 48)));
    let (spec, cancel) = (plan(&model).spec().clone(), CancelToken::new());
    let shot = Shot::of(&mut random, PixelFormat::Nv12, (300, 200));
    let encoder = florence.engine().view_encoder().unwrap();
    let refused = encoder.encode_views(&[shot.view()], &spec, &cancel).unwrap_err();
    assert!(matches!(refused, ModelError::Engine { .. }), "{refused}");
    let other = PreprocessSpec::imagenet(spec.width + 32, spec.height);
    assert!(!encoder.takes(&Shot::any(&mut random, (9, 9)).view(), &other), "another input size");
}

#[test]
fn frames_take_the_memory_that_was_planned_whatever_their_sizes() {
    let model = Model::random(2);
    let mut random = fastrand::Rng::with_seed(8);
    let device = HostDevice::new();
    let free = || device.memory_info().unwrap().free;
    let before = free();
    let engine = engine(&model, &device, Element::F32, (320, 240));
    let plan_of_memory = engine.memory_plan().clone();
    assert_eq!(before - free(), plan_of_memory.total_bytes());
    assert!(plan_of_memory.pinned_bytes() > 2 * 320 * 240 * 3 / 2);
    let said = plan_of_memory.to_string();
    assert!(said.contains("frames ") && said.contains("MiB of pinned memory for frames"), "{said}");
    let mut florence = model.on_device(engine);
    let (mut plan, cancel) = (plan(&model), CancelToken::new());
    let mut turn = |count: usize| {
        let shots = shots(&mut random, count, (220, 160));
        florence.encode_views(&views(&shots), &mut plan, &cancel).unwrap();
        free()
    };
    // The features of so many pictures.
    let with_features = turn(12);
    for count in 1..=12 {
        assert_eq!(turn(count), with_features);
    }
}

#[test]
fn a_device_that_shares_the_hosts_memory_has_no_second_place_for_frames() {
    let model = Model::random(2);
    let frames = |device: &HostDevice| {
        let engine = engine(&model, device, Element::F32, (640, 480));
        let pieces: Vec<_> = engine.memory_plan().pieces().collect();
        let of_frames = pieces.iter().find(|(purpose, _)| *purpose == Purpose::FramePixels);
        of_frames.unwrap().1
    };
    assert!(frames(&HostDevice::new()) > 640 * 480 * 3 / 2);
    assert!(frames(&HostDevice::sharing_memory()) < 4096, "the kernels' table alone");
}

#[test]
fn a_cancelled_call_encodes_nothing_and_the_next_one_is_right() {
    let model = Model::random(2);
    let mut random = fastrand::Rng::with_seed(31);
    let device = HostDevice::seeded(31);
    let mut florence = model.on_device(engine(&model, &device, Element::F32, (200, 150)));
    let cancelled = CancelToken::new();
    cancelled.cancel();
    for _ in 0..3 {
        let shots = shots(&mut random, 7, (150, 100));
        let result = florence.encode_views(&views(&shots), &mut plan(&model), &cancelled);
        assert!(matches!(result, Err(ModelError::Cancelled)));
        let [found, expected] = both(&model, &mut florence, &shots);
        assert!(found == expected);
    }
}

/// What is asked about one frame.
struct Asked {
    shot: usize,
    prompt: Vec<u32>,
}

/// Frames come while others are being answered; which come together is chance. Returns how many answers were compared.
fn arrivals(model: &Model, seed: u64) -> usize {
    let mut random = fastrand::Rng::with_seed(seed);
    let device = if random.bool() { HostDevice::new() } else { HostDevice::seeded(seed) };
    let frame_px = [(160, 120), (400, 300)][random.usize(..2)];
    let mut gpu = model.on_device(engine(model, &device, Element::F32, frame_px));
    let (mut cpu, mut plan, cancel) = (model.on_cpu(), plan(model), CancelToken::new());
    let all = shots(&mut random, 24, (150, 110));
    let options = GenerationOptions { max_new_tokens: 12, ..GenerationOptions::default() };
    let (mut next, mut open, mut compared) = (0, Vec::new(), 0);
    while next < all.len() || !open.is_empty() {
        if next < all.len() && (open.is_empty() || random.u8(..3) == 0) {
            let count = random.usize(1..=6).min(all.len() - next);
            let shots = &all[next..next + count];
            let features = gpu.encode_views(&views(shots), &mut plan, &cancel).unwrap().features;
            assert_eq!(features.len(), count);
            for (place, features) in features.iter().enumerate() {
                let prompt: Vec<u32> = (0..random.usize(1..6)).map(|_| random.u32(3..200)).collect();
                let submission = gpu.submit(features, &[prompt.as_slice()], &options).unwrap();
                open.push((submission, Asked { shot: next + place, prompt }));
            }
            next += count;
        }
        for answered in gpu.turn(&cancel).unwrap() {
            let at = open.iter().position(|(submission, _)| *submission == answered.submission);
            let (_, Asked { shot, prompt }) = open.remove(at.unwrap());
            let found = answered.result.unwrap().remove(0);
            let features = cpu.encode_views(&[all[shot].view()], &mut plan, &cancel).unwrap().features;
            let expected = cpu.generate(&features[0], &[prompt], &options, &cancel).unwrap().remove(0);
            assert_eq!(found.token_ids, expected.token_ids, "seed {seed}, frame {shot}");
            compared += 1;
        }
    }
    compared
}

#[test]
fn answers_about_frames_that_come_at_any_time_are_the_cpus() {
    let model = Model::random(7);
    let compared: usize = (0..8).map(|seed| arrivals(&model, seed)).sum();
    assert_eq!(compared, 8 * 24);
}
