//! Pictures as their decoders give them, prepared where the engine runs.

use belvedere_kernels::{ImageView, PreprocessSpec};

use super::{CancelToken, ImageFeatures};
use crate::ModelError;

/// Features of pictures that the engine has prepared.
#[derive(Debug)]
pub struct EncodedViews {
    /// In the order of the pictures.
    pub features: Vec<ImageFeatures>,
    /// What preparing all of them took, in ms: the host's copying, and the device's work where the device takes times.
    pub preprocess_ms: f64,
}

/// Prepares pictures itself: colour, size and normalisation, with the numbers of
/// [`PreprocessPlan`](belvedere_kernels::PreprocessPlan), rounded once where the engine computes in f16.
pub trait ViewEncoder {
    /// Whether such a picture is prepared. Where it is not, the log says why, once for a size.
    fn takes(&mut self, picture: &ImageView<'_>, spec: &PreprocessSpec) -> bool;

    /// Prepares pictures of any sizes and layouts and runs the vision graph on them. They have been read when it returns,
    /// or fails.
    ///
    /// # Errors
    /// A picture that is not [taken](Self::takes), an engine failure, cancellation.
    fn encode_views(
        &mut self,
        pictures: &[ImageView<'_>],
        spec: &PreprocessSpec,
        cancel: &CancelToken,
    ) -> Result<EncodedViews, ModelError>;

    /// What the vision graph is given for a picture, `[3, height, width]`, for comparisons.
    ///
    /// # Errors
    /// A picture that is not [taken](Self::takes), an engine failure.
    fn pixel_values(
        &mut self,
        picture: &ImageView<'_>,
        spec: &PreprocessSpec,
    ) -> Result<Vec<f32>, ModelError>;
}
