//! What librdkafka says about its connections, as metrics of the process.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use event_log::kafka::{ClientStatistics, KafkaLog};
use service_runtime::{IntGaugeVec, Metrics, Stop};

/// librdkafka hands over its figures every five seconds.
const EVERY: Duration = Duration::from_secs(5);

struct Kafka {
    lag: IntGaugeVec,
    fetched: IntGaugeVec,
    queued: IntGaugeVec,
    brokers_up: IntGaugeVec,
    errors: IntGaugeVec,
    round_trip: IntGaugeVec,
    rebalances: IntGaugeVec,
}

impl Kafka {
    fn new(metrics: &Metrics) -> Self {
        Self {
            lag: metrics.gauges(
                "memos_kafka_consumer_lag_records",
                "Records between the broker's end of a partition and what this process fetched.",
                &["topic", "partition"],
            ),
            fetched: metrics.gauges(
                "memos_kafka_prefetched_bytes",
                "Bytes fetched ahead and not yet read.",
                &["topic", "partition"],
            ),
            queued: metrics.gauges(
                "memos_kafka_queued_bytes",
                "Bytes that wait for the brokers' acknowledgement, by client.",
                &["client"],
            ),
            brokers_up: metrics.gauges(
                "memos_kafka_brokers_connected",
                "Brokers that a client is connected to.",
                &["client"],
            ),
            errors: metrics.gauges(
                "memos_kafka_request_errors",
                "Requests that failed, timed out or were sent again since the client was made.",
                &["client", "kind"],
            ),
            round_trip: metrics.gauges(
                "memos_kafka_round_trip_p99_microseconds",
                "The slowest of a hundred answers of the slowest broker.",
                &["client"],
            ),
            rebalances: metrics.gauges(
                "memos_kafka_rebalances",
                "How often a group that this process is a member of was divided anew.",
                &["client"],
            ),
        }
    }
}

/// Keeps the metrics of the log's connections up to date, on a thread of its own.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn watch_kafka(log: Arc<KafkaLog>, metrics: &Metrics, stop: Stop) -> std::io::Result<JoinHandle<()>> {
    let kafka = Kafka::new(metrics);
    let run = move || {
        while !stop.wait_for(EVERY) {
            log.statistics().iter().for_each(|client| kafka.show(client));
        }
    };
    std::thread::Builder::new().name("kafka-metrics".to_owned()).spawn(run)
}

impl Kafka {
    fn show(&self, statistics: &ClientStatistics) {
        let client = statistics.client.as_str();
        let brokers = || statistics.brokers.iter();
        self.queued.with_label_values(&[client]).set(whole(statistics.queued_bytes));
        self.rebalances.with_label_values(&[client]).set(statistics.rebalances);
        self.brokers_up.with_label_values(&[client]).set(brokers().map(|broker| i64::from(broker.up)).sum());
        let slowest = brokers().map(|broker| broker.round_trip_p99_us).max().unwrap_or_default();
        self.round_trip.with_label_values(&[client]).set(slowest);
        let kinds: [(&str, u64); 4] = [
            ("send", brokers().map(|broker| broker.send_errors).sum()),
            ("receive", brokers().map(|broker| broker.receive_errors).sum()),
            ("timeout", brokers().map(|broker| broker.timeouts).sum()),
            ("retry", brokers().map(|broker| broker.retries).sum()),
        ];
        for (kind, count) in kinds {
            self.errors.with_label_values(&[client, kind]).set(whole(count));
        }
        for partition in &statistics.partitions {
            let Some(behind) = partition.behind else { continue };
            let labels = [partition.topic.as_str(), &partition.partition.to_string()];
            self.lag.with_label_values(&labels).set(behind);
            self.fetched.with_label_values(&labels).set(whole(partition.fetched_bytes));
        }
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
