//! Engines from TensorRT.

use std::path::{Path, PathBuf};

use belvedere_cuda::DeviceFacts;
use belvedere_tensorrt::{
    BuildOptions, Builder, Built, Flavour, Library, SerializedEngine, ShapeProfile, TensorRtError,
};

use super::super::Profile;
use super::{BuilderIdentity, BuiltEngine, EngineBuilder, EngineRequest, OnPhase, not_written};
use crate::ModelError;
use crate::graph::{Dim, Graph, WeightsFile};

/// The GPU that engines are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuIdentity {
    /// Its name, as the driver gives it.
    pub name: String,
    /// Compute capability, as major * 10 + minor.
    pub compute_capability: u32,
    /// Major version of the CUDA that the driver is for.
    pub driver: u32,
}

impl From<&DeviceFacts> for GpuIdentity {
    fn from(facts: &DeviceFacts) -> GpuIdentity {
        let (major, minor) = facts.compute_capability;
        GpuIdentity {
            name: facts.name.clone(),
            compute_capability: major * 10 + minor,
            driver: facts.driver_cuda.0,
        }
    }
}

/// Builds with a TensorRT library: on the GPU that engines are for, but for TensorRT-RTX, which needs none.
#[derive(Debug)]
pub struct TensorRtBuilder {
    library: Library,
    gpu: GpuIdentity,
    workspace_bytes: u64,
    scratch: Option<PathBuf>,
}

/// The most scratch memory that one tactic may take. The largest that any of ours asks for is the scores of the encoder's
/// attention, some hundred MB.
const WORKSPACE_BYTES: u64 = 1 << 30;

impl TensorRtBuilder {
    /// `scratch` is the folder in which a model lies while it is read, with room for its weights; `None` for the system's
    /// temporary one.
    pub fn new(library: Library, gpu: GpuIdentity, scratch: Option<PathBuf>) -> TensorRtBuilder {
        TensorRtBuilder { library, gpu, workspace_bytes: WORKSPACE_BYTES, scratch }
    }

    fn options(&self) -> BuildOptions {
        let is_rtx = self.library.flavour() == Flavour::Rtx;
        BuildOptions {
            workspace_bytes: self.workspace_bytes,
            optimization_level: None,
            // Runs are captured: a second stream would make a graph of many branches for little.
            auxiliary_streams: Some(0),
            capabilities: if is_rtx { vec![self.gpu.compute_capability] } else { Vec::new() },
            is_detailed: false,
        }
    }

    /// Builds an engine and tells what it took.
    ///
    /// # Errors
    /// As for [`EngineBuilder::build`].
    pub fn measure(
        &self,
        request: &EngineRequest<'_>,
        timing_cache: Option<&[u8]>,
        on_phase: &OnPhase<'_>,
    ) -> Result<MeasuredEngine, ModelError> {
        let name = request.name.as_str();
        let folder = match &self.scratch {
            Some(scratch) => tempfile::Builder::new().prefix("engine-").tempdir_in(scratch),
            None => tempfile::tempdir(),
        };
        let folder =
            folder.map_err(ModelError::io(self.scratch.clone().unwrap_or_else(std::env::temp_dir)))?;
        let model = written(request, &folder.path().join("weights.bin"))?;
        let mut builder = Builder::new(&self.library).map_err(failure)?;
        let path = folder.path().join(format!("{name}.onnx"));
        let mut network = builder.parse(name, &model, &path).map_err(failure)?;
        let profiles = request.profiles.iter().map(|profile| shapes(request.graph, profile));
        let profiles = profiles.collect::<Result<Vec<_>, _>>()?;
        let layers = network.layers();
        let built = network.build(&profiles, &self.options(), timing_cache, on_phase).map_err(failure)?;
        Ok(MeasuredEngine { built, layers })
    }
}

/// An engine and what it took.
pub struct MeasuredEngine {
    /// The engine.
    pub built: Built,
    /// Layers of the network before TensorRT optimised it.
    pub layers: usize,
}

impl EngineBuilder for TensorRtBuilder {
    fn identity(&self) -> BuilderIdentity {
        let BuildOptions {
            workspace_bytes,
            optimization_level,
            auxiliary_streams,
            capabilities,
            is_detailed,
        } = self.options();
        let GpuIdentity { name, compute_capability, driver } = &self.gpu;
        BuilderIdentity {
            library: self.library.flavour().to_string(),
            version: self.library.full_version(),
            device: name.clone(),
            compute_capability: format!("{}.{}", compute_capability / 10, compute_capability % 10),
            driver: *driver,
            options: vec![
                format!("workspace of {workspace_bytes} bytes"),
                format!("optimization level {optimization_level:?}"),
                format!("auxiliary streams {auxiliary_streams:?}"),
                format!("capabilities {capabilities:?}"),
                format!("detailed {is_detailed}"),
            ],
        }
    }

    fn build(
        &mut self,
        request: &EngineRequest<'_>,
        timing_cache: Option<&[u8]>,
        on_phase: &OnPhase<'_>,
    ) -> Result<BuiltEngine, ModelError> {
        let Built { plan, timing_cache, .. } = self.measure(request, timing_cache, on_phase)?.built;
        Ok(BuiltEngine { plan: Box::new(Plan(plan)), timing_cache })
    }
}

/// The model, and its weights in a file.
fn written(request: &EngineRequest<'_>, path: &Path) -> Result<Vec<u8>, ModelError> {
    let written = || {
        let mut weights = WeightsFile::create(path)?;
        let model = request.graph.to_bytes_beside(request.weights, &mut weights)?;
        weights.flush()?;
        Ok(model)
    };
    written().map_err(|error| match error {
        ModelError::Io { path, source } => not_written(&path, request.graph.weight_bytes())(source),
        error => error,
    })
}

struct Plan(SerializedEngine);

impl AsRef<[u8]> for Plan {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// The numbers of a profile for every input that has a symbol.
fn shapes(graph: &Graph, profile: &Profile) -> Result<ShapeProfile, ModelError> {
    let mut shapes = ShapeProfile::new();
    for port in graph.inputs() {
        if port.shape.iter().any(|dim| matches!(dim, Dim::Named(_))) {
            let shape = profile.shape(port).ok_or_else(|| ModelError::Graph {
                graph: graph.name().to_owned(),
                reason: format!("the profile {profile} has no number for a side of {}", port.name),
            })?;
            shapes = shapes.fixed(port.name.clone(), shape);
        }
    }
    Ok(shapes)
}

/// An error of TensorRT's as one of ours.
pub(in super::super) fn failure(error: TensorRtError) -> ModelError {
    match error {
        TensorRtError::Stopped { .. } => ModelError::Cancelled,
        error => ModelError::TensorRt(error),
    }
}
