//! Building an engine out of ONNX.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::TensorRtError;
use crate::library::Library;
use crate::logger::Logger;
use crate::object::Object;
use crate::progress::{Monitor, OnProgress};
use crate::shim::{Extent, Kind, RawConfigOptions, RawParserMessage, RawTensor};
use crate::tensor::TensorInfo;

/// How to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildOptions {
    /// The most scratch memory that a tactic may take, in bytes.
    pub workspace_bytes: u64,
    /// 0 (soonest built) to 5 (soonest run); `None` for TensorRT's own choice.
    pub optimization_level: Option<u8>,
    /// Streams beside the caller's on which an execution may run parts of a graph; `None` for TensorRT's own choice.
    pub auxiliary_streams: Option<u8>,
    /// What to build for, as major * 10 + minor, for TensorRT-RTX only; empty for all that it knows. Others build for the
    /// GPU that they find. Or [`BuildOptions::THIS_GPU`] alone.
    pub capabilities: Vec<u32>,
    /// Whether the engine is to keep what its layers were made of, for [`Engine::layers_json`](crate::Engine::layers_json).
    pub is_detailed: bool,
}

impl BuildOptions {
    /// The GPU that is here, be it among those that TensorRT-RTX has a name for or not.
    pub const THIS_GPU: u32 = 0;
}

/// The shapes of an engine's inputs at one profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShapeProfile {
    shapes: Vec<(String, [Vec<usize>; 3])>,
}

impl ShapeProfile {
    /// Without any input.
    pub fn new() -> ShapeProfile {
        ShapeProfile::default()
    }

    /// An input with one shape only.
    #[must_use]
    pub fn fixed(self, name: impl Into<String>, shape: Vec<usize>) -> ShapeProfile {
        self.range(name, shape.clone(), shape.clone(), shape)
    }

    /// An input between two shapes, built for the best at one between them.
    #[must_use]
    pub fn range(
        mut self,
        name: impl Into<String>,
        least: Vec<usize>,
        best: Vec<usize>,
        most: Vec<usize>,
    ) -> ShapeProfile {
        self.shapes.push((name.into(), [least, best, most]));
        self
    }
}

/// One build at a time in a process. TensorRT-RTX keeps the compute capabilities of a build where the next build of another
/// thread finds them; others would measure each other's load.
static BUILDING: Mutex<()> = Mutex::new(());

/// Makes engines.
#[derive(Debug)]
pub struct Builder {
    object: Object,
}

/// A graph as TensorRT has read it. Has its builder to itself.
#[derive(Debug)]
pub struct Network<'b> {
    graph: String,
    // In the order in which they are to be destroyed: the parser owns weights that the network refers to.
    object: Object,
    _parser: Object,
    builder: &'b mut Builder,
}

/// What a build makes: the engine as bytes, and the measured times that make the next build sooner.
#[derive(Debug)]
pub struct Built {
    /// The engine, to be kept in a file or deserialised.
    pub plan: SerializedEngine,
    /// For [`Network::build`] next time on the same device, whatever the graph; `None` where there is no such thing.
    pub timing_cache: Option<Vec<u8>>,
    /// Scratch memory of each profile in bytes, as far as the builder's log tells;
    /// [`Engine::scratch_bytes`](crate::Engine::scratch_bytes) is what counts.
    pub logged_scratch_bytes: Vec<u64>,
}

/// An engine as bytes, in TensorRT's memory.
#[derive(Debug)]
pub struct SerializedEngine {
    object: Object,
}

impl Builder {
    /// # Errors
    /// The library makes none: mostly for lack of a GPU, which only TensorRT-RTX can do without.
    pub fn new(library: &Library) -> Result<Builder, TensorRtError> {
        let logger = Logger::new(library)?;
        let entry = library.builder_entry().address();
        // SAFETY: the entry is `createInferBuilder_INTERNAL` of the library that this shim was compiled for; the
        // logger is never freed.
        let object = unsafe {
            let pointer = (library.shim().builder_create)(entry, logger.object());
            Object::new(Kind::Builder, pointer, &logger)
        };
        let object = object.ok_or_else(|| library.not_made("builder", logger.said()))?;
        Ok(Builder { object })
    }

    /// Reads a graph. `path` is where the model lies or would lie: weights outside it are looked for beside it.
    ///
    /// # Errors
    /// The parser's library is missing, or it does not take the graph.
    pub fn parse(&mut self, graph: &str, model: &[u8], path: &Path) -> Result<Network<'_>, TensorRtError> {
        let (shim, logger) = (self.object.shim(), self.object.logger());
        let library = logger.library();
        let entry = library.parser_entry()?.address();
        let path = c_string(path.display().to_string());
        // SAFETY: the builder is alive and held by what is made of it.
        let network = unsafe {
            let pointer = (shim.network_create)(self.object.pointer());
            Object::new(Kind::Network, pointer, logger)
        };
        let network =
            network.ok_or_else(|| library.not_made(format!("network for {graph}"), logger.said()))?;
        // SAFETY: the entry is `createNvOnnxParser_INTERNAL` of the library beside; network and logger outlive the
        // parser but for the network's own destruction, which does not ask the parser.
        let parser = unsafe {
            let pointer = (shim.parser_create)(entry, network.pointer(), logger.object());
            Object::new(Kind::Parser, pointer, logger)
        };
        let parser = parser.ok_or_else(|| library.not_made(format!("parser for {graph}"), logger.said()))?;
        // SAFETY: the model's bytes and the path live through the call; the parser copies what it keeps, but for weights
        // inside the model: those are copied by the protobuf message that the parser owns.
        let is_parsed = unsafe {
            (shim.parser_parse)(parser.pointer(), model.as_ptr().cast(), model.len(), path.as_ptr())
        };
        if is_parsed == 0 {
            let said = logger.said();
            let messages = parser_messages(&parser);
            return Err(TensorRtError::NotParsed {
                graph: graph.to_owned(),
                flavour: library.flavour(),
                version: library.version(),
                messages: if messages.is_empty() { said } else { messages },
            });
        }
        Ok(Network { graph: graph.to_owned(), object: network, _parser: parser, builder: self })
    }

    fn config(&self, graph: &str, options: &BuildOptions) -> Result<Object, TensorRtError> {
        let (shim, logger) = (self.object.shim(), self.object.logger());
        let raw = RawConfigOptions {
            workspace_bytes: options.workspace_bytes,
            optimization_level: options.optimization_level.map_or(-1, i32::from),
            auxiliary_streams: options.auxiliary_streams.map_or(-1, i32::from),
            is_detailed: i32::from(options.is_detailed),
        };
        // SAFETY: the builder is alive, and the options live through the call.
        let config = unsafe {
            let pointer = (shim.config_create)(self.object.pointer(), &raw const raw);
            Object::new(Kind::Config, pointer, logger)
        };
        let config = config
            .ok_or_else(|| logger.library().not_made(format!("configuration for {graph}"), logger.said()))?;
        if !options.capabilities.is_empty() {
            let capabilities: Vec<i32> = options.capabilities.iter().map(|&number| number as i32).collect();
            // SAFETY: the numbers live through the call.
            let is_set = unsafe {
                (shim.config_set_capabilities)(
                    config.pointer(),
                    capabilities.as_ptr(),
                    capabilities.len() as i32,
                )
            };
            if is_set == 0 {
                let doing = format!("building for compute capabilities {:?}", options.capabilities);
                return Err(refused(graph, doing, logger));
            }
        }
        Ok(config)
    }

    fn add_profile(&self, graph: &str, config: &Object, profile: &ShapeProfile) -> Result<(), TensorRtError> {
        let (shim, logger) = (self.object.shim(), self.object.logger());
        // SAFETY: the builder is alive and owns what it returns.
        let pointer = unsafe { (shim.profile_create)(self.object.pointer()) };
        if pointer.is_null() {
            return Err(refused(graph, "making a profile".to_owned(), logger));
        }
        for (name, shapes) in &profile.shapes {
            let tensor = c_string(name.clone());
            for (extent, shape) in [Extent::Least, Extent::Best, Extent::Most].into_iter().zip(shapes) {
                let sides: Vec<i64> = shape.iter().map(|&side| side as i64).collect();
                // SAFETY: name and sides live through the call, and the rank is the number of sides.
                let is_set = unsafe {
                    (shim.profile_set)(
                        pointer,
                        tensor.as_ptr(),
                        extent as i32,
                        sides.as_ptr(),
                        sides.len() as i32,
                    )
                };
                if is_set == 0 {
                    return Err(TensorRtError::Tensor {
                        graph: graph.to_owned(),
                        tensor: name.clone(),
                        reason: format!("the shape {shape:?} is refused"),
                        messages: logger.said(),
                    });
                }
            }
        }
        // SAFETY: config and profile belong to the same builder.
        if unsafe { (shim.config_add_profile)(config.pointer(), pointer) } < 0 {
            return Err(refused(graph, format!("adding the profile {:?}", profile.shapes), logger));
        }
        Ok(())
    }
}

impl Network<'_> {
    /// Builds an engine with these profiles, numbered in their order. Takes from seconds to tens of minutes, and waits for
    /// any other build of the process.
    ///
    /// # Errors
    /// A profile that does not fit the graph, an option that the library does not know, a graph that it cannot build, or
    /// `on_progress` returned false.
    pub fn build(
        &mut self,
        profiles: &[ShapeProfile],
        options: &BuildOptions,
        timing_cache: Option<&[u8]>,
        on_progress: &OnProgress<'_>,
    ) -> Result<Built, TensorRtError> {
        let (shim, logger) = (self.object.shim(), self.object.logger());
        let graph = &self.graph;
        let config = self.builder.config(graph, options)?;
        for profile in profiles {
            self.builder.add_profile(graph, &config, profile)?;
        }
        let cache = timing_cache.unwrap_or_default();
        // SAFETY: the bytes live through the call, which copies them; a cache that is damaged or of another device is
        // refused. The object is dropped after the build.
        let cache = unsafe {
            let pointer = (shim.timing_cache_use)(config.pointer(), cache.as_ptr().cast(), cache.len());
            Object::new(Kind::TimingCache, pointer, logger)
        };
        // Of the errors so far none was fatal.
        drop((logger.said(), logger.activation_bytes()));
        let library = logger.library();
        let Some(monitor) = Monitor::new(shim, on_progress) else {
            return Err(library.not_made("progress monitor", Vec::new()));
        };
        let _one = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: builder, network and config are alive and of one library. The monitor is taken back before it goes.
        let plan = unsafe {
            (shim.config_set_progress)(config.pointer(), monitor.object());
            let pointer =
                (shim.build)(self.builder.object.pointer(), self.object.pointer(), config.pointer());
            (shim.config_set_progress)(config.pointer(), std::ptr::null_mut());
            Object::new(Kind::HostMemory, pointer, logger)
        };
        let said = logger.said();
        match plan {
            // Stopped at its last step it may have built all the same.
            _ if monitor.is_stopped() => Err(TensorRtError::Stopped { graph: graph.clone() }),
            None => Err(TensorRtError::NotBuiltGraph {
                graph: graph.clone(),
                flavour: library.flavour(),
                version: library.version(),
                messages: said,
            }),
            Some(object) => {
                let plan = SerializedEngine { object };
                let timing_cache = cache.as_ref().and_then(serialized);
                Ok(Built { plan, timing_cache, logged_scratch_bytes: logger.activation_bytes() })
            }
        }
    }

    /// How many layers TensorRT made of the graph, before it optimises anything.
    pub fn layers(&self) -> usize {
        // SAFETY: the network is alive.
        let layers = unsafe { (self.object.shim().network_layers)(self.object.pointer()) };
        usize::try_from(layers).unwrap_or(0)
    }

    /// Inputs, then outputs.
    pub fn tensors(&self) -> Vec<TensorInfo> {
        let of_place = |place| {
            let mut raw = RawTensor::EMPTY;
            // SAFETY: the network is alive, and keeps the name that it returns.
            unsafe {
                ((self.object.shim().network_io)(self.object.pointer(), place, &raw mut raw) != 0)
                    .then(|| TensorInfo::new(&raw))
            }
        };
        (0..).map_while(of_place).collect()
    }
}

impl SerializedEngine {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the memory is alive as long as the object, and nobody writes it.
        unsafe {
            let view = (self.object.shim().host_memory_view)(self.object.pointer());
            if view.data.is_null() { &[] } else { std::slice::from_raw_parts(view.data.cast(), view.length) }
        }
    }
}

fn serialized(cache: &Object) -> Option<Vec<u8>> {
    // SAFETY: the cache is alive.
    let object = unsafe {
        let pointer = (cache.shim().timing_cache_serialize)(cache.pointer());
        Object::new(Kind::HostMemory, pointer, cache.logger())
    };
    object.map(|object| SerializedEngine { object }.bytes().to_vec())
}

fn parser_messages(parser: &Object) -> Vec<String> {
    let of_place = |place| {
        let null = std::ptr::null();
        let mut raw = RawParserMessage { description: null, node: null, operator: null };
        // SAFETY: the parser is alive and keeps what it returns until it parses again.
        unsafe {
            if (parser.shim().parser_error)(parser.pointer(), place, &raw mut raw) == 0 {
                return None;
            }
            let [description, node, operator] =
                [raw.description, raw.node, raw.operator].map(|text| owned(text));
            Some(if node.is_empty() {
                description
            } else {
                format!("node {node} ({operator}): {description}")
            })
        }
    };
    (0..).map_while(of_place).collect()
}

/// # Safety
/// Null or a C string.
pub(crate) unsafe fn owned(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller promises it.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().trim().to_owned()
}

/// A NUL inside cannot be passed on: the text ends there.
pub(crate) fn c_string(text: String) -> CString {
    CString::new(text).unwrap_or_else(|error| {
        let end = error.nul_position();
        let mut bytes = error.into_vec();
        bytes.truncate(end);
        CString::new(bytes).unwrap_or_default()
    })
}

pub(crate) fn refused(graph: &str, doing: String, logger: &Logger) -> TensorRtError {
    TensorRtError::Refused { graph: graph.to_owned(), doing, messages: logger.said() }
}

/// What a sink of [`Shim::engine_inspect`](crate::shim::Shim) is given: a `String` to fill.
///
/// # Safety
/// `user` points to a `String`, `text` to a C string.
pub(crate) unsafe extern "C" fn fill(user: *mut c_void, text: *const c_char) {
    // SAFETY: the caller promises it.
    unsafe { *user.cast::<String>() = owned(text) }
}
