//! What every kernel must do, on random inputs: for the host, for the host under sanitizers, and for a GPU.
//!
//! The references are written from the kernels' contract, one row and one number at a time in float64, and share nothing
//! with the kernels.

mod caches;
mod machine;
mod next_token;

pub use caches::caches;
pub use machine::{Machine, OnDevice};
pub use next_token::next_token;

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
