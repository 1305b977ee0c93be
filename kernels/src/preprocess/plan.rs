//! Running a specification, picture after picture.

use crate::error::KernelError;
use crate::image_view::ImageView;
use crate::preprocess::{PixelValues, PreprocessSpec};
use crate::resize::BicubicResize;

/// A specification made ready: normalisation tables, and the resize weights and scratch memory of the last
/// source size, reused while pictures keep that size.
#[derive(Debug)]
pub struct PreprocessPlan {
    spec: PreprocessSpec,
    levels: [[f32; 256]; 3],
    resize: BicubicResize,
}

impl PreprocessPlan {
    /// Makes the tables of `spec`.
    ///
    /// # Errors
    /// [`KernelError::TargetSize`] and [`KernelError::Normalisation`] for a specification that makes no sense.
    pub fn new(spec: PreprocessSpec) -> Result<Self, KernelError> {
        spec.check()?;
        let levels = [spec.levels(0), spec.levels(1), spec.levels(2)];
        let resize = BicubicResize::new(spec.width, spec.height)?;
        Ok(PreprocessPlan { spec, levels, resize })
    }

    /// The specification this plan runs.
    pub fn spec(&self) -> &PreprocessSpec {
        &self.spec
    }

    /// The model's input for `picture`: converted to RGB, resized as [`BicubicResize`] does it, normalised as
    /// the [`PreprocessSpec`] says.
    ///
    /// # Errors
    /// None today: a picture was checked when it was made.
    pub fn run(&mut self, picture: &ImageView<'_>) -> Result<PixelValues, KernelError> {
        let mut values = PixelValues { width: 0, height: 0, data: Vec::new() };
        self.run_into(picture, &mut values)?;
        Ok(values)
    }

    /// As [`PreprocessPlan::run`], into `values`, whose memory is reused whatever it held.
    ///
    /// # Errors
    /// As [`PreprocessPlan::run`].
    pub fn run_into(&mut self, picture: &ImageView<'_>, values: &mut PixelValues) -> Result<(), KernelError> {
        (values.width, values.height) = (self.spec.width, self.spec.height);
        let width = self.spec.width as usize;
        let plane = width * self.spec.height as usize;
        values.data.resize(3 * plane, 0.0);
        let (levels, data) = (&self.levels, &mut values.data);
        self.resize.run_rows(picture, |row, planes| {
            for (channel, (bytes, levels)) in planes.iter().zip(levels).enumerate() {
                let out = &mut data[channel * plane + row * width..][..width];
                for (value, byte) in out.iter_mut().zip(*bytes) {
                    *value = levels[usize::from(*byte)];
                }
            }
        });
        Ok(())
    }
}
