//! The graphs as a GPU's library would run them, run by ONNX Runtime when the stream comes to them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use belvedere_kernels::device::DeviceSlice;
use belvedere_kernels_host::{HostDevice, HostStream};
use belvedere_models::ModelError;
use belvedere_models::checkpoint::{FlorenceConfig, Weights};
use belvedere_models::engine::ort::environment;
use belvedere_models::engine::tensorrt::{GraphName, Network, Networks, Profile};
use belvedere_models::graph::{
    DecoderShape, Element, GraphOptions, Graphs, Port, Query, Target, VisionShape,
};
use half::f16;
use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;

/// Scratch that executions pretend to need; written over at every run, as a GPU's would be.
const SCRATCH_BYTES: usize = 4096;

/// A model's graphs on [`HostDevice`]. Every execution holds its caller to the rules of captured TensorRT executions.
pub(crate) struct OrtNetworks {
    device: HostDevice,
    graphs: BTreeMap<GraphName, Arc<Loaded>>,
    /// Makes every capture fail, as a library that allocates would.
    pub(crate) refuse_capture: bool,
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) faults: Arc<Faults>,
}

/// What goes wrong in runs of the decoder, each a count of runs until then; 0 for never.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Everything that row 0 gives is not a number, once.
    pub(crate) not_a_number: AtomicUsize,
    /// The run fails.
    pub(crate) failure: AtomicUsize,
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

struct Loaded {
    session: Mutex<Session>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl OrtNetworks {
    pub(crate) fn new(
        device: &HostDevice,
        config: &FlorenceConfig,
        weights: &dyn Weights,
        (width, height): (u32, u32),
        element: Element,
    ) -> OrtNetworks {
        let environment = environment(None).expect("ONNX Runtime");
        let options = GraphOptions {
            element,
            target: Target::TensorRt,
            ..GraphOptions::new(config, weights, width, height)
        };
        let graphs = Graphs::new(config, options).expect("graphs");
        let written = [
            (GraphName::Vision, graphs.vision(&VisionShape::default())),
            (GraphName::Encoder, graphs.encoder()),
            (GraphName::DecoderStep, graphs.decoder(&DecoderShape::new(Query::Step))),
        ];
        let graphs = written.into_iter().map(|(name, graph)| {
            let graph = graph.expect("a graph");
            let builder = Session::builder(&environment).expect("a session");
            let mut builder = builder.with_intra_threads(1).expect("threads");
            let bytes = graph.to_bytes(weights).expect("bytes");
            let session = Mutex::new(builder.commit_from_memory(&bytes).expect("a session"));
            let (inputs, outputs) = (graph.inputs().to_vec(), graph.outputs().to_vec());
            (name, Arc::new(Loaded { session, inputs, outputs }))
        });
        OrtNetworks {
            graphs: graphs.collect(),
            device: device.clone(),
            refuse_capture: false,
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
        let loaded = &self.graphs[&graph];
        for port in loaded.inputs.iter().chain(&loaded.outputs) {
            if profile.shape(port).is_none() {
                return Err(refusal(format!("{} has no shape at {profile}", port.name)));
            }
        }
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
        let loaded = &self.graphs[&graph];
        let bindings = |ports: &[Port]| -> Vec<Binding> {
            let binding = |port: &Port| Binding {
                name: port.name.clone(),
                element: port.element,
                shape: profile.shape(port).expect("checked"),
                slice: None,
            };
            ports.iter().map(binding).collect()
        };
        self.seen.lock().unwrap().opened.push((graph, profile.clone()));
        Ok(OrtNetwork {
            device: self.device.clone(),
            graph,
            inputs: bindings(&loaded.inputs),
            outputs: bindings(&loaded.outputs),
            loaded: Arc::clone(loaded),
            scratch,
            state: State::Bound,
            refuse_capture: self.refuse_capture,
            seen: Arc::clone(&self.seen),
            faults: Arc::clone(&self.faults),
        })
    }
}

/// One graph at one profile.
pub(crate) struct OrtNetwork {
    device: HostDevice,
    graph: GraphName,
    loaded: Arc<Loaded>,
    inputs: Vec<Binding>,
    outputs: Vec<Binding>,
    scratch: DeviceSlice,
    state: State,
    refuse_capture: bool,
    seen: Arc<Mutex<Seen>>,
    faults: Arc<Faults>,
}

#[derive(Clone)]
struct Binding {
    name: String,
    element: Option<Element>,
    shape: Vec<usize>,
    slice: Option<DeviceSlice>,
}

impl Binding {
    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.element.map_or(8, Element::bytes)
    }
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
        let bindings = self.inputs.iter_mut().chain(&mut self.outputs);
        let mut taken: Vec<DeviceSlice> = vec![self.scratch];
        let mut found = None;
        for binding in bindings {
            if binding.name == name {
                found = Some(binding);
            } else {
                taken.extend(binding.slice);
            }
        }
        let Some(binding) = found else { return Err(refusal(format!("no input or output {name}"))) };
        if slice.bytes() != binding.bytes() {
            return Err(refusal(format!("{name} has {} bytes, not {}", binding.bytes(), slice.bytes())));
        }
        let end = |slice: &DeviceSlice| slice.address() + slice.bytes() as u64;
        if taken.iter().any(|other| other.address() < end(&slice) && slice.address() < end(other)) {
            return Err(refusal(format!("{name} lies over another input, output or scratch")));
        }
        if !slice.address().is_multiple_of(256) {
            return Err(refusal(format!("{name} is not aligned")));
        }
        binding.slice = Some(slice);
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
            (State::HasRun, true) if self.refuse_capture => {
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
        let complete = |bindings: &[Binding]| -> Result<Vec<(Binding, DeviceSlice)>, ModelError> {
            let with_slice = |binding: &Binding| match binding.slice {
                Some(slice) => Ok((binding.clone(), slice)),
                None => Err(refusal(format!("{} is not bound", binding.name))),
            };
            bindings.iter().map(with_slice).collect()
        };
        let (inputs, outputs) = (complete(&self.inputs)?, complete(&self.outputs)?);
        let (device, loaded, scratch) = (self.device.clone(), Arc::clone(&self.loaded), self.scratch);
        let (seen, faults, graph) = (Arc::clone(&self.seen), Arc::clone(&self.faults), self.graph);
        let mut runs = 0_u8;
        let work = move || {
            runs = runs.wrapping_add(1);
            *seen.lock().unwrap().runs.entry(graph).or_default() += 1;
            device.with_bytes(scratch, |bytes| bytes.fill(runs)).map_err(|error| error.to_string())?;
            run(&device, &loaded, &inputs, &outputs)?;
            if graph == GraphName::DecoderStep && Faults::is_now(&faults.not_a_number) {
                for (binding, slice) in &outputs {
                    let row = slice.bytes() / binding.shape[0];
                    let spoil = |bytes: &mut [u8]| bytes[..row].fill(0xff);
                    device.with_bytes(*slice, spoil).map_err(|error| error.to_string())?;
                }
            }
            match graph == GraphName::DecoderStep && Faults::is_now(&faults.failure) {
                true => Err("an illegal instruction was encountered".to_owned()),
                false => Ok(()),
            }
        };
        let appended = self.device.append(stream, Box::new(work));
        appended.map_err(|error| refusal(error.to_string()))
    }
}

/// Reads the inputs, runs, writes the outputs: all as memory is now.
fn run(
    device: &HostDevice,
    loaded: &Loaded,
    inputs: &[(Binding, DeviceSlice)],
    outputs: &[(Binding, DeviceSlice)],
) -> Result<(), String> {
    let mut values: Vec<(String, SessionInputValue<'_>)> = Vec::with_capacity(inputs.len());
    for (binding, slice) in inputs {
        let bytes = device.with_bytes(*slice, |bytes| bytes.to_vec()).map_err(|error| error.to_string())?;
        let shape = binding.shape.clone();
        let said = |error: ort::Error| error.to_string();
        let value: SessionInputValue<'_> = match binding.element {
            None => {
                let numbers: Vec<i64> =
                    bytes.as_chunks().0.iter().map(|bytes| i64::from_ne_bytes(*bytes)).collect();
                Tensor::from_array((shape, numbers)).map_err(said)?.into()
            }
            Some(Element::F32) => {
                let numbers: Vec<f32> =
                    bytes.as_chunks().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect();
                Tensor::from_array((shape, numbers)).map_err(said)?.into()
            }
            Some(Element::F16) => {
                let numbers: Vec<f16> =
                    bytes.as_chunks().0.iter().map(|bytes| f16::from_ne_bytes(*bytes)).collect();
                Tensor::from_array((shape, numbers)).map_err(said)?.into()
            }
        };
        values.push((binding.name.clone(), value));
    }
    let mut session = loaded.session.lock().unwrap();
    let made = session.run(values).map_err(|error| error.to_string())?;
    for (binding, slice) in outputs {
        let value = made.get(&binding.name).ok_or_else(|| format!("no output {}", binding.name))?;
        let mut bytes = Vec::with_capacity(slice.bytes());
        let said = |error: ort::Error| format!("{}: {error}", binding.name);
        match binding.element {
            Some(Element::F16) => {
                let (_, numbers) = value.try_extract_tensor::<f16>().map_err(said)?;
                numbers.iter().for_each(|number| bytes.extend(number.to_ne_bytes()));
            }
            _ => {
                let (_, numbers) = value.try_extract_tensor::<f32>().map_err(said)?;
                numbers.iter().for_each(|number| bytes.extend(number.to_ne_bytes()));
            }
        }
        if bytes.len() != slice.bytes() {
            return Err(format!("{} has {} bytes, not {}", binding.name, bytes.len(), slice.bytes()));
        }
        let written = device.with_bytes(*slice, |to| to.copy_from_slice(&bytes));
        written.map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn refusal(reason: String) -> ModelError {
    ModelError::Engine { engine: "stand-in", doing: "graph".to_owned(), reason }
}
