//! Sequences that join, go on and leave, as the CPU decodes them one by one.

use belvedere_kernels_host::HostDevice;
use belvedere_models::graph::Element;
use belvedere_models::{CancelToken, GenerationOptions};

use crate::models::Model;

fn options(beams: usize, max_new_tokens: usize, min_new_tokens: usize) -> GenerationOptions {
    GenerationOptions { beams, max_new_tokens, min_new_tokens, ..GenerationOptions::default() }
}

#[test]
fn one_picture_is_answered_as_on_the_cpu() {
    let model = Model::bundled();
    let mut cpu = model.on_cpu();
    let device = HostDevice::new();
    let mut gpu = model.on_device(model.engine(&device, &model.profiles(4), Element::F32));
    let cancel = CancelToken::new();
    for picture in model.pictures() {
        let (own, _) = cpu.encode_image(model.pixels(&picture), &cancel).unwrap();
        let (features, _) = gpu.encode_image(model.pixels(&picture), &cancel).unwrap();
        let prompts = [vec![0, 5, 9, 2], vec![0, 40, 41, 42, 43, 2], vec![0, 2]];
        for options in [options(1, 20, 0), options(1, 40, 30), options(3, 20, 0)] {
            let expected = cpu.generate(&own, &prompts, &options, &cancel).unwrap();
            let found = gpu.generate(&features, &prompts, &options, &cancel).unwrap();
            for (expected, found) in expected.iter().zip(&found) {
                assert_eq!(found.token_ids, expected.token_ids, "{options:?}");
            }
        }
    }
}
