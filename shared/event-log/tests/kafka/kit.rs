//! A broker for all tests, and logs on it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use event_log::kafka::topics::{self, TopicSettings};
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::{EventLog, Limits, Offset, Partition, Record, Stored, Topic, conformance};
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use testkit::kafka::Broker;

/// The broker that nobody hurts. It ends with the process.
pub(crate) static BROKER: LazyLock<Broker> = LazyLock::new(Broker::start);

/// Settings for a log of its own.
pub(crate) fn settings(bootstrap: &str) -> KafkaSettings {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    KafkaSettings {
        bootstrap_servers: bootstrap.to_owned(),
        topic_prefix: format!("t{}.", NUMBER.fetch_add(1, Ordering::Relaxed)),
        partitions: conformance::PARTITIONS,
        inlets: vec![conformance::inlet()],
        queue_bytes: conformance::QUEUE_BYTES,
        ..KafkaSettings::default()
    }
}

/// One copy of everything: there is one broker.
pub(crate) fn topic_settings() -> TopicSettings {
    TopicSettings {
        replication_factor: 1,
        min_insync_replicas: 1,
        inlet_partitions: conformance::PARTITIONS,
        ..TopicSettings::default()
    }
}

/// A log whose topics were just made.
pub(crate) fn new_log(settings: &KafkaSettings) -> KafkaLog {
    topics::ensure(settings, &topic_settings()).expect("the topics can be made");
    open(settings)
}

pub(crate) fn open(settings: &KafkaSettings) -> KafkaLog {
    KafkaLog::open(settings).expect("the log opens")
}

pub(crate) fn record(key: &str, value: &str) -> Record {
    Record { key: key.as_bytes().to_vec(), value: Some(value.as_bytes().to_vec()), ..Record::default() }
}

pub(crate) fn values(records: &[Stored]) -> Vec<String> {
    let value = |stored: &Stored| stored.record.value.clone().expect("no tombstones here");
    records.iter().map(|stored| String::from_utf8(value(stored)).expect("text")).collect()
}

/// Reads until there is nothing more, as who takes over does.
pub(crate) fn read_to_end(log: &dyn EventLog, topic: &Topic, partition: Partition, from: Offset) -> Vec<Stored> {
    let high = log.watermarks(topic, partition).expect("the broker says").high;
    let (mut all, mut next) = (Vec::new(), from);
    loop {
        let batch = log.read(topic, partition, next, Limits::default()).expect("it can be read");
        all.extend(batch.records);
        if batch.next == next {
            assert!(next >= high, "nothing that was durable is left out");
            return all;
        }
        next = batch.next;
    }
}

/// A client that may do anything.
pub(crate) fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("the settings are good")
}

/// Waits for what a client answers.
pub(crate) fn blocking<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made").block_on(future)
}
