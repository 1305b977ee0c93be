//! The graphs of a model as files, which sessions are opened from when they are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use belvedere_models::ModelError;
use belvedere_models::engine::tensorrt::{EngineRequest, GraphName, Profile};
use belvedere_models::graph::{Dim, Graph, WeightsFile};
use tempfile::TempDir;

use crate::{FixedPort, OrtCudaError};

/// Graphs beside one file of weights, in a temporary folder that goes with this.
#[derive(Debug)]
pub struct GraphFiles {
    folder: TempDir,
    graphs: BTreeMap<GraphName, Graph>,
}

impl GraphFiles {
    /// Writes the graphs of `requests`.
    ///
    /// # Errors
    /// A weight that cannot be read, a file that cannot be written.
    pub fn write(requests: &[EngineRequest<'_>]) -> Result<GraphFiles, OrtCudaError> {
        let folder =
            tempfile::tempdir().map_err(|source| ModelError::Io { path: std::env::temp_dir(), source })?;
        let mut weights = WeightsFile::create(&folder.path().join("weights.bin"))?;
        let mut graphs = BTreeMap::new();
        for request in requests {
            request.graph.write(&path(folder.path(), request.name), request.weights, &mut weights)?;
            graphs.insert(request.name, request.graph.clone());
        }
        Ok(GraphFiles { folder, graphs })
    }

    /// Where a graph is.
    pub fn path(&self, graph: GraphName) -> PathBuf {
        path(self.folder.path(), graph)
    }

    /// Inputs and outputs of a graph at a profile.
    ///
    /// # Errors
    /// The graph was not written, or the profile is another's.
    pub fn ports(&self, graph: GraphName, profile: &Profile) -> Result<Vec<FixedPort>, OrtCudaError> {
        FixedPort::all(graph, self.graph(graph)?, profile)
    }

    /// The numbers that a profile gives to the symbols of a graph.
    ///
    /// # Errors
    /// The graph was not written.
    pub fn sides(&self, graph: GraphName, profile: &Profile) -> Result<Vec<(String, usize)>, OrtCudaError> {
        let ports = self.graph(graph)?;
        let dims = ports.inputs().iter().chain(ports.outputs()).flat_map(|port| &port.shape);
        let symbols: BTreeSet<&String> = dims
            .filter_map(|dim| match dim {
                Dim::Named(symbol) => Some(symbol),
                Dim::Fixed(_) => None,
            })
            .collect();
        Ok(symbols.into_iter().filter_map(|symbol| Some((symbol.clone(), profile.get(symbol)?))).collect())
    }

    fn graph(&self, graph: GraphName) -> Result<&Graph, OrtCudaError> {
        self.graphs.get(&graph).ok_or_else(|| OrtCudaError::Binding {
            graph: graph.as_str(),
            tensor: "all of it".to_owned(),
            reason: "it was not asked for".to_owned(),
        })
    }
}

fn path(folder: &Path, graph: GraphName) -> PathBuf {
    folder.join(format!("{}.onnx", graph.as_str()))
}
