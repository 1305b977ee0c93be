//! What an engine was made of and for.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::super::{GraphName, Profile};

/// Raised whenever the meaning of anything here, or of the files, changes.
pub(super) const SCHEMA: u32 = 1;

/// SHA-256.
pub(super) type Digest = [u8; 32];

/// What makes engines, and for which device: an engine of another is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuilderIdentity {
    /// Which TensorRT: "TensorRT", "TensorRT-RTX".
    pub library: String,
    /// Its version, to the build: engines are bound to it.
    pub version: String,
    /// Name of the device.
    pub device: String,
    /// Compute capability, or several where the builder builds for several.
    pub compute_capability: String,
    /// Major version of the driver.
    pub driver: u32,
    /// How it builds, in whatever words.
    pub options: Vec<String>,
}

/// Everything that an engine depends on. Kept in words beside the engine; the engine itself carries the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct EngineKey {
    schema: u32,
    graph: &'static str,
    /// Of the graph with its weights.
    model: String,
    profiles: Vec<String>,
    #[serde(flatten)]
    builder: BuilderIdentity,
}

impl EngineKey {
    pub(super) fn new(
        graph: GraphName,
        model: &Digest,
        profiles: &[Profile],
        builder: BuilderIdentity,
    ) -> EngineKey {
        EngineKey {
            schema: SCHEMA,
            graph: graph.as_str(),
            model: hex(model),
            profiles: profiles.iter().map(Profile::to_string).collect(),
            builder,
        }
    }

    /// As it is kept beside the engine.
    pub(super) fn to_json(&self) -> String {
        // Strings and numbers alone: there is nothing to fail at.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    pub(super) fn digest(&self) -> Digest {
        Sha256::digest(self.to_json()).into()
    }

    /// Names of the engine and of what describes it.
    pub(super) fn file_names(&self) -> [String; 2] {
        let digest: String = hex(&self.digest()).chars().take(16).collect();
        ["engine", "json"].map(|extension| format!("{}-{digest}.{extension}", self.graph))
    }

    /// Whether `json`, found beside another engine, tells of the same graph with the same weights.
    pub(super) fn is_of_same_model(&self, json: &str) -> bool {
        let other: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
        other.get("model").and_then(serde_json::Value::as_str) == Some(&*self.model)
    }
}

pub(super) fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn identity() -> BuilderIdentity {
        BuilderIdentity {
            library: "TensorRT".to_owned(),
            version: "10.3.0.30".to_owned(),
            device: "Orin".to_owned(),
            compute_capability: "8.7".to_owned(),
            driver: 540,
            options: vec!["workspace 1 GiB".to_owned()],
        }
    }

    #[test]
    fn whatever_matters_makes_another_key() {
        let [one, two] = [Profile::vision(1), Profile::vision(2)];
        let (builder, model) = (identity(), [7; 32]);
        let key = |graph, model: &Digest, profiles: &[Profile], builder: BuilderIdentity| {
            EngineKey::new(graph, model, profiles, builder).digest()
        };
        let changed = |change: fn(&mut BuilderIdentity)| {
            let mut builder = identity();
            change(&mut builder);
            key(GraphName::Vision, &model, std::slice::from_ref(&one), builder)
        };
        let digests: BTreeSet<Digest> = [
            key(GraphName::Vision, &model, std::slice::from_ref(&one), builder.clone()),
            key(GraphName::Encoder, &model, std::slice::from_ref(&one), builder.clone()),
            key(GraphName::Vision, &[8; 32], std::slice::from_ref(&one), builder.clone()),
            key(GraphName::Vision, &model, std::slice::from_ref(&two), builder.clone()),
            key(GraphName::Vision, &model, &[one.clone(), two.clone()], builder.clone()),
            changed(|builder| builder.library = "TensorRT-RTX".to_owned()),
            changed(|builder| builder.version = "10.3.0.31".to_owned()),
            changed(|builder| builder.device = "Orin Nano".to_owned()),
            changed(|builder| builder.compute_capability = "8.6".to_owned()),
            changed(|builder| builder.driver = 550),
            changed(|builder| builder.options.clear()),
        ]
        .into();
        assert_eq!(digests.len(), 11);
        assert_eq!(key(GraphName::Vision, &model, &[one.clone()], builder), {
            key(GraphName::Vision, &model, &[one], identity())
        });
    }
}
