//! What the consolidator counts.

use service_runtime::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) windows: IntCounterVec,
    pub(crate) events: IntCounterVec,
    pub(crate) batch_seconds: Histogram,
    pub(crate) lag: IntGaugeVec,
    pub(crate) snapshots: IntCounter,
    pub(crate) bank_bytes: IntGauge,
}

impl Metrics {
    pub(crate) fn new(registry: &service_runtime::Metrics) -> Self {
        Self {
            windows: registry.counters(
                "memos_consolidator_windows_total",
                "Closed windows that were read, by what they were: new, or a repeat.",
                &["outcome"],
            ),
            events: registry.counters(
                "memos_consolidator_events_total",
                "Events of new windows, by what became of them.",
                &["fate"],
            ),
            batch_seconds: registry.histogram(
                "memos_consolidator_batch_seconds",
                "Time to decide, append and apply one batch of windows.",
                &service_runtime::LATENCY_BUCKETS,
            ),
            lag: registry.gauges(
                "memos_consolidator_lag_records",
                "Windows on the log that are not consolidated yet.",
                &["partition"],
            ),
            snapshots: registry
                .counter("memos_consolidator_snapshots_total", "Snapshots of subjects that were written."),
            bank_bytes: registry.gauge("memos_consolidator_bank_bytes", "Bytes of banks in RAM, roughly."),
        }
    }
}
