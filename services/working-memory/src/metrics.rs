//! What working memory counts.

use event_log::Partition;
use service_runtime::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) events: IntCounterVec,
    pub(crate) windows: IntCounterVec,
    pub(crate) actors: IntGaugeVec,
    pub(crate) passivations: IntCounterVec,
    pub(crate) panics: IntCounter,
    pub(crate) ticks: IntCounter,
    pub(crate) lag: IntGaugeVec,
    pub(crate) batch_seconds: Histogram,
    pub(crate) partitions: IntGauge,
    pub(crate) takeovers: IntCounter,
    pub(crate) takeover_seconds: Histogram,
    pub(crate) written_again: IntCounter,
}

impl Metrics {
    pub(crate) fn new(registry: &service_runtime::Metrics) -> Self {
        Self {
            events: registry.counters(
                "memos_working_memory_events_total",
                "Events that were folded, by outcome: accepted, duplicate, stale, poison.",
                &["outcome"],
            ),
            windows: registry.counters(
                "memos_working_memory_windows_total",
                "Windows that closed, by trigger.",
                &["trigger"],
            ),
            actors: registry.gauges("memos_working_memory_actors", "Subjects in RAM.", &["partition"]),
            passivations: registry.counters(
                "memos_working_memory_passivations_total",
                "Subjects that left RAM, by reason: idle, full.",
                &["reason"],
            ),
            panics: registry.counter("memos_working_memory_panics_total", "Actors that panicked and were built again."),
            ticks: registry.counter("memos_working_memory_ticks_total", "Idle ticks that were appended."),
            lag: registry.gauges(
                "memos_working_memory_lag_records",
                "Interactions on the log that are not folded yet.",
                &["partition"],
            ),
            batch_seconds: registry.histogram(
                "memos_working_memory_batch_seconds",
                "Time to fold one batch of events and to log what came of it.",
                &service_runtime::LATENCY_BUCKETS,
            ),
            partitions: registry
                .gauge("memos_working_memory_partitions", "Partitions that this process owns and works on."),
            takeovers: registry
                .counter("memos_working_memory_takeovers_total", "Partitions that this process has taken over."),
            takeover_seconds: registry.histogram(
                "memos_working_memory_takeover_seconds",
                "From the assignment of a partition until it is worked on.",
                &service_runtime::LATENCY_BUCKETS,
            ),
            written_again: registry.counter(
                "memos_working_memory_rows_written_again_total",
                "States that a former owner had written an older one over, and that were written again.",
            ),
        }
    }

    /// Shows nothing any more of a partition that was given up.
    pub(crate) fn forget(&self, partition: Partition) {
        let label = partition.to_string();
        for gauge in [&self.actors, &self.lag] {
            // An error only says that it was never shown.
            drop(gauge.remove_label_values(&[&label]));
        }
    }
}
