//! Every kernel against its reference, on the host.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use belvedere_kernels_host::HostDevice;
use belvedere_kernels_host::cases::{self, Machine, OnDevice};

fn each_seed(seeds: std::ops::Range<u64>, case: impl Fn(&mut dyn Machine, u64) -> Result<(), String>) {
    let mut machine = OnDevice::new(HostDevice::new()).unwrap();
    for seed in seeds {
        case(&mut machine, seed).unwrap();
    }
}

#[test]
fn keys_and_values_go_where_the_positions_say_and_the_mask_opens_there() {
    each_seed(0..300, cases::caches);
}

#[test]
fn the_next_token_is_what_greedy_decoding_with_bans_chooses() {
    each_seed(0..300, cases::next_token);
}
