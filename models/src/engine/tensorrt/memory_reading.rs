//! What the device last said of its memory.

use std::time::{Duration, Instant};

use belvedere_kernels::device::{Device, MemoryInfo};

/// Whoever asks more often hears the same again: the driver takes locks to answer.
const EVERY: Duration = Duration::from_secs(1);

/// What the device said of its memory, and when.
#[derive(Debug, Default)]
pub(super) struct MemoryReading(Option<(Instant, Option<MemoryInfo>)>);

impl MemoryReading {
    /// What there is, not older than a second; `None` while the device does not answer.
    pub(super) fn read<D: Device>(&mut self, device: &D) -> Option<MemoryInfo> {
        match self.0 {
            Some((then, memory)) if then.elapsed() < EVERY => memory,
            _ => {
                let memory = device.memory_info();
                let memory = memory.inspect_err(|error| tracing::debug!(%error, "memory is not known")).ok();
                self.0 = Some((Instant::now(), memory));
                memory
            }
        }
    }
}
