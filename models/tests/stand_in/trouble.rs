//! What cannot be served is refused, what fails is told, and nothing else suffers.

use std::sync::atomic::Ordering;

use belvedere_kernels_host::HostDevice;
use belvedere_models::engine::BatchLimits;
use belvedere_models::engine::tensorrt::{DeviceEngine, GraphName};
use belvedere_models::graph::Element;
use belvedere_models::{CancelToken, Florence, Generation, GenerationOptions, ImageFeatures, ModelError};

use crate::models::Model;

fn exactly(tokens: usize) -> GenerationOptions {
    GenerationOptions { min_new_tokens: tokens, max_new_tokens: tokens, ..GenerationOptions::default() }
}

fn tokens(generations: &[Generation]) -> Vec<&[u32]> {
    generations.iter().map(|generation| generation.token_ids.as_slice()).collect()
}

struct Both {
    cpu: Florence,
    own: ImageFeatures,
    gpu: Florence,
    features: ImageFeatures,
}

/// The model on the CPU and on an engine, with a picture in both.
fn both(model: &Model, engine: DeviceEngine<HostDevice, crate::ort_networks::OrtNetworks>) -> Both {
    let cancel = CancelToken::new();
    let picture = &model.pictures()[0];
    let mut cpu = model.on_cpu();
    let (own, _) = cpu.encode_image(model.pixels(picture), &cancel).unwrap();
    let mut gpu = model.on_device(engine);
    let (features, _) = gpu.encode_image(model.pixels(picture), &cancel).unwrap();
    Both { cpu, own, gpu, features }
}

#[test]
fn steps_are_captured_once_and_replayed_and_where_that_is_refused_for_good_made_one_by_one() {
    let model = Model::random(4);
    let cancel = CancelToken::new();
    for refused in [0, 2, 3] {
        let device = HostDevice::seeded(9);
        let mut networks = model.networks(&device, Element::F32);
        networks.refused_captures = refused;
        let seen = networks.seen.clone();
        let profiles = model.profiles(4);
        let engine =
            DeviceEngine::new(device, networks, &model.config, model.size, &profiles, Element::F32).unwrap();
        let Both { mut cpu, own, mut gpu, features } = both(&model, engine);
        let prompts = [[5, 6], [7, 8], [9, 10]];
        for _ in 0..2 {
            let found = gpu.generate(&features, &prompts, &exactly(30), &cancel).unwrap();
            let expected = cpu.generate(&own, &prompts, &exactly(30), &cancel).unwrap();
            assert_eq!(tokens(&found), tokens(&expected));
        }
        let seen = seen.lock().unwrap();
        let mut opened = seen.opened.clone();
        opened.sort();
        opened.dedup();
        assert_eq!(opened.len(), seen.opened.len(), "each profile is opened once: {:?}", seen.opened);
        let steps = opened.iter().filter(|(graph, _)| *graph == GraphName::DecoderStep).count();
        assert!(steps >= 4, "{opened:?}");
        assert_eq!(seen.captured, if refused == 3 { 0 } else { steps }, "{refused} captures refused");
    }
}

#[test]
fn a_sequence_that_has_ended_is_noticed_a_few_steps_late_at_most() {
    let model = Model::random(4);
    let device = HostDevice::new();
    let networks = model.networks(&device, Element::F32);
    let seen = networks.seen.clone();
    let profiles = model.profiles(1);
    let engine = DeviceEngine::new(device, networks, &model.config, model.size, &profiles, Element::F32);
    let Both { mut gpu, features, .. } = both(&model, engine.unwrap().with_steps_ahead(4));
    let cancel = CancelToken::new();
    let options = GenerationOptions { max_new_tokens: 60, ..GenerationOptions::default() };
    let found = gpu.generate(&features, &[[5, 6]], &options, &cancel).unwrap().remove(0);
    drop(gpu);
    let runs = seen.lock().unwrap().runs[&GraphName::DecoderStep];
    let needed = found.token_ids.len() - 1;
    assert!((needed..needed + 4).contains(&runs), "{runs} steps for {needed} tokens");
}

#[test]
fn logits_that_are_not_numbers_end_their_sequence_alone_and_leave_nothing_behind() {
    let model = Model::random(4);
    let cancel = CancelToken::new();
    for beams in [1, 3] {
        let device = HostDevice::seeded(3);
        let networks = model.networks(&device, Element::F32);
        let faults = networks.faults.clone();
        let profiles = model.profiles(4);
        let engine =
            DeviceEngine::new(device, networks, &model.config, model.size, &profiles, Element::F32).unwrap();
        let Both { mut cpu, own, mut gpu, features } = both(&model, engine);
        let options = GenerationOptions { beams, ..exactly(12) };
        faults.not_a_number.store(7, Ordering::SeqCst);
        let first = gpu.submit(&features, &[[5, 6]], &options).unwrap();
        let second = gpu.submit(&features, &[[7, 8]], &exactly(12)).unwrap();
        let mut answered = Vec::new();
        while answered.len() < 2 {
            answered.extend(gpu.turn(&cancel).unwrap());
        }
        answered.sort_by_key(|answered| answered.submission);
        let [spoiled, unharmed] = answered.try_into().unwrap();
        assert_eq!([spoiled.submission, unharmed.submission], [first, second]);
        let error = spoiled.result.unwrap_err();
        assert!(
            matches!(error, ModelError::LogitsNotFinite { row: 0, precision: "exact", step: 4..=6 }),
            "{error:?}"
        );
        let expected = cpu.generate(&own, &[[7, 8]], &exactly(12), &cancel).unwrap();
        assert_eq!(tokens(&unharmed.result.unwrap()), tokens(&expected));
        // The same row again.
        let found = gpu.generate(&features, &[[5, 6]], &options, &cancel).unwrap();
        let expected = cpu.generate(&own, &[[5, 6]], &options, &cancel).unwrap();
        assert_eq!(tokens(&found), tokens(&expected));
    }
}

#[test]
fn a_failed_step_fails_everything_and_says_which() {
    let model = Model::random(4);
    let device = HostDevice::new();
    let networks = model.networks(&device, Element::F32);
    let faults = networks.faults.clone();
    let profiles = model.profiles(2);
    let engine = DeviceEngine::new(device, networks, &model.config, model.size, &profiles, Element::F32);
    let Both { mut gpu, features, .. } = both(&model, engine.unwrap());
    let cancel = CancelToken::new();
    faults.failure.store(5, Ordering::SeqCst);
    gpu.submit(&features, &[[5, 6]], &exactly(20)).unwrap();
    let error = loop {
        match gpu.turn(&cancel) {
            Ok(answered) => assert!(answered.is_empty()),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("step 4 of graph decoder_step") && error.contains("illegal"), "{error}");
    assert_eq!(gpu.in_flight(), 0);
    let again = gpu.generate(&features, &[[5, 6]], &exactly(3), &cancel).unwrap_err().to_string();
    assert!(again.contains("after an earlier failure") && again.contains("illegal"), "{again}");
}

#[test]
fn a_device_that_is_lost_while_encoding_breaks_the_engine_which_keeps_the_first_reason() {
    let model = Model::random(4);
    let device = HostDevice::new();
    let networks = model.networks(&device, Element::F32);
    let faults = networks.faults.clone();
    let profiles = model.profiles(2);
    let engine = DeviceEngine::new(device, networks, &model.config, model.size, &profiles, Element::F32);
    let Both { mut gpu, features, .. } = both(&model, engine.unwrap());
    let cancel = CancelToken::new();
    let picture = &model.pictures()[0];
    faults.vision_failure.store(1, Ordering::SeqCst);
    let first = gpu.encode_image(model.pixels(picture), &cancel).unwrap_err().to_string();
    assert!(first.contains("illegal"), "{first}");
    for _ in 0..2 {
        let decoding = gpu.generate(&features, &[[5, 6]], &exactly(3), &cancel).unwrap_err().to_string();
        assert!(
            decoding.contains("broken after an earlier failure") && decoding.ends_with(&first),
            "{decoding}"
        );
        let encoding = gpu.encode_image(model.pixels(picture), &cancel).unwrap_err().to_string();
        assert_eq!(encoding, decoding);
    }
}

#[test]
fn a_sequence_that_is_given_up_leaves_no_spoiled_row_behind() {
    let model = Model::random(4);
    let device = HostDevice::new();
    let networks = model.networks(&device, Element::F32);
    let faults = networks.faults.clone();
    let profiles = model.profiles(1);
    let engine = DeviceEngine::new(device, networks, &model.config, model.size, &profiles, Element::F32);
    let Both { mut cpu, own, mut gpu, features } = both(&model, engine.unwrap());
    let cancel = CancelToken::new();
    faults.not_a_number.store(4, Ordering::SeqCst);
    let given_up = gpu.submit(&features, &[[5, 6]], &exactly(12)).unwrap();
    // Steps are in the stream that nobody is going to read.
    assert!(gpu.turn(&cancel).unwrap().is_empty());
    gpu.withdraw(given_up);
    let found = gpu.generate(&features, &[[7, 8]], &exactly(12), &cancel).unwrap();
    assert_eq!(faults.not_a_number.load(Ordering::SeqCst), 0, "the step was made");
    let expected = cpu.generate(&own, &[[7, 8]], &exactly(12), &cancel).unwrap();
    assert_eq!(tokens(&found), tokens(&expected));
}

#[test]
fn logits_for_the_host_that_are_not_numbers_leave_nothing_behind() {
    let model = Model::random(4);
    let device = HostDevice::new();
    let networks = model.networks(&device, Element::F32);
    let faults = networks.faults.clone();
    let profiles = model.profiles(1);
    let engine = DeviceEngine::new(device, networks, &model.config, model.size, &profiles, Element::F32);
    let Both { mut cpu, own, mut gpu, features } = both(&model, engine.unwrap());
    let cancel = CancelToken::new();
    faults.not_a_number.store(1, Ordering::SeqCst);
    let limits = BatchLimits { beams: 1, max_length: 8 };
    let mut batch = gpu.engine().start(&features, &[&[5, 6]], limits, &cancel).unwrap();
    let is_spoiled =
        batch.prefill(&[2]).unwrap().into_rows().any(|row| row.iter().any(|logit| logit.is_nan()));
    assert!(is_spoiled);
    drop(batch);
    let found = gpu.generate(&features, &[[5, 6]], &exactly(12), &cancel).unwrap();
    let expected = cpu.generate(&own, &[[5, 6]], &exactly(12), &cancel).unwrap();
    assert_eq!(tokens(&found), tokens(&expected));
}

#[test]
fn what_cannot_be_served_is_refused_at_once() {
    let model = Model::random(4);
    let device = HostDevice::new();
    let engine = model.engine(&device, &model.profiles(2), Element::F32);
    let Both { own, mut gpu, features, .. } = both(&model, engine);
    let cancel = CancelToken::new();
    let longest = model.config.text.max_positions - model.image_tokens();
    let rows = model.config.logit_rows() as u32;
    let three = GenerationOptions { beams: 3, ..exactly(5) };
    let mut refused = |features: &ImageFeatures, prompt: Vec<u32>, options: &GenerationOptions| {
        let error = gpu.generate(features, &[[1, 2].as_slice(), &prompt], options, &cancel).unwrap_err();
        assert!(matches!(error, ModelError::Request { .. }), "{error:?}");
        assert_eq!(gpu.turn(&cancel).unwrap().len(), 0);
        error.to_string()
    };
    assert!(refused(&own, vec![5], &exactly(5)).contains("another engine"));
    assert!(refused(&features, vec![], &exactly(5)).contains("no tokens"));
    assert!(refused(&features, vec![5; longest + 1], &exactly(5)).contains("at most"));
    assert!(refused(&features, vec![rows], &exactly(5)).contains("no embedding"));
    assert!(refused(&features, vec![5], &three).contains("3 beams"));
    assert!(refused(&features, vec![5], &exactly(0)).contains("at least 1"));
    let wrong_size = belvedere_models::engine::Pixels { width: 8, height: 8, data: &[0.0; 192] };
    assert!(gpu.encode_image(wrong_size, &cancel).is_err());
    let long = vec![5; model.config.text.max_positions + 2];
    assert!(gpu.score(&features, &[&[5]], &[&long], 1, &cancel).is_err());
    assert!(gpu.score(&features, &[&[5]], &[&[2, 0, 1], &[2]], 1, &cancel).is_err());
}

#[test]
fn cancelling_one_call_leaves_what_else_is_in_flight() {
    let model = Model::random(4);
    let device = HostDevice::seeded(1);
    let engine = model.engine(&device, &model.profiles(2), Element::F32);
    let Both { mut cpu, own, mut gpu, features } = both(&model, engine);
    let cancel = CancelToken::new();
    let submission = gpu.submit(&features, &[[5, 6]], &exactly(25)).unwrap();
    let cancelled = CancelToken::new();
    cancelled.cancel();
    let error = gpu.generate(&features, &[[7, 8]], &exactly(25), &cancelled).unwrap_err();
    assert!(matches!(error, ModelError::Cancelled));
    assert!(matches!(gpu.turn(&cancelled), Err(ModelError::Cancelled)));
    let answered = loop {
        if let Some(answered) = gpu.turn(&cancel).unwrap().pop() {
            break answered;
        }
    };
    assert_eq!(answered.submission, submission);
    let expected = cpu.generate(&own, &[[5, 6]], &exactly(25), &cancel).unwrap();
    assert_eq!(tokens(&answered.result.unwrap()), tokens(&expected));
}

#[test]
fn each_sequence_has_times_of_its_own() {
    let model = Model::random(4);
    let device = HostDevice::new();
    let engine = model.engine(&device, &model.profiles(1), Element::F32);
    let Both { mut gpu, features, .. } = both(&model, engine);
    let cancel = CancelToken::new();
    let clock = std::time::Instant::now();
    let found = gpu.generate(&features, &[[5, 6], [7, 8]], &exactly(20), &cancel).unwrap();
    let all_ms = clock.elapsed().as_secs_f64() * 1e3;
    let [first, second] = [0, 1].map(|place: usize| found[place].timing);
    let sum = |times: belvedere_models::StageTimes| {
        times.queued_ms + times.encoder_ms + times.prefill_ms + times.decode_ms
    };
    // The only row is the first one's until it has ended.
    assert!(second.queued_ms >= first.encoder_ms + first.prefill_ms + first.decode_ms);
    assert!(first.queued_ms < second.queued_ms && sum(first) < sum(second) && sum(second) <= all_ms);
    for times in [first, second] {
        assert!(times.encoder_ms > 0.0 && times.prefill_ms > 0.0 && times.decode_ms > 0.0, "{times:?}");
        assert_eq!(times.steps, 18, "of 21 tokens two are forced at the start, one is the prefill's");
    }
}
