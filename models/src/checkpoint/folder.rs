//! An opened checkpoint folder.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use belvedere_kernels::PreprocessSpec;
use serde::Deserialize;

use super::generation_json::RawGeneration;
use super::inventory::{LM_HEAD, LOGITS_BIAS, SHARED};
use super::safetensors_file::SafetensorsFile;
use super::{FlorenceConfig, Layout, Weights, preprocessor_json};
use crate::ModelError;
use crate::tokens::Tokenizer;

// Where the token embedding may be, in the order of the loader rule (specification section 2.2).
const EMBEDDING_NAMES: [&str; 4] = [
    SHARED,
    "model.language_model.decoder.embed_tokens.weight",
    "model.language_model.encoder.embed_tokens.weight",
    LM_HEAD,
];

/// A checkpoint folder whose every tensor was found with the right shape. Weights stay on disk until they are read.
#[derive(Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    config: FlorenceConfig,
    layout: Layout,
    preprocess: PreprocessSpec,
    files: Vec<SafetensorsFile>,
    // Native name to where it is.
    tensors: HashMap<String, Location>,
    untied_head: bool,
    logits_bias: bool,
}

#[derive(Debug)]
struct Location {
    file: usize,
    stored_name: String,
    native_shape: Vec<usize>,
    transposed: bool,
}

/// What a file says about one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Native shape.
    pub shape: Vec<usize>,
    /// The stored element type: `F32`, `F16` or `BF16`.
    pub dtype: String,
    /// The file that holds it.
    pub file: PathBuf,
    /// Its name in that file.
    pub stored_name: String,
}

impl Checkpoint {
    /// Opens a folder and checks that every tensor of the model is there with the shape that `config.json` asks for.
    ///
    /// # Errors
    /// A folder that is no Florence-2 checkpoint, bad JSON, a truncated file, a missing or misshapen tensor: each
    /// error names the file and the tensor or key.
    pub fn open(dir: impl AsRef<Path>) -> Result<Checkpoint, ModelError> {
        let dir = dir.as_ref();
        let config_path = dir.join("config.json");
        let text = match std::fs::read_to_string(&config_path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let reason = "it has no config.json".to_owned();
                return Err(ModelError::NotFlorence { path: dir.to_owned(), reason });
            }
            Err(source) => return Err(ModelError::Io { path: config_path, source }),
        };
        let (mut config, _) = FlorenceConfig::from_json(&text, &config_path)?;
        let (index, files) = open_files(dir)?;
        let mut by_name = HashMap::new();
        for (number, file) in files.iter().enumerate() {
            for name in file.names() {
                by_name.entry(name).or_insert(number);
            }
        }
        // The names decide, not config.json: converted folders exist with the other spelling's configuration.
        let layout = if by_name.keys().any(|name| name.starts_with("vision_tower.")) {
            Layout::Original
        } else if by_name.keys().any(|name| name.starts_with("model.vision_tower.")) {
            Layout::Native
        } else {
            let reason = "it holds no vision_tower tensors".to_owned();
            return Err(ModelError::NotFlorence { path: index, reason });
        };
        if layout == Layout::Native {
            read_generation_config(dir, &mut config)?;
        }
        let mut checkpoint = Checkpoint {
            dir: dir.to_owned(),
            config,
            layout,
            preprocess: preprocessor_json::read(dir)?,
            files,
            tensors: HashMap::new(),
            untied_head: false,
            logits_bias: false,
        };
        checkpoint.locate_all(&by_name, &index)?;
        Ok(checkpoint)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The model's shape and defaults.
    pub fn config(&self) -> &FlorenceConfig {
        &self.config
    }

    /// Takes the number of tokens from the checkpoint's own tokenizer: rows above them are never generated, and those of a
    /// fine-tune's additional tokens can be. To be called before the model is loaded.
    ///
    /// # Errors
    /// A token that the configuration relies on is above them.
    pub fn fit_to(&mut self, tokenizer: &Tokenizer) -> Result<(), ModelError> {
        self.config.text.tokens = tokenizer.vocabulary().len as usize;
        let path = self.dir.join("config.json");
        let bad = |key: &str, reason| ModelError::Config { path: path.clone(), key: key.to_owned(), reason };
        RawGeneration::default().over(self.config.generation.clone(), &self.config.text, bad).map(drop)
    }

    /// How pictures become the model's input, from `preprocessor_config.json`. Set other sides before use to run the
    /// model at another size.
    pub fn preprocess_spec(&self) -> &PreprocessSpec {
        &self.preprocess
    }

    /// How the files name their tensors.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The files that hold the weights.
    pub fn weight_files(&self) -> Vec<&Path> {
        self.files.iter().map(SafetensorsFile::path).collect()
    }

    /// Native names of all tensors, sorted.
    pub fn tensor_names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.tensors.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// What is known about a tensor without reading it.
    pub fn tensor(&self, name: &str) -> Option<TensorInfo> {
        let location = self.tensors.get(name)?;
        let file = self.files.get(location.file)?;
        Some(TensorInfo {
            shape: location.native_shape.clone(),
            dtype: format!("{:?}", file.info(&location.stored_name)?.dtype),
            file: file.path().to_owned(),
            stored_name: location.stored_name.clone(),
        })
    }

    /// Parameters of the model, the tied embedding counted once.
    pub fn parameters(&self) -> u64 {
        let elements = |location: &Location| location.native_shape.iter().product::<usize>() as u64;
        self.tensors
            .iter()
            .filter(|(name, _)| *name != LOGITS_BIAS)
            .map(|(_, location)| elements(location))
            .sum()
    }

    fn locate_all(&mut self, by_name: &HashMap<String, usize>, index: &Path) -> Result<(), ModelError> {
        for spec in self.config.inventory() {
            let candidates: &[&str] =
                if spec.name == SHARED { &EMBEDDING_NAMES } else { &[spec.name.as_str()] };
            let location = candidates
                .iter()
                .find_map(|name| self.locate(name, &spec.shape, by_name).transpose())
                .transpose()?
                .ok_or_else(|| ModelError::MissingTensor {
                    tensor: self.layout.name_of(&spec.name),
                    path: index.to_owned(),
                    expected: spec.shape.clone(),
                })?;
            self.tensors.insert(spec.name, location);
        }
        self.locate_head(by_name)?;
        self.locate_logits_bias(by_name)
    }

    fn locate(
        &self,
        native: &str,
        shape: &[usize],
        by_name: &HashMap<String, usize>,
    ) -> Result<Option<Location>, ModelError> {
        let stored_name = self.layout.name_of(native);
        let Some(&number) = by_name.get(&stored_name) else { return Ok(None) };
        let Some(file) = self.files.get(number) else { return Ok(None) };
        let Some(info) = file.info(&stored_name) else { return Ok(None) };
        let transposed = self.layout.transposes(native);
        let mut expected = shape.to_vec();
        if transposed {
            expected.reverse();
        }
        if info.shape != expected {
            return Err(ModelError::TensorShape {
                tensor: stored_name,
                path: file.path().to_owned(),
                expected,
                found: info.shape.clone(),
            });
        }
        use safetensors::Dtype::{BF16, F16, F32};
        if ![F32, F16, BF16].contains(&info.dtype) {
            return Err(ModelError::TensorType {
                tensor: stored_name,
                path: file.path().to_owned(),
                dtype: format!("{:?}", info.dtype),
            });
        }
        Ok(Some(Location { file: number, stored_name, native_shape: shape.to_vec(), transposed }))
    }

    /// Files hold the head as an alias, or not at all; a fine-tune may have untied it (specification section 2.2).
    fn locate_head(&mut self, by_name: &HashMap<String, usize>) -> Result<(), ModelError> {
        let shape = [self.config.text.vocabulary, self.config.text.d_model];
        let Some(head) = self.locate(LM_HEAD, &shape, by_name)? else { return Ok(()) };
        let Some(embedding) = self.tensors.get(SHARED) else { return Ok(()) };
        if embedding.stored_name == head.stored_name {
            return Ok(());
        }
        let (Some(a), Some(b)) = (self.files.get(embedding.file), self.files.get(head.file)) else {
            return Ok(());
        };
        if a.same_bytes(&embedding.stored_name, b, &head.stored_name)? {
            return Ok(());
        }
        tracing::warn!(
            file = %b.path().display(),
            tensor = head.stored_name,
            "the output head differs from the embedding; it is used for the logits"
        );
        self.untied_head = true;
        self.tensors.insert(LM_HEAD.to_owned(), head);
        Ok(())
    }

    fn locate_logits_bias(&mut self, by_name: &HashMap<String, usize>) -> Result<(), ModelError> {
        let shape = [1, self.config.text.vocabulary];
        let Some(location) = self.locate(LOGITS_BIAS, &shape, by_name)? else { return Ok(()) };
        self.tensors.insert(LOGITS_BIAS.to_owned(), location);
        if self.read(LOGITS_BIAS)?.iter().any(|&bias| bias != 0.0) {
            self.logits_bias = true;
        } else {
            self.tensors.remove(LOGITS_BIAS);
        }
        Ok(())
    }
}

impl Weights for Checkpoint {
    fn read(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let unknown = || ModelError::UnknownTensor { tensor: name.to_owned() };
        let location = self.tensors.get(name).ok_or_else(unknown)?;
        let file = self.files.get(location.file).ok_or_else(unknown)?;
        let elements = file.read(&location.stored_name)?;
        match location.native_shape[..] {
            [rows, columns] if location.transposed => Ok(crate::graph::transposed(&elements, columns, rows)),
            _ => Ok(elements),
        }
    }

    fn untied_head(&self) -> bool {
        self.untied_head
    }

    fn logits_bias(&self) -> bool {
        self.logits_bias
    }
}

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

/// Opens `model.safetensors`, or every shard of `model.safetensors.index.json`. Also returns the path that stands for
/// them all in errors.
fn open_files(dir: &Path) -> Result<(PathBuf, Vec<SafetensorsFile>), ModelError> {
    let single = dir.join("model.safetensors");
    if single.exists() {
        let file = SafetensorsFile::open(&single)?;
        return Ok((single, vec![file]));
    }
    let index = dir.join("model.safetensors.index.json");
    if !index.exists() {
        let reason = "it has neither model.safetensors nor model.safetensors.index.json".to_owned();
        return Err(ModelError::NotFlorence { path: dir.to_owned(), reason });
    }
    let shards: ShardIndex = read_json(&index)?;
    let mut names: Vec<_> = shards.weight_map.into_values().collect();
    names.sort_unstable();
    names.dedup();
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        // A name from a file: it must stay inside the folder.
        if Path::new(&name).components().count() != 1 || name == ".." || name == "/" {
            let reason = format!("\"{name}\" is not the name of a file in the same folder");
            return Err(ModelError::Config { path: index, key: "weight_map".to_owned(), reason });
        }
        files.push(SafetensorsFile::open(&dir.join(name))?);
    }
    Ok((index, files))
}

/// In the native layout `generation_config.json` decides. In the original one it does not: generate runs on the inner
/// language model, whose settings come from `text_config` (specification section 4.5).
fn read_generation_config(dir: &Path, config: &mut FlorenceConfig) -> Result<(), ModelError> {
    let path = dir.join("generation_config.json");
    if !path.exists() {
        return Ok(());
    }
    let file: RawGeneration = read_json(&path)?;
    let bad = |key: &str, reason| ModelError::Config { path: path.clone(), key: key.to_owned(), reason };
    config.generation = file.over(config.generation.clone(), &config.text, bad)?;
    Ok(())
}

pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ModelError> {
    let text = std::fs::read_to_string(path).map_err(ModelError::io(path))?;
    serde_json::from_str(&text).map_err(|source| ModelError::Json { path: path.to_owned(), source })
}
