//! The model's input.

/// One picture as the vision tower takes it: `[3, height, width]` float32, planes in the order red, green, blue.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelValues {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `3 * height * width` normalised values, row by row, plane after plane.
    pub data: Vec<f32>,
}
