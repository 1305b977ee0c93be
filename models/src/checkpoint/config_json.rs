//! `config.json` in the original and in the native spelling.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::config::{FlorenceConfig, GenerationDefaults, Layout, TOKENIZER_ROWS, TextConfig, VisionConfig};
use super::generation_json::RawGeneration;
use crate::ModelError;
use crate::decode::EarlyStopping;
use crate::tokens::MAX_TOKENS;

// Larger than any model that could be meant; keeps shape arithmetic far from overflow on a hostile file.
const MAX_WIDTH: usize = 1 << 16;
const MAX_DEPTH: usize = 256;
// Maps are padded to whole windows, and attention takes the fourth power of a window's side.
const MAX_WINDOW: usize = 64;

#[derive(Deserialize)]
struct RawConfig {
    model_type: Option<String>,
    projection_dim: Option<usize>,
    vision_config: Option<RawVision>,
    text_config: Option<RawText>,
}

#[derive(Deserialize)]
struct RawVision {
    model_type: Option<String>,
    #[serde(alias = "embed_dim")]
    dim_embed: Option<Vec<usize>>,
    num_heads: Option<Vec<usize>>,
    num_groups: Option<Vec<usize>>,
    depths: Option<Vec<usize>>,
    patch_size: Option<Vec<usize>>,
    patch_stride: Option<Vec<usize>>,
    patch_padding: Option<Vec<usize>>,
    patch_prenorm: Option<Vec<bool>>,
    window_size: Option<usize>,
    mlp_ratio: Option<f64>,
    qkv_bias: Option<bool>,
    projection_dim: Option<usize>,
    max_position_embeddings: Option<usize>,
    max_temporal_embeddings: Option<usize>,
    image_pos_embed: Option<RawImagePositions>,
    visual_temporal_embedding: Option<RawFramePositions>,
    image_feature_source: Option<Vec<String>>,
    activation_function: Option<String>,
}

#[derive(Deserialize)]
struct RawImagePositions {
    max_pos_embeddings: Option<usize>,
}

#[derive(Deserialize)]
struct RawFramePositions {
    max_temporal_embeddings: Option<usize>,
}

#[derive(Deserialize)]
struct RawText {
    d_model: Option<usize>,
    encoder_layers: Option<usize>,
    decoder_layers: Option<usize>,
    encoder_attention_heads: Option<usize>,
    decoder_attention_heads: Option<usize>,
    encoder_ffn_dim: Option<usize>,
    decoder_ffn_dim: Option<usize>,
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    scale_embedding: Option<bool>,
    activation_function: Option<String>,
    normalize_before: Option<bool>,
    add_final_layer_norm: Option<bool>,
    #[serde(flatten)]
    generation: RawGeneration,
}

/// Turns absent and absurd values into errors that name the key.
struct Reader<'a> {
    path: &'a Path,
}

impl Reader<'_> {
    fn bad(&self, key: &str, reason: impl Into<String>) -> ModelError {
        ModelError::Config { path: self.path.to_owned(), key: key.to_owned(), reason: reason.into() }
    }

    fn size(&self, key: &str, value: Option<usize>, max: usize) -> Result<usize, ModelError> {
        match value {
            None => Err(self.bad(key, "missing")),
            Some(value) if (1..=max).contains(&value) => Ok(value),
            Some(value) => Err(self.bad(key, format!("{value} is not between 1 and {max}"))),
        }
    }

    fn list<T>(&self, key: &str, list: Option<Vec<T>>, stages: usize) -> Result<Vec<T>, ModelError> {
        let list = list.ok_or_else(|| self.bad(key, "missing"))?;
        if list.len() == stages {
            Ok(list)
        } else {
            Err(self.bad(key, format!("{} entries for {stages} stages", list.len())))
        }
    }

    fn sizes(
        &self,
        key: &str,
        list: Option<Vec<usize>>,
        stages: usize,
        max: usize,
    ) -> Result<Vec<usize>, ModelError> {
        let list = self.list(key, list, stages)?;
        list.iter().try_for_each(|&value| self.size(key, Some(value), max).map(drop))?;
        Ok(list)
    }

    fn gelu(&self, key: &str, name: Option<String>) -> Result<(), ModelError> {
        match name.as_deref() {
            None | Some("gelu") => Ok(()),
            Some(other) => Err(self.bad(key, format!("\"{other}\" is not supported, only \"gelu\""))),
        }
    }

    fn divides(&self, key: &str, width: usize, parts: usize) -> Result<(), ModelError> {
        if width.is_multiple_of(parts) {
            Ok(())
        } else {
            Err(self.bad(key, format!("width {width} cannot be split into {parts}")))
        }
    }
}

pub(super) fn parse(text: &str, path: &Path) -> Result<(FlorenceConfig, Layout), ModelError> {
    let raw: RawConfig =
        serde_json::from_str(text).map_err(|source| ModelError::Json { path: path.to_owned(), source })?;
    let other = |reason: String| ModelError::NotFlorence { path: path.to_owned(), reason };
    match raw.model_type.as_deref() {
        Some("florence2") => {}
        Some(found) => return Err(other(format!("model_type is \"{found}\", not \"florence2\""))),
        None => return Err(other("it has no model_type".to_owned())),
    }
    let vision = raw.vision_config.ok_or_else(|| other("it has no vision_config".to_owned()))?;
    let text = raw.text_config.ok_or_else(|| other("it has no text_config".to_owned()))?;
    // The first uploads left the inner model_type empty.
    let layout = match vision.model_type.as_deref() {
        Some("florence_vision") => Layout::Native,
        Some("davit" | "") | None => Layout::Original,
        Some(tower) => return Err(other(format!("its vision tower is \"{tower}\", not DaViT"))),
    };
    let reader = Reader { path };
    let (text, generation) = parse_text(&reader, text)?;
    let vision = parse_vision(&reader, vision, raw.projection_dim)?;
    if vision.projection_dim != text.d_model {
        let reason = format!("{} differs from text_config.d_model {}", vision.projection_dim, text.d_model);
        return Err(reader.bad("projection_dim", reason));
    }
    Ok((FlorenceConfig { vision, text, generation }, layout))
}

fn parse_vision(
    reader: &Reader<'_>,
    raw: RawVision,
    projection_dim: Option<usize>,
) -> Result<VisionConfig, ModelError> {
    let dims = raw.dim_embed.ok_or_else(|| reader.bad("vision_config.dim_embed", "missing"))?;
    let stages = dims.len();
    if !(1..=16).contains(&stages) {
        return Err(reader.bad("vision_config.dim_embed", format!("{stages} stages")));
    }
    let embed_dims = reader.sizes("vision_config.dim_embed", Some(dims), stages, MAX_WIDTH)?;
    let heads = reader.sizes("vision_config.num_heads", raw.num_heads, stages, MAX_WIDTH)?;
    let groups = reader.sizes("vision_config.num_groups", raw.num_groups, stages, MAX_WIDTH)?;
    for (&dim, (&heads, &groups)) in embed_dims.iter().zip(heads.iter().zip(&groups)) {
        reader.divides("vision_config.num_heads", dim, heads)?;
        reader.divides("vision_config.num_groups", dim, groups)?;
    }
    reader.divides("vision_config.dim_embed", embed_dims.last().copied().unwrap_or_default(), 2)?;
    let depths = reader.sizes("vision_config.depths", raw.depths, stages, MAX_DEPTH)?;
    let patch_sizes = reader.sizes("vision_config.patch_size", raw.patch_size, stages, MAX_WIDTH)?;
    let patch_strides = reader.sizes("vision_config.patch_stride", raw.patch_stride, stages, MAX_WIDTH)?;
    let patch_paddings = reader.list("vision_config.patch_padding", raw.patch_padding, stages)?;
    if let Some(padding) = patch_paddings.iter().find(|&&padding| padding > MAX_WIDTH) {
        return Err(reader.bad("vision_config.patch_padding", format!("{padding} is absurd")));
    }
    let patch_prenorms = reader.list("vision_config.patch_prenorm", raw.patch_prenorm, stages)?;
    let mlp_ratio = raw.mlp_ratio.unwrap_or(4.0);
    if !(1.0..=64.0).contains(&mlp_ratio) || mlp_ratio.fract() != 0.0 {
        return Err(
            reader.bad("vision_config.mlp_ratio", format!("{mlp_ratio} is not a whole number from 1 to 64"))
        );
    }
    if raw.qkv_bias == Some(false) {
        return Err(reader.bad("vision_config.qkv_bias", "false is not supported"));
    }
    reader.gelu("vision_config.activation_function", raw.activation_function)?;
    if let Some(sources) = raw.image_feature_source
        && sources != ["spatial_avg_pool", "temporal_avg_pool"]
    {
        let reason = format!("{sources:?} is not supported, only spatial_avg_pool then temporal_avg_pool");
        return Err(reader.bad("vision_config.image_feature_source", reason));
    }
    let max_positions = raw
        .image_pos_embed
        .and_then(|positions| positions.max_pos_embeddings)
        .or(raw.max_position_embeddings)
        .or(Some(50));
    let max_frames = raw
        .visual_temporal_embedding
        .and_then(|positions| positions.max_temporal_embeddings)
        .or(raw.max_temporal_embeddings)
        .or(Some(100));
    Ok(VisionConfig {
        embed_dims,
        heads,
        groups,
        depths,
        patch_sizes,
        patch_strides,
        patch_paddings,
        patch_prenorms,
        window: reader.size("vision_config.window_size", raw.window_size.or(Some(12)), MAX_WINDOW)?,
        mlp_ratio: mlp_ratio as usize,
        projection_dim: reader.size("projection_dim", raw.projection_dim.or(projection_dim), MAX_WIDTH)?,
        max_positions: reader.size(
            "vision_config.image_pos_embed.max_pos_embeddings",
            max_positions,
            MAX_WIDTH,
        )?,
        max_frames: reader.size("vision_config.max_temporal_embeddings", max_frames, MAX_WIDTH)?,
    })
}

fn parse_text(reader: &Reader<'_>, raw: RawText) -> Result<(TextConfig, GenerationDefaults), ModelError> {
    let size = |key: &str, value, max| reader.size(&format!("text_config.{key}"), value, max);
    reader.gelu("text_config.activation_function", raw.activation_function)?;
    for (key, value) in
        [("normalize_before", raw.normalize_before), ("add_final_layer_norm", raw.add_final_layer_norm)]
    {
        if value == Some(true) {
            return Err(reader.bad(&format!("text_config.{key}"), "true is not supported"));
        }
    }
    let text = TextConfig {
        d_model: size("d_model", raw.d_model, MAX_WIDTH)?,
        encoder_layers: size("encoder_layers", raw.encoder_layers, MAX_DEPTH)?,
        decoder_layers: size("decoder_layers", raw.decoder_layers, MAX_DEPTH)?,
        encoder_heads: size("encoder_attention_heads", raw.encoder_attention_heads, MAX_WIDTH)?,
        decoder_heads: size("decoder_attention_heads", raw.decoder_attention_heads, MAX_WIDTH)?,
        encoder_ffn: size("encoder_ffn_dim", raw.encoder_ffn_dim, MAX_WIDTH)?,
        decoder_ffn: size("decoder_ffn_dim", raw.decoder_ffn_dim, MAX_WIDTH)?,
        vocabulary: size("vocab_size", raw.vocab_size, MAX_TOKENS)?,
        tokens: TOKENIZER_ROWS,
        max_positions: size("max_position_embeddings", raw.max_position_embeddings, MAX_TOKENS)?,
        scale_embedding: raw.scale_embedding.unwrap_or(false),
    };
    reader.divides("text_config.encoder_attention_heads", text.d_model, text.encoder_heads)?;
    reader.divides("text_config.decoder_attention_heads", text.d_model, text.decoder_heads)?;
    // The first revision of the original config.json had wrong ids at the top level; those here were always right.
    let bad = |key: &str, reason: String| reader.bad(&format!("text_config.{key}"), reason);
    let generation = raw.generation.over(GenerationDefaults::FLORENCE, &text, bad)?;
    Ok((text, generation))
}

pub(super) fn write(config: &FlorenceConfig, layout: Layout) -> Value {
    let (vision, text, generation) = (&config.vision, &config.text, &config.generation);
    let mut vision_json = json!({
        "depths": vision.depths,
        "num_heads": vision.heads,
        "num_groups": vision.groups,
        "patch_size": vision.patch_sizes,
        "patch_stride": vision.patch_strides,
        "patch_padding": vision.patch_paddings,
        "patch_prenorm": vision.patch_prenorms,
        "window_size": vision.window,
        "projection_dim": vision.projection_dim,
        "drop_path_rate": 0.1,
    });
    let mut text_json = json!({
        "vocab_size": text.vocabulary,
        "d_model": text.d_model,
        "encoder_layers": text.encoder_layers,
        "decoder_layers": text.decoder_layers,
        "encoder_attention_heads": text.encoder_heads,
        "decoder_attention_heads": text.decoder_heads,
        "encoder_ffn_dim": text.encoder_ffn,
        "decoder_ffn_dim": text.decoder_ffn,
        "max_position_embeddings": text.max_positions,
        "scale_embedding": text.scale_embedding,
        "activation_function": "gelu",
        "is_encoder_decoder": true,
        "num_beams": 3,
        "no_repeat_ngram_size": generation.no_repeat_ngram,
        "early_stopping": match generation.early_stopping {
            EarlyStopping::AtOnce => json!(true),
            EarlyStopping::WhenUnlikely => json!(false),
            EarlyStopping::Never => json!("never"),
        },
        "decoder_start_token_id": generation.decoder_start,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": generation.eos,
        "forced_bos_token_id": generation.forced_bos,
        "forced_eos_token_id": generation.forced_eos,
    });
    let mut root = json!({
        "architectures": ["Florence2ForConditionalGeneration"],
        "model_type": "florence2",
        "is_encoder_decoder": true,
    });
    match layout {
        Layout::Original => {
            vision_json["model_type"] = json!("davit");
            vision_json["dim_embed"] = json!(vision.embed_dims);
            vision_json["image_pos_embed"] =
                json!({ "type": "learned_abs_2d", "max_pos_embeddings": vision.max_positions });
            vision_json["visual_temporal_embedding"] =
                json!({ "type": "COSINE", "max_temporal_embeddings": vision.max_frames });
            vision_json["image_feature_source"] = json!(["spatial_avg_pool", "temporal_avg_pool"]);
            text_json["normalize_before"] = json!(false);
            text_json["add_final_layer_norm"] = json!(false);
            root["projection_dim"] = json!(vision.projection_dim);
            root["vocab_size"] = json!(text.vocabulary);
        }
        Layout::Native => {
            vision_json["model_type"] = json!("florence_vision");
            vision_json["embed_dim"] = json!(vision.embed_dims);
            vision_json["mlp_ratio"] = json!(vision.mlp_ratio as f64);
            vision_json["qkv_bias"] = json!(true);
            vision_json["in_channels"] = json!(3);
            vision_json["activation_function"] = json!("gelu");
            vision_json["max_position_embeddings"] = json!(vision.max_positions);
            vision_json["max_temporal_embeddings"] = json!(vision.max_frames);
            text_json["model_type"] = json!("bart");
            text_json["tie_word_embeddings"] = json!(true);
            root["image_token_id"] = json!(51289);
            root["tie_word_embeddings"] = json!(true);
        }
    }
    root["vision_config"] = vision_json;
    root["text_config"] = text_json;
    root
}
