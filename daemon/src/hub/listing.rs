//! The files of a model at one commit.

use serde::Deserialize;

use super::checksum::Checksum;
use super::{HubError, ModelName};

/// What the hub says of a model.
#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    /// The commit.
    pub(super) sha: String,
    #[serde(rename = "siblings")]
    files: Vec<ListedFile>,
}

/// A file of the model.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ListedFile {
    #[serde(rename = "rfilename")]
    pub(super) name: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<LargeFile>,
}

#[derive(Debug, Clone, Deserialize)]
struct LargeFile {
    #[serde(alias = "oid")]
    sha256: String,
    size: Option<u64>,
}

/// The file of the parts of weights that are in several files.
pub(super) const INDEX: &str = "model.safetensors.index.json";
const WEIGHTS: &str = "model.safetensors";
const NEEDED: [&str; 2] = ["config.json", "tokenizer.json"];
const WANTED: [&str; 2] = ["generation_config.json", "preprocessor_config.json"];

impl ListedFile {
    /// How long it is, where the hub says so.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.lfs.as_ref().and_then(|lfs| lfs.size).or(self.size)
    }

    /// Its sum, where the hub tells one that is one.
    pub(super) fn checksum(&self) -> Option<Checksum> {
        let is_hex =
            |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(lfs) = &self.lfs {
            let sum = lfs.sha256.trim_start_matches("sha256:").to_lowercase();
            return is_hex(&sum, 64).then_some(Checksum::Sha256(sum));
        }
        let sum = self.blob_id.as_ref()?.to_lowercase();
        is_hex(&sum, 40).then_some(Checksum::GitBlob(sum))
    }
}

impl Listing {
    /// The commit, which becomes a part of addresses and paths.
    pub(super) fn has_commit(&self) -> bool {
        !self.sha.is_empty() && self.sha.len() <= 64 && self.sha.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// What Belvedere reads of `model`, the weights last; of weights in parts, only their index.
    pub(super) fn needed(&self, model: &ModelName) -> Result<Vec<ListedFile>, HubError> {
        let mut needed = Vec::new();
        for name in NEEDED {
            needed.push(self.file(model, name)?);
        }
        needed.extend(WANTED.iter().filter_map(|name| self.file(model, name).ok()));
        let weights = [WEIGHTS, INDEX].iter().find_map(|name| self.file(model, name).ok());
        needed.push(weights.ok_or_else(|| HubError::NoSafetensors {
            model: model.clone(),
            found: self.files.iter().map(|file| file.name.clone()).take(20).collect(),
        })?);
        Ok(needed)
    }

    /// The parts that `index` names: files of this folder and no other.
    pub(super) fn parts(&self, model: &ModelName, index: &str) -> Result<Vec<ListedFile>, HubError> {
        #[derive(Deserialize)]
        struct Index {
            weight_map: std::collections::BTreeMap<String, String>,
        }
        let index: Index = serde_json::from_str(index)
            .map_err(|error| HubError::Answer { url: INDEX.to_owned(), reason: error.to_string() })?;
        let mut names: Vec<&String> = index.weight_map.values().collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| self.file(model, name)).collect()
    }

    fn file(&self, model: &ModelName, name: &str) -> Result<ListedFile, HubError> {
        let is_plain = !name.contains(['/', '\\', '\0', '?', '#', '%']) && !name.starts_with('.');
        let file = self.files.iter().find(|file| is_plain && file.name == name);
        file.cloned().ok_or_else(|| HubError::MissingFile { model: model.clone(), file: name.to_owned() })
    }
}
