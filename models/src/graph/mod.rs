//! Florence-2 as ONNX graphs, written by us: one readable definition of DaViT and BART for every engine.
//!
//! Four graphs (specification section 10), only operators of TensorRT 10.3's parser. Inputs and outputs are documented at
//! [`Graphs::vision`], [`Graphs::encoder`] and [`Graphs::decoder`]. [`Target`] says in which of two ways they are written.

mod attribute;
mod builder;
mod decoder;
mod eight_bit;
mod encoder;
mod graph_file;
mod onnx;
#[cfg(test)]
mod tensorrt_rules;
#[cfg(test)]
mod tests;
mod text;
mod vision;
mod vision_maps;
mod vision_tokens;
mod weight;
mod weights_file;

use std::path::Path;

pub use decoder::{DecoderShape, Query};
pub use graph_file::{Graph, Port};
pub use vision::VisionShape;
pub(crate) use weight::transposed;
pub use weights_file::WeightsFile;

use crate::ModelError;
use crate::checkpoint::{FlorenceConfig, Weights};

/// Who is to run a graph. Inputs, outputs and what is computed are the same for both; how it is put is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// ONNX Runtime and OpenVINO: a linear layer is a product with a matrix, which they pack once, and the pictures' tokens
    /// stay tokens. Weights are those of the checkpoint.
    OnnxRuntime,
    /// TensorRT, whose parser makes a layer of every constant, and another of every constant that must first be brought to
    /// the rank of what it is added to. The vision tower is written over maps, where a linear layer is a convolution that
    /// keeps its weights inside; what can be computed before is in the weights. One layer where there were two and a half.
    TensorRt,
}

impl Target {
    /// The version of the ONNX operator set that its graphs use: TensorRT 10.3 takes 9 to 20.
    pub fn opset(self) -> i64 {
        match self {
            Target::OnnxRuntime => 17,
            // The first with Gelu.
            Target::TensorRt => 20,
        }
    }
}

/// What an additive mask holds where attention must not look. After softmax it is exactly zero; unlike minus infinity
/// it makes no NaN, and it fits f16.
pub const MASKED: f32 = -30000.0;

/// Element type of a graph's activations and weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 16-bit float, with LayerNorm, softmax and the spatial mean in f32 (specification section 8.1).
    F16,
}

impl Element {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Element::F32 => 4,
            Element::F16 => 2,
        }
    }
}

/// A side of a tensor: known when the graph is written, or named and known when it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// A number.
    Fixed(usize),
    /// A symbol.
    Named(String),
}

impl From<usize> for Dim {
    fn from(side: usize) -> Dim {
        Dim::Fixed(side)
    }
}

impl From<&str> for Dim {
    fn from(name: &str) -> Dim {
        Dim::Named(name.to_owned())
    }
}

/// What all four graphs of a model have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphOptions {
    /// Image width in pixels.
    pub width: u32,
    /// Image height in pixels.
    pub height: u32,
    /// Element type.
    pub element: Element,
    /// Columns of the logits, and rows of the embedding.
    pub logit_rows: usize,
    /// Whether the logits have a matrix of their own.
    pub untied_head: bool,
    /// Whether the logits have a bias.
    pub logits_bias: bool,
    /// Who is to run the graphs.
    pub target: Target,
}

impl GraphOptions {
    /// f32 graphs for ONNX Runtime for an image size, with the head that these weights have.
    pub fn new(config: &FlorenceConfig, weights: &dyn Weights, width: u32, height: u32) -> GraphOptions {
        GraphOptions {
            width,
            height,
            element: Element::F32,
            logit_rows: config.logit_rows(),
            untied_head: weights.untied_head(),
            logits_bias: weights.logits_bias(),
            target: Target::OnnxRuntime,
        }
    }
}

/// Builds the graphs of one model for one image size.
#[derive(Debug, Clone)]
pub struct Graphs<'a> {
    config: &'a FlorenceConfig,
    options: GraphOptions,
    image_tokens: usize,
}

impl<'a> Graphs<'a> {
    /// # Errors
    /// An image size that the model cannot take, or more logit columns than the embedding has rows.
    pub fn new(config: &'a FlorenceConfig, options: GraphOptions) -> Result<Graphs<'a>, ModelError> {
        let image_tokens = config.image_tokens(options.width, options.height)?;
        if image_tokens + 2 > config.text.max_positions {
            return Err(ModelError::ImageSize {
                width: options.width,
                height: options.height,
                reason: format!(
                    "{image_tokens} image tokens leave no room for a prompt in {} positions",
                    config.text.max_positions
                ),
            });
        }
        if !(1..=config.text.vocabulary).contains(&options.logit_rows) {
            let reason = format!("{} logit columns of {} rows", options.logit_rows, config.text.vocabulary);
            return Err(ModelError::Graph { graph: "decoder".to_owned(), reason });
        }
        Ok(Graphs { config, options, image_tokens })
    }

    /// Image tokens (N + 1) for this image size.
    pub fn image_tokens(&self) -> usize {
        self.image_tokens
    }

    /// The longest prompt, in tokens, that fits beside the image.
    pub fn max_prompt_tokens(&self) -> usize {
        self.config.text.max_positions - self.image_tokens
    }

    /// Writes `vision.onnx`, `encoder.onnx`, `decoder_prefill.onnx`, `decoder_step.onnx` and the `weights.bin` that
    /// they share into a folder, which is made if need be. Batch, prompt length and cache capacity are symbols.
    ///
    /// # Errors
    /// A weight that cannot be read, a file that cannot be written.
    pub fn export(&self, dir: &Path, weights: &dyn Weights) -> Result<(), ModelError> {
        std::fs::create_dir_all(dir).map_err(ModelError::io(dir))?;
        let mut file = WeightsFile::create(&dir.join("weights.bin"))?;
        for graph in [
            self.vision(&VisionShape::default())?,
            self.encoder()?,
            self.decoder(&DecoderShape::new(Query::Prefill))?,
            self.decoder(&DecoderShape::new(Query::Step))?,
        ] {
            graph.write(&dir.join(format!("{}.onnx", graph.name())), weights, &mut file)?;
        }
        Ok(())
    }
}
