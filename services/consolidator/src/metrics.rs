//! What the consolidator counts.

use event_log::Partition;
use service_runtime::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) windows: IntCounterVec,
    pub(crate) events: IntCounterVec,
    pub(crate) batch_seconds: Histogram,
    pub(crate) lag: IntGaugeVec,
    pub(crate) snapshots: IntCounter,
    pub(crate) bank_bytes: IntGauge,
    pub(crate) partitions: IntGauge,
    pub(crate) takeovers: IntCounter,
    pub(crate) takeover_seconds: Histogram,
    pub(crate) lost: IntCounter,
    pub(crate) forgets: IntCounterVec,
    pub(crate) epochs_destroyed: IntCounter,
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
            partitions: registry
                .gauge("memos_consolidator_partitions", "Partitions that this process owns and works on."),
            takeovers: registry
                .counter("memos_consolidator_takeovers_total", "Partitions that this process has taken over."),
            takeover_seconds: registry.histogram(
                "memos_consolidator_takeover_seconds",
                "From the assignment of a partition until it is worked on.",
                &service_runtime::LATENCY_BUCKETS,
            ),
            lost: registry.counter(
                "memos_consolidator_lost_steps_total",
                "Steps of this process that lost against another consolidator's, and were decided again.",
            ),
            forgets: registry.counters(
                "memos_forgets_total",
                "Forgets that have reached a stage, by what they take.",
                &["scope", "stage"],
            ),
            epochs_destroyed: registry.counter(
                "memos_epoch_keys_destroyed_total",
                "Keys of tenants that were destroyed, because the log holds nothing any more that they sealed.",
            ),
        }
    }

    /// Shows nothing any more of a partition that was given up.
    pub(crate) fn forget(&self, partition: Partition) {
        // An error only says that it was never shown.
        drop(self.lag.remove_label_values(&[&partition.to_string()]));
    }
}
