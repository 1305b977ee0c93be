//! Any files and variables are a configuration or have problems, each with a line to show.
//!
//! Input: the main file, a NUL, a file of `conf.d`, and `NAME=VALUE` after each further NUL.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use belvedere::config;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// In memory where the system has such a folder.
fn folder() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        std::fs::create_dir(folder.path().join("conf.d")).expect("a folder in it");
        folder
    });
    folder.path().to_owned()
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|byte| *byte == 0);
    let main = folder().join("belvedere.toml");
    std::fs::write(&main, parts.next().unwrap_or_default()).expect("room");
    let drop_in = folder().join("conf.d/10.toml");
    match parts.next() {
        Some(text) => std::fs::write(&drop_in, text).expect("room"),
        None => drop(std::fs::remove_file(&drop_in)),
    }
    let variables = parts.filter_map(|part| {
        let (name, value) = std::str::from_utf8(part).ok()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    match config::load_with(&main, variables.collect()) {
        Ok(settings) => drop(format!("{settings:?}")),
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems.iter() {
                assert!(!problem.to_string().contains('\n'), "{problem}");
            }
        }
    }
});
