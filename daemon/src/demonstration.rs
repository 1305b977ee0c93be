//! The demonstration checkpoint: what runs where no model is named.

use std::path::{Path, PathBuf};

use belvedere_models::checkpoint::{FlorenceConfig, Layout};
use belvedere_models::synthetic::{StoredType, SyntheticModel};

use crate::analyst::AnalysisError;
use crate::cache;

/// The vocabulary of Florence-2; see models/testdata/tokenizer for its origin and licence.
const TOKENIZER: &str = include_str!("../../models/testdata/tokenizer/tokenizer.json");
/// Pixels, either way: the smallest multiple of the vision tower's steps that fills its windows.
const IMAGE_PX: u32 = 384;

/// The folder of a small Florence-2 with random weights, written into the user's cache where it is not
/// there yet. It has all parts of the real one and answers in milliseconds; its words mean nothing.
///
/// # Errors
/// The folder cannot be written.
pub fn checkpoint() -> Result<PathBuf, AnalysisError> {
    let cache = cache::folder().unwrap_or_else(|| std::env::temp_dir().join("belvedere"));
    let dir = cache.join(format!("demonstration-{}", env!("CARGO_PKG_VERSION")));
    if dir.is_dir() {
        return Ok(dir);
    }
    let wrong = |reason: String| AnalysisError::Demonstration { dir: dir.clone(), reason };
    // Written beside its place and moved there whole: another process may be doing the same.
    let unfinished = dir.with_extension(format!("{:x}", fastrand::u64(..)));
    write(&unfinished).map_err(wrong)?;
    match std::fs::rename(&unfinished, &dir) {
        Ok(()) => Ok(dir),
        Err(_) if dir.is_dir() => {
            let _ = std::fs::remove_dir_all(&unfinished);
            Ok(dir)
        }
        Err(error) => Err(wrong(error.to_string())),
    }
}

fn write(dir: &Path) -> Result<(), String> {
    SyntheticModel::new(FlorenceConfig::small(), (IMAGE_PX, IMAGE_PX))
        .write(dir, Layout::Native, StoredType::F16)
        .map_err(|error| error.to_string())?;
    std::fs::write(dir.join("tokenizer.json"), TOKENIZER).map_err(|error| error.to_string())
}
