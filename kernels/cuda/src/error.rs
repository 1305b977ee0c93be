//! Why there is no GPU to be used.

/// A GPU that cannot be found or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CudaError {
    /// The driver's library cannot be loaded.
    #[error("no NVIDIA driver: {words}")]
    NoDriver {
        /// What the loader says.
        words: String,
    },
    /// The driver is there and refuses.
    #[error("the NVIDIA driver: {doing}: {reason}")]
    Driver {
        /// What was asked of it.
        doing: String,
        /// Its name for the mistake, and its words.
        reason: String,
    },
    /// The driver is older than what the kernels were compiled for.
    #[error(
        "the NVIDIA driver is for CUDA {}.{}, the kernels need {}.{} (JetPack 6.1, or driver 560 on a desktop)",
        .found / 1000, .found % 1000 / 10, .needed / 1000, .needed % 1000 / 10
    )]
    DriverTooOld {
        /// Its version of CUDA: 1000 for each major, 10 for each minor.
        found: i32,
        /// The version needed, likewise.
        needed: i32,
    },
    /// The driver knows no such GPU.
    #[error("there is no GPU number {ordinal}: the NVIDIA driver finds {count}")]
    NoDevice {
        /// The number asked for, from 0.
        ordinal: usize,
        /// How many there are.
        count: usize,
    },
    /// A kernel that the GPU's driver does not take.
    #[error("kernels of {file}: {reason}")]
    Kernels {
        /// The source.
        file: &'static str,
        /// What the driver says.
        reason: String,
    },
}
