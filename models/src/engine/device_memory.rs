//! The memory of the device that an engine runs on.

/// Bytes of the memory of an engine's device, as far as they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// All there is.
    pub total_bytes: u64,
    /// Not taken by anyone, when the device was last asked.
    pub free_bytes: u64,
    /// Taken by the engine at its start, as it had planned: caches, scratch, results. Weights are not in it.
    pub planned_bytes: u64,
    /// Taken since for features of pictures.
    pub pictures_bytes: u64,
    /// Taken since for prompts that are kept.
    pub prompts_bytes: u64,
}
