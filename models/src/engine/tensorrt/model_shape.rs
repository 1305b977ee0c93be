//! The sides of a model's tensors.

use super::Bucket;
use crate::ModelError;
use crate::checkpoint::FlorenceConfig;
use crate::graph::Element;

/// What the sizes of the engine's memory follow from, together with the profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelShape {
    /// Layers of the decoder.
    pub layers: usize,
    /// Attention heads of the decoder.
    pub heads: usize,
    /// Values of one head.
    pub head_dim: usize,
    /// Features per token (`d_model`).
    pub dim: usize,
    /// Tokens of a picture, the pooled one included.
    pub image_tokens: usize,
    /// Width of the pictures in pixels.
    pub width_px: usize,
    /// Height of the pictures in pixels.
    pub height_px: usize,
    /// Columns of the logits.
    pub columns: usize,
    /// Positions of the encoder and of the decoder. A sequence has at most one token more.
    pub positions: usize,
    /// What activations and caches are made of.
    pub element: Element,
}

impl ModelShape {
    /// Of a model for pictures of `width` by `height` pixels.
    ///
    /// # Errors
    /// A size that the model cannot take.
    pub fn new(
        config: &FlorenceConfig,
        width: u32,
        height: u32,
        element: Element,
    ) -> Result<ModelShape, ModelError> {
        let text = &config.text;
        Ok(ModelShape {
            layers: text.decoder_layers,
            heads: text.decoder_heads,
            head_dim: text.d_model / text.decoder_heads.max(1),
            dim: text.d_model,
            image_tokens: config.image_tokens(width, height)?,
            width_px: width as usize,
            height_px: height as usize,
            columns: config.logit_rows(),
            positions: text.max_positions,
            element,
        })
    }

    /// Cached tensors: key and value of every layer.
    pub(super) fn tensors(&self) -> usize {
        2 * self.layers
    }

    /// Tokens that the longest sequence has.
    pub(super) fn history(&self) -> usize {
        self.positions + 1
    }

    /// What prompts of `prompt` tokens attend to, with the picture.
    pub(super) fn source(&self, prompt: usize) -> usize {
        self.image_tokens + prompt
    }

    /// Bytes of `tokens` keys (or values) of one head.
    pub(super) fn head_bytes(&self, tokens: usize) -> usize {
        tokens * self.head_dim * self.element.bytes()
    }

    /// Bytes of `tokens` keys (or values) of one layer of one row.
    pub(super) fn row_bytes(&self, tokens: usize) -> usize {
        self.heads * self.head_bytes(tokens)
    }

    /// Bytes of a mask over `tokens` places.
    pub(super) fn mask_bytes(&self, tokens: usize) -> usize {
        tokens * self.element.bytes()
    }

    /// Bytes of one picture's features.
    pub(super) fn features_bytes(&self) -> usize {
        self.image_tokens * self.dim * self.element.bytes()
    }

    /// Bytes of one picture's normalised pixels.
    pub(super) fn pixels_bytes(&self) -> usize {
        3 * self.width_px * self.height_px * self.element.bytes()
    }

    /// Bytes that a kept prompt of `prompt` tokens takes: all tensors one after the other, and the mask.
    pub(super) fn kept_bytes(&self, prompt: usize) -> usize {
        let source = self.source(prompt);
        self.tensors() * self.row_bytes(source) + self.mask_bytes(source)
    }

    /// What rows of a bucket attend to, in tokens.
    pub(super) fn bucket_source(&self, bucket: &Bucket) -> usize {
        self.source(bucket.prompt)
    }
}
