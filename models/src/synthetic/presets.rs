//! The shapes of published models, and a small one.

use crate::checkpoint::{FlorenceConfig, GenerationDefaults, TOKENIZER_ROWS, TextConfig, VisionConfig};

impl FlorenceConfig {
    /// Florence-2-base, original vocabulary (231 M parameters).
    pub fn base() -> FlorenceConfig {
        FlorenceConfig::of_widths([128, 256, 512, 1024], 9, 768, 6, 12)
    }

    /// Florence-2-large with 1024 positions, original vocabulary (770 M parameters).
    pub fn large() -> FlorenceConfig {
        FlorenceConfig::of_widths([256, 512, 1024, 2048], 9, 1024, 12, 16)
    }

    /// A model with all parts of the real one that runs in milliseconds on small images (4 M parameters).
    pub fn small() -> FlorenceConfig {
        FlorenceConfig::of_widths([32, 64, 96, 128], 1, 64, 2, 2)
    }

    /// Base proportions with other widths: channels of the stages, blocks in the third, width of the text model,
    /// layers of its encoder and of its decoder, heads.
    pub fn of_widths(
        channels: [usize; 4],
        third_depth: usize,
        d_model: usize,
        layers: usize,
        heads: usize,
    ) -> FlorenceConfig {
        let groups: Vec<usize> = channels.iter().map(|channels| channels / 32).collect();
        FlorenceConfig {
            vision: VisionConfig {
                embed_dims: channels.to_vec(),
                heads: groups.clone(),
                groups,
                depths: vec![1, 1, third_depth, 1],
                patch_sizes: vec![7, 3, 3, 3],
                patch_strides: vec![4, 2, 2, 2],
                patch_paddings: vec![3, 1, 1, 1],
                patch_prenorms: vec![false, true, true, true],
                window: 12,
                mlp_ratio: 4,
                projection_dim: d_model,
                max_positions: 50,
                max_frames: 100,
            },
            text: TextConfig {
                d_model,
                encoder_layers: layers,
                decoder_layers: layers,
                encoder_heads: heads,
                decoder_heads: heads,
                encoder_ffn: 4 * d_model,
                decoder_ffn: 4 * d_model,
                vocabulary: TOKENIZER_ROWS,
                tokens: TOKENIZER_ROWS,
                max_positions: 1024,
                scale_embedding: false,
            },
            generation: GenerationDefaults::FLORENCE,
        }
    }
}
