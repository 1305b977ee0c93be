use std::{fs, path::Path};

use anyhow::{Context, Result};
use belvedere_models::{
    checkpoint::{FlorenceConfig, Layout},
    synthetic::{StoredType, SyntheticModel},
};
use tempfile::TempDir;

/// A checkpoint folder with random weights of a model small enough for tests.
pub struct SmallCheckpoint {
    folder: TempDir,
}

impl SmallCheckpoint {
    /// Writes one, with the real tokenizer.
    pub fn write() -> Result<Self> {
        let folder = TempDir::new()?;
        SyntheticModel::new(FlorenceConfig::small(), (128, 128)).write(
            folder.path(),
            Layout::Native,
            StoredType::F32,
        )?;
        let tokenizer = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/testdata/tokenizer/tokenizer.json");
        fs::copy(tokenizer, folder.path().join("tokenizer.json")).context(tokenizer)?;
        Ok(Self { folder })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Writes a PNG picture of noise: every frame of it is worth looking at.
pub fn noise_image(path: &Path, width: u32, height: u32) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(1);
    let image = image::RgbImage::from_fn(width, height, |_, _| {
        image::Rgb([random.u8(..), random.u8(..), random.u8(..)])
    });
    Ok(image.save(path)?)
}
