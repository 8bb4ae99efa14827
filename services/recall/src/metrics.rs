//! What recall counts.

use service_runtime::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) rank_seconds: Histogram,
    pub(crate) candidates: Histogram,
    pub(crate) event_to_recallable: Histogram,
    pub(crate) banks: IntCounterVec,
    pub(crate) bank_bytes: IntGauge,
    pub(crate) conversations: IntGaugeVec,
    pub(crate) lag: IntGaugeVec,
    pub(crate) panics: IntCounter,
    pub(crate) serving: IntGaugeVec,
    pub(crate) replica_lag: IntGaugeVec,
    pub(crate) embedding: IntGaugeVec,
}

/// Bounds for the time until an event can be recalled: around the two seconds that are promised at most.
const FRESHNESS_BUCKETS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 300.0];

/// Bounds for numbers of candidates.
const COUNT_BUCKETS: [f64; 8] = [1.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 20_000.0];

impl Metrics {
    pub(crate) fn new(registry: &service_runtime::Metrics) -> Self {
        Self {
            rank_seconds: registry.histogram(
                "memos_recall_rank_seconds",
                "Time to find and rank the answer to one question, without HTTP.",
                &service_runtime::LATENCY_BUCKETS,
            ),
            candidates: registry.histogram(
                "memos_recall_candidates",
                "Memories and turns that one question looked at.",
                &COUNT_BUCKETS,
            ),
            event_to_recallable: registry.histogram(
                "memos_recall_event_to_recallable_seconds",
                "Time from an event's arrival at the edge until it can be recalled here.",
                &FRESHNESS_BUCKETS,
            ),
            banks: registry.counters(
                "memos_recall_banks_total",
                "Banks that questions asked for, by where they were.",
                &["found"],
            ),
            bank_bytes: registry.gauge("memos_recall_bank_bytes", "Bytes of banks in RAM, roughly."),
            conversations: registry.gauges("memos_recall_conversations", "Conversations in RAM.", &["partition"]),
            lag: registry.gauges(
                "memos_recall_lag_records",
                "Interactions on the log that cannot be recalled yet.",
                &["partition"],
            ),
            panics: registry
                .counter("memos_recall_panics_total", "Events whose folding panicked and that were left out."),
            serving: registry.gauges(
                "memos_recall_partition_serving",
                "1 once a partition of this instance is restored and answers, else 0.",
                &["partition"],
            ),
            replica_lag: registry.gauges(
                "memos_recall_replica_lag_records",
                "Records of memories and working on the log that this instance's store has not read.",
                &["topic", "partition"],
            ),
            embedding: registry.gauges(
                "memos_recall_embedding_info",
                "1 for the model that this instance makes vectors with.",
                &["model", "dimension"],
            ),
        }
    }
}
