//! Opening graphs at the profiles that the engine chooses.

use belvedere_kernels::device::Device;

use super::memory_plan::{Purpose, ScratchBytes};
use super::workspace::{Workspace, failed};
use super::{GraphName, Networks, Profile, Profiles};
use crate::ModelError;

/// The smallest of `sides`, which ascend, that holds `wanted`; the largest where none does.
pub(super) fn smallest(sides: &[usize], wanted: usize) -> usize {
    sides.iter().copied().find(|side| *side >= wanted).or(sides.last().copied()).unwrap_or(1)
}

/// An execution of a graph, on the scratch memory of the stream that the graph runs on.
pub(super) fn open<D: Device, N: Networks<D>>(
    workspace: &Workspace<D>,
    networks: &mut N,
    graph: GraphName,
    profile: &Profile,
) -> Result<N::Network, ModelError> {
    let doing = || format!("opening graph {} ({profile})", graph.as_str());
    let bytes = networks.scratch_bytes(graph, profile).map_err(failed(doing()))?;
    let scratch = workspace.first(scratch_of(graph), bytes)?;
    networks.open(graph, profile, scratch).map_err(failed(doing()))
}

fn scratch_of(graph: GraphName) -> Purpose {
    match graph {
        GraphName::DecoderStep => Purpose::DecodeScratch,
        GraphName::Vision | GraphName::Encoder => Purpose::EncodeScratch,
    }
}

/// The most that any profile asks for.
pub(super) fn scratch_bytes<D: Device, N: Networks<D>>(
    networks: &N,
    profiles: &Profiles,
) -> Result<ScratchBytes, ModelError> {
    let mut most = ScratchBytes::default();
    for graph in GraphName::ALL {
        for profile in profiles.of(graph) {
            let doing = || format!("measuring graph {} ({profile})", graph.as_str());
            let bytes = networks.scratch_bytes(graph, &profile).map_err(failed(doing()))?;
            let of_stream = match scratch_of(graph) {
                Purpose::DecodeScratch => &mut most.decode,
                _ => &mut most.encode,
            };
            *of_stream = bytes.max(*of_stream);
        }
    }
    Ok(most)
}
