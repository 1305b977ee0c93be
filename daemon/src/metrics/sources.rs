//! Where numbers come from that others count.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::alerts::AlertCounts;
use crate::mqtt::{MqttCounters, MqttCounts, Outbox};

/// Memory of the device that runs the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// In use, by anyone.
    pub used_bytes: u64,
    /// All there is.
    pub total_bytes: u64,
}

/// What is read only when somebody asks.
pub struct MetricSources {
    outbox: Arc<Outbox>,
    counters: Arc<MqttCounters>,
    connected: watch::Receiver<bool>,
    alert_counts: Box<dyn Fn(&str) -> AlertCounts + Send + Sync>,
    device_memory: Option<Box<dyn Fn() -> Option<DeviceMemory> + Send + Sync>>,
}

impl MetricSources {
    /// The way to the broker, and what became of each camera's phrases.
    pub fn new(
        outbox: Arc<Outbox>,
        counters: Arc<MqttCounters>,
        connected: watch::Receiver<bool>,
        alert_counts: impl Fn(&str) -> AlertCounts + Send + Sync + 'static,
    ) -> MetricSources {
        let alert_counts = Box::new(alert_counts);
        MetricSources { outbox, counters, connected, alert_counts, device_memory: None }
    }

    /// The same with a device whose memory is known.
    #[must_use]
    pub fn with_device_memory(
        self,
        memory: impl Fn() -> Option<DeviceMemory> + Send + Sync + 'static,
    ) -> MetricSources {
        MetricSources { device_memory: Some(Box::new(memory)), ..self }
    }

    /// What became of the messages.
    pub fn mqtt(&self) -> MqttCounts {
        self.counters.counts()
    }

    /// Whether the broker is connected.
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Messages that wait, and how many of them must not be lost.
    pub fn waiting(&self) -> (usize, usize) {
        (self.outbox.len(), self.outbox.spool_len())
    }

    /// Whether alerts that are accepted now would be lost with the process.
    pub fn is_spool_in_memory_only(&self) -> bool {
        self.outbox.is_spool_in_memory_only()
    }

    /// What the rules of a camera have done so far.
    pub fn alert_counts(&self, camera: &str) -> AlertCounts {
        (self.alert_counts)(camera)
    }

    /// The device's memory, where it is known.
    pub fn device_memory(&self) -> Option<DeviceMemory> {
        self.device_memory.as_ref()?()
    }
}

impl fmt::Debug for MetricSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricSources").field("outbox", &self.outbox).finish_non_exhaustive()
    }
}
