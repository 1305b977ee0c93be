//! What a checkpoint says about its pictures.

use crate::error::KernelError;

/// The numbers of a checkpoint's `preprocessor_config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct PreprocessSpec {
    /// Width of the model's input in pixels; the picture is stretched to it.
    pub width: u32,
    /// Height of the model's input in pixels.
    pub height: u32,
    /// Subtracted from each rescaled channel: red, green, blue.
    pub mean: [f32; 3],
    /// Divides each centred channel.
    pub std: [f32; 3],
    /// Multiplies an 8-bit level, in float64.
    pub rescale: f64,
}

impl PreprocessSpec {
    /// The largest side of a model's input, in pixels. It bounds what a hostile configuration can allocate.
    pub const MAX_SIDE_PX: u32 = 4096;

    /// Florence-2's own numbers: levels times 1/255, ImageNet mean and deviation.
    pub fn imagenet(width: u32, height: u32) -> Self {
        PreprocessSpec {
            width,
            height,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            rescale: 1.0 / 255.0,
        }
    }

    /// The value that the model gets for each 8-bit level of `channel` (0 red, 1 green, 2 blue).
    ///
    /// In the reference's order of operations and roundings: the level times `rescale` in float64, rounded to
    /// float32; then `(x - mean) / std` in float32. A table of all 256 levels therefore loses nothing.
    pub(crate) fn levels(&self, channel: usize) -> [f32; 256] {
        let (mean, std) = (self.mean[channel], self.std[channel]);
        std::array::from_fn(|level| ((level as f64 * self.rescale) as f32 - mean) / std)
    }

    pub(crate) fn check(&self) -> Result<(), KernelError> {
        let max = Self::MAX_SIDE_PX;
        if !(1..=max).contains(&self.width) || !(1..=max).contains(&self.height) {
            return Err(KernelError::TargetSize { width: self.width, height: self.height, max });
        }
        let error = |field, value, why| Err(KernelError::Normalisation { field, value, why });
        if !self.rescale.is_finite() {
            return error("rescale", self.rescale, "must be finite");
        }
        const MEANS: [&str; 3] = ["mean[0]", "mean[1]", "mean[2]"];
        const STDS: [&str; 3] = ["std[0]", "std[1]", "std[2]"];
        for channel in 0..3 {
            let (mean, std) = (self.mean[channel], self.std[channel]);
            if !mean.is_finite() {
                return error(MEANS[channel], f64::from(mean), "must be finite");
            }
            if !std.is_finite() || std <= 0.0 {
                return error(STDS[channel], f64::from(std), "must be finite and above 0");
            }
        }
        Ok(())
    }
}
