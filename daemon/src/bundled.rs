//! The bundled model: the small Florence-2 of models/tiny, which runs where no model is named.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::analyst::AnalysisError;
use crate::folders;

/// What the bundled model knows; said wherever it runs because no other was named.
pub const KNOWS: &str = "the bundled model, which knows made-up street scenes only";

/// A checkpoint's file: its name and what is in it.
type File = (&'static str, &'static [u8]);

/// The checkpoint as the hub would ship it.
const FILES: [File; 5] = [
    ("config.json", include_bytes!("../../models/tiny/config.json")),
    ("generation_config.json", include_bytes!("../../models/tiny/generation_config.json")),
    ("model.safetensors", include_bytes!("../../models/tiny/model.safetensors")),
    ("preprocessor_config.json", include_bytes!("../../models/tiny/preprocessor_config.json")),
    ("tokenizer.json", include_bytes!("../../models/tiny/tokenizer.json")),
];

/// The folder of the bundled checkpoint, written into the user's cache where it is not there yet.
///
/// # Errors
/// The folder cannot be written.
pub fn checkpoint() -> Result<PathBuf, AnalysisError> {
    let cache = folders::cache().unwrap_or_else(|| std::env::temp_dir().join("belvedere"));
    // Named by the build script for what is in them: another model is never found there. Read here, they would take their
    // size in memory.
    unpacked(&FILES, &cache.join(concat!("bundled-", env!("BELVEDERE_BUNDLED_MODEL"))))
}

/// The bundled checkpoint in a folder of its own, which goes when this is dropped: for those who leave nothing behind.
#[derive(Debug)]
pub struct PassingCheckpoint(PathBuf);

impl PassingCheckpoint {
    /// Writes it into the folder for temporary files.
    ///
    /// # Errors
    /// It cannot be written there.
    pub fn new() -> Result<PassingCheckpoint, AnalysisError> {
        let name = format!("belvedere-{:x}", fastrand::u64(..));
        Ok(PassingCheckpoint(unpacked(&FILES, &std::env::temp_dir().join(name))?))
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PassingCheckpoint {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The folder `dir` with `files` in it.
fn unpacked(files: &[File], dir: &Path) -> Result<PathBuf, AnalysisError> {
    let dir = dir.to_owned();
    if is_whole(files, &dir) {
        return Ok(dir);
    }
    let wrong = |error: io::Error| AnalysisError::Bundled { dir: dir.clone(), reason: error.to_string() };
    // Written beside its place and moved there whole: another process may be doing the same.
    let unfinished = dir.with_extension(format!("{:x}", fastrand::u64(..)));
    let written = write(files, &unfinished).and_then(|()| {
        // What is there is damaged, or another process was faster; a folder is not moved over another.
        if !is_whole(files, &dir) {
            let _ = fs::remove_dir_all(&dir);
        }
        fs::rename(&unfinished, &dir)
    });
    match written {
        Ok(()) => Ok(dir),
        Err(error) => {
            let _ = fs::remove_dir_all(&unfinished);
            if is_whole(files, &dir) { Ok(dir) } else { Err(wrong(error)) }
        }
    }
}

fn write(files: &[File], dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    files.iter().try_for_each(|(name, bytes)| fs::write(dir.join(name), bytes))
}

/// Whether all files are there at their full length; a disk that was full once leaves short ones.
fn is_whole(files: &[File], dir: &Path) -> bool {
    files.iter().all(|(name, bytes)| {
        fs::metadata(dir.join(name)).is_ok_and(|found| found.len() == bytes.len() as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: [File; 2] = [("config.json", b"{}"), ("model.safetensors", b"weights")];

    #[test]
    fn the_files_are_unpacked_once_and_found_again() {
        let cache = tempfile::tempdir().unwrap();
        let dir = unpacked(&SMALL, &cache.path().join("bundled")).unwrap();
        assert_eq!(fs::read(dir.join("model.safetensors")).unwrap(), b"weights");
        fs::write(dir.join("mark"), "").unwrap();
        assert_eq!(unpacked(&SMALL, &dir).unwrap(), dir);
        assert!(dir.join("mark").exists());
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_was_cut_short_is_written_again() {
        let cache = tempfile::tempdir().unwrap();
        let dir = unpacked(&SMALL, &cache.path().join("bundled")).unwrap();
        fs::write(dir.join("model.safetensors"), "wei").unwrap();
        assert_eq!(unpacked(&SMALL, &dir).unwrap(), dir);
        assert_eq!(fs::read(dir.join("model.safetensors")).unwrap(), b"weights");
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_an_error_that_names_it() {
        let cache = tempfile::NamedTempFile::new().unwrap();
        let error = unpacked(&SMALL, &cache.path().join("bundled")).unwrap_err().to_string();
        assert!(error.contains(&cache.path().display().to_string()), "{error}");
    }
}
