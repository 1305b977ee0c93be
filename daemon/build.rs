//! Names the bundled checkpoint by what is in it, so that the program need not read all of it to know where it was unpacked.

use std::error::Error;
use std::hash::{DefaultHasher, Hasher};
use std::path::PathBuf;
use std::{env, fs};

const FILES: [&str; 5] = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../models/tiny");
    let mut hasher = DefaultHasher::new();
    for name in FILES {
        let path = folder.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        hasher.write(name.as_bytes());
        hasher.write_usize(bytes.len());
        hasher.write(&bytes);
    }
    println!("cargo::rustc-env=BELVEDERE_BUNDLED_MODEL={:016x}", hasher.finish());
    Ok(())
}
