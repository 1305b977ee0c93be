//! Engine files against a builder that only says that it was asked, and once against a real one.

use std::cell::Cell;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use super::*;
use crate::checkpoint::FlorenceConfig;
use crate::engine::tensorrt::Profile;
use crate::graph::{Element, Graph, GraphOptions, Graphs, VisionShape};
use crate::synthetic::SyntheticModel;

struct FakeBuilder {
    identity: BuilderIdentity,
    built: Arc<AtomicUsize>,
    seen_cache: Option<Vec<u8>>,
    /// Called between the two messages of a build.
    midway: Box<dyn Fn()>,
}

impl FakeBuilder {
    fn new() -> FakeBuilder {
        FakeBuilder {
            identity: BuilderIdentity {
                library: "fake".to_owned(),
                version: "1.0".to_owned(),
                device: "none".to_owned(),
                compute_capability: "8.6".to_owned(),
                driver: 1,
                options: Vec::new(),
            },
            built: Arc::default(),
            seen_cache: None,
            midway: Box::new(|| ()),
        }
    }

    fn builds(&self) -> usize {
        self.built.load(Ordering::SeqCst)
    }
}

impl EngineBuilder for FakeBuilder {
    fn identity(&self) -> BuilderIdentity {
        self.identity.clone()
    }

    fn build(
        &mut self,
        request: &EngineRequest<'_>,
        timing_cache: Option<&[u8]>,
        on_phase: &OnPhase<'_>,
    ) -> Result<BuiltEngine, ModelError> {
        self.seen_cache = timing_cache.map(<[u8]>::to_vec);
        let number = self.built.fetch_add(1, Ordering::SeqCst) + 1;
        if !on_phase("first", 0.25) {
            return Err(ModelError::Cancelled);
        }
        (self.midway)();
        if !on_phase("second", 0.75) {
            return Err(ModelError::Cancelled);
        }
        let plan = format!("{} build {number}", request.name.as_str()).into_bytes();
        Ok(BuiltEngine { plan: Box::new(plan), timing_cache: Some(format!("times {number}").into_bytes()) })
    }
}

struct Setting {
    model: SyntheticModel,
    graph: Graph,
    folder: tempfile::TempDir,
}

impl Setting {
    fn new() -> Setting {
        Setting::with_salt(0)
    }

    fn with_salt(salt: u64) -> Setting {
        let mut model = SyntheticModel::new(FlorenceConfig::small(), (64, 64));
        model.salt = salt;
        let mut options = GraphOptions::new(&model.config, &model, 64, 64);
        options.element = Element::F16;
        let graph = Graphs::new(&model.config, options).unwrap().vision(&VisionShape::default()).unwrap();
        Setting { model, graph, folder: tempfile::tempdir().unwrap() }
    }

    fn files(&self) -> EngineFiles {
        EngineFiles::new(Some(self.folder.path().to_owned()))
    }

    /// Opens the vision engine. Returns the plan that was used.
    fn open(&self, builder: &mut dyn EngineBuilder) -> Result<String, ModelError> {
        self.open_with(builder, &OnBuild::default(), &CancelToken::new())
    }

    fn open_in(&self, files: &EngineFiles, builder: &mut dyn EngineBuilder) -> Result<String, ModelError> {
        self.open_told(files, builder, &OnBuild::default(), &CancelToken::new())
    }

    fn open_with(
        &self,
        builder: &mut dyn EngineBuilder,
        on_build: &OnBuild,
        cancel: &CancelToken,
    ) -> Result<String, ModelError> {
        self.open_told(&self.files(), builder, on_build, cancel)
    }

    fn open_told(
        &self,
        files: &EngineFiles,
        builder: &mut dyn EngineBuilder,
        on_build: &OnBuild,
        cancel: &CancelToken,
    ) -> Result<String, ModelError> {
        let profiles = [Profile::vision(1)];
        let request = EngineRequest {
            name: GraphName::Vision,
            graph: &self.graph,
            weights: &self.model,
            profiles: &profiles,
        };
        let mut used = String::new();
        files.open(&[request], builder, on_build, cancel, &mut |_, plan| {
            used = String::from_utf8_lossy(plan).into_owned();
            Ok(())
        })?;
        Ok(used)
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn engine(&self) -> PathBuf {
        let name = self.names().into_iter().find(|name| name.ends_with(".engine")).unwrap();
        self.folder.path().join(name)
    }
}

#[test]
fn an_engine_is_built_once_and_then_read() {
    let setting = Setting::new();
    let mut builder = FakeBuilder::new();
    assert_eq!(setting.open(&mut builder).unwrap(), "vision build 1");
    assert_eq!(setting.open(&mut builder).unwrap(), "vision build 1");
    assert_eq!(builder.builds(), 1);
    let names = setting.names();
    assert_eq!(names.len(), 4, "{names:?}");
    let json = std::fs::read_to_string(setting.engine().with_extension("json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["profiles"][0], "batch 1");
    assert_eq!(json["device"], "none");
}

#[test]
fn other_weights_are_another_engine() {
    let [setting, other] = [Setting::new(), Setting::with_salt(1)];
    let mut builder = FakeBuilder::new();
    setting.open(&mut builder).unwrap();
    let moved = Setting { folder: setting.folder, ..other };
    assert_eq!(moved.open(&mut builder).unwrap(), "vision build 2");
    // Both are kept: two models may be used in turn.
    assert_eq!(moved.names().iter().filter(|name| name.ends_with(".engine")).count(), 2);
}

#[test]
fn rebuilding_builds_what_is_asked_for_and_leaves_other_models_alone() {
    let [setting, other] = [Setting::new(), Setting::with_salt(1)];
    let mut builder = FakeBuilder::new();
    setting.open(&mut builder).unwrap();
    let of_other = setting.engine();
    let before = std::fs::read(&of_other).unwrap();
    let moved = Setting { folder: setting.folder, ..other };
    moved.open(&mut builder).unwrap();

    let files = moved.files().rebuilding(true);
    assert_eq!(moved.open_in(&files, &mut builder).unwrap(), "vision build 3");
    assert_eq!(std::fs::read(&of_other).unwrap(), before);
    // The new one is in the old one's place.
    assert_eq!(moved.open(&mut builder).unwrap(), "vision build 3");
    assert_eq!(moved.names().iter().filter(|name| name.ends_with(".engine")).count(), 2);
}

#[test]
fn an_engine_stays_until_the_one_that_is_to_replace_it_is_whole() {
    let setting = Setting::new();
    let mut builder = FakeBuilder::new();
    setting.open(&mut builder).unwrap();
    let cancel = CancelToken::new();
    let from_inside = cancel.clone();
    builder.midway = Box::new(move || from_inside.cancel());
    let files = setting.files().rebuilding(true);
    setting.open_told(&files, &mut builder, &OnBuild::default(), &cancel).unwrap_err();
    assert_eq!(setting.open(&mut builder).unwrap(), "vision build 1");
}

#[test]
fn a_new_driver_replaces_the_engine() {
    let setting = Setting::new();
    let mut builder = FakeBuilder::new();
    setting.open(&mut builder).unwrap();
    let old = setting.engine();
    builder.identity.driver = 2;
    assert_eq!(setting.open(&mut builder).unwrap(), "vision build 2");
    assert!(!old.exists() && !old.with_extension("json").exists());
    assert_ne!(setting.engine(), old);
}

#[test]
fn engines_for_two_gpus_are_kept_beside_each_other() {
    let setting = Setting::new();
    let [mut one, mut other] = [FakeBuilder::new(), FakeBuilder::new()];
    other.identity.device = "another".to_owned();
    for _ in 0..2 {
        setting.open(&mut one).unwrap();
        setting.open(&mut other).unwrap();
    }
    assert_eq!((one.builds(), other.builds()), (1, 1));
}

#[test]
fn an_engine_of_a_model_that_nobody_used_for_long_is_removed() {
    let [setting, other] = [Setting::new(), Setting::with_salt(1)];
    let mut builder = FakeBuilder::new();
    setting.open(&mut builder).unwrap();
    let old = setting.engine();
    let long_ago = SystemTime::now() - KEPT_UNUSED - Duration::from_secs(60);
    File::options().append(true).open(&old).unwrap().set_modified(long_ago).unwrap();
    let moved = Setting { folder: setting.folder, ..other };
    moved.open(&mut builder).unwrap();
    assert!(!old.exists());
}

#[test]
fn a_damaged_or_truncated_engine_is_built_anew_and_never_used() {
    let setting = Setting::new();
    let mut builder = FakeBuilder::new();
    setting.open(&mut builder).unwrap();
    let engine = setting.engine();
    let whole = std::fs::read(&engine).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    for (number, bytes) in
        [&changed[..], &whole[..whole.len() - 1], &[], b"something else"].into_iter().enumerate()
    {
        std::fs::write(&engine, bytes).unwrap();
        assert_eq!(setting.open(&mut builder).unwrap(), format!("vision build {}", number + 2));
    }
}

#[test]
fn a_kept_engine_that_cannot_be_used_is_built_anew_but_a_new_one_is_an_error() {
    let setting = Setting::new();
    let mut builder = FakeBuilder::new();
    setting.open(&mut builder).unwrap();
    let profiles = [Profile::vision(1)];
    let request = EngineRequest {
        name: GraphName::Vision,
        graph: &setting.graph,
        weights: &setting.model,
        profiles: &profiles,
    };
    let mut open = |refused: &str| {
        let mut seen = Vec::new();
        let mut use_plan = |_: GraphName, plan: &[u8]| {
            let plan = String::from_utf8_lossy(plan).into_owned();
            seen.push(plan.clone());
            if plan.contains(refused) {
                let reason = "of another device".to_owned();
                return Err(ModelError::Engine { engine: "fake", doing: "reading".to_owned(), reason });
            }
            Ok(())
        };
        let (on_build, cancel) = (OnBuild::default(), CancelToken::new());
        let result = setting.files().open(&[request], &mut builder, &on_build, &cancel, &mut use_plan);
        (result, seen)
    };
    let (result, seen) = open("build 1");
    result.unwrap();
    // Once when it was found, once more under the lock.
    assert_eq!(seen, ["vision build 1", "vision build 1", "vision build 2"]);
    let (result, seen) = open("build");
    assert!(result.unwrap_err().to_string().contains("of another device"));
    assert_eq!(seen.last().map(String::as_str), Some("vision build 3"));
}

#[test]
fn progress_counts_the_graphs_that_are_built() {
    let setting = Setting::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&told);
    let on_build = OnBuild::new(move |progress| into.lock().unwrap().push(progress.clone()));
    let mut builder = FakeBuilder::new();
    setting.open_with(&mut builder, &on_build, &CancelToken::new()).unwrap();
    let phases: Vec<_> =
        told.lock().unwrap().iter().map(|told| (told.phase.clone(), told.done, told.overall())).collect();
    assert_eq!(phases, [("first".to_owned(), 0.25, 0.25), ("second".to_owned(), 0.75, 0.75)]);
    told.lock().unwrap().clear();
    setting.open_with(&mut builder, &on_build, &CancelToken::new()).unwrap();
    assert!(told.lock().unwrap().is_empty(), "nothing is told of what was built before");
}

#[test]
fn a_cancelled_build_leaves_nothing() {
    let setting = Setting::new();
    let cancel = CancelToken::new();
    let mut builder = FakeBuilder::new();
    let from_inside = cancel.clone();
    builder.midway = Box::new(move || from_inside.cancel());
    let error = setting.open_with(&mut builder, &OnBuild::default(), &cancel).unwrap_err();
    assert!(matches!(error, ModelError::Cancelled), "{error}");
    assert_eq!(setting.names(), [".lock"]);
    builder.midway = Box::new(|| ());
    assert_eq!(setting.open(&mut builder).unwrap(), "vision build 2");
}

#[test]
fn measured_times_reach_the_next_build_on_the_same_device_alone() {
    let setting = Setting::new();
    let mut builder = FakeBuilder::new();
    setting.open(&mut builder).unwrap();
    assert_eq!(builder.seen_cache, None);
    builder.identity.options.push("other".to_owned());
    setting.open(&mut builder).unwrap();
    assert_eq!(builder.seen_cache.as_deref(), Some(&b"times 1"[..]));
    builder.identity.device = "another".to_owned();
    setting.open(&mut builder).unwrap();
    assert_eq!(builder.seen_cache, None);
}

#[test]
fn two_at_once_build_once() {
    let setting = Setting::new();
    let built = Arc::<AtomicUsize>::default();
    // The second finds nothing and waits for the lock while the first builds; the first goes on once the second waits.
    let started = Barrier::new(2);
    let waits = Arc::new(Barrier::new(2));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let mut builder = FakeBuilder { built: Arc::clone(&built), ..FakeBuilder::new() };
            let (started, waits) = (&started, Arc::clone(&waits));
            let is_first = Cell::new(true);
            let on_midway = move || {
                if is_first.replace(false) {
                    waits.wait();
                }
            };
            builder.midway = Box::new(on_midway);
            let on_build = OnBuild::default();
            started.wait();
            setting.open_with(&mut builder, &on_build, &CancelToken::new()).unwrap()
        });
        let second = scope.spawn(|| {
            started.wait();
            let lock_is_held = || {
                let lock = File::options().write(true).open(setting.folder.path().join(".lock"));
                lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
            };
            while !lock_is_held() {
                std::thread::yield_now();
            }
            let waits = Mutex::new(Some(Arc::clone(&waits)));
            let on_build = OnBuild::new(move |progress| {
                if progress.phase.starts_with("waiting")
                    && let Some(waits) = waits.lock().unwrap().take()
                {
                    waits.wait();
                }
            });
            let mut builder = FakeBuilder { built: Arc::clone(&built), ..FakeBuilder::new() };
            setting.open_with(&mut builder, &on_build, &CancelToken::new()).unwrap()
        });
        assert_eq!(first.join().unwrap(), "vision build 1");
        assert_eq!(second.join().unwrap(), "vision build 1");
    });
    assert_eq!(built.load(Ordering::SeqCst), 1);
}

#[test]
fn whoever_waits_for_anothers_build_can_be_cancelled() {
    let setting = Setting::new();
    let lock = File::create(setting.folder.path().join(".lock")).unwrap();
    lock.lock().unwrap();
    let cancel = CancelToken::new();
    let from_inside = cancel.clone();
    let on_build = OnBuild::new(move |_| from_inside.cancel());
    let mut builder = FakeBuilder::new();
    let error = setting.open_with(&mut builder, &on_build, &cancel).unwrap_err();
    assert!(matches!(error, ModelError::Cancelled), "{error}");
    assert_eq!(builder.builds(), 0);
}

#[test]
fn without_a_folder_everything_is_built_every_time() {
    let setting = Setting::new();
    let mut builder = FakeBuilder::new();
    let profiles = [Profile::vision(1)];
    let request = EngineRequest {
        name: GraphName::Vision,
        graph: &setting.graph,
        weights: &setting.model,
        profiles: &profiles,
    };
    for _ in 0..2 {
        let (on_build, cancel) = (OnBuild::default(), CancelToken::new());
        EngineFiles::new(None)
            .open(&[request], &mut builder, &on_build, &cancel, &mut |_, _| Ok(()))
            .unwrap();
    }
    assert_eq!(builder.builds(), 2);
}

#[test]
fn a_full_disk_is_told_with_folder_and_bytes() {
    // Takes no byte, as a full disk does.
    let mut full = File::options().write(true).open("/dev/full").unwrap();
    let error = sealed_file::seal(&mut full, &[0; 32], b"plan").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    let error = not_written(Path::new("/var/cache/engines/vision.engine"), 428_000_000)(error).to_string();
    assert!(error.contains("/var/cache/engines:") && error.contains("428000000 bytes"), "{error}");
}
