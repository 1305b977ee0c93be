//! `preprocessor_config.json` (specification section 5).

use std::path::Path;

use belvedere_kernels::PreprocessSpec;
use serde::Deserialize;
use serde_json::Value;

use super::folder::read_json;
use crate::ModelError;

#[derive(Deserialize)]
struct RawPreprocessor {
    size: Option<RawSize>,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
    rescale_factor: Option<f64>,
    resample: Option<Value>,
    do_resize: Option<bool>,
    do_rescale: Option<bool>,
    do_normalize: Option<bool>,
    do_center_crop: Option<bool>,
}

#[derive(Deserialize)]
struct RawSize {
    width: Option<u32>,
    height: Option<u32>,
}

/// Reads the file; without one, the numbers of every published checkpoint.
pub(super) fn read(dir: &Path) -> Result<PreprocessSpec, ModelError> {
    let path = dir.join("preprocessor_config.json");
    let mut spec = PreprocessSpec::imagenet(768, 768);
    if !path.exists() {
        return Ok(spec);
    }
    let raw: RawPreprocessor = read_json(&path)?;
    let bad =
        |key: &str, reason: String| ModelError::Config { path: path.clone(), key: key.to_owned(), reason };
    for (key, value, supported) in [
        ("do_resize", raw.do_resize, true),
        ("do_rescale", raw.do_rescale, true),
        ("do_normalize", raw.do_normalize, true),
        ("do_center_crop", raw.do_center_crop, false),
    ] {
        if value.is_some_and(|value| value != supported) {
            return Err(bad(key, format!("{} is not supported", !supported)));
        }
    }
    if raw.resample.as_ref().is_some_and(|filter| *filter != 3) {
        return Err(bad("resample", "only 3 (bicubic) is supported".to_owned()));
    }
    if let Some(size) = raw.size {
        for (key, value, side) in
            [("size.width", size.width, &mut spec.width), ("size.height", size.height, &mut spec.height)]
        {
            let max = PreprocessSpec::MAX_SIDE_PX;
            *side = value
                .filter(|value| (1..=max).contains(value))
                .ok_or_else(|| bad(key, format!("a number of pixels from 1 to {max} is needed")))?;
        }
    }
    spec.mean = raw.image_mean.unwrap_or(spec.mean);
    spec.std = raw.image_std.unwrap_or(spec.std);
    if !spec.std.iter().all(|std| std.is_finite() && *std > 0.0) {
        return Err(bad("image_std", "every entry must be above zero".to_owned()));
    }
    if !spec.mean.iter().all(|mean| mean.is_finite()) {
        return Err(bad("image_mean", "every entry must be finite".to_owned()));
    }
    spec.rescale = raw.rescale_factor.unwrap_or(spec.rescale);
    if !spec.rescale.is_finite() {
        return Err(bad("rescale_factor", "it must be finite".to_owned()));
    }
    Ok(spec)
}
