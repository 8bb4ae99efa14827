//! The registry of a process and the only door to the exporter.
//!
//! A service declares all its metrics in its own `metrics.rs` with the constructors here, which register what they
//! make. A name that is declared twice, or that the exporter cannot take, is a mistake in the code and ends the
//! process at start.

use prometheus::{Encoder, HistogramOpts, Opts, Registry, TextEncoder};

pub use prometheus::{Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// Bounds of latency buckets, in seconds: from half a millisecond, where recall lives, to ten seconds, where every
/// timeout has struck.
pub const LATENCY_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

const FITS: &str = "metrics are declared once, with names and labels that the exporter takes";

/// The metrics of one process. Clones are the same registry.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry that holds only `memos_build_info`.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self { registry: Registry::new() };
        let build = metrics.gauges("memos_build_info", "Always 1; the label names the release.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        metrics
    }

    /// The gauge of the disk guard, declared here like every metric of this crate.
    pub(crate) fn disk_free_bytes(&self) -> IntGauge {
        self.gauge("memos_disk_free_bytes", "Free bytes on the disk of the data directory.")
    }

    /// Counts one thing. The name ends in `_total`.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::new(name, help).expect(FITS))
    }

    /// Counts one thing by labels from closed sets.
    #[must_use]
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Opts::new(name, help), labels).expect(FITS))
    }

    /// A whole number that goes up and down.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::new(name, help).expect(FITS))
    }

    /// Whole numbers that go up and down, by labels from closed sets.
    #[must_use]
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels).expect(FITS))
    }

    /// A distribution over `buckets`, in the base unit that the name ends in.
    #[must_use]
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.register(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())).expect(FITS))
    }

    /// Distributions over `buckets` by labels from closed sets.
    #[must_use]
    pub fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.register(HistogramVec::new(options, labels).expect(FITS))
    }

    /// All metrics in the text format of the exporter (`text/plain; version=0.0.4`).
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).expect("writing to memory does not fail");
        String::from_utf8(text).expect("the text format is UTF-8")
    }

    fn register<C: prometheus::core::Collector + Clone + 'static>(&self, collector: C) -> C {
        self.registry.register(Box::new(collector.clone())).expect(FITS);
        collector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_is_rendered() {
        let metrics = Metrics::new();
        metrics.counters("memos_test_events_total", "Events.", &["outcome"]).with_label_values(&["ok"]).inc_by(3);
        metrics.histogram("memos_test_seconds", "Time.", &LATENCY_BUCKETS).observe(0.003);
        metrics.gauge("memos_test_bytes", "Bytes.").set(7);
        let text = metrics.render();
        for line in [
            "memos_test_events_total{outcome=\"ok\"} 3",
            "memos_test_seconds_bucket{le=\"0.005\"} 1",
            "memos_test_seconds_bucket{le=\"0.0025\"} 0",
            "memos_test_bytes 7",
            "memos_build_info{version=",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
