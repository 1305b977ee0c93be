//! Real engines of the bundled model, built by TensorRT-RTX without a GPU and kept in files.

// TensorRT-RTX is pinned for x86_64 only.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use belvedere_models::engine::tensorrt::{
    BuildProgress, EngineFiles, EngineGraphs, GpuIdentity, GraphName, OnBuild, TensorRtBuilder,
};
use belvedere_models::graph::Element;
use belvedere_models::{CancelToken, Checkpoint, ModelError};
use belvedere_tensorrt::Library;

/// As many sequences at once as the daemon asks for.
const ROWS: usize = 8;

fn tiny() -> Checkpoint {
    Checkpoint::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tiny")).unwrap()
}

fn graphs(checkpoint: &Checkpoint) -> EngineGraphs<'_> {
    let spec = checkpoint.preprocess_spec();
    EngineGraphs::new(checkpoint.config(), checkpoint, (spec.width, spec.height), ROWS, Element::F16).unwrap()
}

fn builder(capability: u32) -> TensorRtBuilder {
    let folder = std::env::var_os("BELVEDERE_TENSORRT_RTX").expect(
        "BELVEDERE_TENSORRT_RTX must name the folder of TensorRT-RTX; run `make test`, which fetches it",
    );
    let gpu = GpuIdentity { name: "none".to_owned(), compute_capability: capability, driver: 0 };
    TensorRtBuilder::new(Library::at(Path::new(&folder)).unwrap(), gpu, None)
}

/// Listens, and cancels once `until` holds.
fn listener(
    cancel: &CancelToken,
    until: fn(&BuildProgress) -> bool,
) -> (OnBuild, Arc<Mutex<Vec<BuildProgress>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (into, cancel) = (Arc::clone(&told), cancel.clone());
    let on_build = OnBuild::new(move |progress| {
        into.lock().unwrap().push(progress.clone());
        if until(progress) {
            cancel.cancel();
        }
    });
    (on_build, told)
}

#[test]
fn every_graph_of_the_bundled_model_builds_at_every_profile_for_every_capability() {
    let checkpoint = tiny();
    let graphs = graphs(&checkpoint);
    let folder = tempfile::tempdir().unwrap();
    let files = EngineFiles::new(Some(folder.path().to_owned()));
    for capability in [86, 89, 120] {
        let cancel = CancelToken::new();
        let (on_build, told) = listener(&cancel, |_| false);
        let mut used = Vec::new();
        files
            .open(&graphs.requests(), &mut builder(capability), &on_build, &cancel, &mut |name, plan| {
                used.push((name, plan.len()));
                Ok(())
            })
            .unwrap();
        assert_eq!(used.iter().map(|(name, _)| *name).collect::<Vec<_>>(), GraphName::ALL);
        for ((name, bytes), request) in used.iter().zip(graphs.requests()) {
            // An engine holds the weights at least once.
            assert!(*bytes as u64 > request.graph.weight_bytes(), "{name:?} for {capability}: {bytes} bytes");
        }
        let told = std::mem::take(&mut *told.lock().unwrap());
        assert!(told.is_sorted_by(|a, b| a.overall() <= b.overall()), "{told:?}");
        assert!(told.iter().all(|progress| progress.graphs == 3));
        assert_eq!(
            told.last().map(|progress| (progress.graph, progress.place)),
            Some((GraphName::DecoderStep, 2))
        );

        // What was built is there now: nothing is built again.
        let (on_build, told) = listener(&cancel, |_| false);
        let mut again = Vec::new();
        files
            .open(&graphs.requests(), &mut builder(capability), &on_build, &cancel, &mut |name, plan| {
                again.push((name, plan.len()));
                Ok(())
            })
            .unwrap();
        assert_eq!(again, used);
        assert!(told.lock().unwrap().is_empty());
    }
}

#[test]
fn a_real_build_is_cancelled_on_the_way() {
    let checkpoint = tiny();
    let graphs = graphs(&checkpoint);
    let folder = tempfile::tempdir().unwrap();
    let files = EngineFiles::new(Some(folder.path().to_owned()));
    let cancel = CancelToken::new();
    let (on_build, told) = listener(&cancel, |progress| progress.done > 0.0);
    let opened = files.open(&graphs.requests(), &mut builder(89), &on_build, &cancel, &mut |_, _| Ok(()));
    assert!(matches!(opened, Err(ModelError::Cancelled)), "{opened:?}");
    assert!(told.lock().unwrap().iter().all(|progress| progress.graph == GraphName::Vision));
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".lock"]);
}
