//! The graphs of one model as engines are built of them.

use super::{EngineRequest, GraphName, Profile, Profiles};
use crate::ModelError;
use crate::checkpoint::{FlorenceConfig, Weights};
use crate::graph::{DecoderShape, Element, Graph, GraphOptions, Graphs, Query, Target, VisionShape};

/// Every graph of [`GraphName`], with all profiles that the engine may choose.
pub struct EngineGraphs<'w> {
    weights: &'w dyn Weights,
    profiles: Profiles,
    graphs: Vec<(GraphName, Graph, Vec<Profile>)>,
}

impl<'w> EngineGraphs<'w> {
    /// For pictures of `size_px` (width, height) and up to `rows` sequences at once, computing in `element`.
    ///
    /// # Errors
    /// A size that the model cannot take.
    pub fn new(
        config: &FlorenceConfig,
        weights: &'w dyn Weights,
        size_px: (u32, u32),
        rows: usize,
        element: Element,
    ) -> Result<EngineGraphs<'w>, ModelError> {
        let mut options = GraphOptions::new(config, weights, size_px.0, size_px.1);
        options.element = element;
        options.target = Target::TensorRt;
        let graphs = Graphs::new(config, options)?;
        let profiles = Profiles::new(graphs.image_tokens(), config.text.max_positions, rows);
        let graph = |name: GraphName| -> Result<_, ModelError> {
            let graph = match name {
                GraphName::Vision => graphs.vision(&VisionShape::default())?,
                GraphName::Encoder => graphs.encoder()?,
                GraphName::DecoderStep => graphs.decoder(&DecoderShape::new(Query::Step))?,
            };
            Ok((name, graph, profiles.of(name)))
        };
        let graphs = GraphName::ALL.into_iter().map(graph).collect::<Result<_, _>>()?;
        Ok(EngineGraphs { weights, profiles, graphs })
    }

    /// The profiles of all graphs.
    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// One engine for each graph, which holds all of its profiles. An engine for each profile would hold the weights as
    /// often: for the decoder of full-size base, twelve engines came to 3.2 GB and took 20 s to build, one with twelve
    /// profiles to 0.43 GB and 19 s (TensorRT-RTX 1.7).
    pub fn requests(&self) -> Vec<EngineRequest<'_>> {
        self.graphs
            .iter()
            .map(|(name, graph, profiles)| EngineRequest {
                name: *name,
                graph,
                weights: self.weights,
                profiles,
            })
            .collect()
    }
}
