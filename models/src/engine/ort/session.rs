//! One ONNX Runtime session for one graph.

use std::path::Path;

use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider as _};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use crate::ModelError;
use crate::engine::CancelToken;

/// What runs a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    /// ONNX Runtime's own kernels.
    Cpu,
    /// OpenVINO's CPU plugin, computing in f32 or bfloat16.
    OpenVino { bf16: bool },
}

impl Provider {
    /// Whether the library was built with OpenVINO.
    pub(super) fn openvino_available() -> bool {
        use ort::ep::ExecutionProvider as _;
        ep::OpenVINO::is_available().unwrap_or(false)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Provider::Cpu => "ONNX Runtime",
            Provider::OpenVino { bf16: false } => "OpenVINO f32",
            Provider::OpenVino { bf16: true } => "OpenVINO bfloat16",
        }
    }
}

/// A failed operation of the `ort` engine.
pub(super) fn failure(doing: impl Into<String>) -> impl FnOnce(ort::Error) -> ModelError {
    let doing = doing.into();
    move |error| ModelError::Engine { engine: "ort", doing, reason: error.to_string() }
}

/// Makes a session from a model file. The weights beside it are mapped, not read: what the runtime does not repack
/// stays shared with the page cache.
///
/// # Errors
/// The provider or the runtime refuses the graph; cancellation. A provider that was asked for is never silently replaced.
pub(super) fn session(
    environment: &ort::environment::Environment,
    graph: &str,
    model: &Path,
    provider: Provider,
    threads: usize,
    cancel: &CancelToken,
) -> Result<Session, ModelError> {
    cancel.check()?;
    let doing = || format!("loading graph {graph} on {}", provider.name());
    let builder = Session::builder(environment).map_err(failure(doing()))?;
    let builder = configure(builder, provider, threads).map_err(|reason| ModelError::Engine {
        engine: "ort",
        doing: doing(),
        reason,
    })?;
    let mut builder = builder;
    let canceler = builder.canceler();
    // What the runtime says to being told so does not matter: the check below speaks for it.
    let _guard = cancel.on_cancel(move || drop(canceler.cancel()));
    let session = builder.commit_from_file(model);
    cancel.check()?;
    session.map_err(failure(doing()))
}

fn configure(builder: SessionBuilder, provider: Provider, threads: usize) -> Result<SessionBuilder, String> {
    let builder = builder.with_intra_threads(threads).map_err(|e| e.to_string())?;
    let builder = builder.with_optimization_level(GraphOptimizationLevel::All).map_err(|e| e.to_string())?;
    let arena = ep::CPU::default().with_arena_allocator(false).build();
    let providers = match provider {
        Provider::Cpu => vec![arena],
        Provider::OpenVino { bf16 } => {
            let hint = if bf16 { "bf16" } else { "f32" };
            let config = format!(r#"{{"CPU":{{"INFERENCE_PRECISION_HINT":"{hint}"}}}}"#);
            let openvino = ep::OpenVINO::default()
                .with_device_type("CPU")
                .with_num_threads(threads)
                .with_arbitrary_config("load_config", config)
                .build()
                .error_on_failure();
            vec![openvino, arena]
        }
    };
    builder.with_execution_providers(providers).map_err(|e| e.to_string())
}
