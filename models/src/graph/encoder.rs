//! BART's encoder, and the keys and values that every decoder layer takes from it (specification section 4.1, 4.2).

use super::builder::{GraphBuilder, Value};
use super::graph_file::Graph;
use super::text::{feed_forward, merge_heads, queries, scores, split_heads};
use super::{Dim, Element, Graphs, MASKED};
use crate::ModelError;
use crate::checkpoint::inventory::LANGUAGE;

// In f16, states are kept this far inside the type's range, as the reference does (specification section 8.1).
const F16_CLAMP: f32 = 65504.0 - 1000.0;

impl Graphs<'_> {
    /// Prompts about pictures, to what the decoder attends to. F pictures, I prompts of L tokens, S = N + 1 + L.
    ///
    /// | input | |
    /// |---|---|
    /// | `image_features` `[F, N + 1, d]` | from the vision graph |
    /// | `image_index` i64 `[I]` | which picture each prompt is about |
    /// | `input_ids` i64 `[I, L]` | the prompts, padded on the right |
    /// | `text_mask` i64 `[I, L]` | 1 for a token, 0 for padding |
    ///
    /// | output | |
    /// |---|---|
    /// | `cross_key.{l}`, `cross_value.{l}` `[I, h, S, hd]` | for decoder layer l |
    /// | `cross_mask` `[I, 1, 1, S]` | 0, or [`MASKED`] over padding; to be added |
    ///
    /// # Errors
    /// None but a defect of the configuration.
    pub fn encoder(&self) -> Result<Graph, ModelError> {
        let text = &self.config.text;
        let (width, image_tokens) = (text.d_model, self.image_tokens);
        let mut g = GraphBuilder::new("encoder", self.config, &self.options);
        let items = || Dim::from("items");
        let features = g.input("image_features", &["images".into(), image_tokens.into(), width.into()]);
        let image_index = g.index_input("image_index", &[items()]);
        let ids = g.index_input("input_ids", &[items(), "prompt".into()]);
        let text_mask = g.index_input("text_mask", &[items(), "prompt".into()]);

        let mask = self.cross_mask(&mut g, &text_mask);
        let mut x = self.encoder_input(&mut g, &features, &image_index, &ids);
        for layer in 0..text.encoder_layers {
            x = self.encoder_layer(&mut g, &x, &mask, &format!("{LANGUAGE}.encoder.layers.{layer}"));
        }

        let (heads, head_dim) = (text.decoder_heads, width / text.decoder_heads);
        let sides = [items(), heads.into(), "source".into(), head_dim.into()];
        for layer in 0..text.decoder_layers {
            let prefix = format!("{LANGUAGE}.decoder.layers.{layer}.encoder_attn");
            for (projection, name) in [("k_proj", "cross_key"), ("v_proj", "cross_value")] {
                let projected = g.linear(&x, &format!("{prefix}.{projection}"));
                let split = split_heads(&mut g, &projected, heads, head_dim);
                g.output(split, &format!("{name}.{layer}"), g.element(), &sides);
            }
        }
        g.output(mask, "cross_mask", g.element(), &[items(), 1.into(), 1.into(), "source".into()]);
        g.finish()
    }

    /// 1 / 0 over the prompt to 0 / [`MASKED`] over image and prompt, `[I, 1, 1, S]`.
    fn cross_mask(&self, g: &mut GraphBuilder, text_mask: &Value) -> Value {
        let element = g.element();
        let present = g.cast(text_mask, element);
        let (one, masked) = (g.scalar(1.0), g.scalar(MASKED));
        let absent = g.op("Sub", &[&one, &present], vec![]);
        let additive = g.op("Mul", &[&absent, &masked], vec![]);
        let additive = g.pad(&additive, &[0, self.image_tokens as i64, 0, 0]);
        let axes = g.indices(&[1, 2]);
        g.op("Unsqueeze", &[&additive, &axes], vec![])
    }

    /// Image features, then the embedded prompt; learned positions; LayerNorm.
    fn encoder_input(
        &self,
        g: &mut GraphBuilder,
        features: &Value,
        image_index: &Value,
        ids: &Value,
    ) -> Value {
        let prefix = format!("{LANGUAGE}.encoder");
        let table = format!("{prefix}.embed_positions.weight");
        // The table's first two rows are never used.
        let (image_end, end) = (2 + self.image_tokens, 2 + self.config.text.max_positions);
        let element = g.element();
        let image_positions = g.weight_rows_beside_tokens(&table, 2, image_end);
        let text_positions = g.weight_rows(&table, image_end, end, element);

        let image = g.add(features, &image_positions);
        let image = g.gather(&image, image_index, 0);
        let words = self.embed(g, ids);
        let (start, length) = (g.indices(&[0]), g.side(ids, 1));
        let text_positions = g.slice_between(&text_positions, 0, &start, &length);
        let words = g.add(&words, &text_positions);
        let x = g.concat(&[&image, &words], 1);
        g.layer_norm(&x, &format!("{prefix}.layernorm_embedding"))
    }

    fn encoder_layer(&self, g: &mut GraphBuilder, x: &Value, mask: &Value, prefix: &str) -> Value {
        let (width, heads) = (self.config.text.d_model, self.config.text.encoder_heads);
        let head_dim = width / heads;
        let attention = format!("{prefix}.self_attn");
        let query = queries(g, x, &attention, head_dim);
        let key = g.linear(x, &format!("{attention}.k_proj"));
        let value = g.linear(x, &format!("{attention}.v_proj"));
        let [query, key, value] = [query, key, value].map(|part| split_heads(g, &part, heads, head_dim));
        let scores = scores(g, &query, &key, Some(mask));
        let probabilities = g.softmax(&scores);
        let mixed = g.matmul(&probabilities, &value);
        let mixed = merge_heads(g, &mixed, width);
        let attended = g.linear(&mixed, &format!("{attention}.out_proj"));
        let sum = g.add(x, &attended);
        let x = g.layer_norm(&sum, &format!("{prefix}.self_attn_layer_norm"));
        let x = feed_forward(g, &x, prefix);
        match g.element() {
            Element::F32 => x,
            Element::F16 => {
                let (low, high) = (g.scalar(-F16_CLAMP), g.scalar(F16_CLAMP));
                g.op("Clip", &[&x, &low, &high], vec![])
            }
        }
    }
}
