//! The shape of a Florence-2 model, as its `config.json` describes it.

use std::path::Path;

use super::config_json;
use crate::ModelError;
use crate::decode::EarlyStopping;

/// Rows of the published embeddings that mean something: the tokenizer's 50265 entries and the 1024 added tokens.
/// Native checkpoints carry `<image>` and padding rows above them, which must never be generated.
pub const TOKENIZER_ROWS: usize = 51289;

/// Everything about a model that its weights do not say: `config.json`, with `generation_config.json` over it
/// where there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct FlorenceConfig {
    /// The DaViT vision tower.
    pub vision: VisionConfig,
    /// The BART encoder and decoder.
    pub text: TextConfig,
    /// What `generate` does when nothing else is asked for.
    pub generation: GenerationDefaults,
}

/// The DaViT vision tower (specification section 1.2). The lists have one entry per stage.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    /// Channels of each stage.
    pub embed_dims: Vec<usize>,
    /// Heads of the window attention.
    pub heads: Vec<usize>,
    /// Groups of the channel attention.
    pub groups: Vec<usize>,
    /// Dual blocks in each stage.
    pub depths: Vec<usize>,
    /// Kernel side of the convolution that opens the stage, in pixels of its input.
    pub patch_sizes: Vec<usize>,
    /// Its stride.
    pub patch_strides: Vec<usize>,
    /// Its padding, on every side.
    pub patch_paddings: Vec<usize>,
    /// Whether LayerNorm comes before (true) or after the convolution.
    pub patch_prenorms: Vec<bool>,
    /// Side of an attention window, in tokens.
    pub window: usize,
    /// Hidden width of the feed-forward part, in multiples of the stage's channels.
    pub mlp_ratio: usize,
    /// Width of an image feature; the text model's `d_model`.
    pub projection_dim: usize,
    /// Rows (and columns) of the learned 2-D position table: the largest side of the last feature map.
    pub max_positions: usize,
    /// Rows of the cosine table for frames; only row 0 is used.
    pub max_frames: usize,
}

/// The BART text model (specification section 1.3).
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Width of the residual stream.
    pub d_model: usize,
    /// Layers of the encoder.
    pub encoder_layers: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Attention heads of the encoder.
    pub encoder_heads: usize,
    /// Attention heads of the decoder.
    pub decoder_heads: usize,
    /// Hidden width of the encoder's feed-forward part.
    pub encoder_ffn: usize,
    /// Hidden width of the decoder's feed-forward part.
    pub decoder_ffn: usize,
    /// Rows of the embedding in the file: 51289 (original) or 51328 (native).
    pub vocabulary: usize,
    /// Rows that mean something: [`TOKENIZER_ROWS`], until a tokenizer says more exactly.
    pub tokens: usize,
    /// Longest sequence, image tokens included; the position table has two rows more.
    pub max_positions: usize,
    /// Whether embeddings are multiplied by the square root of `d_model` (no published checkpoint does).
    pub scale_embedding: bool,
}

impl TextConfig {
    /// Rows of the logits: the embedding without the rows above the tokenizer's vocabulary.
    pub fn logit_rows(&self) -> usize {
        self.vocabulary.min(self.tokens)
    }
}

/// The special tokens and search settings that `config.json` and `generation_config.json` ask for
/// (specification section 4.5).
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationDefaults {
    /// An n-gram of this length never repeats; 0 is off.
    pub no_repeat_ngram: usize,
    /// When a beam search ends.
    pub early_stopping: EarlyStopping,
    /// First decoder input.
    pub decoder_start: u32,
    /// End of a sequence.
    pub eos: u32,
    /// Token forced at the first generated position.
    pub forced_bos: Option<u32>,
    /// Token forced at the last possible position.
    pub forced_eos: Option<u32>,
}

impl GenerationDefaults {
    /// Those of the published checkpoints, for what a file leaves out.
    pub const FLORENCE: GenerationDefaults = GenerationDefaults {
        no_repeat_ngram: 3,
        early_stopping: EarlyStopping::AtOnce,
        decoder_start: 2,
        eos: 2,
        forced_bos: Some(0),
        forced_eos: Some(2),
    };
}

/// Which of the two published naming schemes a checkpoint uses (specification sections 1.2 and 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `microsoft/Florence-2-*`: `vision_tower.…`, `language_model.model.…`.
    Original,
    /// `florence-community/Florence-2-*`, the transformers library's own: `model.vision_tower.…`.
    Native,
}

impl FlorenceConfig {
    /// Reads `config.json` text of either layout. `path` is only used in errors.
    ///
    /// # Errors
    /// Bad JSON, a model that is not Florence-2, and values that contradict each other.
    pub fn from_json(text: &str, path: &Path) -> Result<(FlorenceConfig, Layout), ModelError> {
        config_json::parse(text, path)
    }

    /// The `config.json` of this model in the layout asked for.
    pub fn to_json(&self, layout: Layout) -> serde_json::Value {
        config_json::write(self, layout)
    }

    /// Rows of the logits: the embedding without the rows above the tokenizer's vocabulary.
    pub fn logit_rows(&self) -> usize {
        self.text.logit_rows()
    }

    /// The feature map after each stage for an image of this size, as (height, width) in tokens.
    ///
    /// # Errors
    /// A size so small that a convolution has no output, or so large that the last map exceeds the position table.
    pub fn feature_maps(&self, width: u32, height: u32) -> Result<Vec<(usize, usize)>, ModelError> {
        let bad = |reason: String| ModelError::ImageSize { width, height, reason };
        let vision = &self.vision;
        let (mut map_height, mut map_width) = (height as usize, width as usize);
        let mut maps = Vec::with_capacity(vision.embed_dims.len());
        let stages = vision.patch_sizes.iter().zip(&vision.patch_strides).zip(&vision.patch_paddings);
        for (stage, ((&kernel, &stride), &padding)) in stages.enumerate() {
            let side = |side: usize| {
                (side + 2 * padding)
                    .checked_sub(kernel)
                    .filter(|_| side > 0)
                    .map(|span| span / stride + 1)
                    .ok_or_else(|| bad(format!("too small for the convolution of vision stage {stage}")))
            };
            (map_height, map_width) = (side(map_height)?, side(map_width)?);
            maps.push((map_height, map_width));
        }
        if map_height.max(map_width) > vision.max_positions {
            return Err(bad(format!(
                "the last feature map would be {map_width}x{map_height}, the position table ends at {0}x{0}",
                vision.max_positions
            )));
        }
        Ok(maps)
    }

    /// Image tokens for an image of this size: the pooled token and one for each place of the last feature map.
    ///
    /// # Errors
    /// As [`FlorenceConfig::feature_maps`].
    pub fn image_tokens(&self, width: u32, height: u32) -> Result<usize, ModelError> {
        let maps = self.feature_maps(width, height)?;
        Ok(maps.last().map_or(0, |(h, w)| h * w) + 1)
    }
}
