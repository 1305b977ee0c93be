//! Looking, each place under a deadline and a thread of its own: a driver, a library or a plug-in that hangs is a fact too.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use belvedere_models::engine::ort::RuntimeLibrary;
use belvedere_models::machine::{self, CudaError, DeviceFacts};

use super::system::System;
use super::{
    CodecDecoders, CudaFailure, EngineFile, Engines, Facts, Found, Gpu, Gpus, OnnxRuntime, TensorRt,
    TensorRtLibrary,
};
use crate::folders;

/// Loading a library and asking a driver take seconds at most.
const LIBRARY_LIMIT: Duration = Duration::from_secs(10);
/// GStreamer's first start looks into every plug-in there is.
const GSTREAMER_LIMIT: Duration = Duration::from_secs(30);

/// Everything about this machine.
pub fn look() -> Facts {
    let decoders = Look::begin("gstreamer", GSTREAMER_LIMIT, decoders);
    let facts = look_at_devices();
    Facts { decoders: decoders.end(), ..facts }
}

/// The same without GStreamer: what can run the model.
pub(super) fn look_at_devices() -> Facts {
    let failure = Arc::new(OnceLock::new());
    let noted = Arc::clone(&failure);
    let gpus = Look::begin("cuda", LIBRARY_LIMIT, move || gpus(&noted));
    let tensorrt = Look::begin("tensorrt", LIBRARY_LIMIT, tensorrt_library);
    let onnx_runtime = Look::begin("onnxruntime", LIBRARY_LIMIT, onnx_runtime);
    let system = System::at(Path::new("/"));
    let gpus = gpus.end();
    let is_missing = gpus.here().is_none();
    Facts {
        machine: system.machine(),
        jetson: system.jetson(),
        nvidia: system.nvidia(),
        gpus,
        cuda_failure: is_missing.then(|| failure.get().copied().unwrap_or(CudaFailure::NoAnswer)),
        tensorrt: TensorRt {
            built_for: built_for(),
            library: tensorrt.end(),
            files: system.tensorrt_files(),
        },
        onnx_runtime: onnx_runtime.end(),
        decoders: Found::Here(Vec::new()),
        engines: engines(),
    }
}

/// A look that has begun.
struct Look<T> {
    found: Option<Receiver<Found<T>>>,
    deadline: Instant,
    limit: Duration,
}

impl<T: Send + 'static> Look<T> {
    fn begin(name: &str, limit: Duration, look: impl FnOnce() -> Found<T> + Send + 'static) -> Look<T> {
        let (sender, found) = channel();
        let thread = std::thread::Builder::new().name(format!("look-{name}")).spawn(move || {
            // Nobody listens any longer where it took too long.
            let _ = sender.send(look());
        });
        Look { found: thread.is_ok().then_some(found), deadline: Instant::now() + limit, limit }
    }

    /// What was found. A look that hangs is left behind.
    fn end(self) -> Found<T> {
        let Some(found) = self.found else { return Found::missing("the system refuses a thread") };
        match found.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Ok(found) => found,
            Err(RecvTimeoutError::Timeout) => {
                Found::missing(format!("no answer within {} s", self.limit.as_secs()))
            }
            Err(RecvTimeoutError::Disconnected) => Found::missing("looking for it failed"),
        }
    }
}

/// What CUDA shows; what kind of failure it is otherwise goes into `failure`.
fn gpus(failure: &OnceLock<CudaFailure>) -> Found<Gpus> {
    let devices = machine::cuda_devices().inspect_err(|error| {
        // Nobody else writes it.
        let _ = failure.set(kind_of(error));
    });
    Found::from(devices.map(|devices| {
        let cuda = devices.first().map(|device| device.driver_cuda).unwrap_or_default();
        Gpus { cuda: format!("{}.{}", cuda.0, cuda.1), devices: devices.into_iter().map(gpu).collect() }
    }))
}

fn kind_of(error: &CudaError) -> CudaFailure {
    match error {
        CudaError::NoDriver { .. } => CudaFailure::NoLibrary,
        CudaError::DriverTooOld { .. } => CudaFailure::DriverTooOld,
        CudaError::Driver { reason, .. } if reason.contains("MISMATCH") => CudaFailure::Mismatch,
        CudaError::Driver { .. } | CudaError::NoDevice { .. } | CudaError::Kernels { .. } => {
            CudaFailure::Refuses
        }
    }
}

fn gpu(device: DeviceFacts) -> Gpu {
    Gpu {
        name: device.name,
        compute_capability: device.compute_capability,
        memory_bytes: device.total_bytes as u64,
        free_bytes: device.free_bytes.map(|bytes| bytes as u64),
        is_memory_shared: device.integrated,
    }
}

fn built_for() -> Vec<String> {
    let headers = machine::tensorrt_built_for();
    headers.into_iter().map(|(flavour, version)| format!("{flavour} {version}")).collect()
}

fn tensorrt_library() -> Found<TensorRtLibrary> {
    Found::from(machine::find_tensorrt().map(|found| TensorRtLibrary {
        path: found.path,
        flavour: found.flavour.to_string(),
        version: found.version.to_string(),
        parser_missing: found.parser_missing.map(|error| error.to_string()),
    }))
}

fn onnx_runtime() -> Found<OnnxRuntime> {
    let library = RuntimeLibrary::load(None);
    Found::from(library.map(|RuntimeLibrary { path, version, providers }| OnnxRuntime {
        path,
        version,
        providers,
    }))
}

fn decoders() -> Found<Vec<CodecDecoders>> {
    Found::from(belvedere_pipelines::available_decoders().map(|codecs| {
        let codec = |(codec, elements): (belvedere_pipelines::Codec, Vec<String>)| CodecDecoders {
            codec: codec.to_string(),
            elements,
        };
        codecs.into_iter().map(codec).collect()
    }))
}

fn engines() -> Engines {
    let folder = folders::engines();
    let files = folder.as_deref().map(engine_files).unwrap_or_default();
    let of_service = folders::service_cache().map(|cache| cache.join("engines"));
    Engines { folder, of_service, files }
}

/// The engines in a folder, the newest first.
pub fn engine_files(folder: &Path) -> Vec<EngineFile> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<EngineFile> = entries
        .filter_map(|entry| {
            let path = entry.path();
            let is_engine = path.extension().is_some_and(|extension| extension == "engine");
            let found = entry.metadata().ok().filter(|found| is_engine && found.is_file())?;
            // An engine is touched when it is used; what is said about it beside it is not.
            let words = std::fs::metadata(path.with_extension("json"));
            let built =
                words.ok().and_then(|words| words.modified().ok()).or_else(|| found.modified().ok())?;
            // A file from the future is new.
            let age = SystemTime::now().duration_since(built).unwrap_or_default();
            let name = entry.file_name().to_string_lossy().into_owned();
            Some(EngineFile { name, bytes: found.len(), age_s: age.as_secs() })
        })
        .collect();
    files.sort_by(|a, b| (a.age_s, &a.name).cmp(&(b.age_s, &b.name)));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_left_behind_and_what_panics_is_not_found() {
        let (release, wait) = channel::<()>();
        let hanging = Look::begin("test", Duration::ZERO, move || {
            let _ = wait.recv();
            Found::Here(())
        });
        assert_eq!(hanging.end(), Found::missing("no answer within 0 s"));
        drop(release);
        let broken = Look::<()>::begin("test", LIBRARY_LIMIT, || panic!("broken"));
        assert_eq!(broken.end(), Found::missing("looking for it failed"));
        assert_eq!(Look::begin("test", LIBRARY_LIMIT, || Found::Here(7)).end(), Found::Here(7));
    }

    #[test]
    fn engines_are_listed_with_their_sizes_and_a_folder_that_is_not_there_has_none() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [("vision-1.engine", 5), ("vision-1.json", 2), ("lock", 0)] {
            std::fs::write(dir.path().join(name), vec![0; bytes]).unwrap();
        }
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let words = std::fs::File::options().append(true).open(dir.path().join("vision-1.json")).unwrap();
        words.set_modified(hour_ago).unwrap();
        let files = engine_files(dir.path());
        assert_eq!(files.len(), 1);
        assert_eq!((files[0].name.as_str(), files[0].bytes), ("vision-1.engine", 5));
        assert!((3600..3700).contains(&files[0].age_s), "built an hour ago");
        assert_eq!(engine_files(&dir.path().join("nowhere")), []);
    }

    #[test]
    fn what_the_driver_says_is_told_apart_by_what_is_to_be_done() {
        let driver =
            |reason: &str| CudaError::Driver { doing: "starting".to_owned(), reason: reason.to_owned() };
        let mismatch = driver("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has unsupported display driver");
        assert_eq!(kind_of(&mismatch), CudaFailure::Mismatch);
        assert_eq!(kind_of(&driver("CUDA_ERROR_UNKNOWN: unknown error")), CudaFailure::Refuses);
        let old = CudaError::DriverTooOld { found: 12_000, needed: 12_060 };
        assert_eq!(kind_of(&old), CudaFailure::DriverTooOld);
        assert_eq!(kind_of(&CudaError::NoDriver { words: String::new() }), CudaFailure::NoLibrary);
    }

    #[test]
    fn this_machine_is_looked_at_without_a_fault() {
        let facts = look_at_devices();
        assert!(!facts.machine.kernel.is_empty());
        assert!(facts.machine.memory_bytes.is_some());
    }
}
