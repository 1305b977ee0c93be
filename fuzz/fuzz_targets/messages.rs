//! Any bytes may come from the broker, or lie in the spool from another version.
//!
//! Input: the payload.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| belvedere::watch::fuzzed::hear(data));
