//! `belvedere model`

use std::collections::BTreeSet;
use std::path::Path;

use belvedere_models::Checkpoint;
use belvedere_models::checkpoint::{FlorenceConfig, Weights};
use belvedere_models::graph::{GraphOptions, Graphs};
use serde::Serialize;

use super::{CommandError, pull};
use crate::analyst::{self, Loading};
use crate::cli::{ModelChoice, ModelCommand, OutputFormat};
use crate::doctor;
use crate::exit::Exit;
use crate::folders;
use crate::messages::to_json;

/// What the process takes beside weights and activations: the runtime, GStreamer, the tokenizer.
const PROCESS_BYTES: u64 = 200 << 20;

pub(super) fn model(command: &ModelCommand) -> Result<Exit, CommandError> {
    match command {
        ModelCommand::Pull(options) => pull::pull(options)?,
        ModelCommand::Info { model, format } => {
            let info = Info::read(model)?;
            match format {
                OutputFormat::Text => print!("{}", info.table()),
                OutputFormat::Json => println!("{}", String::from_utf8_lossy(&to_json(&info))),
            }
        }
        ModelCommand::Build { model, rebuild } => build(model, *rebuild)?,
        ModelCommand::Export { model, out } => export(model, out)?,
    }
    Ok(Exit::Done)
}

/// Loads the model, which builds what is missing (or all of its engines), and says what is there then.
fn build(model: &ModelChoice, rebuild: bool) -> Result<(), CommandError> {
    let loading = Loading { rebuild_engines: rebuild, ..Loading::default() };
    let analyst = super::load_with(&model.settings(), loading)?;
    println!("{}", analyst.description());
    let Some(folder) = folders::engines() else { return Ok(()) };
    let files = doctor::engine_files(&folder);
    if files.is_empty() {
        println!("nothing is built for this device");
    }
    for file in files {
        println!("{}  {}", folder.join(file.name).display(), mb(file.bytes));
    }
    if let Some(cache) = folders::service_cache() {
        let model = model.model.as_deref().map(|model| format!(" --model {model:?}")).unwrap_or_default();
        println!(
            "\nThe service does not look there. To build for it:\n  sudo -u belvedere env CACHE_DIRECTORY={} belvedere model \
             build{model}",
            cache.display()
        );
    }
    Ok(())
}

fn export(model: &Path, out: &Path) -> Result<(), CommandError> {
    let checkpoint = Checkpoint::open(model)?;
    let spec = checkpoint.preprocess_spec();
    let config = checkpoint.config();
    let options = GraphOptions::new(config, &checkpoint, spec.width, spec.height);
    Graphs::new(config, options)?.export(out, &checkpoint)?;
    let doing = || format!("reading {}", out.display());
    let mut written: Vec<(String, u64)> = std::fs::read_dir(out)
        .map_err(CommandError::system(doing()))?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().into_string().ok()?, entry.metadata().ok()?.len()))
        })
        .filter(|(name, _)| name.ends_with(".onnx") || name == "weights.bin")
        .collect();
    written.sort();
    for (name, bytes) in written {
        println!("{}  {}", out.join(name).display(), mb(bytes));
    }
    Ok(())
}

/// What `model info` says.
#[derive(Debug, Serialize)]
struct Info {
    path: String,
    variant: &'static str,
    layout: String,
    parameters: u64,
    dtypes: BTreeSet<String>,
    weight_files: Vec<String>,
    weight_bytes: u64,
    tied_head: bool,
    image_width: u32,
    image_height: u32,
    image_tokens: usize,
    max_prompt_tokens: usize,
    vision_channels: Vec<usize>,
    vision_depths: Vec<usize>,
    d_model: usize,
    encoder_layers: usize,
    decoder_layers: usize,
    embedding_rows: usize,
    tokenizer_tokens: u32,
    memory_estimate_bytes: MemoryEstimate,
}

/// The peak on the CPU at each precision, loading included: weights, the activations of the widest vision layer, and the
/// process itself.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct MemoryEstimate {
    exact: u64,
    fast: u64,
}

impl MemoryEstimate {
    /// The bytes a parameter are those of full-size base, whose peak was measured: weights are held in more than one layout
    /// while graphs are optimised.
    fn new(parameters: u64, activations: u64) -> MemoryEstimate {
        let peak = |tenths_of_bytes| parameters * tenths_of_bytes / 10 + activations + PROCESS_BYTES;
        MemoryEstimate { exact: peak(63), fast: peak(58) }
    }
}

impl Info {
    fn read(dir: &Path) -> Result<Info, CommandError> {
        let checkpoint = Checkpoint::open(dir)?;
        let tokenizer = analyst::tokenizer(dir, &checkpoint)?;
        let config = checkpoint.config();
        let spec = checkpoint.preprocess_spec();
        let image_tokens = config.image_tokens(spec.width, spec.height)?;
        let parameters = checkpoint.parameters();
        let names = checkpoint.tensor_names();
        let dtypes = names.into_iter().filter_map(|name| Some(checkpoint.tensor(name)?.dtype)).collect();
        let files = checkpoint.weight_files();
        let bytes = |path: &&Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let activations = activation_bytes(config, spec.width, spec.height);
        Ok(Info {
            path: dir.display().to_string(),
            variant: variant(config),
            layout: format!("{:?}", checkpoint.layout()).to_lowercase(),
            parameters,
            dtypes,
            weight_bytes: files.iter().map(bytes).sum(),
            weight_files: files.iter().map(|path| path.display().to_string()).collect(),
            tied_head: !checkpoint.untied_head(),
            image_width: spec.width,
            image_height: spec.height,
            image_tokens,
            max_prompt_tokens: config.text.max_positions.saturating_sub(image_tokens),
            vision_channels: config.vision.embed_dims.clone(),
            vision_depths: config.vision.depths.clone(),
            d_model: config.text.d_model,
            encoder_layers: config.text.encoder_layers,
            decoder_layers: config.text.decoder_layers,
            embedding_rows: config.text.vocabulary,
            tokenizer_tokens: tokenizer.vocabulary().len,
            memory_estimate_bytes: MemoryEstimate::new(parameters, activations),
        })
    }

    fn table(&self) -> String {
        let dtypes: Vec<&str> = self.dtypes.iter().map(String::as_str).collect();
        let numbers =
            |numbers: &[usize]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let head = if self.tied_head { "the embedding (tied)" } else { "a matrix of its own" };
        let rows = [
            ("folder", self.path.clone()),
            ("variant", format!("Florence-2 {}", self.variant)),
            ("parameters", format!("{:.1} M", self.parameters as f64 / 1e6)),
            (
                "weights",
                format!(
                    "{} in {} file(s), {}",
                    mb(self.weight_bytes),
                    self.weight_files.len(),
                    dtypes.join(", ")
                ),
            ),
            ("layout", self.layout.clone()),
            ("output head", head.to_owned()),
            ("image", format!("{}x{}, {} tokens", self.image_width, self.image_height, self.image_tokens)),
            ("longest prompt", format!("{} tokens", self.max_prompt_tokens)),
            (
                "vision",
                format!(
                    "channels {}; blocks {}",
                    numbers(&self.vision_channels),
                    numbers(&self.vision_depths)
                ),
            ),
            (
                "text",
                format!("width {}, {} + {} layers", self.d_model, self.encoder_layers, self.decoder_layers),
            ),
            ("tokenizer", format!("{} tokens for {} rows", self.tokenizer_tokens, self.embedding_rows)),
            ("memory, exact", format!("about {}", mb(self.memory_estimate_bytes.exact))),
            ("memory, fast", format!("about {}", mb(self.memory_estimate_bytes.fast))),
        ];
        rows.iter().map(|(name, value)| format!("{name:<15} {value}\n")).collect()
    }
}

fn variant(config: &FlorenceConfig) -> &'static str {
    match (config.text.d_model, config.text.encoder_layers) {
        (768, 6) => "base",
        (1024, 12) => "large",
        _ => "of a size of its own",
    }
}

/// The widest layer of the vision tower is the first: its picture is a sixteenth of the image. About
/// twice its MLP and six times its channels are alive at once, in FP32.
fn activation_bytes(config: &FlorenceConfig, width: u32, height: u32) -> u64 {
    let places = u64::from(width / 4) * u64::from(height / 4);
    let channels = config.vision.embed_dims.first().copied().unwrap_or_default() as u64;
    places * channels * 4 * (2 * config.vision.mlp_ratio as u64 + 6)
}

fn mb(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_for_full_size_base_is_near_what_was_measured() {
        let config = FlorenceConfig::base();
        let estimate = MemoryEstimate::new(231_414_016, activation_bytes(&config, 768, 768));
        for (estimated, measured_mb) in [(estimate.exact, 1928), (estimate.fast, 1808)] {
            assert!((estimated / 1_000_000).abs_diff(measured_mb) < 50, "{estimated} for {measured_mb} MB");
        }
    }
}
