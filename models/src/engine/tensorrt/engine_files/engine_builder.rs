//! What engines are built with.

use super::super::{GraphName, Profile};
use super::key::BuilderIdentity;
use crate::ModelError;
use crate::checkpoint::Weights;
use crate::graph::Graph;

/// A graph to be built.
#[derive(Clone, Copy)]
pub struct EngineRequest<'a> {
    /// Which graph.
    pub name: GraphName,
    /// The graph.
    pub graph: &'a Graph,
    /// Its weights.
    pub weights: &'a dyn Weights,
    /// The shapes to build it for, numbered in their order.
    pub profiles: &'a [Profile],
}

/// An engine as it was just built.
pub struct BuiltEngine {
    /// The engine.
    pub plan: Box<dyn AsRef<[u8]>>,
    /// Measured times that make the next build on the same device sooner, if the builder measures any.
    pub timing_cache: Option<Vec<u8>>,
}

/// Told the phase and how far the build has come, 0 to 1, from any thread; `false` stops it.
pub type OnPhase<'a> = dyn Fn(&str, f32) -> bool + Send + Sync + 'a;

/// Builds engines: TensorRT, or a stand-in in tests.
pub trait EngineBuilder {
    /// All that an engine depends on beside the graph.
    fn identity(&self) -> BuilderIdentity;

    /// Builds one. `timing_cache` is what an earlier build returned, on this device or another.
    ///
    /// # Errors
    /// The graph cannot be built, or [`ModelError::Cancelled`] after `on_phase` returned false.
    fn build(
        &mut self,
        request: &EngineRequest<'_>,
        timing_cache: Option<&[u8]>,
        on_phase: &OnPhase<'_>,
    ) -> Result<BuiltEngine, ModelError>;
}
