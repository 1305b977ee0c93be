//! The graphs of a model on the CUDA provider, for the engine.

use std::sync::Arc;

use belvedere_cuda::{CudaDevice, CudaStream};
use belvedere_kernels::device::DeviceSlice;
use belvedere_models::ModelError;
use belvedere_models::engine::tensorrt::{EngineRequest, GraphName, Network, Networks, Profile};
use ort::environment::Environment;

use crate::{Bindings, Capturing, CudaExecution, GraphFiles, OrtCudaError};

/// A model's graphs, to be opened at any profile.
#[derive(Debug)]
pub struct OrtCudaNetworks {
    shared: Arc<Shared>,
    description: String,
}

#[derive(Debug)]
struct Shared {
    environment: Environment,
    files: GraphFiles,
    device: CudaDevice,
    ordinal: usize,
    capturing: Capturing,
}

impl OrtCudaNetworks {
    /// The graphs of `requests` on GPU number `ordinal`, which is `device`'s. Sessions are opened at the first run of each
    /// profile, because only then their stream is known.
    ///
    /// # Errors
    /// A graph that cannot be written.
    pub fn new(
        environment: &Environment,
        requests: &[EngineRequest<'_>],
        device: &CudaDevice,
        ordinal: usize,
        capturing: Capturing,
    ) -> Result<OrtCudaNetworks, OrtCudaError> {
        let shared = Shared {
            environment: environment.clone(),
            files: GraphFiles::write(requests)?,
            device: device.clone(),
            ordinal,
            capturing,
        };
        let description = format!("ONNX Runtime's CUDA provider, captured by {capturing} ({})", ort::info());
        Ok(OrtCudaNetworks { shared: Arc::new(shared), description })
    }
}

impl Networks<CudaDevice> for OrtCudaNetworks {
    type Network = OrtCudaNetwork;

    fn description(&self) -> String {
        self.description.clone()
    }

    /// None: a session has an arena of its own.
    fn scratch_bytes(&self, graph: GraphName, profile: &Profile) -> Result<usize, ModelError> {
        self.shared.files.ports(graph, profile)?;
        Ok(0)
    }

    fn open(
        &mut self,
        graph: GraphName,
        profile: &Profile,
        _scratch: DeviceSlice,
    ) -> Result<OrtCudaNetwork, ModelError> {
        let bindings = Bindings::new(graph, self.shared.files.ports(graph, profile)?);
        let (shared, profile) = (Arc::clone(&self.shared), profile.clone());
        Ok(OrtCudaNetwork { shared, graph, profile, bindings, execution: None })
    }
}

/// One graph at one profile.
#[derive(Debug)]
pub struct OrtCudaNetwork {
    shared: Arc<Shared>,
    graph: GraphName,
    profile: Profile,
    bindings: Bindings,
    execution: Option<CudaExecution>,
}

impl OrtCudaNetwork {
    fn execution(&mut self, stream: &CudaStream) -> Result<&mut CudaExecution, OrtCudaError> {
        if self.execution.is_none() {
            let Shared { environment, files, device, ordinal, capturing } = &*self.shared;
            let begin = std::time::Instant::now();
            let graph = (self.graph, &self.profile);
            let opened =
                CudaExecution::open(environment, files, graph, (device, *ordinal), stream, *capturing)?;
            let taken_ms = begin.elapsed().as_millis();
            tracing::info!(graph = self.graph.as_str(), profile = %self.profile, taken_ms, "opened a session");
            self.execution = Some(opened);
        }
        self.execution.as_mut().ok_or_else(|| OrtCudaError::Run {
            graph: self.graph.as_str(),
            reason: "there is no session".to_owned(),
        })
    }
}

impl Network<CudaDevice> for OrtCudaNetwork {
    fn bind(&mut self, name: &str, slice: DeviceSlice) -> Result<(), ModelError> {
        Ok(self.bindings.bind(name, slice)?)
    }

    fn enqueue(&mut self, stream: &CudaStream) -> Result<(), ModelError> {
        let slices = self.bindings.complete()?;
        let ports = self.bindings.ports().to_vec();
        Ok(self.execution(stream)?.enqueue(stream, &ports, &slices)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes_to_the_model_thread<T: Send>() {}

    #[test]
    fn networks_may_be_opened_on_one_thread_and_run_on_another() {
        goes_to_the_model_thread::<OrtCudaNetworks>();
        goes_to_the_model_thread::<OrtCudaNetwork>();
    }
}
