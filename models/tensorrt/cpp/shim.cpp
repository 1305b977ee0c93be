// TensorRT behind a C ABI: the one C++ file of this crate. It is compiled once for every set of headers found, against the
// functions that TensorRT 10.3 to 11 and TensorRT-RTX declare in the same words; what differs stands under #if.
//
// Nothing of TensorRT is linked. The library is loaded by the caller, who passes its creation functions in; everything
// else goes through virtual tables. The object's one symbol is BELVEDERE_SHIM, a function that returns the table of all
// others. The build renames the namespaces nvinfer1 and nvonnxparser for each object: their inline functions call numbered
// slots of virtual tables that differ between versions, and the linker would keep one copy for all objects.
//
// Numbers of enumerations differ between versions too, so only numbers of our own cross the boundary. Structures and the
// table are mirrored in src/shim.rs. No function throws; what TensorRT has to say about a failure it says to the logger.

#include <NvInferVersion.h>

#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <cstddef>
#include <cstdint>
#include <new>

#ifdef TRT_MAJOR_RTX
#define BELVEDERE_RTX 1
#else
#define BELVEDERE_RTX 0
#endif

#if BELVEDERE_RTX
static_assert(NV_TENSORRT_MAJOR == 1 && NV_TENSORRT_MINOR >= 7, "TensorRT-RTX before 1.7");
#else
static_assert(NV_TENSORRT_MAJOR == 10 ? NV_TENSORRT_MINOR >= 3 : NV_TENSORRT_MAJOR == 11, "not TensorRT 10.3 to 11");
#endif

namespace {

using namespace nvinfer1;

// ---- what crosses the boundary

constexpr int32_t kMaxRank = 8;

/// Severity of a message. TensorRT's own numbers so far, but translated all the same.
enum Severity : int32_t { kInternalError, kError, kWarning, kInfo, kVerbose };

/// Element types that our graphs have at their edges.
enum Element : int32_t { kF32, kF16, kI64, kI32, kOther };

/// What `destroy` is given.
enum Kind : int32_t { kBuilder, kNetwork, kParser, kConfig, kHostMemory, kRuntime, kEngine, kContext, kTimingCache };

/// Which shape of a profile.
enum Extent : int32_t { kLeast, kBest, kMost };

struct Tensor {
    char const* name;
    int32_t is_input;
    int32_t element;
    int32_t is_on_device;
    int32_t rank;
    int64_t shape[kMaxRank];
};

struct ConfigOptions {
    uint64_t workspace_bytes;
    // Negative for TensorRT's own choice.
    int32_t optimization_level;
    int32_t auxiliary_streams;
    // Whether an inspector may tell what the layers became.
    int32_t is_detailed;
};

struct ParserMessage {
    char const* description;
    char const* node;
    char const* operator_;
};

using Log = void (*)(void* user, int32_t severity, char const* message);

struct ProgressListener {
    void* user;
    void (*started)(void* user, char const* phase, char const* parent, int32_t steps);
    int32_t (*stepped)(void* user, char const* phase, int32_t step);
    void (*finished)(void* user, char const* phase);
};

struct Bytes {
    void const* data;
    size_t length;
};

using Sink = void (*)(void* user, char const* text);

// ---- translations

int32_t severity_of(ILogger::Severity severity) noexcept {
    switch (severity) {
    case ILogger::Severity::kINTERNAL_ERROR: return kInternalError;
    case ILogger::Severity::kERROR: return kError;
    case ILogger::Severity::kWARNING: return kWarning;
    case ILogger::Severity::kINFO: return kInfo;
    case ILogger::Severity::kVERBOSE: return kVerbose;
    }
    return kError;
}

int32_t element_of(DataType type) noexcept {
    switch (type) {
    case DataType::kFLOAT: return kF32;
    case DataType::kHALF: return kF16;
    case DataType::kINT64: return kI64;
    case DataType::kINT32: return kI32;
    default: return kOther;
    }
}

void copy_shape(Dims const& dims, Tensor& tensor) noexcept {
    tensor.rank = dims.nbDims;
    for (int32_t axis = 0; axis < kMaxRank; ++axis) {
        tensor.shape[axis] = axis < dims.nbDims ? static_cast<int64_t>(dims.d[axis]) : 0;
    }
}

bool dims_of(int64_t const* shape, int32_t rank, Dims& dims) noexcept {
    if (rank < 0 || rank > Dims::MAX_DIMS) {
        return false;
    }
    dims.nbDims = rank;
    for (int32_t axis = 0; axis < rank; ++axis) {
        dims.d[axis] = shape[axis];
    }
    return true;
}

OptProfileSelector selector_of(int32_t extent) noexcept {
    switch (extent) {
    case kLeast: return OptProfileSelector::kMIN;
    case kMost: return OptProfileSelector::kMAX;
    default: return OptProfileSelector::kOPT;
    }
}

/// TensorRT's functions are all noexcept, ours allocate; whatever is thrown nevertheless ends here.
template <typename Result, typename Body> Result guarded(Result otherwise, Body body) noexcept {
    try {
        return body();
    } catch (...) {
        return otherwise;
    }
}

// ---- what TensorRT calls

class Logger final : public ILogger {
public:
    Logger(Log log, void* user) noexcept : log_(log), user_(user) {}

    void log(Severity severity, AsciiChar const* message) noexcept override {
        log_(user_, severity_of(severity), message);
    }

private:
    Log log_;
    void* user_;
};

class Progress final : public IProgressMonitor {
public:
    explicit Progress(ProgressListener const& listener) noexcept : listener_(listener) {}

    void phaseStart(char const* phase, char const* parent, int32_t steps) noexcept override {
        listener_.started(listener_.user, phase, parent, steps);
    }

    bool stepComplete(char const* phase, int32_t step) noexcept override {
        return listener_.stepped(listener_.user, phase, step) != 0;
    }

    void phaseFinish(char const* phase) noexcept override {
        listener_.finished(listener_.user, phase);
    }

private:
    ProgressListener listener_;
};

// ---- what Rust calls

/// For ever: the library keeps the first logger of a process, and calls it as long as anything of it is left.
void* logger_create(Log log, void* user) noexcept {
    return new (std::nothrow) Logger(log, user);
}

void* progress_create(ProgressListener const* listener) noexcept {
    return new (std::nothrow) Progress(*listener);
}

void progress_destroy(void* progress) noexcept {
    delete static_cast<Progress*>(progress);
}

// The library takes and gives pointers to its own base classes as void*: both sides must mean the same class.
void* logger_base(void* logger) noexcept {
    return static_cast<ILogger*>(static_cast<Logger*>(logger));
}

void* builder_create(void* entry, void* logger) noexcept {
    return guarded<void*>(nullptr, [&] {
        auto const create = reinterpret_cast<void* (*)(void*, int32_t)>(entry);
        return static_cast<IBuilder*>(create(logger_base(logger), NV_TENSORRT_VERSION));
    });
}

void* network_create(void* builder) noexcept {
    return guarded<void*>(nullptr, [&] {
#if !BELVEDERE_RTX && NV_TENSORRT_MAJOR == 10
        NetworkDefinitionCreationFlags const flags
            = 1U << static_cast<uint32_t>(NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
#else
        // Every network is strongly typed, and the flag's number has another meaning.
        NetworkDefinitionCreationFlags const flags = 0;
#endif
        return static_cast<IBuilder*>(builder)->createNetworkV2(flags);
    });
}

int32_t network_layers(void* network) noexcept {
    return guarded<int32_t>(-1, [&] { return static_cast<INetworkDefinition*>(network)->getNbLayers(); });
}

/// Inputs first, then outputs. 0 past the last.
int32_t network_io(void* network, int32_t place, Tensor* tensor) noexcept {
    return guarded<int32_t>(0, [&] {
        auto& definition = *static_cast<INetworkDefinition*>(network);
        int32_t const inputs = definition.getNbInputs();
        if (place < 0 || place >= inputs + definition.getNbOutputs()) {
            return 0;
        }
        ITensor* const found = place < inputs ? definition.getInput(place) : definition.getOutput(place - inputs);
        if (found == nullptr) {
            return 0;
        }
        tensor->name = found->getName();
        tensor->is_input = place < inputs ? 1 : 0;
        tensor->element = element_of(found->getType());
        tensor->is_on_device = 1;
        copy_shape(found->getDimensions(), *tensor);
        return 1;
    });
}

void* parser_create(void* entry, void* network, void* logger) noexcept {
    return guarded<void*>(nullptr, [&] {
        auto const create = reinterpret_cast<void* (*)(void*, void*, int)>(entry);
        auto* const definition = static_cast<INetworkDefinition*>(network);
        return static_cast<nvonnxparser::IParser*>(create(definition, logger_base(logger), NV_ONNX_PARSER_VERSION));
    });
}

/// `path` is where the model would lie: weights outside the model are looked for beside it.
int32_t parser_parse(void* parser, void const* model, size_t length, char const* path) noexcept {
    return guarded<int32_t>(
        0, [&] { return static_cast<nvonnxparser::IParser*>(parser)->parse(model, length, path) ? 1 : 0; });
}

/// 0 past the last.
int32_t parser_error(void* parser, int32_t place, ParserMessage* message) noexcept {
    return guarded<int32_t>(0, [&] {
        auto const& errors = *static_cast<nvonnxparser::IParser*>(parser);
        if (place < 0 || place >= errors.getNbErrors()) {
            return 0;
        }
        nvonnxparser::IParserError const* const error = errors.getError(place);
        if (error == nullptr) {
            return 0;
        }
        message->description = error->desc();
        message->node = error->nodeName();
        message->operator_ = error->nodeOperator();
        return 1;
    });
}

void* config_create(void* builder, ConfigOptions const* options) noexcept {
    return guarded<void*>(nullptr, [&]() -> void* {
        IBuilderConfig* const config = static_cast<IBuilder*>(builder)->createBuilderConfig();
        if (config == nullptr) {
            return nullptr;
        }
        config->setMemoryPoolLimit(MemoryPoolType::kWORKSPACE, options->workspace_bytes);
        if (options->optimization_level >= 0) {
            config->setBuilderOptimizationLevel(options->optimization_level);
        }
        if (options->auxiliary_streams >= 0) {
            // void in TensorRT 10, bool since.
            static_cast<void>(config->setMaxAuxStreams(options->auxiliary_streams));
        }
        // Where a graph says 32 bits, 32 bits are meant.
        config->clearFlag(BuilderFlag::kTF32);
        config->setProfilingVerbosity(
            options->is_detailed != 0 ? ProfilingVerbosity::kDETAILED : ProfilingVerbosity::kLAYER_NAMES_ONLY);
#if BELVEDERE_RTX
        // All its memory comes from us, so that runs can be captured.
        config->setFlag(BuilderFlag::kREQUIRE_USER_ALLOCATION);
#endif
        return config;
    });
}

void config_set_progress(void* config, void* progress) noexcept {
    guarded<int32_t>(0, [&] {
        auto* const monitor = static_cast<IProgressMonitor*>(static_cast<Progress*>(progress));
        static_cast<IBuilderConfig*>(config)->setProgressMonitor(monitor);
        return 0;
    });
}

/// Compute capabilities to build for, as major * 10 + minor, or a single 0 for the GPU that is here. The numbers are
/// TensorRT-RTX's only: others build for the GPU that they find.
int32_t config_set_capabilities(void* config, int32_t const* capabilities, int32_t count) noexcept {
#if BELVEDERE_RTX
    return guarded<int32_t>(0, [&] {
        auto& builder_config = *static_cast<IBuilderConfig*>(config);
        if (!builder_config.setNbComputeCapabilities(count)) {
            return 0;
        }
        for (int32_t place = 0; place < count; ++place) {
            ComputeCapability capability = ComputeCapability::kNONE;
            switch (capabilities[place]) {
            case 0: capability = ComputeCapability::kCURRENT; break;
            case 75: capability = ComputeCapability::kSM75; break;
            case 80: capability = ComputeCapability::kSM80; break;
            case 86: capability = ComputeCapability::kSM86; break;
            case 89: capability = ComputeCapability::kSM89; break;
            case 120: capability = ComputeCapability::kSM120; break;
            case 121: capability = ComputeCapability::kSM121; break;
            default: return 0;
            }
            if (!builder_config.setComputeCapability(capability, place)) {
                return 0;
            }
        }
        return 1;
    });
#else
    static_cast<void>(config);
    return count == 1 && capabilities[0] == 0 ? 1 : 0;
#endif
}

/// The builder keeps what it returns.
void* profile_create(void* builder) noexcept {
    return guarded<void*>(nullptr, [&] { return static_cast<IBuilder*>(builder)->createOptimizationProfile(); });
}

int32_t profile_set(void* profile, char const* name, int32_t extent, int64_t const* shape, int32_t rank) noexcept {
    return guarded<int32_t>(0, [&] {
        Dims dims{};
        if (!dims_of(shape, rank, dims)) {
            return 0;
        }
        return static_cast<IOptimizationProfile*>(profile)->setDimensions(name, selector_of(extent), dims) ? 1 : 0;
    });
}

/// The profile's number, or -1.
int32_t config_add_profile(void* config, void* profile) noexcept {
    return guarded<int32_t>(-1, [&] {
        return static_cast<IBuilderConfig*>(config)->addOptimizationProfile(static_cast<IOptimizationProfile*>(profile));
    });
}

/// Lets the builder use and fill a cache of measured times, which is returned and must outlive the build. Null where it
/// was refused; TensorRT-RTX measures nothing, and looks for a GPU when asked for a cache.
void* timing_cache_use(void* config, void const* blob, size_t length) noexcept {
#if BELVEDERE_RTX
    static_cast<void>(config);
    static_cast<void>(blob);
    static_cast<void>(length);
    return nullptr;
#else
    return guarded<void*>(nullptr, [&]() -> void* {
        auto& builder_config = *static_cast<IBuilderConfig*>(config);
        ITimingCache* const cache = builder_config.createTimingCache(blob, length);
        if (cache == nullptr) {
            return nullptr;
        }
        if (!builder_config.setTimingCache(*cache, false)) {
            delete cache;
            return nullptr;
        }
        return cache;
    });
#endif
}

void* timing_cache_serialize(void* cache) noexcept {
#if BELVEDERE_RTX
    static_cast<void>(cache);
    return nullptr;
#else
    return guarded<void*>(nullptr, [&] { return static_cast<ITimingCache*>(cache)->serialize(); });
#endif
}

void* build(void* builder, void* network, void* config) noexcept {
    return guarded<void*>(nullptr, [&] {
        return static_cast<IBuilder*>(builder)->buildSerializedNetwork(
            *static_cast<INetworkDefinition*>(network), *static_cast<IBuilderConfig*>(config));
    });
}

Bytes host_memory_view(void* memory) noexcept {
    return guarded<Bytes>(Bytes{nullptr, 0}, [&] {
        auto const& host_memory = *static_cast<IHostMemory*>(memory);
        return Bytes{host_memory.data(), host_memory.size()};
    });
}

void* runtime_create(void* entry, void* logger) noexcept {
    return guarded<void*>(nullptr, [&] {
        auto const create = reinterpret_cast<void* (*)(void*, int32_t)>(entry);
        return static_cast<IRuntime*>(create(logger_base(logger), NV_TENSORRT_VERSION));
    });
}

void* engine_deserialize(void* runtime, void const* plan, size_t length) noexcept {
    return guarded<void*>(
        nullptr, [&] { return static_cast<IRuntime*>(runtime)->deserializeCudaEngine(plan, length); });
}

/// 0 past the last.
int32_t engine_io(void* engine, int32_t place, Tensor* tensor) noexcept {
    return guarded<int32_t>(0, [&] {
        auto const& cuda_engine = *static_cast<ICudaEngine*>(engine);
        if (place < 0 || place >= cuda_engine.getNbIOTensors()) {
            return 0;
        }
        char const* const name = cuda_engine.getIOTensorName(place);
        if (name == nullptr) {
            return 0;
        }
        tensor->name = name;
        tensor->is_input = cuda_engine.getTensorIOMode(name) == TensorIOMode::kINPUT ? 1 : 0;
        tensor->element = element_of(cuda_engine.getTensorDataType(name));
        tensor->is_on_device = cuda_engine.getTensorLocation(name) == TensorLocation::kDEVICE ? 1 : 0;
        copy_shape(cuda_engine.getTensorShape(name), *tensor);
        return 1;
    });
}

int32_t engine_profiles(void* engine) noexcept {
    return guarded<int32_t>(0, [&] { return static_cast<ICudaEngine*>(engine)->getNbOptimizationProfiles(); });
}

/// Fills rank and shape of an input; 0 where there is none.
int32_t engine_profile_shape(void* engine, char const* name, int32_t profile, int32_t extent, Tensor* tensor) noexcept {
    return guarded<int32_t>(0, [&] {
        Dims const dims = static_cast<ICudaEngine*>(engine)->getProfileShape(name, profile, selector_of(extent));
        if (dims.nbDims < 0) {
            return 0;
        }
        copy_shape(dims, *tensor);
        return 1;
    });
}

/// Bytes of scratch memory for a profile, or -1.
int64_t engine_scratch_bytes(void* engine, int32_t profile) noexcept {
    return guarded<int64_t>(
        -1, [&] { return static_cast<ICudaEngine*>(engine)->getDeviceMemorySizeForProfileV2(profile); });
}

int32_t engine_layers(void* engine) noexcept {
    return guarded<int32_t>(-1, [&] { return static_cast<ICudaEngine*>(engine)->getNbLayers(); });
}

/// Gives JSON about the layers to `sink`, which copies it.
int32_t engine_inspect(void* engine, Sink sink, void* user) noexcept {
    return guarded<int32_t>(0, [&] {
        IEngineInspector* const inspector = static_cast<ICudaEngine*>(engine)->createEngineInspector();
        if (inspector == nullptr) {
            return 0;
        }
        char const* const text = inspector->getEngineInformation(LayerInformationFormat::kJSON);
        if (text != nullptr) {
            sink(user, text);
        }
        delete inspector;
        return text != nullptr ? 1 : 0;
    });
}

/// An execution whose scratch memory is the caller's.
void* context_create(void* engine) noexcept {
    return guarded<void*>(nullptr, [&] {
        auto& cuda_engine = *static_cast<ICudaEngine*>(engine);
        auto const strategy = ExecutionContextAllocationStrategy::kUSER_MANAGED;
#if BELVEDERE_RTX
        // Kernels for a profile's shapes are compiled when they are first needed. By default that is done in the background, while
        // slower ones run, which are what a capture of the second run would keep for ever.
        if (IRuntimeConfig* const config = cuda_engine.createRuntimeConfig()) {
            config->setExecutionContextAllocationStrategy(strategy);
            config->setDynamicShapesKernelSpecializationStrategy(DynamicShapesKernelSpecializationStrategy::kEAGER);
            IExecutionContext* const context = cuda_engine.createExecutionContext(config);
            delete config;
            return context;
        }
#endif
        return cuda_engine.createExecutionContext(strategy);
    });
}

void context_set_scratch(void* context, void* memory, int64_t length) noexcept {
    guarded<int32_t>(0, [&] {
        static_cast<IExecutionContext*>(context)->setDeviceMemoryV2(memory, length);
        return 0;
    });
}

int32_t context_set_profile(void* context, int32_t profile, void* stream) noexcept {
    return guarded<int32_t>(0, [&] {
        auto const cuda_stream = static_cast<cudaStream_t>(stream);
        return static_cast<IExecutionContext*>(context)->setOptimizationProfileAsync(profile, cuda_stream) ? 1 : 0;
    });
}

int32_t context_set_shape(void* context, char const* name, int64_t const* shape, int32_t rank) noexcept {
    return guarded<int32_t>(0, [&] {
        Dims dims{};
        if (!dims_of(shape, rank, dims)) {
            return 0;
        }
        return static_cast<IExecutionContext*>(context)->setInputShape(name, dims) ? 1 : 0;
    });
}

/// Rank and shape as they are now, -1 where not known; 0 where there is no such tensor.
int32_t context_shape(void* context, char const* name, Tensor* tensor) noexcept {
    return guarded<int32_t>(0, [&] {
        Dims const dims = static_cast<IExecutionContext*>(context)->getTensorShape(name);
        if (dims.nbDims < 0) {
            return 0;
        }
        copy_shape(dims, *tensor);
        return 1;
    });
}

int32_t context_bind(void* context, char const* name, void* address) noexcept {
    return guarded<int32_t>(
        0, [&] { return static_cast<IExecutionContext*>(context)->setTensorAddress(name, address) ? 1 : 0; });
}

/// How many inputs lack a shape or an address, with the name of the first; negative where shapes contradict each other.
int32_t context_missing(void* context, char const** first) noexcept {
    return guarded<int32_t>(-1, [&] { return static_cast<IExecutionContext*>(context)->inferShapes(1, first); });
}

int32_t context_is_capturable(void* context, void* stream) noexcept {
#if BELVEDERE_RTX
    return guarded<int32_t>(0, [&] {
        auto const cuda_stream = static_cast<cudaStream_t>(stream);
        return static_cast<IExecutionContext*>(context)->isStreamCapturable(cuda_stream) ? 1 : 0;
    });
#else
    static_cast<void>(context);
    static_cast<void>(stream);
    return 1;
#endif
}

int32_t enqueue(void* context, void* stream) noexcept {
    return guarded<int32_t>(0, [&] {
        auto const cuda_stream = static_cast<cudaStream_t>(stream);
        return static_cast<IExecutionContext*>(context)->enqueueV3(cuda_stream) ? 1 : 0;
    });
}

void destroy(int32_t kind, void* object) noexcept {
    guarded<int32_t>(0, [&] {
        switch (kind) {
        case kBuilder: delete static_cast<IBuilder*>(object); break;
        case kNetwork: delete static_cast<INetworkDefinition*>(object); break;
        case kParser: delete static_cast<nvonnxparser::IParser*>(object); break;
        case kConfig: delete static_cast<IBuilderConfig*>(object); break;
        case kHostMemory: delete static_cast<IHostMemory*>(object); break;
        case kRuntime: delete static_cast<IRuntime*>(object); break;
        case kEngine: delete static_cast<ICudaEngine*>(object); break;
        case kContext: delete static_cast<IExecutionContext*>(object); break;
#if !BELVEDERE_RTX
        case kTimingCache: delete static_cast<ITimingCache*>(object); break;
#endif
        default: break;
        }
        return 0;
    });
}

/// The table, in the order of `Shim` in src/shim.rs.
struct Shim {
    uint32_t bytes;
    int32_t header_version;
    int32_t is_rtx;
    uint32_t tensor_bytes;
    decltype(&::logger_create) logger_create;
    decltype(&::progress_create) progress_create;
    decltype(&::progress_destroy) progress_destroy;
    decltype(&::builder_create) builder_create;
    decltype(&::network_create) network_create;
    decltype(&::network_layers) network_layers;
    decltype(&::network_io) network_io;
    decltype(&::parser_create) parser_create;
    decltype(&::parser_parse) parser_parse;
    decltype(&::parser_error) parser_error;
    decltype(&::config_create) config_create;
    decltype(&::config_set_progress) config_set_progress;
    decltype(&::config_set_capabilities) config_set_capabilities;
    decltype(&::profile_create) profile_create;
    decltype(&::profile_set) profile_set;
    decltype(&::config_add_profile) config_add_profile;
    decltype(&::timing_cache_use) timing_cache_use;
    decltype(&::timing_cache_serialize) timing_cache_serialize;
    decltype(&::build) build;
    decltype(&::host_memory_view) host_memory_view;
    decltype(&::runtime_create) runtime_create;
    decltype(&::engine_deserialize) engine_deserialize;
    decltype(&::engine_io) engine_io;
    decltype(&::engine_profiles) engine_profiles;
    decltype(&::engine_profile_shape) engine_profile_shape;
    decltype(&::engine_scratch_bytes) engine_scratch_bytes;
    decltype(&::engine_layers) engine_layers;
    decltype(&::engine_inspect) engine_inspect;
    decltype(&::context_create) context_create;
    decltype(&::context_set_scratch) context_set_scratch;
    decltype(&::context_set_profile) context_set_profile;
    decltype(&::context_set_shape) context_set_shape;
    decltype(&::context_shape) context_shape;
    decltype(&::context_bind) context_bind;
    decltype(&::context_missing) context_missing;
    decltype(&::context_is_capturable) context_is_capturable;
    decltype(&::enqueue) enqueue;
    decltype(&::destroy) destroy;
};

Shim const shim{
    sizeof(Shim),
    static_cast<int32_t>(NV_TENSORRT_VERSION),
    BELVEDERE_RTX,
    sizeof(Tensor),
    &logger_create,
    &progress_create,
    &progress_destroy,
    &builder_create,
    &network_create,
    &network_layers,
    &network_io,
    &parser_create,
    &parser_parse,
    &parser_error,
    &config_create,
    &config_set_progress,
    &config_set_capabilities,
    &profile_create,
    &profile_set,
    &config_add_profile,
    &timing_cache_use,
    &timing_cache_serialize,
    &build,
    &host_memory_view,
    &runtime_create,
    &engine_deserialize,
    &engine_io,
    &engine_profiles,
    &engine_profile_shape,
    &engine_scratch_bytes,
    &engine_layers,
    &engine_inspect,
    &context_create,
    &context_set_scratch,
    &context_set_profile,
    &context_set_shape,
    &context_shape,
    &context_bind,
    &context_missing,
    &context_is_capturable,
    &enqueue,
    &destroy,
};

} // namespace

extern "C" __attribute__((visibility("hidden"))) Shim const* BELVEDERE_SHIM() noexcept;

extern "C" __attribute__((visibility("hidden"))) Shim const* BELVEDERE_SHIM() noexcept {
    return &shim;
}
