//! The graphs of a model as TensorRT's engines.

use std::collections::BTreeMap;

use belvedere_kernels::device::{Device, DeviceSlice};
use belvedere_tensorrt::{Context, CudaStream, Engine, Library, Runtime};

use super::engine_files::failure;
use super::{EngineBuilder, EngineFiles, EngineRequest, GraphName, Network, Networks, OnBuild, Profile};
use crate::graph::{Element, Graph, Port};
use crate::{CancelToken, ModelError};

/// Engines in device memory, to be opened at the profiles that they were built for. An engine holds all profiles of its
/// graph: their weights are mostly shared, and an engine for each profile would hold them as often as there are profiles.
pub struct TensorRtNetworks {
    description: String,
    engines: BTreeMap<GraphName, Opened>,
}

/// An engine with what its graph promised of it.
struct Opened {
    engine: Engine,
    profiles: Vec<Profile>,
    ports: Vec<Port>,
}

impl TensorRtNetworks {
    /// Opens the engines of `requests`, which are built first where `files` has none. The calling thread's CUDA device is
    /// the one that they run on.
    ///
    /// # Errors
    /// No GPU, an engine that cannot be built or opened, or `cancel` was cancelled.
    pub fn open(
        library: &Library,
        requests: &[EngineRequest<'_>],
        files: &EngineFiles,
        builder: &mut dyn EngineBuilder,
        on_build: &OnBuild,
        cancel: &CancelToken,
    ) -> Result<TensorRtNetworks, ModelError> {
        let mut runtime = Runtime::new(library).map_err(failure)?;
        let mut engines = BTreeMap::new();
        files.open(requests, builder, on_build, cancel, &mut |name, plan| {
            let request = requests.iter().find(|request| request.name == name);
            let request = request.ok_or_else(|| mismatch(name, "it was not asked for".to_owned()))?;
            let engine = runtime.deserialize(name.as_str(), plan).map_err(failure)?;
            engines.insert(name, Opened::new(engine, request)?);
            Ok(())
        })?;
        let description = format!("{} {}", library.flavour(), library.full_version());
        Ok(TensorRtNetworks { description, engines })
    }

    fn at(&self, graph: GraphName, profile: &Profile) -> Result<(&Opened, usize), ModelError> {
        let no_engine = || mismatch(graph, "no engine of it was opened".to_owned());
        let opened = self.engines.get(&graph).ok_or_else(no_engine)?;
        let number = opened.profiles.iter().position(|known| known == profile);
        let number = number.ok_or_else(|| mismatch(graph, format!("it was not built for {profile}")))?;
        Ok((opened, number))
    }
}

impl Opened {
    /// # Errors
    /// The engine is of another graph or of other profiles.
    fn new(engine: Engine, request: &EngineRequest<'_>) -> Result<Opened, ModelError> {
        let ports = ports(request.graph);
        let wrong = |reason| Err(mismatch(request.name, reason));
        if engine.profiles() != request.profiles.len() {
            return wrong(format!("{} profiles for {}", engine.profiles(), request.profiles.len()));
        }
        if engine.tensors().len() != ports.len() {
            return wrong(format!("{} inputs and outputs for {}", engine.tensors().len(), ports.len()));
        }
        for port in &ports {
            let tensor = engine.tensors().iter().find(|tensor| tensor.name == port.name);
            let Some(tensor) = tensor else { return wrong(format!("it has no {}", port.name)) };
            if tensor.element != element_of(port) || !tensor.is_on_device {
                return wrong(format!("{tensor:?} where the graph has {port:?}"));
            }
            for (number, profile) in request.profiles.iter().enumerate().filter(|_| tensor.is_input) {
                let shape = shape(request.name, port, profile)?;
                let found = engine.largest_shape(&port.name, number).unwrap_or_default();
                if found.iter().map(|&side| usize::try_from(side)).ne(shape.iter().map(|&side| Ok(side))) {
                    return wrong(format!("{} is {found:?} where {profile} makes it {shape:?}", port.name));
                }
            }
        }
        Ok(Opened { engine, profiles: request.profiles.to_vec(), ports })
    }
}

impl<D: Device> Networks<D> for TensorRtNetworks
where
    D::Stream: CudaStream,
{
    type Network = TensorRtNetwork;

    fn description(&self) -> String {
        self.description.clone()
    }

    fn scratch_bytes(&self, graph: GraphName, profile: &Profile) -> Result<usize, ModelError> {
        let (opened, number) = self.at(graph, profile)?;
        opened.engine.scratch_bytes(number).map_err(failure)
    }

    fn open(
        &mut self,
        graph: GraphName,
        profile: &Profile,
        scratch: DeviceSlice,
    ) -> Result<TensorRtNetwork, ModelError> {
        let (opened, number) = self.at(graph, profile)?;
        let mut tensors = BTreeMap::new();
        for port in &opened.ports {
            let shape = shape(graph, port, profile)?;
            let is_input = opened.engine.tensors().iter().any(|info| info.name == port.name && info.is_input);
            let bytes = shape.iter().product::<usize>() * port.element.map_or(8, Element::bytes);
            tensors.insert(port.name.clone(), Tensor { shape, bytes, is_input, place: None });
        }
        let context = opened.engine.context().map_err(failure)?;
        Ok(TensorRtNetwork { graph, profile: number, context, scratch, tensors, is_prepared: false })
    }
}

/// One execution of an engine at one profile.
pub struct TensorRtNetwork {
    graph: GraphName,
    profile: usize,
    context: Context,
    scratch: DeviceSlice,
    tensors: BTreeMap<String, Tensor>,
    is_prepared: bool,
}

struct Tensor {
    shape: Vec<usize>,
    bytes: usize,
    is_input: bool,
    place: Option<DeviceSlice>,
}

impl TensorRtNetwork {
    /// Profile, scratch memory, shapes, addresses, in the order that TensorRT asks for. It appends copies to a stream:
    /// done at the first run, they are on the right one.
    fn prepare(&mut self, stream: &dyn CudaStream) -> Result<(), ModelError> {
        let (scratch, context) = (self.scratch, &mut self.context);
        context.choose(self.profile, scratch.address(), scratch.bytes(), stream).map_err(failure)?;
        for (name, tensor) in self.tensors.iter().filter(|(_, tensor)| tensor.is_input) {
            context.set_shape(name, &tensor.shape).map_err(failure)?;
        }
        for (name, tensor) in &self.tensors {
            let place = tensor.place.ok_or_else(|| mismatch(self.graph, format!("{name} is not bound")))?;
            context.bind(name, place.address(), place.bytes()).map_err(failure)?;
        }
        Ok(())
    }
}

impl<D: Device> Network<D> for TensorRtNetwork
where
    D::Stream: CudaStream,
{
    fn bind(&mut self, name: &str, slice: DeviceSlice) -> Result<(), ModelError> {
        let Some(tensor) = self.tensors.get_mut(name) else {
            return Err(mismatch(self.graph, format!("it has no {name}")));
        };
        if slice.bytes() != tensor.bytes {
            let reason = format!(
                "{name} {:?} has {} bytes and is bound to {}",
                tensor.shape,
                tensor.bytes,
                slice.bytes()
            );
            return Err(mismatch(self.graph, reason));
        }
        tensor.place = Some(slice);
        if self.is_prepared {
            self.context.bind(name, slice.address(), slice.bytes()).map_err(failure)?;
        }
        Ok(())
    }

    fn enqueue(&mut self, stream: &D::Stream) -> Result<(), ModelError> {
        if !self.is_prepared {
            self.prepare(stream)?;
            self.is_prepared = true;
        }
        self.context.enqueue(stream).map_err(failure)
    }
}

/// Inputs, then outputs.
fn ports(graph: &Graph) -> Vec<Port> {
    graph.inputs().iter().chain(graph.outputs()).cloned().collect()
}

fn shape(graph: GraphName, port: &Port, profile: &Profile) -> Result<Vec<usize>, ModelError> {
    let reason = || format!("{profile} has no number for a side of {}", port.name);
    profile.shape(port).ok_or_else(|| mismatch(graph, reason()))
}

fn element_of(port: &Port) -> belvedere_tensorrt::Element {
    match port.element {
        Some(Element::F32) => belvedere_tensorrt::Element::F32,
        Some(Element::F16) => belvedere_tensorrt::Element::F16,
        None => belvedere_tensorrt::Element::I64,
    }
}

fn mismatch(graph: GraphName, reason: String) -> ModelError {
    ModelError::Engine { engine: "tensorrt", doing: format!("graph {}", graph.as_str()), reason }
}
