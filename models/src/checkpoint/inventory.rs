//! Every tensor that a model of a given shape has, in native names.

use super::FlorenceConfig;

/// Prefix of the vision tower's native names.
pub(crate) const VISION: &str = "model.vision_tower";
/// Prefix of the native names between tower and text model.
pub(crate) const PROJECTOR: &str = "model.multi_modal_projector";
/// Prefix of the text model's native names.
pub(crate) const LANGUAGE: &str = "model.language_model";
/// The token embedding.
pub(crate) const SHARED: &str = "model.language_model.shared.weight";
/// The output projection; an alias of [`SHARED`] unless a fine-tune untied it.
pub(crate) const LM_HEAD: &str = "lm_head.weight";
/// A bias of the logits, absent or zero in every published checkpoint.
pub(crate) const LOGITS_BIAS: &str = "final_logits_bias";

/// A tensor's native name and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Native name (specification section 2.1).
    pub name: String,
    /// Native shape, row-major.
    pub shape: Vec<usize>,
}

impl FlorenceConfig {
    /// The tensors of this model in the order of the forward pass. Aliases of the embedding, the unused cosine table
    /// and the logits bias, which files hold or leave out as they like, are not listed.
    pub fn inventory(&self) -> Vec<TensorSpec> {
        let mut list = Inventory::default();
        self.list_vision(&mut list);
        self.list_projector(&mut list);
        self.list_text(&mut list);
        list.specs
    }

    fn list_vision(&self, list: &mut Inventory) {
        let vision = &self.vision;
        let mut previous = 3;
        for (stage, &channels) in vision.embed_dims.iter().enumerate() {
            let conv = format!("{VISION}.convs.{stage}");
            let kernel = vision.patch_sizes.get(stage).copied().unwrap_or_default();
            let prenorm = vision.patch_prenorms.get(stage).copied().unwrap_or_default();
            list.weight_and_bias(&format!("{conv}.conv"), &[channels, previous, kernel, kernel]);
            list.norm(&format!("{conv}.norm"), if prenorm { previous } else { channels });
            for block in 0..vision.depths.get(stage).copied().unwrap_or_default() {
                for (half, attention) in [("spatial_block", "window_attn"), ("channel_block", "channel_attn")]
                {
                    let half = format!("{VISION}.blocks.{stage}.{block}.{half}");
                    let hidden = channels * vision.mlp_ratio;
                    list.weight_and_bias(&format!("{half}.conv1"), &[channels, 1, 3, 3]);
                    list.norm(&format!("{half}.norm1"), channels);
                    list.weight_and_bias(&format!("{half}.{attention}.qkv"), &[3 * channels, channels]);
                    list.weight_and_bias(&format!("{half}.{attention}.proj"), &[channels, channels]);
                    list.weight_and_bias(&format!("{half}.conv2"), &[channels, 1, 3, 3]);
                    list.norm(&format!("{half}.norm2"), channels);
                    list.weight_and_bias(&format!("{half}.ffn.fc1"), &[hidden, channels]);
                    list.weight_and_bias(&format!("{half}.ffn.fc2"), &[channels, hidden]);
                }
            }
            previous = channels;
        }
    }

    fn list_projector(&self, list: &mut Inventory) {
        let channels = self.vision.embed_dims.last().copied().unwrap_or_default();
        let width = self.vision.projection_dim;
        let side = self.vision.max_positions;
        list.add(format!("{PROJECTOR}.image_projection.weight"), &[width, channels]);
        list.norm(&format!("{PROJECTOR}.image_proj_norm"), width);
        for table in ["row_embeddings", "column_embeddings"] {
            list.add(format!("{PROJECTOR}.image_position_embed.{table}.weight"), &[side, channels / 2]);
        }
    }

    fn list_text(&self, list: &mut Inventory) {
        let text = &self.text;
        let width = text.d_model;
        list.add(SHARED.to_owned(), &[text.vocabulary, width]);
        for (side, layers, hidden) in [
            ("encoder", text.encoder_layers, text.encoder_ffn),
            ("decoder", text.decoder_layers, text.decoder_ffn),
        ] {
            let side = format!("{LANGUAGE}.{side}");
            list.add(format!("{side}.embed_positions.weight"), &[text.max_positions + 2, width]);
            list.norm(&format!("{side}.layernorm_embedding"), width);
            let attentions: &[&str] =
                if side.ends_with("decoder") { &["self_attn", "encoder_attn"] } else { &["self_attn"] };
            for layer in 0..layers {
                let layer = format!("{side}.layers.{layer}");
                for attention in attentions {
                    for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                        list.weight_and_bias(&format!("{layer}.{attention}.{projection}"), &[width, width]);
                    }
                    list.norm(&format!("{layer}.{attention}_layer_norm"), width);
                }
                list.weight_and_bias(&format!("{layer}.fc1"), &[hidden, width]);
                list.weight_and_bias(&format!("{layer}.fc2"), &[width, hidden]);
                list.norm(&format!("{layer}.final_layer_norm"), width);
            }
        }
    }
}

#[derive(Default)]
struct Inventory {
    specs: Vec<TensorSpec>,
}

impl Inventory {
    fn add(&mut self, name: String, shape: &[usize]) {
        self.specs.push(TensorSpec { name, shape: shape.to_vec() });
    }

    fn weight_and_bias(&mut self, prefix: &str, shape: &[usize]) {
        self.add(format!("{prefix}.weight"), shape);
        self.add(format!("{prefix}.bias"), &shape[..1]);
    }

    fn norm(&mut self, prefix: &str, width: usize) {
        self.weight_and_bias(prefix, &[width]);
    }
}
