//! A checkpoint's `preprocessor_config.json`.

use std::path::{Path, PathBuf};

use belvedere_kernels::PreprocessSpec;
use serde::Deserialize;

/// What the checkpoint says about its pictures is missing or cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct PreprocessorError {
    path: PathBuf,
    reason: String,
}

/// The keys that decide what the model sees. Where one is left out, Florence-2's own value holds.
#[derive(Deserialize)]
struct Config {
    size: Size,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
    rescale_factor: Option<f64>,
    resample: Option<u32>,
}

#[derive(Deserialize)]
struct Size {
    width: u32,
    height: u32,
}

/// Pillow's number for BICUBIC, the one filter that Florence-2 was trained with.
const BICUBIC: u32 = 3;

/// Reads the file in a checkpoint's folder.
///
/// # Errors
/// It cannot be read, is no such JSON, or asks for another filter than bicubic.
pub fn read(dir: &Path) -> Result<PreprocessSpec, PreprocessorError> {
    let path = dir.join("preprocessor_config.json");
    let wrong = |reason: String| PreprocessorError { path: path.clone(), reason };
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let config: Config = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if config.resample.is_some_and(|resample| resample != BICUBIC) {
        return Err(wrong("resample is not 3 (bicubic)".to_owned()));
    }
    let default = PreprocessSpec::imagenet(config.size.width, config.size.height);
    Ok(PreprocessSpec {
        mean: config.image_mean.unwrap_or(default.mean),
        std: config.image_std.unwrap_or(default.std),
        rescale: config.rescale_factor.unwrap_or(default.rescale),
        ..default
    })
}

#[cfg(test)]
mod tests {
    use super::read;

    fn read_text(text: &str) -> Result<belvedere_kernels::PreprocessSpec, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("preprocessor_config.json"), text).unwrap();
        read(dir.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn size_mean_and_deviation_are_taken_from_the_file() {
        let spec = read_text(
            r#"{"size": {"height": 384, "width": 512}, "image_mean": [0.5, 0.25, 0.125], "resample": 3}"#,
        )
        .unwrap();
        assert_eq!((spec.width, spec.height), (512, 384));
        assert_eq!(spec.mean, [0.5, 0.25, 0.125]);
        assert_eq!(spec.std, [0.229, 0.224, 0.225]);
    }

    #[test]
    fn a_file_that_cannot_be_followed_is_an_error_that_names_it() {
        for wrong in ["", "{}", r#"{"size": 3}"#, r#"{"size": {"height": 1, "width": 1}, "resample": 0}"#] {
            assert!(read_text(wrong).unwrap_err().contains("preprocessor_config.json"), "{wrong}");
        }
    }
}
