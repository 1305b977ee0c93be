//! Models whose weights are made up, but the same everywhere: for tests against the reference, measurements at full
//! size, and demonstrations without a download.

mod folder;
mod hash;
mod presets;

pub use folder::{StoredType, SyntheticModel};
