//! An execution on the host: for tests, which have no GPU.

use belvedere_models::engine::tensorrt::{GraphName, Profile};
use ort::environment::Environment;

use crate::bound_session::{BoundSession, Provider, SessionSource};
use crate::{FixedPort, GraphFiles, OrtCudaError};

/// One graph at fixed shapes, on ONNX Runtime's own kernels, in memory that is lent for a run.
#[derive(Debug)]
pub struct HostExecution {
    session: BoundSession,
    ports: Vec<FixedPort>,
    graph: GraphName,
}

impl HostExecution {
    /// # Errors
    /// The profile is not the graph's, or ONNX Runtime refuses it.
    pub fn open(
        environment: &Environment,
        files: &GraphFiles,
        graph: GraphName,
        profile: &Profile,
    ) -> Result<HostExecution, OrtCudaError> {
        let (ports, sides) = (files.ports(graph, profile)?, files.sides(graph, profile)?);
        let model = files.path(graph);
        let source =
            SessionSource { environment, graph, profile, model: &model, sides: &sides, ports: &ports };
        Ok(HostExecution { session: BoundSession::open(&source, &Provider::Host)?, ports, graph })
    }

    /// Inputs, then outputs.
    pub fn ports(&self) -> &[FixedPort] {
        &self.ports
    }

    /// Runs in `memory`, the bytes of each port in their order. Inputs are as they were afterwards.
    ///
    /// # Errors
    /// Memory of another size, or badly aligned; ONNX Runtime refuses.
    pub fn run(&mut self, memory: &mut [&mut [u8]]) -> Result<(), OrtCudaError> {
        if memory.len() != self.ports.len() {
            let reason = format!("{} pieces of memory for {} tensors", memory.len(), self.ports.len());
            return Err(OrtCudaError::Run { graph: self.graph.as_str(), reason });
        }
        for (place, (port, bytes)) in self.ports.iter().zip(memory).enumerate() {
            let pointer = bytes.as_mut_ptr();
            if bytes.len() != port.bytes() || !pointer.cast::<u64>().is_aligned() {
                let reason = format!("{} bytes at {pointer:?} for {:?}", bytes.len(), port.shape);
                let tensor = port.name.clone();
                return Err(OrtCudaError::Binding { graph: self.graph.as_str(), tensor, reason });
            }
            self.session.place(place, port, pointer.expose_provenance() as u64)?;
        }
        // SAFETY: all ports are placed in memory that is borrowed mutably, a piece for each, of their sizes and aligned for
        // any element; on the host a run is done when this returns.
        unsafe { self.session.run() }
    }
}
