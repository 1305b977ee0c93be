//! The vision tower over tokens `[B, N, C]`: linear layers are products with a matrix, and maps are made for convolutions
//! only.

use super::builder::{GraphBuilder, Value};
use super::vision::{Form, Stage};

pub(super) struct Tokens;

impl Form for Tokens {
    fn of_map(&self, g: &mut GraphBuilder, map: &Value, channels: usize, tokens: usize) -> Value {
        let x = g.reshape(map, &[0, channels as i64, tokens as i64]);
        g.transpose(&x, &[0, 2, 1])
    }

    fn to_map(&self, g: &mut GraphBuilder, x: &Value, channels: usize, height: usize, width: usize) -> Value {
        let x = g.transpose(x, &[0, 2, 1]);
        g.reshape(&x, &[0, channels as i64, height as i64, width as i64])
    }

    fn to_tokens(&self, _: &mut GraphBuilder, x: &Value, _: usize, _: usize) -> Value {
        x.clone()
    }

    fn norm(&self, g: &mut GraphBuilder, x: &Value, prefix: &str) -> Value {
        g.layer_norm(x, prefix)
    }

    fn depthwise(&self, g: &mut GraphBuilder, stage: &Stage, x: &Value, prefix: &str) -> Value {
        let map = self.to_map(g, x, stage.channels, stage.height, stage.width);
        let conv = g.conv(&map, prefix, 1, 1, stage.channels);
        let sum = g.add(&map, &conv);
        self.of_map(g, &sum, stage.channels, stage.height * stage.width)
    }

    fn window_attention(&self, g: &mut GraphBuilder, stage: &Stage, x: &Value, block: &str) -> Value {
        let (window, heads) = (stage.window, stage.heads);
        let head_dim = stage.channels / heads;
        let ((rows, columns), (below, right)) = (stage.windows(), stage.padding());
        let padded = (below, right) != (0, 0);
        let side = |side: usize| side as i64;

        let mut x = g.layer_norm(x, &format!("{block}.norm1"));
        if padded {
            x = g.reshape(&x, &[0, side(stage.height), side(stage.width), side(stage.channels)]);
            x = g.pad(&x, &[0, 0, 0, 0, 0, side(below), side(right), 0]);
        }
        // Tokens of the map to [windows, heads, tokens of the window, head dim] in one move.
        let split = |g: &mut GraphBuilder, x: &Value| {
            let windows = [side(rows), side(window), side(columns), side(window)];
            let x = g.reshape(x, &[&[-1], &windows[..], &[side(heads), side(head_dim)]].concat());
            let x = g.transpose(&x, &[0, 1, 3, 5, 2, 4, 6]);
            g.reshape(&x, &[-1, side(heads), side(window * window), side(head_dim)])
        };
        let [query, key, value] = query_key_value(g, stage, &x, &format!("{block}.window_attn"));
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
            g.reshape(&mixed, &[-1, side(rows * window), side(columns * window), side(stage.channels)]);
        if padded {
            mixed = g.slice(&mixed, 1, 0, side(stage.height));
            mixed = g.slice(&mixed, 2, 0, side(stage.width));
        }
        let mixed = g.reshape(&mixed, &[-1, side(stage.height * stage.width), side(stage.channels)]);
        g.linear(&mixed, &format!("{block}.window_attn.proj"))
    }

    fn channel_attention(&self, g: &mut GraphBuilder, stage: &Stage, x: &Value, block: &str) -> Value {
        let tokens = (stage.height * stage.width) as i64;
        let (groups, group_dim) = (stage.groups as i64, (stage.channels / stage.groups) as i64);
        let x = g.layer_norm(x, &format!("{block}.norm1"));
        let [query, key, value] = query_key_value(g, stage, &x, &format!("{block}.channel_attn"));
        let query = g.scale(&query, stage.channel_scale);
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
        let mixed = g.reshape(&mixed, &[0, tokens, stage.channels as i64]);
        g.linear(&mixed, &format!("{block}.channel_attn.proj"))
    }

    fn feed_forward(&self, g: &mut GraphBuilder, _: &Stage, x: &Value, block: &str) -> Value {
        let normed = g.layer_norm(x, &format!("{block}.norm2"));
        let hidden = g.linear(&normed, &format!("{block}.ffn.fc1"));
        let hidden = g.gelu(&hidden);
        g.linear(&hidden, &format!("{block}.ffn.fc2"))
    }
}

fn query_key_value(g: &mut GraphBuilder, stage: &Stage, x: &Value, prefix: &str) -> [Value; 3] {
    let channels = stage.channels;
    [0, 1, 2].map(|part| g.linear_rows(x, &format!("{prefix}.qkv"), part * channels, (part + 1) * channels))
}
