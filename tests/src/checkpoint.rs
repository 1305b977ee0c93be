use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

/// A checkpoint folder with random weights of a model small enough for tests.
pub struct SmallCheckpoint {
    folder: TempDir,
}

impl SmallCheckpoint {
    /// Writes one.
    pub fn write() -> Result<Self> {
        let folder = TempDir::new()?;
        Ok(Self { folder })
    }

    /// Writes one that needs many seconds for a long answer.
    pub fn write_slow() -> Result<Self> {
        Self::write()
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
