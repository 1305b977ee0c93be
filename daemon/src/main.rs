//! The Belvedere daemon.
fn main() {}
