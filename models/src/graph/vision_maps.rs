//! The vision tower over maps `[B, C, H, W]`: linear layers are convolutions of one place, which take LayerNorm's weights,
//! the attention's scale and the residual of the depthwise convolutions into their own.

use super::builder::{GraphBuilder, Value};
use super::vision::{Form, Stage};
use super::weight::Folded;

/// Sides of a map.
const RANK: usize = 4;

pub(super) struct Maps;

impl Form for Maps {
    fn of_map(&self, _: &mut GraphBuilder, map: &Value, _: usize, _: usize) -> Value {
        map.clone()
    }

    fn to_map(&self, _: &mut GraphBuilder, x: &Value, _: usize, _: usize, _: usize) -> Value {
        x.clone()
    }

    fn to_tokens(&self, g: &mut GraphBuilder, x: &Value, channels: usize, tokens: usize) -> Value {
        let x = g.reshape(x, &[0, channels as i64, tokens as i64]);
        g.transpose(&x, &[0, 2, 1])
    }

    fn norm(&self, g: &mut GraphBuilder, x: &Value, prefix: &str) -> Value {
        let weights = g.norm_weights(prefix, RANK);
        normalised(g, x, &weights, None)
    }

    fn depthwise(&self, g: &mut GraphBuilder, _: &Stage, x: &Value, prefix: &str) -> Value {
        g.depthwise_added(x, prefix)
    }

    fn window_attention(&self, g: &mut GraphBuilder, stage: &Stage, x: &Value, block: &str) -> Value {
        let (window, heads) = (stage.window, stage.heads);
        let head_dim = stage.channels / heads;
        let ((rows, columns), (below, right)) = (stage.windows(), stage.padding());
        let padded = (below, right) != (0, 0);
        let side = |side: usize| side as i64;

        let norm = format!("{block}.norm1");
        let (x, norm) = if padded {
            // What is padded is zero behind the norm, its bias included, which therefore must not go into the weights.
            let weights = g.norm_weights(&norm, RANK);
            let pads = [0, 0, 0, 0, 0, side(below), side(right), 0];
            (normalised(g, x, &weights, Some(&pads)), None)
        } else {
            (self.normalised_only(g, stage, x), Some(norm))
        };
        let scale = 1.0 / (head_dim as f32).sqrt();
        let x = query_key_value(g, stage, &x, &format!("{block}.window_attn"), norm, scale);
        // To [3, windows, heads, tokens of the window, head dim] in one move.
        let windows = [side(rows), side(window), side(columns), side(window)];
        let x = g.reshape(&x, &[&[-1, 3, side(heads), side(head_dim)], &windows[..]].concat());
        let x = g.transpose(&x, &[1, 0, 4, 6, 2, 5, 7, 3]);
        let x = g.reshape(&x, &[3, -1, side(heads), side(window * window), side(head_dim)]);
        let [query, key, value] = [0, 1, 2].map(|part| g.pick(&x, 0, part));
        let key = g.transpose(&key, &[0, 1, 3, 2]);
        let scores = g.matmul(&query, &key);
        let probabilities = g.softmax(&scores);
        let mixed = g.matmul(&probabilities, &value);

        let mixed = g.reshape(
            &mixed,
            &[-1, side(rows), side(columns), side(heads), side(window), side(window), side(head_dim)],
        );
        let mixed = g.transpose(&mixed, &[0, 3, 6, 1, 4, 2, 5]);
        let mut mixed =
            g.reshape(&mixed, &[-1, side(stage.channels), side(rows * window), side(columns * window)]);
        if padded {
            mixed = g.slice(&mixed, 2, 0, side(stage.height));
            mixed = g.slice(&mixed, 3, 0, side(stage.width));
        }
        pointwise(g, &mixed, format!("{block}.window_attn.proj"), None)
    }

    fn channel_attention(&self, g: &mut GraphBuilder, stage: &Stage, x: &Value, block: &str) -> Value {
        let tokens = (stage.height * stage.width) as i64;
        let (groups, group_dim) = (stage.groups as i64, (stage.channels / stage.groups) as i64);
        let x = self.normalised_only(g, stage, x);
        let norm = Some(format!("{block}.norm1"));
        let x = query_key_value(g, stage, &x, &format!("{block}.channel_attn"), norm, stage.channel_scale);
        // Channels come before tokens already.
        let x = g.reshape(&x, &[0, 3, groups, group_dim, tokens]);
        let [query, key, value] = [0, 1, 2].map(|part| g.pick(&x, 1, part));
        let key = g.transpose(&key, &[0, 1, 3, 2]);
        let scores = g.matmul(&query, &key);
        let probabilities = g.softmax(&scores);
        // o[a, n] = sum over b of A[a, b] v[b, n]
        let mixed = g.matmul(&probabilities, &value);
        let mixed = g.reshape(&mixed, &[0, stage.channels as i64, stage.height as i64, stage.width as i64]);
        pointwise(g, &mixed, format!("{block}.channel_attn.proj"), None)
    }

    fn feed_forward(&self, g: &mut GraphBuilder, stage: &Stage, x: &Value, block: &str) -> Value {
        let normed = self.normalised_only(g, stage, x);
        let hidden = pointwise(g, &normed, format!("{block}.ffn.fc1"), Some(format!("{block}.norm2")));
        let hidden = g.gelu(&hidden);
        pointwise(g, &hidden, format!("{block}.ffn.fc2"), None)
    }
}

impl Maps {
    /// LayerNorm over the channels without its weights, which whoever takes this has in its own.
    fn normalised_only(&self, g: &mut GraphBuilder, stage: &Stage, x: &Value) -> Value {
        let weights = g.no_norm_weights(stage.channels, RANK);
        normalised(g, x, &weights, None)
    }
}

/// LayerNorm over the channels, then zeros around it: `pads` as in [`GraphBuilder::pad`], of `[B, H, W, C]`.
fn normalised(g: &mut GraphBuilder, x: &Value, [scale, bias]: &[Value; 2], pads: Option<&[i64]>) -> Value {
    let x = g.transpose(x, &[0, 2, 3, 1]);
    let mut x = g.normalised(&x, scale, bias);
    if let Some(pads) = pads {
        x = g.pad(&x, pads);
    }
    g.transpose(&x, &[0, 3, 1, 2])
}

fn pointwise(g: &mut GraphBuilder, x: &Value, linear: String, norm: Option<String>) -> Value {
    g.pointwise(x, Folded { linear, norm, scaled: (0, 1.0) })
}

/// Query, key and value, one above the other. Query and key are scaled evenly, so that neither's weights get so small
/// that f16 has few digits for them.
fn query_key_value(
    g: &mut GraphBuilder,
    stage: &Stage,
    x: &Value,
    prefix: &str,
    norm: Option<String>,
    scale: f32,
) -> Value {
    g.pointwise(
        x,
        Folded { linear: format!("{prefix}.qkv"), norm, scaled: (2 * stage.channels, scale.sqrt()) },
    )
}
