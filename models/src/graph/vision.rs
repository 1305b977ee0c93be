//! DaViT and the projection to image features (specification section 3).

use super::builder::{GraphBuilder, Value};
use super::graph_file::Graph;
use super::vision_maps::Maps;
use super::vision_tokens::Tokens;
use super::{Dim, Graphs, Target};
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

/// One stage of the tower while its blocks are written.
pub(super) struct Stage {
    pub(super) channels: usize,
    pub(super) heads: usize,
    pub(super) groups: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// Of the attention's windows, in tokens.
    pub(super) window: usize,
    pub(super) channel_scale: f32,
}

/// How the tower is written: what its values are between the steps, and the steps. Both ways compute the same.
pub(super) trait Form {
    /// What a convolution gives, `[B, C, H, W]`, as this form's value.
    fn of_map(&self, g: &mut GraphBuilder, map: &Value, channels: usize, tokens: usize) -> Value;

    /// A value as the map that a convolution takes.
    fn to_map(&self, g: &mut GraphBuilder, x: &Value, channels: usize, height: usize, width: usize) -> Value;

    /// A value as tokens `[B, N, C]`, row-major over the map.
    fn to_tokens(&self, g: &mut GraphBuilder, x: &Value, channels: usize, tokens: usize) -> Value;

    /// LayerNorm over the channels.
    fn norm(&self, g: &mut GraphBuilder, x: &Value, prefix: &str) -> Value;

    /// x + depthwise 3x3 convolution of x (section 3.2).
    fn depthwise(&self, g: &mut GraphBuilder, stage: &Stage, x: &Value, prefix: &str) -> Value;

    /// Attention inside windows of `window` x `window` tokens, `norm1` in front and `proj` behind it. A map that the
    /// window does not divide is padded with zeros right and below, which take part in the softmax; no mask.
    fn window_attention(&self, g: &mut GraphBuilder, stage: &Stage, x: &Value, block: &str) -> Value;

    /// Attention of channels to channels inside a group, over all tokens, likewise. The query (or query and key, evenly)
    /// is scaled, not the product, which would overflow f16 (section 8.1).
    fn channel_attention(&self, g: &mut GraphBuilder, stage: &Stage, x: &Value, block: &str) -> Value;

    /// The two linear layers with GELU between them, `norm2` in front.
    fn feed_forward(&self, g: &mut GraphBuilder, stage: &Stage, x: &Value, block: &str) -> Value;
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
        let mut g = GraphBuilder::new("vision", self.config, &self.options);
        let (height, width) = (self.options.height as usize, self.options.width as usize);
        let batch = shape.batch.clone();
        let pixels = g.input("pixel_values", &[batch.clone(), 3.into(), height.into(), width.into()]);

        let form: &dyn Form = match self.options.target {
            Target::OnnxRuntime => &Tokens,
            Target::TensorRt => &Maps,
        };

        let mut map = (height, width, 3);
        // What the stage before gave.
        let mut last: Option<Value> = None;
        let stages = vision.embed_dims.iter().zip(&vision.heads).zip(&vision.groups).zip(&maps).enumerate();
        for (number, (((&channels, &heads), &groups), &(height, width))) in stages {
            let conv_input = conv_input(&mut g, form, vision, number, last.as_ref(), &pixels, map);
            if shape.until_stage == Some(number) {
                let dims = [batch, map.2.into(), map.0.into(), map.1.into()];
                g.output(conv_input, "feature_map", g.element(), &dims);
                return g.finish();
            }
            let opened = conv_embed(&mut g, form, vision, number, &conv_input, channels, height * width);
            let channel_scale = shape.channel_scale.unwrap_or_else(|| 1.0 / ((height * width) as f32).sqrt());
            let window = vision.window;
            let stage = Stage { channels, heads, groups, height, width, window, channel_scale };
            let depth = vision.depths.get(number).copied().unwrap_or_default();
            last = Some((0..depth).fold(opened, |x, block| {
                stage.dual_block(&mut g, form, &x, &format!("{VISION}.blocks.{number}.{block}"))
            }));
            map = (height, width, channels);
        }
        let (height, width, channels) = map;
        let tokens = form.to_tokens(&mut g, &last.unwrap_or(pixels), channels, height * width);
        let features = image_features(&mut g, &tokens, map);
        let dims = [batch, self.image_tokens.into(), vision.projection_dim.into()];
        g.output(features, "image_features", g.element(), &dims);
        g.finish()
    }
}

/// What the stage's convolution takes, `[B, C, H, W]`: the pixels, or what the stage before gave, normalised if the stage
/// normalises in front.
fn conv_input(
    g: &mut GraphBuilder,
    form: &dyn Form,
    vision: &VisionConfig,
    stage: usize,
    last: Option<&Value>,
    pixels: &Value,
    (height, width, channels): (usize, usize, usize),
) -> Value {
    let Some(last) = last else { return pixels.clone() };
    let normed = match vision.patch_prenorms.get(stage) {
        Some(true) => form.norm(g, last, &format!("{VISION}.convs.{stage}.norm")),
        _ => last.clone(),
    };
    form.to_map(g, &normed, channels, height, width)
}

/// The convolution that opens a stage; then LayerNorm if the stage normalises behind (section 3.1).
fn conv_embed(
    g: &mut GraphBuilder,
    form: &dyn Form,
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
    let x = form.of_map(g, &map, channels, tokens);
    match vision.patch_prenorms.get(stage) {
        Some(true) => x,
        _ => form.norm(g, &x, &format!("{prefix}.norm")),
    }
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

impl Stage {
    /// Spatial half, then channel half (section 3.3).
    fn dual_block(&self, g: &mut GraphBuilder, form: &dyn Form, x: &Value, prefix: &str) -> Value {
        let spatial = format!("{prefix}.spatial_block");
        let x = form.depthwise(g, self, x, &format!("{spatial}.conv1"));
        let attended = form.window_attention(g, self, &x, &spatial);
        let x = self.rest_of_half(g, form, &x, &attended, &spatial);

        let channel = format!("{prefix}.channel_block");
        let x = form.depthwise(g, self, &x, &format!("{channel}.conv1"));
        let attended = form.channel_attention(g, self, &x, &channel);
        self.rest_of_half(g, form, &x, &attended, &channel)
    }

    fn rest_of_half(
        &self,
        g: &mut GraphBuilder,
        form: &dyn Form,
        x: &Value,
        attended: &Value,
        half: &str,
    ) -> Value {
        let x = g.add(x, attended);
        let x = form.depthwise(g, self, &x, &format!("{half}.conv2"));
        let fed = form.feed_forward(g, self, &x, half);
        g.add(&x, &fed)
    }

    /// Rows and columns of windows, the last ones padded.
    pub(super) fn windows(&self) -> (usize, usize) {
        (self.height.div_ceil(self.window), self.width.div_ceil(self.window))
    }

    /// Places below and to the right that are needed until the windows are full.
    pub(super) fn padding(&self) -> (usize, usize) {
        let (rows, columns) = self.windows();
        (rows * self.window - self.height, columns * self.window - self.width)
    }
}
