//! What every kernel must do, on random inputs: for the host, for the host under sanitizers, and for a GPU.
//!
//! The references are written from the kernels' contract, one row and one number at a time in float64, and share nothing
//! with the kernels.

mod beams;
mod caches;
mod machine;
mod next_token;
mod preprocess;
mod preprocessor;

pub use beams::{beams, best_tokens};
pub use caches::caches;
pub use machine::{Machine, OnDevice};
pub use next_token::next_token;
pub use preprocess::preprocess;
pub use preprocessor::preprocessor;

/// An error that says what differs where.
fn same<T: PartialEq + std::fmt::Debug>(
    what: impl FnOnce() -> String,
    got: T,
    expected: T,
) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("{}: got {got:?}, expected {expected:?}", what())) }
}

fn bytes_of<const N: usize, T>(values: impl IntoIterator<Item = T>, bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.into_iter().flat_map(bytes).collect()
}

fn values_of<const N: usize, T>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
}

/// The nearest binary16, ties to even, of a number that is neither infinite nor too large for one; by arithmetic in float64.
fn half(value: f32) -> u16 {
    let magnitude = f64::from(value.abs());
    let exponent = if magnitude == 0.0 { -14 } else { (magnitude.log2().floor() as i32).max(-14) };
    let units = (magnitude / 2.0_f64.powi(exponent - 10)).round_ties_even() as u16;
    // A unit has the value 2^(exponent - 10); 1024 of them are the leading one that is not stored.
    let bits = units + ((exponent + 14) as u16 * 1024);
    bits | if value.is_sign_negative() { 0x8000 } else { 0 }
}
