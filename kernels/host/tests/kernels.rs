//! Every kernel against its reference: on the host, where each access is checked against the memory there is, and in a
//! program with address and undefined-behaviour sanitizers, where nothing else is checked.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod sanitized;

use belvedere_kernels::device::{Argument, Launch};
use belvedere_kernels_host::HostDevice;
use belvedere_kernels_host::cases::{self, Machine, OnDevice};
use sanitized::Sanitized;

/// The host for `seeds` seeds, the sanitizers, which are slower, for the first fifth of them.
fn each_seed(seeds: u64, case: impl Fn(&mut dyn Machine, u64) -> Result<(), String>) {
    let mut host = OnDevice::new(HostDevice::new()).unwrap();
    let mut sanitized = Sanitized::start();
    for seed in 0..seeds {
        case(&mut host, seed).unwrap();
        if seed < seeds / 5 {
            case(&mut sanitized, seed).unwrap_or_else(|error| panic!("sanitized, seed {seed}: {error}"));
        }
    }
}

#[test]
fn keys_and_values_go_where_the_positions_say_and_the_mask_opens_there() {
    each_seed(400, cases::caches);
}

#[test]
fn the_next_token_is_what_greedy_decoding_with_bans_chooses() {
    each_seed(400, cases::next_token);
}

#[test]
fn the_best_tokens_are_those_of_a_full_sort() {
    each_seed(200, cases::best_tokens);
}

#[test]
fn beams_take_over_what_their_parents_hold() {
    each_seed(200, cases::beams);
}

#[test]
fn preprocessed_pictures_are_those_of_the_cpu() {
    each_seed(300, cases::preprocess);
}

#[test]
fn a_preprocessor_follows_pictures_that_change_size_and_number() {
    for seed in 0..30 {
        cases::preprocessor(&HostDevice::seeded(seed), seed).unwrap();
        // As late as may be: pinned memory that is written too early is read wrong.
        cases::preprocessor(&HostDevice::new(), seed).unwrap();
    }
}

#[test]
fn the_sanitizers_find_a_write_beyond_the_end() {
    let mut machine = Sanitized::start();
    let (position, mask) = (machine.put(&[0; 8]).unwrap(), machine.put(&[0; 16]).unwrap());
    let arguments = vec![Argument::Memory(position), Argument::Memory(mask), 5_u32.into(), 1.0_f32.into()];
    let launch = Launch { kernel: "past_mask_f32", grid: [1, 1, 1], block: [32, 1, 1], arguments };
    let error = machine.run(&launch).unwrap_err();
    assert!(error.contains("heap-buffer-overflow"), "{error}");
}

#[test]
fn steps_that_are_replayed_ahead_choose_what_steps_one_by_one_choose() {
    for seed in 0..20 {
        cases::replayed_steps(&HostDevice::new(), seed).unwrap();
        cases::replayed_steps(&HostDevice::seeded(seed), seed).unwrap();
    }
}
