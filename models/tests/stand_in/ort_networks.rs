//! The graphs as a GPU's library would run them, run by ONNX Runtime when the stream comes to them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use belvedere_kernels::device::DeviceSlice;
use belvedere_kernels_host::{HostDevice, HostStream};
use belvedere_models::ModelError;
use belvedere_models::checkpoint::{FlorenceConfig, Weights};
use belvedere_models::engine::ort::environment;
use belvedere_models::engine::tensorrt::{EngineGraphs, GraphName, Network, Networks, Profile};
use belvedere_models::graph::Element;
use belvedere_ort_cuda::{Bindings, GraphFiles, HostExecution};

/// Scratch that executions pretend to need; written over at every run, as a GPU's would be.
const SCRATCH_BYTES: usize = 4096;

/// A model's graphs on [`HostDevice`]. Every execution holds its caller to the rules of captured TensorRT executions.
pub(crate) struct OrtNetworks {
    device: HostDevice,
    files: GraphFiles,
    /// Makes so many captures of each execution fail, as a library that allocates would.
    pub(crate) refused_captures: usize,
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) faults: Arc<Faults>,
}

/// What goes wrong in runs, of the decoder where nothing else is said, each a count of runs until then; 0 for never.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Everything that row 0 gives is not a number, once.
    pub(crate) not_a_number: AtomicUsize,
    /// The run fails.
    pub(crate) failure: AtomicUsize,
    /// A run of the vision graph fails.
    pub(crate) vision_failure: AtomicUsize,
}

impl Faults {
    fn is_now(count: &AtomicUsize) -> bool {
        let before = count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        before == Ok(1)
    }
}

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) opened: Vec<(GraphName, Profile)>,
    pub(crate) captured: usize,
    pub(crate) runs: BTreeMap<GraphName, usize>,
}

impl OrtNetworks {
    pub(crate) fn new(
        device: &HostDevice,
        config: &FlorenceConfig,
        weights: &dyn Weights,
        size_px: (u32, u32),
        element: Element,
    ) -> OrtNetworks {
        // Which profiles the engine will ask for does not matter: sessions are opened at any.
        let graphs = EngineGraphs::new(config, weights, size_px, 1, element).expect("graphs");
        OrtNetworks {
            files: GraphFiles::write(&graphs.requests()).expect("files"),
            device: device.clone(),
            refused_captures: 0,
            seen: Arc::default(),
            faults: Arc::default(),
        }
    }
}

impl Networks<HostDevice> for OrtNetworks {
    type Network = OrtNetwork;

    fn description(&self) -> String {
        "ONNX Runtime as a stand-in".to_owned()
    }

    fn scratch_bytes(&self, graph: GraphName, profile: &Profile) -> Result<usize, ModelError> {
        self.files.ports(graph, profile)?;
        Ok(SCRATCH_BYTES)
    }

    fn open(
        &mut self,
        graph: GraphName,
        profile: &Profile,
        scratch: DeviceSlice,
    ) -> Result<OrtNetwork, ModelError> {
        if scratch.bytes() < SCRATCH_BYTES {
            return Err(refusal(format!("{} bytes of scratch", scratch.bytes())));
        }
        let bindings = Bindings::new(graph, self.files.ports(graph, profile)?);
        let session = HostExecution::open(&environment(None)?, &self.files, graph, profile)?;
        let session = Arc::new(Mutex::new(session));
        self.seen.lock().unwrap().opened.push((graph, profile.clone()));
        Ok(OrtNetwork {
            device: self.device.clone(),
            graph,
            bindings,
            session,
            scratch,
            state: State::Bound,
            refused_captures: self.refused_captures,
            seen: Arc::clone(&self.seen),
            faults: Arc::clone(&self.faults),
        })
    }
}

/// One graph at one profile.
pub(crate) struct OrtNetwork {
    device: HostDevice,
    graph: GraphName,
    session: Arc<Mutex<HostExecution>>,
    bindings: Bindings,
    scratch: DeviceSlice,
    state: State,
    refused_captures: usize,
    seen: Arc<Mutex<Seen>>,
    faults: Arc<Faults>,
}

/// How far an execution has come on the way to its capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Something was bound since the last run.
    Bound,
    /// Has run as it is bound.
    HasRun,
    /// Belongs to a captured graph.
    Captured,
}

impl Network<HostDevice> for OrtNetwork {
    fn bind(&mut self, name: &str, slice: DeviceSlice) -> Result<(), ModelError> {
        if self.state == State::Captured {
            return Err(refusal(format!("{name} is bound to an execution that was captured")));
        }
        let end = |slice: &DeviceSlice| slice.address() + slice.bytes() as u64;
        if self.scratch.address() < end(&slice) && slice.address() < end(&self.scratch) {
            return Err(refusal(format!("{name} lies over the scratch memory")));
        }
        if !slice.address().is_multiple_of(256) {
            return Err(refusal(format!("{name} is not aligned")));
        }
        self.bindings.bind(name, slice)?;
        self.state = State::Bound;
        Ok(())
    }

    fn enqueue(&mut self, stream: &HostStream) -> Result<(), ModelError> {
        let capturing = self.device.is_capturing(stream);
        self.state = match (self.state, capturing) {
            (State::Bound, true) => return Err(refusal("captured before it has run".to_owned())),
            (State::Captured, _) => {
                return Err(refusal("used again after it was captured".to_owned()));
            }
            (State::HasRun, true) if self.refused_captures > 0 => {
                self.refused_captures -= 1;
                // What spoils a capture.
                let allocated = belvedere_kernels::device::Device::allocate(&self.device, 256);
                return Err(refusal(format!("{:?}", allocated.map(drop))));
            }
            (State::HasRun, true) => {
                self.seen.lock().unwrap().captured += 1;
                State::Captured
            }
            (_, false) => State::HasRun,
        };
        let slices = self.bindings.complete()?;
        let ports = self.bindings.ports().to_vec();
        let (device, session, scratch) = (self.device.clone(), Arc::clone(&self.session), self.scratch);
        let (seen, faults, graph) = (Arc::clone(&self.seen), Arc::clone(&self.faults), self.graph);
        let mut runs = 0_u8;
        let work = move || {
            runs = runs.wrapping_add(1);
            *seen.lock().unwrap().runs.entry(graph).or_default() += 1;
            device.with_bytes(scratch, |bytes| bytes.fill(runs)).map_err(|error| error.to_string())?;
            let run = |memory: &mut [&mut [u8]]| session.lock().unwrap().run(memory);
            let ran = device.with_many(&slices, run).map_err(|error| error.to_string())?;
            ran.map_err(|error| error.to_string())?;
            if graph == GraphName::DecoderStep && Faults::is_now(&faults.not_a_number) {
                for (port, slice) in ports.iter().zip(&slices).filter(|(port, _)| !port.is_input) {
                    let row = slice.bytes() / port.shape[0];
                    let spoil = |bytes: &mut [u8]| bytes[..row].fill(0xff);
                    device.with_bytes(*slice, spoil).map_err(|error| error.to_string())?;
                }
            }
            let is_failing = match graph {
                GraphName::DecoderStep => Faults::is_now(&faults.failure),
                GraphName::Vision => Faults::is_now(&faults.vision_failure),
                GraphName::Encoder => false,
            };
            match is_failing {
                true => Err("an illegal instruction was encountered".to_owned()),
                false => Ok(()),
            }
        };
        let appended = self.device.append(stream, Box::new(work));
        appended.map_err(|error| refusal(error.to_string()))
    }
}

fn refusal(reason: String) -> ModelError {
    ModelError::Engine { engine: "stand-in", doing: "graph".to_owned(), reason }
}
