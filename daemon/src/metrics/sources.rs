//! Where numbers come from that others count.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::alerts::AlertCounts;
use crate::mqtt::{MqttCounters, MqttCounts, Outbox};

/// What is read only when somebody asks.
pub struct MetricSources {
    outbox: Arc<Outbox>,
    counters: Arc<MqttCounters>,
    connected: watch::Receiver<bool>,
    alert_counts: Box<dyn Fn(&str) -> AlertCounts + Send + Sync>,
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
        MetricSources { outbox, counters, connected, alert_counts }
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
}

impl fmt::Debug for MetricSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricSources").field("outbox", &self.outbox).finish_non_exhaustive()
    }
}
