//! Engines that were built before, and building those that were not.
//!
//! A folder holds, for every graph, the engine under a name made from its key, the key in words beside it, a lock that
//! two processes share, and the builder's measured times. An engine file is trusted input (it holds code for the GPU):
//! it is only ever read from this folder, and only if it is whole.

mod engine_builder;
mod key;
mod sealed_file;
mod tensorrt_builder;
#[cfg(test)]
mod tests;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use engine_builder::{BuiltEngine, EngineBuilder, EngineRequest, OnPhase};
pub use key::BuilderIdentity;
use key::{Digest, EngineKey};
pub(super) use tensorrt_builder::failure;
pub use tensorrt_builder::{GpuIdentity, MeasuredEngine, TensorRtBuilder};

use super::{BuildProgress, GraphName, OnBuild};
use crate::{CancelToken, ModelError};

/// How long the engine of a model that is not used stays.
const KEPT_UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often a process that waits for another's build looks.
const LOOK: Duration = Duration::from_millis(200);

/// The folder of engines, or none, with which everything is built every time.
#[derive(Debug, Clone)]
pub struct EngineFiles {
    folder: Option<PathBuf>,
    rebuilds: bool,
}

/// What is done with an engine: mostly deserialised. An error about one out of a file has it built anew.
pub type UsePlan<'a> = dyn FnMut(GraphName, &[u8]) -> Result<(), ModelError> + 'a;

impl EngineFiles {
    /// Engines are kept in `folder`, which is made when there is something to keep.
    pub fn new(folder: Option<PathBuf>) -> EngineFiles {
        EngineFiles { folder, rebuilds: false }
    }

    /// Whether what is there is left aside: what is asked for is built anew and takes its place. Engines of other models
    /// stay as they are, and so does an old engine until the new one is whole.
    pub fn rebuilding(self, rebuilds: bool) -> EngineFiles {
        EngineFiles { rebuilds, ..self }
    }

    /// Gives every requested engine to `use_plan`, in their order: out of the folder where it is there, else newly built
    /// and then kept.
    ///
    /// # Errors
    /// An engine cannot be built or used, the folder cannot be written ([`ModelError::NoSpace`] where it is full), or
    /// `cancel` was cancelled.
    pub fn open(
        &self,
        requests: &[EngineRequest<'_>],
        builder: &mut dyn EngineBuilder,
        on_build: &OnBuild,
        cancel: &CancelToken,
        use_plan: &mut UsePlan<'_>,
    ) -> Result<(), ModelError> {
        let mut keys = Vec::with_capacity(requests.len());
        for request in requests {
            cancel.check()?;
            let model = request.graph.digest(request.weights)?;
            keys.push(EngineKey::new(request.name, &model, request.profiles, builder.identity()));
        }
        // A guess for the progress alone: what is there may turn out to be of no use.
        let is_there = |key: &EngineKey| !self.rebuilds && self.path(key).is_some_and(|path| path.exists());
        let graphs = keys.iter().filter(|key| !is_there(key)).count().max(1);
        let mut place = 0;
        for (request, key) in requests.iter().zip(&keys) {
            cancel.check()?;
            if self.use_kept(request.name, key, use_plan) {
                continue;
            }
            let telling =
                Telling { graph: request.name, place: place.min(graphs - 1), graphs, on_build, cancel };
            self.build(request, key, builder, &telling, use_plan)?;
            place += 1;
        }
        Ok(())
    }

    fn path(&self, key: &EngineKey) -> Option<PathBuf> {
        let [engine, _] = key.file_names();
        Some(self.folder.as_ref()?.join(engine))
    }

    /// Whether the engine was there, was wanted, and could be used.
    fn use_kept(&self, graph: GraphName, key: &EngineKey, use_plan: &mut UsePlan<'_>) -> bool {
        if self.rebuilds {
            return false;
        }
        let Some(path) = self.path(key) else { return false };
        let used = match sealed_file::open(&path, &key.digest()) {
            Ok(plan) => use_plan(graph, &plan).map_err(|error| error.to_string()),
            Err(sealed_file::Unusable::Absent) => return false,
            Err(reason) => Err(reason.to_string()),
        };
        match used {
            Ok(()) => {
                // So that it counts as used; failing at that, it is built anew some day.
                let now = || File::options().append(true).open(&path)?.set_modified(SystemTime::now());
                if let Err(error) = now() {
                    tracing::debug!(path = %path.display(), %error, "cannot mark an engine as used");
                }
                true
            }
            Err(reason) => {
                tracing::warn!(path = %path.display(), %reason, "an engine is of no use and is built anew");
                false
            }
        }
    }

    fn build(
        &self,
        request: &EngineRequest<'_>,
        key: &EngineKey,
        builder: &mut dyn EngineBuilder,
        telling: &Telling<'_>,
        use_plan: &mut UsePlan<'_>,
    ) -> Result<(), ModelError> {
        let Some(folder) = &self.folder else {
            let built = builder.build(request, None, &|phase, done| telling.tell(phase, done))?;
            return use_plan(request.name, (*built.plan).as_ref());
        };
        std::fs::create_dir_all(folder).map_err(ModelError::io(folder))?;
        let _lock = locked(folder, telling)?;
        // Whoever held the lock may have built just this.
        if self.use_kept(request.name, key, use_plan) {
            return Ok(());
        }
        tracing::info!(graph = request.name.as_str(), folder = %folder.display(), "building an engine");
        let times = timing_file(folder, &builder.identity());
        let timing_cache = sealed_file::open(&times.path, &times.key).ok();
        let built =
            builder.build(request, timing_cache.as_deref(), &|phase, done| telling.tell(phase, done))?;
        telling.cancel.check()?;
        // Kept before it is used: what fails then, for lack of memory say, need not be built again.
        let plan = (*built.plan).as_ref();
        let [engine, description] = key.file_names();
        let description = folder.join(description);
        write(&description, key.to_json().len() as u64, |file| {
            std::io::Write::write_all(file, key.to_json().as_bytes())
        })?;
        let bytes = plan.len() as u64;
        write(&folder.join(&engine), bytes, |file| sealed_file::seal(file, &key.digest(), plan))?;
        if let Some(cache) = &built.timing_cache {
            let bytes = cache.len() as u64;
            write(&times.path, bytes, |file| sealed_file::seal(file, &times.key, cache))?;
        }
        remove_old(folder, request.name, &engine, key);
        use_plan(request.name, plan)
    }
}

/// Passes a builder's progress on, and a cancellation back.
struct Telling<'a> {
    graph: GraphName,
    place: usize,
    graphs: usize,
    on_build: &'a OnBuild,
    cancel: &'a CancelToken,
}

impl Telling<'_> {
    fn tell(&self, phase: &str, done: f32) -> bool {
        let Telling { graph, place, graphs, .. } = *self;
        self.on_build.tell(&BuildProgress { graph, place, graphs, phase: phase.to_owned(), done });
        !self.cancel.is_cancelled()
    }
}

/// Waits until no other process builds into the folder. One lock for all graphs: two builds at once would measure each
/// other's load.
fn locked(folder: &Path, telling: &Telling<'_>) -> Result<File, ModelError> {
    let path = folder.join(".lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(ModelError::io(&path))?;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => {
                telling.tell("waiting for another process that builds", 0.0);
                telling.cancel.check()?;
                std::thread::sleep(LOOK);
            }
            Err(TryLockError::Error(error)) => return Err(ModelError::io(path)(error)),
        }
    }
}

/// Where measured times are kept, and for what they hold: device and version, whatever the graph.
struct TimingFile {
    path: PathBuf,
    key: Digest,
}

fn timing_file(folder: &Path, builder: &BuilderIdentity) -> TimingFile {
    let BuilderIdentity { library, version, device, compute_capability, driver, options: _ } = builder;
    let of = format!("{library}\n{version}\n{device}\n{compute_capability}\n{driver}");
    let key = <sha2::Sha256 as sha2::Digest>::digest(of).into();
    TimingFile { path: folder.join("timing.cache"), key }
}

/// Fills a file beside and renames it into place. Under the folder's lock, so that a part left by a kill is written over.
fn write(
    path: &Path,
    bytes: u64,
    fill: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> Result<(), ModelError> {
    let part = path.with_file_name(".partial");
    let filled = File::create(&part).and_then(|mut file| fill(&mut file));
    let placed = filled.and_then(|()| std::fs::rename(&part, path));
    placed.map_err(|error| {
        if let Err(error) = std::fs::remove_file(&part) {
            tracing::debug!(path = %part.display(), %error, "cannot remove a part of a file");
        }
        not_written(path, bytes)(error)
    })
}

/// What to say of a file of `bytes` that could not be written.
fn not_written(path: &Path, needed_bytes: u64) -> impl FnOnce(std::io::Error) -> ModelError {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    move |source| match source.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            let folder = path.parent().unwrap_or(path).to_owned();
            ModelError::NoSpace { folder, needed_bytes, source }
        }
        _ => ModelError::io(path)(source),
    }
}

/// Removes engines whose place this one takes, and those that nobody used for long.
fn remove_old(folder: &Path, graph: GraphName, kept: &str, key: &EngineKey) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_engine = name.starts_with(&format!("{}-", graph.as_str())) && name.ends_with(".engine");
        if !is_engine || name == kept {
            continue;
        }
        let description = path.with_extension("json");
        let is_replaced = std::fs::read_to_string(&description).is_ok_and(|json| key.replaces(&json));
        let age = path.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
        let is_forgotten = matches!(age, Ok(Ok(age)) if age > KEPT_UNUSED);
        if is_replaced || is_forgotten {
            tracing::info!(path = %path.display(), "removing an engine that is not used any more");
            for path in [&path, &description] {
                if let Err(error) = std::fs::remove_file(path) {
                    tracing::debug!(path = %path.display(), %error, "cannot remove an old file");
                }
            }
        }
    }
}
