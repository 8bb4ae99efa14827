//! How the log over Kafka is set up.
//!
//! What decides whether an acknowledged record is durable is not here: acknowledgement by all replicas, idempotence
//! and explicit positions are how this log works and not a matter of taste. What is here is where the brokers are, how
//! to be let in, how much may wait in memory, and how long the brokers may be away. [`KafkaSettings::extra`] takes any
//! other property of librdkafka except those that the promises rest on.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

use super::security::Security;
use crate::{Error, InletName};

/// How a [`KafkaLog`](super::KafkaLog) is set up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSettings {
    /// `host:port` of some brokers, separated by commas; the others are found through them.
    pub bootstrap_servers: String,
    /// What the names of all topics and consumer groups begin with, so that several memos can share a cluster.
    pub topic_prefix: String,
    /// How many partitions every topic of memos has; fixed for the life of the log. Default: 12.
    pub partitions: u32,
    /// The inlets to read and write. Set by the service from its own settings.
    #[serde(skip)]
    pub inlets: Vec<InletName>,
    /// The topics of inlets that are not called `<topic_prefix>inlet.<name>`: the name of the inlet, then the whole
    /// name of the topic.
    pub inlet_topics: BTreeMap<InletName, String>,
    /// How the brokers are reached.
    pub security: Security,
    /// What the brokers' logs and quotas call this process. Default: `memos`.
    pub client_id: String,
    /// How many bytes may wait to become durable before appends are refused. Default: 32 MiB.
    pub queue_bytes: usize,
    /// The largest record that is appended, in bytes. The topics have to allow it. Default: 4 MiB.
    pub max_record_bytes: usize,
    /// How many bytes are fetched ahead for each partition that is read. Default: 1 MiB.
    pub prefetch_bytes: usize,
    /// How many milliseconds an append waits for company. Default: 3.
    pub linger_ms: u64,
    /// `zstd`, `lz4` or `none`. Default: `lz4`.
    pub compression: Compression,
    /// How many milliseconds the brokers may be away before appends and reads fail and the process ends. Default: 2 minutes.
    pub delivery_timeout_ms: u64,
    /// How many milliseconds one request may take before it is sent again. Default: 10 s.
    pub request_timeout_ms: u64,
    /// Other properties of librdkafka, for all clients alike.
    pub extra: BTreeMap<String, String>,
}

/// How records are compressed on the way to the broker and there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    None,
    #[default]
    Lz4,
    Zstd,
}

impl Compression {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            bootstrap_servers: "localhost:9092".to_owned(),
            topic_prefix: String::new(),
            partitions: 12,
            inlets: Vec::new(),
            inlet_topics: BTreeMap::new(),
            security: Security::default(),
            client_id: "memos".to_owned(),
            queue_bytes: 32 << 20,
            max_record_bytes: 4 << 20,
            prefetch_bytes: 1 << 20,
            linger_ms: 3,
            compression: Compression::default(),
            delivery_timeout_ms: 120_000,
            request_timeout_ms: 10_000,
            extra: BTreeMap::new(),
        }
    }
}

/// Properties that the promises of the log rest on, by the beginnings of their names.
const OURS: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.",
    "group.",
    "isolation.level",
    "log.queue",
    "max.in.flight",
    "message.",
    "metadata.broker.list",
    "partition",
    "queue.buffering",
    "request.required.acks",
    "session.timeout.ms",
    "transactional.id",
];

impl KafkaSettings {
    /// How long the brokers may be away.
    #[must_use]
    pub const fn delivery_timeout(&self) -> Duration {
        Duration::from_millis(self.delivery_timeout_ms)
    }

    /// How long one request may take.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// The name of a consumer group in the cluster.
    #[must_use]
    pub fn group_name(&self, group: &str) -> String {
        format!("{}memos.{group}", self.topic_prefix)
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        let refuse = |setting, value: String, reason| Err(Error::Setting { setting, value, reason });
        if self.bootstrap_servers.trim().is_empty() {
            return refuse("bootstrap_servers", "empty".to_owned(), "at least one broker has to be named");
        }
        if self.partitions == 0 {
            return refuse("partitions", "0".to_owned(), "a log has at least one partition");
        }
        if !self.topic_prefix.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
            return refuse("topic_prefix", self.topic_prefix.clone(), "use letters, digits, `.`, `_` and `-`");
        }
        if self.queue_bytes > 1 << 30 {
            return refuse("queue_bytes", self.queue_bytes.to_string(), "at most 1 GiB may wait");
        }
        if self.max_record_bytes < 2 << 20 {
            let reason =
                "the dead letter of a record of 1 MiB has to fit; `memos topics` sets the topics' limit accordingly";
            return refuse("max_record_bytes", self.max_record_bytes.to_string(), reason);
        }
        if self.max_record_bytes > 64 << 20 {
            return refuse("max_record_bytes", self.max_record_bytes.to_string(), "a record holds at most 64 MiB");
        }
        if self.linger_ms > 1000 {
            return refuse("linger_ms", self.linger_ms.to_string(), "an append waits a second at most");
        }
        if self.delivery_timeout_ms < 1000 || self.request_timeout_ms < 100 {
            let (setting, value) = if self.delivery_timeout_ms < 1000 {
                ("delivery_timeout_ms", self.delivery_timeout_ms)
            } else {
                ("request_timeout_ms", self.request_timeout_ms)
            };
            return refuse(setting, value.to_string(), "that is too short for a network");
        }
        match self.extra.keys().find(|name| OURS.iter().any(|ours| name.starts_with(ours))) {
            Some(name) => refuse("extra", name.clone(), "the promises of the log rest on it"),
            None => self.security.validate(),
        }
    }

    /// What all clients have in common.
    pub(super) fn client(&self) -> Result<ClientConfig, Error> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", &self.client_id)
            .set("allow.auto.create.topics", "false")
            .set("statistics.interval.ms", "5000")
            .set("socket.keepalive.enable", "true")
            // A broker that comes back is found soon; by default the last waits are ten seconds long.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.timeout.ms", self.request_timeout_ms.to_string());
        self.security.apply(&mut config)?;
        for (name, value) in &self.extra {
            config.set(name, value);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_promises_rest_on_cannot_be_set() {
        for name in ["acks", "enable.idempotence", "isolation.level", "message.timeout.ms", "group.id"] {
            let extra = BTreeMap::from([(name.to_owned(), "1".to_owned())]);
            let settings = KafkaSettings { extra, ..KafkaSettings::default() };
            assert!(settings.validate().is_err(), "{name}");
        }
        let extra = BTreeMap::from([("socket.nagle.disable".to_owned(), "true".to_owned())]);
        assert!(KafkaSettings { extra, ..KafkaSettings::default() }.validate().is_ok());
    }

    #[test]
    fn the_letter_of_the_largest_record_fits() {
        let with = |max_record_bytes| KafkaSettings { max_record_bytes, ..KafkaSettings::default() }.validate();
        assert!(with(1_000_000).is_err());
        with(2 << 20).expect("it fits");
    }

    #[test]
    fn unknown_fields_are_refused_and_known_ones_taken() {
        let parse = serde_json::from_str::<KafkaSettings>;
        assert!(parse(r#"{"bootstrap": "x"}"#).is_err());
        assert!(parse(r#"{"security": {"pasword": "x"}}"#).is_err());
        let parsed = parse(r#"{"compression": "zstd", "inlet_topics": {"chat": "prod.chat"}}"#).expect("it is good");
        assert_eq!(parsed.compression, Compression::Zstd);
        assert_eq!(parsed.inlet_topics.len(), 1);
    }
}
