//! Any file is a safetensors file or an error, and whatever was opened can be read.
//!
//! Input: how long the file is to be (four bytes, up to 64 MiB; what is missing is zeros), the length of
//! `config.json` (two bytes; none stands for the usual one), `config.json`, and the file.
#![no_main]

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

use belvedere_models::Checkpoint;
use belvedere_models::checkpoint::{FlorenceConfig, Layout, Weights};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const LONGEST: u64 = 64 << 20;

/// In memory where the system has such a folder.
fn folder() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder"))
        .path()
        .to_owned()
}

/// Of the smallest model there can be.
fn usual_config() -> &'static [u8] {
    static CONFIG: OnceLock<Vec<u8>> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let mut config = FlorenceConfig::of_widths([32; 4], 1, 32, 1, 1);
        config.text.vocabulary = 1100;
        config.to_json(Layout::Original).to_string().into_bytes()
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((&[l0, l1, l2, l3, c0, c1], rest)) = data.split_first_chunk::<6>() else {
        return;
    };
    let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3])) % LONGEST;
    let (config, tensors) = rest.split_at(usize::from(u16::from_le_bytes([c0, c1])).min(rest.len()));
    let config = if config.is_empty() { usual_config() } else { config };
    std::fs::write(folder().join("config.json"), config).expect("room");
    let mut file = File::create(folder().join("model.safetensors")).expect("a file");
    file.write_all(tensors).expect("room");
    file.set_len(length.max(tensors.len() as u64)).expect("room");
    let Ok(checkpoint) = Checkpoint::open(folder()) else {
        return;
    };
    for name in checkpoint.tensor_names() {
        let _ = checkpoint.read(name);
    }
});
