//! What the engine asks of whatever runs the graphs.

use belvedere_kernels::device::{Device, DeviceSlice};

use super::Profile;
use crate::ModelError;

/// A graph of the model that the engine runs. There is no prefill: a sequence's first tokens are steps like any other, so
/// that it can join a batch that is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GraphName {
    /// Pictures to features.
    Vision,
    /// Prompts to the decoder's cross keys and values.
    Encoder,
    /// One token for every row.
    DecoderStep,
}

impl GraphName {
    /// All, in the order of their use.
    pub const ALL: [GraphName; 3] = [GraphName::Vision, GraphName::Encoder, GraphName::DecoderStep];

    /// As the graph calls itself.
    pub fn as_str(self) -> &'static str {
        match self {
            GraphName::Vision => "vision",
            GraphName::Encoder => "encoder",
            GraphName::DecoderStep => "decoder_step",
        }
    }
}

/// The graphs of one model, ready to be opened at fixed shapes.
pub trait Networks<D: Device> {
    /// An execution of one graph at one profile.
    type Network: Network<D>;

    /// What runs the graphs, in one line for people.
    fn description(&self) -> String;

    /// Bytes that an execution needs for itself beside weights and bindings. Executions that are never in flight
    /// together may share them.
    ///
    /// # Errors
    /// The graph was not made for this profile.
    fn scratch_bytes(&self, graph: GraphName, profile: &Profile) -> Result<usize, ModelError>;

    /// An execution of `graph` at `profile`, which uses `scratch` while it runs.
    ///
    /// # Errors
    /// The graph was not made for this profile, or there is no memory left.
    fn open(
        &mut self,
        graph: GraphName,
        profile: &Profile,
        scratch: DeviceSlice,
    ) -> Result<Self::Network, ModelError>;
}

/// One graph at fixed shapes. A captured execution is used for nothing else.
pub trait Network<D: Device> {
    /// Says where an input or output lies. All must be bound before the first run; every one lies in memory of its own.
    ///
    /// # Errors
    /// No such input or output, or a slice of another size than it has.
    fn bind(&mut self, name: &str, slice: DeviceSlice) -> Result<(), ModelError>;

    /// Appends one run. After any change of the bindings the first run must not be captured.
    ///
    /// # Errors
    /// A binding is missing, or the run is refused.
    fn enqueue(&mut self, stream: &D::Stream) -> Result<(), ModelError>;
}
