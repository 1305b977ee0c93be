//! Metric families, put together when somebody asks.

use prometheus::core::Collector;
use prometheus::{GaugeVec, IntCounterVec, Opts, Registry, TextEncoder};

/// The families of one answer.
#[derive(Debug)]
pub(super) struct Families(Registry);

impl Families {
    pub(super) fn new() -> Families {
        Families(Registry::new())
    }

    /// What only grows, for each combination of labels.
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
        values: impl IntoIterator<Item = (Vec<String>, u64)>,
    ) {
        let made = IntCounterVec::new(Opts::new(name, help), labels).inspect(|family| {
            for (labels, value) in values {
                let series = family.get_metric_with_label_values(&labels);
                let _ = series.map(|series| series.inc_by(value)).inspect_err(|error| wrong(name, error));
            }
        });
        self.add_made(name, made);
    }

    /// What goes up and down, for each combination of labels.
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
        values: impl IntoIterator<Item = (Vec<String>, f64)>,
    ) {
        let made = GaugeVec::new(Opts::new(name, help), labels).inspect(|family| {
            for (labels, value) in values {
                let series = family.get_metric_with_label_values(&labels);
                let _ = series.map(|series| series.set(value)).inspect_err(|error| wrong(name, error));
            }
        });
        self.add_made(name, made);
    }

    /// What only grows.
    pub(super) fn total(&mut self, name: &str, help: &str, value: u64) {
        self.counter(name, help, &[], [(Vec::new(), value)]);
    }

    /// What goes up and down.
    pub(super) fn value(&mut self, name: &str, help: &str, value: f64) {
        self.gauge(name, help, &[], [(Vec::new(), value)]);
    }

    /// A family that lives longer than this answer.
    pub(super) fn add(&mut self, name: &str, family: impl Collector + 'static) {
        self.add_made(name, Ok(family));
    }

    /// In the text format of Prometheus.
    pub(super) fn text(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.0.gather())
            .inspect_err(|error| wrong("all", error))
            .unwrap_or_default()
    }

    fn add_made(&mut self, name: &str, family: prometheus::Result<impl Collector + 'static>) {
        let added = family.and_then(|family| self.0.register(Box::new(family)));
        let _ = added.inspect_err(|error| wrong(name, error));
    }
}

/// Names and labels are constants: a test sees every one of them.
fn wrong(name: &str, error: &prometheus::Error) {
    tracing::error!(name, %error, "a metric cannot be told");
}
