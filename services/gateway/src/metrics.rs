//! All metrics of the gateway.

use service_runtime::{HistogramVec, IntCounter, IntCounterVec, IntGauge, LATENCY_BUCKETS, Metrics};

/// The gateway's metrics. Clones are the same metrics.
#[derive(Clone, Debug)]
pub(crate) struct GatewayMetrics {
    pub(crate) requests: IntCounterVec,
    pub(crate) request_seconds: HistogramVec,
    pub(crate) interactions: IntCounterVec,
    pub(crate) inflight_bytes: IntGauge,
    pub(crate) inlet_partitions: IntGauge,
    pub(crate) inlet_records: IntCounterVec,
    pub(crate) dead_letters: IntCounterVec,
}

impl GatewayMetrics {
    /// Declares them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.counters(
                "memos_gateway_requests_total",
                "Requests by route and status.",
                &["route", "status"],
            ),
            request_seconds: metrics.histograms(
                "memos_gateway_request_seconds",
                "Time from the request's headers to the answer's, by route.",
                &["route"],
                &LATENCY_BUCKETS,
            ),
            interactions: metrics.counters(
                "memos_gateway_interactions_total",
                "Events that came over HTTP: accepted, refused, or turned away because the log was full.",
                &["outcome"],
            ),
            inflight_bytes: metrics.gauge("memos_gateway_inflight_bytes", "Bytes of bodies that are being worked on."),
            inlet_partitions: metrics
                .gauge("memos_gateway_inlet_partitions", "Partitions of inlets that this process reads."),
            inlet_records: metrics.counters(
                "memos_gateway_inlet_records_total",
                "Records read from inlets: accepted or dead_lettered.",
                &["outcome"],
            ),
            dead_letters: metrics.counters(
                "memos_dead_letters_total",
                "Records that could not be taken, by the code of the reason.",
                &["reason"],
            ),
        }
    }
}

/// What a gateway counts that asks recall in other processes.
#[derive(Clone, Debug)]
pub(crate) struct RoutedMetrics {
    pub(crate) asked: IntCounterVec,
    pub(crate) retries: IntCounter,
}

impl RoutedMetrics {
    /// Declares them.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            asked: metrics.counters(
                "memos_gateway_recall_requests_total",
                "Questions to instances of recall, by the instance's ordinal and by what came of them.",
                &["instance", "outcome"],
            ),
            retries: metrics.counter(
                "memos_gateway_recall_retries_total",
                "Questions that were asked of a further instance, because one before had no answer.",
            ),
        }
    }
}
