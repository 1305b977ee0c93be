//! What BART's encoder and decoder have in common (specification section 4).

use super::Graphs;
use super::builder::{GraphBuilder, Value};
use crate::checkpoint::inventory::SHARED;

impl Graphs<'_> {
    /// The token embedding, cut to the rows that can occur.
    pub(super) fn embedding(&self, g: &mut GraphBuilder) -> Value {
        let element = g.element();
        g.weight_rows(SHARED, 0, self.options.logit_rows, element)
    }

    /// Rows of the embedding for `ids`, scaled where the configuration asks for it.
    pub(super) fn embed(&self, g: &mut GraphBuilder, ids: &Value) -> Value {
        let table = self.embedding(g);
        let rows = g.gather(&table, ids, 0);
        if self.config.text.scale_embedding {
            g.scale(&rows, (self.config.text.d_model as f32).sqrt())
        } else {
            rows
        }
    }
}

/// Queries of one attention, scaled by head dim^-0.5: `[_, T, d]` to `[_, T, d]`.
pub(super) fn queries(g: &mut GraphBuilder, x: &Value, prefix: &str, head_dim: usize) -> Value {
    g.linear_scaled(x, &format!("{prefix}.q_proj"), 1.0 / (head_dim as f32).sqrt())
}

/// `[_, T, d]` to `[_, h, T, hd]`.
pub(super) fn split_heads(g: &mut GraphBuilder, x: &Value, heads: usize, head_dim: usize) -> Value {
    let x = g.reshape(x, &[0, 0, heads as i64, head_dim as i64]);
    g.transpose(&x, &[0, 2, 1, 3])
}

/// `[_, h, T, hd]` to `[_, T, d]`.
pub(super) fn merge_heads(g: &mut GraphBuilder, x: &Value, width: usize) -> Value {
    let x = g.transpose(x, &[0, 2, 1, 3]);
    g.reshape(&x, &[0, 0, width as i64])
}

/// q kᵀ + mask, for `[_, h, T, hd]` and `[_, h, S, hd]`.
pub(super) fn scores(g: &mut GraphBuilder, query: &Value, key: &Value, mask: Option<&Value>) -> Value {
    let key = g.transpose(key, &[0, 1, 3, 2]);
    let scores = g.matmul(query, &key);
    match mask {
        Some(mask) => g.add(&scores, mask),
        None => scores,
    }
}

/// LN(x + fc2(gelu(fc1(x)))).
pub(super) fn feed_forward(g: &mut GraphBuilder, x: &Value, prefix: &str) -> Value {
    let hidden = g.linear(x, &format!("{prefix}.fc1"));
    let hidden = g.gelu(&hidden);
    let fed = g.linear(&hidden, &format!("{prefix}.fc2"));
    let sum = g.add(x, &fed);
    g.layer_norm(&sum, &format!("{prefix}.final_layer_norm"))
}
