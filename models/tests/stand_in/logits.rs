//! Logits for the host are those of the CPU, beside sequences that are in flight.

use belvedere_kernels_host::HostDevice;
use belvedere_models::engine::{BatchLimits, NextRow};
use belvedere_models::graph::Element;
use belvedere_models::{CancelToken, Florence, GenerationOptions, ImageFeatures};

use crate::models::Model;

const LIMITS: BatchLimits = BatchLimits { beams: 2, max_length: 20 };

/// All logits of a prefill, of steps that cross and leave, and of given sequences.
fn look(florence: &mut Florence, features: &ImageFeatures) -> Vec<Vec<f32>> {
    let cancel = CancelToken::new();
    let prompts: [&[u32]; 3] = [&[5, 6, 7], &[9; 20], &[11]];
    let mut seen = Vec::new();
    let kept = florence.keep_prompt(features, prompts[1], &cancel).unwrap();
    let engine = florence.engine();
    let mut batch = engine.start(features, &prompts, LIMITS, &cancel).unwrap();
    let mut take = |logits: belvedere_models::engine::Logits<'_>| {
        seen.extend(logits.into_rows().map(|row| row.to_vec()));
    };
    take(batch.prefill(&[2, 0]).unwrap());
    let row = |parent, token| NextRow { parent, token };
    let rows = [row(0, 4), row(0, 5), row(1, 6), row(1, 7), row(2, 8), row(2, 9)];
    take(batch.step(&rows).unwrap());
    // Rows of an item change places, one item leaves.
    take(batch.step(&[row(1, 14), row(0, 15), row(5, 16), row(5, 17)]).unwrap());
    for token in 20..30 {
        take(batch.step(&[row(0, token), row(1, token + 1), row(3, token), row(2, token)]).unwrap());
    }
    drop(batch);
    let given: [&[u32]; 4] = [&[2, 0, 30, 31, 32], &[2, 0, 33], &[2, 40, 41, 42, 43, 44, 45], &[2]];
    let mut batch = engine.start(features, &prompts[..2], LIMITS, &cancel).unwrap();
    let longest = 7;
    let rows: Vec<_> = batch.force(&given, 2).unwrap().into_rows().map(|row| row.to_vec()).collect();
    for (index, given) in given.iter().enumerate() {
        seen.extend_from_slice(&rows[index * longest..index * longest + given.len()]);
    }
    drop(batch);
    let mut batch = engine.resume(&[&kept], LIMITS).unwrap();
    seen.extend(batch.prefill(&[2, 0, 50]).unwrap().into_rows().map(|row| row.to_vec()));
    seen
}

#[test]
fn logits_are_those_of_the_cpu_and_sequences_in_flight_stand_still_meanwhile() {
    let model = Model::random(3);
    let cancel = CancelToken::new();
    let picture = &model.pictures()[0];
    let mut cpu = model.on_cpu();
    let (own, _) = cpu.encode_image(model.pixels(picture), &cancel).unwrap();
    let device = HostDevice::seeded(5);
    let mut gpu = model.on_device(model.engine(&device, &model.profiles(8), Element::F32));
    let (features, _) = gpu.encode_image(model.pixels(picture), &cancel).unwrap();

    let read = gpu.engine().read_features(&features).unwrap();
    let expected = cpu.engine().read_features(&own).unwrap();
    assert!(read.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4) && read.len() == expected.len());

    let options =
        GenerationOptions { min_new_tokens: 30, max_new_tokens: 40, ..GenerationOptions::default() };
    let prompts = [vec![17, 18], vec![19]];
    let submission = gpu.submit(&features, &prompts, &options).unwrap();
    for _ in 0..3 {
        assert!(gpu.turn(&cancel).unwrap().is_empty());
    }
    let (found, expected) = (look(&mut gpu, &features), look(&mut cpu, &own));
    assert_eq!(found.len(), expected.len());
    for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(found.len() == expected.len() && worst < 1e-3, "row {place} differs by {worst}");
    }
    let answered = loop {
        if let Some(answered) = gpu.turn(&cancel).unwrap().pop() {
            break answered;
        }
    };
    assert_eq!(answered.submission, submission);
    let expected = cpu.generate(&own, &prompts, &options, &cancel).unwrap();
    for (found, expected) in answered.result.unwrap().iter().zip(&expected) {
        assert_eq!(found.token_ids, expected.token_ids);
    }
}
