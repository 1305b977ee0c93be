//! The engine that runs everywhere: ONNX Runtime, with OpenVINO where the library has it.
//!
//! Vision is compute bound and runs on OpenVINO, which is the faster of the two there, and so does the encoder in
//! bfloat16. The decoder is bound by reading its weights; it runs on ONNX Runtime's own kernels, in f32 or with 8-bit
//! weights: OpenVINO was no faster with either and took three times the memory.

mod batch;
mod caches;
mod cpu_features;
mod library;
mod scratch;
mod session;

use std::path::Path;
use std::sync::Arc;

pub use library::environment;
use ort::session::{RunOptions, Session};
use ort::value::{Tensor, TensorRef};

use self::batch::{CrossCaches, Decoder, Names, OrtBatch};
use self::caches::SelfCaches;
use self::cpu_features::CpuFeatures;
pub use self::library::RuntimeLibrary;
use self::scratch::Scratch;
use self::session::{Provider, failure, session};
use super::{BatchLimits, CancelToken, DecodeBatch, Engine, ImageFeatures, KeptPrompt, Pixels};
use crate::ModelError;
use crate::checkpoint::{FlorenceConfig, Weights};
use crate::florence::Precision;
use crate::graph::{DecoderShape, Graph, GraphOptions, Graphs, Query, VisionShape};

/// How to make an [`OrtEngine`].
#[derive(Clone, Debug)]
pub struct OrtOptions<'a> {
    /// Width of the pictures in pixels.
    pub width: u32,
    /// Height of the pictures in pixels.
    pub height: u32,
    /// How exactly to compute.
    pub precision: Precision,
    /// Threads; `None` for as many as the process may use.
    pub threads: Option<usize>,
    /// `Some(false)` leaves OpenVINO out even where it is there; `Some(true)` fails where it is not.
    pub openvino: Option<bool>,
    /// The library file; `None` to search for it.
    pub library: Option<&'a Path>,
    /// Where graphs and weights lie while they are loaded; `None` for the system's temporary folder.
    pub scratch: Option<&'a Path>,
    /// Ends loading, in the middle of a graph too.
    pub cancel: CancelToken,
}

/// Florence-2 on ONNX Runtime, on the CPU.
pub struct OrtEngine {
    vision: Session,
    encoder: Session,
    decoder: Decoder,
    description: String,
    precision: Precision,
    width: usize,
    height: usize,
    image_tokens: usize,
    dim: usize,
    max_prompt_tokens: usize,
}

impl OrtEngine {
    /// Writes the graphs of a model and opens a session for each, one after the other, so that the memory of loading
    /// is taken for one graph at a time.
    ///
    /// # Errors
    /// No library, a picture size the model cannot take, weights that cannot be read, a provider that refuses.
    pub fn load(
        config: &FlorenceConfig,
        weights: &dyn Weights,
        options: &OrtOptions<'_>,
    ) -> Result<Self, ModelError> {
        let environment = environment(options.library)?;
        let available = Provider::openvino_available();
        if options.openvino == Some(true) && !available {
            return Err(ModelError::Request {
                what: "openvino",
                reason: "the ONNX Runtime library has no OpenVINO provider".to_owned(),
            });
        }
        let threads = options.threads.unwrap_or_else(available_threads).max(1);
        let cpu = CpuFeatures::detect();
        let openvino = options.openvino.unwrap_or(available);
        // ONNX Runtime's own kernels have no bfloat16 on x86.
        let bf16 = openvino && options.precision == Precision::Fast && cpu.bf16();
        let provider = if openvino { Provider::OpenVino { bf16 } } else { Provider::Cpu };

        let graphs = Graphs::new(config, GraphOptions::new(config, weights, options.width, options.height))?;
        let cancel = &options.cancel;
        let mut scratch = Scratch::open(options.scratch, cancel)?;
        let mut open = |graph: Graph, provider| {
            cancel.check()?;
            let model = scratch.put(&graph, |path, file| graph.write(path, weights, file))?;
            session(&environment, graph.name(), &model, provider, threads, cancel)
        };
        // The vision tower first: it takes the most memory while it is loaded, and nobody else's then.
        let vision =
            open(graphs.vision(&VisionShape { batch: 1.into(), ..VisionShape::default() })?, provider)?;
        // In bfloat16 OpenVINO encodes a prompt in half the time; in f32 it gains little and holds the weights twice.
        let encoder = open(graphs.encoder()?, if bf16 { provider } else { Provider::Cpu })?;
        let graph = graphs.decoder(&DecoderShape::new(Query::Any))?;
        let decoder = match options.precision {
            Precision::Exact => open(graph, Provider::Cpu)?,
            Precision::Fast => {
                cancel.check()?;
                let model = scratch.put(&graph, |path, file| graph.write_eight_bit(path, weights, file))?;
                session(&environment, graph.name(), &model, Provider::Cpu, threads, cancel)?
            }
        };

        let text = &config.text;
        let (heads, layers) = (text.decoder_heads, text.decoder_layers);
        let head_dim = text.d_model / heads.max(1);
        let (encoder_name, decoder_name) = (
            if bf16 { provider.name() } else { Provider::Cpu.name() },
            if options.precision == Precision::Exact { "f32" } else { "8-bit weights" },
        );
        let description = format!(
            "CPU, {threads} threads: vision {}, encoder {encoder_name}, decoder ONNX Runtime {decoder_name}",
            provider.name(),
        );
        Ok(Self {
            vision,
            encoder,
            decoder: Decoder {
                session: decoder,
                names: Names::new(layers),
                layers,
                heads,
                head_dim,
                columns: config.logit_rows(),
                caches: SelfCaches::new(layers, heads, head_dim),
                cross: CrossCaches::default(),
                logits: Vec::new(),
            },
            description,
            precision: options.precision,
            width: options.width as usize,
            height: options.height as usize,
            image_tokens: graphs.image_tokens(),
            dim: text.d_model,
            max_prompt_tokens: graphs.max_prompt_tokens(),
        })
    }

    /// Prompts padded on the right to the longest: ids and mask, `[items, length]` each.
    fn padded(&self, prompts: &[&[u32]]) -> Result<(usize, Vec<i64>, Vec<i64>), ModelError> {
        let length = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
        if prompts.iter().any(|prompt| prompt.is_empty()) || prompts.is_empty() {
            return Err(ModelError::Request { what: "prompt", reason: "has no tokens".to_owned() });
        }
        if length > self.max_prompt_tokens {
            let reason = format!(
                "{length} tokens, the model takes at most {} beside the picture",
                self.max_prompt_tokens
            );
            return Err(ModelError::Request { what: "prompt", reason });
        }
        let columns = self.decoder.columns;
        let mut ids = Vec::with_capacity(prompts.len() * length);
        let mut mask = Vec::with_capacity(prompts.len() * length);
        for prompt in prompts {
            if let Some(id) = prompt.iter().find(|id| **id as usize >= columns) {
                let reason = format!("token {id} has no embedding, there are {columns}");
                return Err(ModelError::Request { what: "prompt", reason });
            }
            ids.extend(prompt.iter().map(|id| i64::from(*id)));
            mask.extend(std::iter::repeat_n(1, prompt.len()));
            // Any id may stand under the mask; 1 is the reference's padding.
            ids.resize(ids.len() + length - prompt.len(), 1);
            mask.resize(ids.len(), 0);
        }
        Ok((length, ids, mask))
    }

    /// Prompts about one picture, to what the decoder attends to.
    fn encode_prompts(
        &mut self,
        features: &ImageFeatures,
        prompts: &[&[u32]],
        cancel: &CancelToken,
    ) -> Result<CrossCaches, ModelError> {
        cancel.check()?;
        let doing = "running graph encoder";
        let stored =
            features.storage::<Vec<f32>>().filter(|stored| stored.len() == self.image_tokens * self.dim);
        let Some(stored) = stored else {
            return Err(ModelError::Request {
                what: "image features",
                reason: "made by another engine".to_owned(),
            });
        };
        let (length, ids, mask) = self.padded(prompts)?;
        let items = prompts.len();
        let features = TensorRef::from_array_view(([1, self.image_tokens, self.dim], stored.as_slice()));
        let index = Tensor::from_array(([items], vec![0_i64; items]));
        let ids = Tensor::from_array(([items, length], ids));
        let mask = Tensor::from_array(([items, length], mask));
        let inputs = ort::inputs![
            "image_features" => features.map_err(failure(doing))?,
            "image_index" => index.map_err(failure(doing))?,
            "input_ids" => ids.map_err(failure(doing))?,
            "text_mask" => mask.map_err(failure(doing))?,
        ];
        let outputs = self.encoder.run(inputs).map_err(failure(doing))?;
        let names = self.decoder.names.cross();
        Ok(CrossCaches {
            tensors: names.iter().map(|name| floats(&outputs, name, doing)).collect::<Result<_, _>>()?,
            mask: floats(&outputs, "cross_mask", doing)?,
            source: self.image_tokens + length,
        })
    }
}

impl Engine for OrtEngine {
    fn description(&self) -> String {
        self.description.clone()
    }

    fn precision(&self) -> &'static str {
        match self.precision {
            Precision::Exact => "exact",
            Precision::Fast => "fast",
        }
    }

    fn encode_image(
        &mut self,
        pixels: Pixels<'_>,
        cancel: &CancelToken,
    ) -> Result<ImageFeatures, ModelError> {
        cancel.check()?;
        let Pixels { width, height, data } = pixels;
        if (width, height) != (self.width, self.height) || data.len() != 3 * width * height {
            let reason = format!(
                "{width}x{height} pixels ({} values), the model was loaded for {}x{}",
                data.len(),
                self.width,
                self.height
            );
            return Err(ModelError::Request { what: "picture", reason });
        }
        let doing = "running graph vision";
        let input = TensorRef::from_array_view(([1, 3, height, width], data)).map_err(failure(doing))?;
        let options = Arc::new(RunOptions::new().map_err(failure(doing))?);
        let stop = Arc::clone(&options);
        let _guard = cancel.on_cancel(move || {
            // A run that cannot be stopped is only slower to stop: the next check sees the token.
            let _ = stop.terminate();
        });
        let outputs = match self.vision.run_with_options(ort::inputs!["pixel_values" => input], &*options) {
            Ok(outputs) => outputs,
            Err(_) if cancel.is_cancelled() => return Err(ModelError::Cancelled),
            Err(error) => return Err(failure(doing)(error)),
        };
        let features = floats(&outputs, "image_features", doing)?;
        Ok(ImageFeatures::new(self.image_tokens, self.dim, Arc::new(features)))
    }

    fn start<'e>(
        &'e mut self,
        features: &ImageFeatures,
        prompts: &[&[u32]],
        limits: BatchLimits,
        cancel: &CancelToken,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        self.decoder.cross = self.encode_prompts(features, prompts, cancel)?;
        Ok(Box::new(OrtBatch::new(&mut self.decoder, prompts.len(), limits)))
    }

    fn keep(
        &mut self,
        features: &ImageFeatures,
        prompt: &[u32],
        cancel: &CancelToken,
    ) -> Result<KeptPrompt, ModelError> {
        Ok(KeptPrompt::new(Arc::new(self.encode_prompts(features, &[prompt], cancel)?)))
    }

    fn resume<'e>(
        &'e mut self,
        prompts: &[&KeptPrompt],
        limits: BatchLimits,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        let refuse = |reason: &str| ModelError::Request { what: "kept prompts", reason: reason.to_owned() };
        let kept: Option<Vec<&CrossCaches>> = prompts.iter().map(|prompt| prompt.storage()).collect();
        let kept = kept.ok_or_else(|| refuse("made by another engine"))?;
        let joined = CrossCaches::joined(&kept, self.decoder.heads, self.decoder.head_dim);
        self.decoder.cross = joined.ok_or_else(|| refuse("there is none"))?;
        Ok(Box::new(OrtBatch::new(&mut self.decoder, prompts.len(), limits)))
    }
}

fn floats(
    outputs: &ort::session::SessionOutputs<'_>,
    name: &str,
    doing: &str,
) -> Result<Vec<f32>, ModelError> {
    let missing =
        || ModelError::Engine { engine: "ort", doing: doing.to_owned(), reason: format!("no output {name}") };
    let output = outputs.get(name).ok_or_else(missing)?;
    let (_, values) = output.try_extract_tensor::<f32>().map_err(failure(doing))?;
    Ok(values.to_vec())
}

fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
