use std::path::PathBuf;

/// Everything that can go wrong between a checkpoint folder and a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// No ONNX Runtime library was found.
    #[error(
        "no ONNX Runtime library: looked at {}; install ONNX Runtime 1.24 or later, or set ORT_DYLIB_PATH to its libonnxruntime.so",
        .searched.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    RuntimeMissing {
        /// Every path that was tried, in order.
        searched: Vec<PathBuf>,
    },
    /// An ONNX Runtime library is there but cannot be used.
    #[error("cannot use the ONNX Runtime library {path}: {reason}", path = .path.display())]
    RuntimeUnusable {
        /// The library file.
        path: PathBuf,
        /// What the loader or the library said.
        reason: String,
    },
    /// The engine refused or failed an operation.
    #[error("{engine} engine, {doing}: {reason}")]
    Engine {
        /// Which engine.
        engine: &'static str,
        /// What it was doing, with the graph's name where there is one.
        doing: String,
        /// What the engine said.
        reason: String,
    },
    /// A request the model cannot serve.
    #[error("{what}: {reason}")]
    Request {
        /// The argument or option.
        what: &'static str,
        /// Why it cannot be served.
        reason: String,
    },
    /// The engine computed logits that are not finite.
    #[error(
        "logits of step {step}, row {row} are not finite ({precision} precision); try exact precision or check the checkpoint"
    )]
    LogitsNotFinite {
        /// 0 for the prefill, then counting steps.
        step: usize,
        /// Row of the batch.
        row: usize,
        /// The engine's precision.
        precision: &'static str,
    },
    /// The caller's [`CancelToken`](crate::CancelToken) was cancelled.
    #[error("cancelled")]
    Cancelled,
}
