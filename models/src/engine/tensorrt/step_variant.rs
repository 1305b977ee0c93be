//! One decoder step at one profile: the graph and the kernels behind it, captured once and replayed.

use belvedere_kernels::device::{Device, Launch};

use super::workspace::{Workspace, failed};
use super::{GraphName, Network, Profile};
use crate::ModelError;

/// A step of a fixed number of rows in a fixed bucket. Its execution of the graph is used for nothing else, because the
/// captured work holds its addresses and scratch.
pub(super) struct StepVariant<D: Device, W> {
    network: W,
    launches: Vec<Launch>,
    profile: Profile,
    run: Run<D::Graph>,
}

/// How the next run is made.
enum Run<G> {
    /// Plainly: what runs the graph may do things at its first run that cannot be captured.
    First,
    /// Captured, and then replayed. So many captures have failed.
    Capture(u32),
    /// Replayed.
    Replay(G),
    /// Plainly, because it could not be captured.
    Plain,
}

/// Captures that are tried. One may fail for a reason that passes: whoever waits for the whole device meanwhile spoils it, as
/// does another thread of this process that gives memory back.
const MOST_CAPTURES: u32 = 3;

impl<D: Device, W: Network<D>> StepVariant<D, W> {
    /// `network` with everything bound, and the kernels that follow it.
    pub(super) fn new(network: W, launches: Vec<Launch>, profile: Profile) -> Self {
        Self { network, launches, profile, run: Run::First }
    }

    /// Appends the step to the decoder's stream. `step` is its number, for errors.
    pub(super) fn run(&mut self, workspace: &Workspace<D>, step: u64) -> Result<(), ModelError> {
        if let Run::Capture(failed) = self.run {
            self.run = match self.capture(workspace, step) {
                Ok(graph) => Run::Replay(graph),
                Err(error) if failed + 1 < MOST_CAPTURES => {
                    tracing::debug!(profile = %self.profile, %error, "a capture failed and is tried again");
                    Run::Capture(failed + 1)
                }
                Err(error) => {
                    tracing::warn!(
                        graph = GraphName::DecoderStep.as_str(),
                        profile = %self.profile,
                        %error,
                        "a step cannot be captured and is launched piece by piece, which is slower"
                    );
                    Run::Plain
                }
            };
        }
        match &self.run {
            Run::Replay(graph) => {
                let replayed = workspace.device.replay(&workspace.decode, graph);
                replayed.map_err(failed(self.doing("replaying", step)))
            }
            Run::First => {
                self.append(workspace, step)?;
                self.run = Run::Capture(0);
                Ok(())
            }
            Run::Plain | Run::Capture(_) => self.append(workspace, step),
        }
    }

    fn capture(&mut self, workspace: &Workspace<D>, step: u64) -> Result<D::Graph, ModelError> {
        let Workspace { device, decode, .. } = workspace;
        device.begin_capture(decode).map_err(failed(self.doing("beginning to capture", step)))?;
        let appended = self.append(workspace, step);
        // A capture that was begun is ended, whatever has become of it.
        let ended = device.end_capture(decode).map_err(failed(self.doing("capturing", step)));
        appended?;
        ended
    }

    fn append(&mut self, workspace: &Workspace<D>, step: u64) -> Result<(), ModelError> {
        let Workspace { device, decode, .. } = workspace;
        self.network.enqueue(decode).map_err(failed(self.doing("enqueueing", step)))?;
        for launch in &self.launches {
            let launched = device.launch(decode, launch);
            launched.map_err(failed(self.doing(launch.kernel, step)))?;
        }
        Ok(())
    }

    fn doing(&self, what: &str, step: u64) -> String {
        format!("{what}, graph {} ({}), step {step}", GraphName::DecoderStep.as_str(), self.profile)
    }
}
