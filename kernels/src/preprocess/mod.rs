//! From a picture of any size to the model's input.

mod pixel_values;
mod plan;
mod spec;

pub use pixel_values::PixelValues;
pub use plan::PreprocessPlan;
pub use spec::PreprocessSpec;
