//! BART's decoder with fixed-capacity caches (specification section 4.3).

use super::builder::{GraphBuilder, Value};
use super::graph_file::Graph;
use super::text::{feed_forward, merge_heads, queries, scores, split_heads};
use super::{Dim, Element, Graphs, MASKED};
use crate::ModelError;
use crate::checkpoint::inventory::{LANGUAGE, LM_HEAD, LOGITS_BIAS};

/// Tokens that a run of the decoder takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// Two: the decoder start and the forced first token.
    Prefill,
    /// One.
    Step,
    /// Any number, known when the graph runs; serves prefill and step with one set of weights.
    Any,
}

/// What may vary in the decoder graph.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderShape {
    /// Tokens in a run (T).
    pub query: Query,
    /// Prompts (I).
    pub items: Dim,
    /// Rows (R): prompts times beams.
    pub rows: Dim,
    /// Places in the self-attention caches (C).
    pub capacity: Dim,
    /// Length of what the decoder attends to (S).
    pub source: Dim,
}

impl DecoderShape {
    /// Everything but the query length as a symbol.
    pub fn new(query: Query) -> DecoderShape {
        let [items, rows, capacity, source] = ["items", "rows", "capacity", "source"].map(Dim::from);
        DecoderShape { query, items, rows, capacity, source }
    }
}

/// The decoder while its layers are written.
struct Decoder {
    query: Query,
    width: usize,
    heads: usize,
    head_dim: usize,
    past_mask: Value,
    cross_mask: Value,
    // Additive, among the new tokens; none is needed for one.
    causal_mask: Option<Value>,
    // Shape [items, beams x T, h, hd] that lets the beams of an item share its cross keys.
    shared_shape: Value,
    // Shape [rows, T, d].
    row_shape: Value,
    // Places of the caches, where T is not known.
    capacity: Option<Value>,
}

impl Graphs<'_> {
    /// One run of the decoder: T new tokens for R rows (item-major, then beam), caches of capacity C.
    ///
    /// | input | |
    /// |---|---|
    /// | `input_ids` i64 `[R, T]` | the new tokens |
    /// | `positions` i64 `[R, T]` | their places in the sequence, from 0 |
    /// | `first_logit` i64 `[1]` | for [`Query::Any`] only: the first new token whose logits are wanted; -1 is the last |
    /// | `past_key.{l}`, `past_value.{l}` `[R, h, C, hd]` | caches; what is masked must still be finite |
    /// | `past_mask` `[R, 1, 1, C]` | 0 over filled places, [`MASKED`] over others; added |
    /// | `cross_key.{l}`, `cross_value.{l}` `[I, h, S, hd]`, `cross_mask` `[I, 1, 1, S]` | from the encoder graph |
    ///
    /// | output | |
    /// |---|---|
    /// | `logits` f32 `[R, V]` | of the last new token; for [`Query::Any`] `[R x W, V]`, row-major, of the W wanted |
    /// | `new_key.{l}`, `new_value.{l}` `[R, h, T, hd]` | to be put into the caches |
    ///
    /// # Errors
    /// None but a defect of the configuration.
    pub fn decoder(&self, shape: &DecoderShape) -> Result<Graph, ModelError> {
        let text = &self.config.text;
        let (name, new_tokens) = match shape.query {
            Query::Prefill => ("decoder_prefill", Dim::Fixed(2)),
            Query::Step => ("decoder_step", Dim::Fixed(1)),
            Query::Any => ("decoder", Dim::from("new_tokens")),
        };
        let mut g = GraphBuilder::new(name, self.config, &self.options);
        let (heads, head_dim) = (text.decoder_heads, text.d_model / text.decoder_heads);
        let DecoderShape { items, rows, capacity, source, .. } = shape;
        let cache = [rows.clone(), heads.into(), capacity.clone(), head_dim.into()];
        let cross = [items.clone(), heads.into(), source.clone(), head_dim.into()];

        let ids = g.index_input("input_ids", &[rows.clone(), new_tokens.clone()]);
        let positions = g.index_input("positions", &[rows.clone(), new_tokens.clone()]);
        let first_logit = (shape.query == Query::Any).then(|| g.index_input("first_logit", &[1.into()]));
        let past_mask = g.input("past_mask", &[rows.clone(), 1.into(), 1.into(), capacity.clone()]);
        let cross_mask = g.input("cross_mask", &[items.clone(), 1.into(), 1.into(), source.clone()]);
        let mut layers = Vec::with_capacity(text.decoder_layers);
        for layer in 0..text.decoder_layers {
            let past = ["past_key", "past_value"].map(|name| g.input(&format!("{name}.{layer}"), &cache));
            let cross = ["cross_key", "cross_value"].map(|name| g.input(&format!("{name}.{layer}"), &cross));
            layers.push((past, cross));
        }

        let mut x = self.decoder_input(&mut g, &ids, &positions);
        let decoder = self.decoder_state(&mut g, shape.query, [ids, positions, past_mask, cross_mask]);
        let mut new = Vec::with_capacity(text.decoder_layers);
        for (layer, (past, cross)) in layers.iter().enumerate() {
            let prefix = format!("{LANGUAGE}.decoder.layers.{layer}");
            let (after_self, new_key, new_value) = decoder.self_attention(&mut g, &x, past, &prefix);
            let after_cross = decoder.cross_attention(&mut g, &after_self, cross, &prefix);
            x = feed_forward(&mut g, &after_cross, &prefix);
            new.push((new_key, new_value));
        }
        let logits = self.logits(&mut g, &x, shape.query, first_logit.as_ref());
        let logit_rows = if first_logit.is_some() { "wanted".into() } else { rows.clone() };
        g.output(logits, "logits", Element::F32, &[logit_rows, self.options.logit_rows.into()]);
        let sides = [rows.clone(), heads.into(), new_tokens, head_dim.into()];
        for (layer, (new_key, new_value)) in new.into_iter().enumerate() {
            g.output(new_key, &format!("new_key.{layer}"), g.element(), &sides);
            g.output(new_value, &format!("new_value.{layer}"), g.element(), &sides);
        }
        g.finish()
    }

    fn decoder_input(&self, g: &mut GraphBuilder, ids: &Value, positions: &Value) -> Value {
        let prefix = format!("{LANGUAGE}.decoder");
        let element = g.element();
        let words = self.embed(g, ids);
        let table = format!("{prefix}.embed_positions.weight");
        // The table's first two rows are never used.
        let table = g.weight_rows(&table, 2, self.config.text.max_positions + 2, element);
        let places = g.gather(&table, positions, 0);
        let x = g.add(&words, &places);
        g.layer_norm(&x, &format!("{prefix}.layernorm_embedding"))
    }

    fn decoder_state(
        &self,
        g: &mut GraphBuilder,
        query: Query,
        [ids, positions, past_mask, cross_mask]: [Value; 4],
    ) -> Decoder {
        let text = &self.config.text;
        let (width, heads) = (text.d_model, text.decoder_heads);
        let head_dim = width / heads;
        let items = g.side(&cross_mask, 0);
        let rest = g.indices(&[-1, heads as i64, head_dim as i64]);
        let shared_shape = g.concat(&[&items, &rest], 0);
        let row_shape = match query {
            Query::Prefill => g.indices(&[-1, 2, width as i64]),
            Query::Step => g.indices(&[-1, 1, width as i64]),
            Query::Any => {
                let shape = g.op("Shape", &[&ids], vec![]);
                let width = g.indices(&[width as i64]);
                g.concat(&[&shape, &width], 0)
            }
        };
        let causal_mask = match query {
            Query::Step => None,
            Query::Prefill => Some(g.table("causal_mask", &[1, 1, 2, 2], &[0.0, MASKED, 0.0, 0.0])),
            Query::Any => {
                // Masked where the query's place comes before the key's.
                let (key_axes, query_axes) = (g.indices(&[1, 2]), g.indices(&[1, 3]));
                let key_places = g.op("Unsqueeze", &[&positions, &key_axes], vec![]);
                let query_places = g.op("Unsqueeze", &[&positions, &query_axes], vec![]);
                let later = g.op("Less", &[&query_places, &key_places], vec![]);
                let element = g.element();
                let later = g.cast(&later, element);
                Some(g.scale(&later, MASKED))
            }
        };
        let capacity = (query == Query::Any).then(|| g.side(&past_mask, 3));
        Decoder {
            query,
            width,
            heads,
            head_dim,
            past_mask,
            cross_mask,
            causal_mask,
            shared_shape,
            row_shape,
            capacity,
        }
    }

    /// Logits of the last new token, or of all from `first` on, in f32.
    fn logits(&self, g: &mut GraphBuilder, x: &Value, query: Query, first: Option<&Value>) -> Value {
        let width = self.config.text.d_model as i64;
        let wanted = match (query, first) {
            (Query::Step, _) => x.clone(),
            (_, None) => g.slice(x, 1, -1, i64::MAX),
            (_, Some(first)) => {
                let end = g.indices(&[i64::MAX]);
                g.slice_between(x, 1, first, &end)
            }
        };
        let last = g.reshape(&wanted, &[-1, width]);
        let element = g.element();
        let head = if self.options.untied_head {
            g.weight_rows(LM_HEAD, 0, self.options.logit_rows, element)
        } else {
            self.embedding(g)
        };
        let mut logits = g.project_shared(&last, &head);
        if g.element() == Element::F16 {
            logits = g.cast(&logits, Element::F32);
        }
        if self.options.logits_bias {
            let bias = g.logits_bias(LOGITS_BIAS, self.options.logit_rows);
            logits = g.add(&logits, &bias);
        }
        logits
    }
}

impl Decoder {
    /// LN(x + attention over cache and new tokens). Scores are joined, caches never are. Also returns the new keys
    /// and values.
    fn self_attention(
        &self,
        g: &mut GraphBuilder,
        x: &Value,
        [past_key, past_value]: &[Value; 2],
        prefix: &str,
    ) -> (Value, Value, Value) {
        let attention = format!("{prefix}.self_attn");
        let query = queries(g, x, &attention, self.head_dim);
        let key = g.linear(x, &format!("{attention}.k_proj"));
        let value = g.linear(x, &format!("{attention}.v_proj"));
        let [query, key, value] =
            [query, key, value].map(|part| split_heads(g, &part, self.heads, self.head_dim));
        let past_scores = scores(g, &query, past_key, Some(&self.past_mask));
        let new_scores = scores(g, &query, &key, self.causal_mask.as_ref());
        let joined = g.concat(&[&past_scores, &new_scores], 3);
        let probabilities = g.softmax(&joined);
        let (past, new) = self.split_probabilities(g, &probabilities);
        let from_past = g.matmul(&past, past_value);
        let from_new = g.matmul(&new, &value);
        let mixed = g.add(&from_past, &from_new);
        let mixed = merge_heads(g, &mixed, self.width);
        let attended = g.linear(&mixed, &format!("{attention}.out_proj"));
        let sum = g.add(x, &attended);
        (g.layer_norm(&sum, &format!("{prefix}.self_attn_layer_norm")), key, value)
    }

    fn split_probabilities(&self, g: &mut GraphBuilder, probabilities: &Value) -> (Value, Value) {
        let new_tokens = match self.query {
            Query::Step => 1,
            Query::Prefill => 2,
            Query::Any => 0,
        };
        match &self.capacity {
            None => {
                let past = g.slice(probabilities, 3, 0, -new_tokens);
                let new = match new_tokens {
                    1 => g.last_place(probabilities, 3),
                    _ => g.slice(probabilities, 3, -new_tokens, i64::MAX),
                };
                (past, new)
            }
            Some(capacity) => {
                let (start, end) = (g.indices(&[0]), g.indices(&[i64::MAX]));
                (
                    g.slice_between(probabilities, 3, &start, capacity),
                    g.slice_between(probabilities, 3, capacity, &end),
                )
            }
        }
    }

    /// LN(x + attention to the encoder's output). The beams of an item are folded into its query axis.
    fn cross_attention(
        &self,
        g: &mut GraphBuilder,
        x: &Value,
        [key, value]: &[Value; 2],
        prefix: &str,
    ) -> Value {
        let attention = format!("{prefix}.encoder_attn");
        let query = queries(g, x, &attention, self.head_dim);
        let query = g.op("Reshape", &[&query, &self.shared_shape], vec![]);
        let query = g.transpose(&query, &[0, 2, 1, 3]);
        let scores = scores(g, &query, key, Some(&self.cross_mask));
        let probabilities = g.softmax(&scores);
        let mixed = g.matmul(&probabilities, value);
        let mixed = g.transpose(&mixed, &[0, 2, 1, 3]);
        let mixed = g.op("Reshape", &[&mixed, &self.row_shape], vec![]);
        let attended = g.linear(&mixed, &format!("{attention}.out_proj"));
        let sum = g.add(x, &attended);
        g.layer_norm(&sum, &format!("{prefix}.encoder_attn_layer_norm"))
    }
}
