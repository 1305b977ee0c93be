//! DaViT and the projection to image features (specification section 3).

use super::builder::{GraphBuilder, Value};
use super::graph_file::Graph;
use super::{Dim, Graphs};
use crate::ModelError;
use crate::checkpoint::VisionConfig;
use crate::checkpoint::inventory::{PROJECTOR, VISION};

/// What may vary in the vision graph.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionShape {
    /// Images in a batch.
    pub batch: Dim,
    /// Replaces the scale of every channel attention, which is N^-0.5 for N tokens. Only for comparison with exports
    /// that carry the scale of another image size (specification section 8.3).
    pub channel_scale: Option<f32>,
    /// Ends the graph before the convolution that opens this stage, after its LayerNorm if it has one in front; the
    /// output is then `feature_map` `[B, C, H, W]`. For comparison of single stages.
    pub until_stage: Option<usize>,
}

impl Default for VisionShape {
    fn default() -> VisionShape {
        VisionShape { batch: Dim::from("batch"), channel_scale: None, until_stage: None }
    }
}

/// One stage of the tower while its blocks are written. Tokens are `[B, N, C]`, row-major over the map.
struct Stage<'a> {
    vision: &'a VisionConfig,
    channels: usize,
    heads: usize,
    groups: usize,
    height: usize,
    width: usize,
    channel_scale: f32,
}

impl Graphs<'_> {
    /// `pixel_values` `[B, 3, H, W]` to `image_features` `[B, N + 1, d]`: the pooled token, then the N places of the
    /// last feature map.
    ///
    /// # Errors
    /// An image size that the model cannot take.
    pub fn vision(&self, shape: &VisionShape) -> Result<Graph, ModelError> {
        let vision = &self.config.vision;
        let maps = self.config.feature_maps(self.options.width, self.options.height)?;
        let mut g = GraphBuilder::new("vision", self.config, self.options.element);
        let (height, width) = (self.options.height as usize, self.options.width as usize);
        let batch = shape.batch.clone();
        let pixels = g.input("pixel_values", &[batch.clone(), 3.into(), height.into(), width.into()]);

        let mut map = (height, width, 3);
        // Tokens of the stage before; the pixels are not tokens yet.
        let mut tokens: Option<Value> = None;
        let stages = vision.embed_dims.iter().zip(&vision.heads).zip(&vision.groups).zip(&maps).enumerate();
        for (number, (((&channels, &heads), &groups), &(height, width))) in stages {
            let conv_input = conv_input(&mut g, vision, number, tokens.as_ref(), &pixels, map);
            if shape.until_stage == Some(number) {
                let dims = [batch, map.2.into(), map.0.into(), map.1.into()];
                g.output(conv_input, "feature_map", g.element(), &dims);
                return g.finish();
            }
            let opened = conv_embed(&mut g, vision, number, &conv_input, channels, height * width);
            let channel_scale = shape.channel_scale.unwrap_or_else(|| 1.0 / ((height * width) as f32).sqrt());
            let stage = Stage { vision, channels, heads, groups, height, width, channel_scale };
            let depth = vision.depths.get(number).copied().unwrap_or_default();
            tokens = Some((0..depth).fold(opened, |x, block| {
                stage.dual_block(&mut g, &x, &format!("{VISION}.blocks.{number}.{block}"))
            }));
            map = (height, width, channels);
        }
        let features = image_features(&mut g, &tokens.unwrap_or(pixels), map);
        let dims = [batch, self.image_tokens.into(), vision.projection_dim.into()];
        g.output(features, "image_features", g.element(), &dims);
        g.finish()
    }
}

/// What the stage's convolution takes, `[B, C, H, W]`: the pixels, or the tokens before, normalised if the stage
/// normalises in front.
fn conv_input(
    g: &mut GraphBuilder,
    vision: &VisionConfig,
    stage: usize,
    tokens: Option<&Value>,
    pixels: &Value,
    (height, width, channels): (usize, usize, usize),
) -> Value {
    let Some(tokens) = tokens else { return pixels.clone() };
    let normed = match vision.patch_prenorms.get(stage) {
        Some(true) => g.layer_norm(tokens, &format!("{VISION}.convs.{stage}.norm")),
        _ => tokens.clone(),
    };
    to_map(g, &normed, channels, height, width)
}

/// The convolution that opens a stage, to tokens; then LayerNorm if the stage normalises behind (section 3.1).
fn conv_embed(
    g: &mut GraphBuilder,
    vision: &VisionConfig,
    stage: usize,
    x: &Value,
    channels: usize,
    tokens: usize,
) -> Value {
    let prefix = format!("{VISION}.convs.{stage}");
    let stride = vision.patch_strides.get(stage).copied().unwrap_or(1);
    let padding = vision.patch_paddings.get(stage).copied().unwrap_or(0);
    let map = g.conv(x, &format!("{prefix}.conv"), stride, padding, 1);
    let x = to_tokens(g, &map, channels, tokens);
    match vision.patch_prenorms.get(stage) {
        Some(true) => x,
        _ => g.layer_norm(&x, &format!("{prefix}.norm")),
    }
}

fn to_map(g: &mut GraphBuilder, tokens: &Value, channels: usize, height: usize, width: usize) -> Value {
    let x = g.transpose(tokens, &[0, 2, 1]);
    g.reshape(&x, &[0, channels as i64, height as i64, width as i64])
}

fn to_tokens(g: &mut GraphBuilder, map: &Value, channels: usize, tokens: usize) -> Value {
    let x = g.reshape(map, &[0, channels as i64, tokens as i64]);
    g.transpose(&x, &[0, 2, 1])
}

/// Positions, pooled token, projection, LayerNorm (section 3.5).
fn image_features(
    g: &mut GraphBuilder,
    tokens: &Value,
    (height, width, channels): (usize, usize, usize),
) -> Value {
    let positions = g.image_positions(height, width, channels);
    let x = g.add(tokens, &positions);
    let pooled = g.mean(&x, 1);
    let x = g.concat(&[&pooled, &x], 1);
    let x = g.project(&x, &format!("{PROJECTOR}.image_projection.weight"));
    g.layer_norm(&x, &format!("{PROJECTOR}.image_proj_norm"))
}

impl Stage<'_> {
    /// Spatial half, then channel half (section 3.3).
    fn dual_block(&self, g: &mut GraphBuilder, x: &Value, prefix: &str) -> Value {
        let x = self.half(g, x, &format!("{prefix}.spatial_block"), Stage::window_attention);
        self.half(g, &x, &format!("{prefix}.channel_block"), Stage::channel_attention)
    }

    fn half(
        &self,
        g: &mut GraphBuilder,
        x: &Value,
        prefix: &str,
        attention: fn(&Self, &mut GraphBuilder, &Value, &str) -> Value,
    ) -> Value {
        let x = self.depthwise(g, x, &format!("{prefix}.conv1"));
        let normed = g.layer_norm(&x, &format!("{prefix}.norm1"));
        let attended = attention(self, g, &normed, prefix);
        let x = g.add(&x, &attended);
        let x = self.depthwise(g, &x, &format!("{prefix}.conv2"));
        let normed = g.layer_norm(&x, &format!("{prefix}.norm2"));
        let hidden = g.linear(&normed, &format!("{prefix}.ffn.fc1"));
        let hidden = g.gelu(&hidden);
        let fed = g.linear(&hidden, &format!("{prefix}.ffn.fc2"));
        g.add(&x, &fed)
    }

    /// x + depthwise 3x3 convolution of x (section 3.2).
    fn depthwise(&self, g: &mut GraphBuilder, x: &Value, prefix: &str) -> Value {
        let map = to_map(g, x, self.channels, self.height, self.width);
        let conv = g.conv(&map, prefix, 1, 1, self.channels);
        let sum = g.add(&map, &conv);
        to_tokens(g, &sum, self.channels, self.height * self.width)
    }

    /// Attention inside windows of `window` x `window` tokens. A map that the window does not divide is padded with
    /// zeros right and below, which take part in the softmax; no mask.
    fn window_attention(&self, g: &mut GraphBuilder, x: &Value, prefix: &str) -> Value {
        let (window, heads) = (self.vision.window, self.heads);
        let head_dim = self.channels / heads;
        let (rows, columns) = (self.height.div_ceil(window), self.width.div_ceil(window));
        let (padded_height, padded_width) = (rows * window, columns * window);
        let padded = (padded_height, padded_width) != (self.height, self.width);
        let side = |side: usize| side as i64;

        let mut x = x.clone();
        if padded {
            x = g.reshape(&x, &[0, side(self.height), side(self.width), side(self.channels)]);
            let (below, right) = (padded_height - self.height, padded_width - self.width);
            x = g.pad(&x, &[0, 0, 0, 0, 0, side(below), side(right), 0]);
        }
        // Tokens of the map to [windows, heads, tokens of the window, head dim] in one move.
        let split = |g: &mut GraphBuilder, x: &Value| {
            let windows = [side(rows), side(window), side(columns), side(window)];
            let x = g.reshape(x, &[&[-1], &windows[..], &[side(heads), side(head_dim)]].concat());
            let x = g.transpose(&x, &[0, 1, 3, 5, 2, 4, 6]);
            g.reshape(&x, &[-1, side(heads), side(window * window), side(head_dim)])
        };
        let [query, key, value] = self.query_key_value(g, &x, &format!("{prefix}.window_attn"));
        let query = g.scale(&query, 1.0 / (head_dim as f32).sqrt());
        let [query, key, value] = [query, key, value].map(|part| split(g, &part));
        let key = g.transpose(&key, &[0, 1, 3, 2]);
        let scores = g.matmul(&query, &key);
        let probabilities = g.softmax(&scores);
        let mixed = g.matmul(&probabilities, &value);

        let mixed = g.reshape(
            &mixed,
            &[-1, side(rows), side(columns), side(heads), side(window), side(window), side(head_dim)],
        );
        let mixed = g.transpose(&mixed, &[0, 1, 4, 2, 5, 3, 6]);
        let mut mixed =
            g.reshape(&mixed, &[-1, side(padded_height), side(padded_width), side(self.channels)]);
        if padded {
            mixed = g.slice(&mixed, 1, 0, side(self.height));
            mixed = g.slice(&mixed, 2, 0, side(self.width));
        }
        let mixed = g.reshape(&mixed, &[-1, side(self.height * self.width), side(self.channels)]);
        g.linear(&mixed, &format!("{prefix}.window_attn.proj"))
    }

    /// Attention of channels to channels inside a group, over all tokens. The query is scaled, not the product, which
    /// would overflow f16 (section 8.1).
    fn channel_attention(&self, g: &mut GraphBuilder, x: &Value, prefix: &str) -> Value {
        let tokens = (self.height * self.width) as i64;
        let (groups, group_dim) = (self.groups as i64, (self.channels / self.groups) as i64);
        let [query, key, value] = self.query_key_value(g, x, &format!("{prefix}.channel_attn"));
        let query = g.scale(&query, self.channel_scale);
        let [query, key, value] =
            [query, key, value].map(|part| g.reshape(&part, &[0, tokens, groups, group_dim]));
        let query = g.transpose(&query, &[0, 2, 3, 1]);
        let key = g.transpose(&key, &[0, 2, 1, 3]);
        let scores = g.matmul(&query, &key);
        let probabilities = g.softmax(&scores);
        // o[n, a] = sum over b of A[a, b] v[n, b]
        let probabilities = g.transpose(&probabilities, &[0, 1, 3, 2]);
        let value = g.transpose(&value, &[0, 2, 1, 3]);
        let mixed = g.matmul(&value, &probabilities);
        let mixed = g.transpose(&mixed, &[0, 2, 1, 3]);
        let mixed = g.reshape(&mixed, &[0, tokens, self.channels as i64]);
        g.linear(&mixed, &format!("{prefix}.channel_attn.proj"))
    }

    fn query_key_value(&self, g: &mut GraphBuilder, x: &Value, prefix: &str) -> [Value; 3] {
        let channels = self.channels;
        [0, 1, 2]
            .map(|part| g.linear_rows(x, &format!("{prefix}.qkv"), part * channels, (part + 1) * channels))
    }
}
