//! How the topics of memos have to be.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Topic;
use crate::kafka::KafkaSettings;

const HOUR_MS: u64 = 60 * 60 * 1000;

/// How topics are created, and what they are compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicSettings {
    /// Copies of every partition. Default: 3.
    pub replication_factor: i32,
    /// How many copies must have a record before it is acknowledged. Default: 2.
    pub min_insync_replicas: u32,
    pub retention_days: TopicSettingsRetention,
    /// After how many hours a replaced record of a compacted topic is gone for sure, but for the time that the brokers
    /// need. Default: 24.
    pub max_compaction_lag_hours: u64,
    /// For how many hours a tombstone stays, which must be longer than the longest restore. Default: 72.
    pub tombstone_hours: u64,
    /// After how many hours a segment is closed; open ones are not compacted. Default: 12.
    pub segment_hours: u64,
    /// Partitions of inlets that are created here. Default: 12.
    pub inlet_partitions: u32,
    /// Other properties for topics that are created, by topic. They win over what is said above.
    pub extra: BTreeMap<Topic, BTreeMap<String, String>>,
}

/// For how many days records are kept. Compacted topics and receipts are kept for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicSettingsRetention {
    /// Default: 7. On Kafka age alone trims, so this is how long memos may be down.
    pub interactions: u64,
    /// Default: 7.
    pub consolidations: u64,
    /// Default: 14.
    pub dead_letters: u64,
    /// Default: 7.
    pub inlets: u64,
}

impl Default for TopicSettingsRetention {
    fn default() -> Self {
        Self { interactions: 7, consolidations: 7, dead_letters: 14, inlets: 7 }
    }
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self {
            replication_factor: 3,
            min_insync_replicas: 2,
            retention_days: TopicSettingsRetention::default(),
            max_compaction_lag_hours: 24,
            tombstone_hours: 72,
            segment_hours: 12,
            inlet_partitions: 12,
            extra: BTreeMap::new(),
        }
    }
}

impl TopicSettings {
    pub(super) const fn partitions_of(&self, topic: &Topic, settings: &KafkaSettings) -> u32 {
        match topic {
            Topic::Inlet(_) => self.inlet_partitions,
            Topic::Interactions
            | Topic::Consolidations
            | Topic::Working
            | Topic::Memories
            | Topic::Keys
            | Topic::Receipts
            | Topic::DeadLetters => settings.partitions,
        }
    }

    /// In milliseconds; `None` for good.
    const fn retention_ms(&self, topic: &Topic) -> Option<u64> {
        let days = match topic {
            Topic::Interactions => self.retention_days.interactions,
            Topic::Consolidations => self.retention_days.consolidations,
            Topic::DeadLetters => self.retention_days.dead_letters,
            Topic::Inlet(_) => self.retention_days.inlets,
            Topic::Working | Topic::Memories | Topic::Keys | Topic::Receipts => return None,
        };
        // As everywhere in the settings, 0 keeps them for good.
        if days == 0 { None } else { Some(days * 24 * HOUR_MS) }
    }
}

/// What a property's value has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Exactly(String),
    AtLeast(u64),
    AtMost(u64),
    /// A number of at least this, or -1, which means for good.
    AtLeastOrForGood(u64),
}

impl Rule {
    pub(super) fn holds(&self, found: &str) -> bool {
        let number = found.parse::<i64>().ok();
        let unsigned = number.and_then(|n| u64::try_from(n).ok());
        match self {
            Self::Exactly(wanted) => wanted == found,
            Self::AtLeast(least) => unsigned.is_some_and(|n| n >= *least),
            Self::AtMost(most) => unsigned.is_some_and(|n| n <= *most),
            Self::AtLeastOrForGood(least) => number == Some(-1) || unsigned.is_some_and(|n| n >= *least),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(wanted) => f.write_str(wanted),
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::AtLeastOrForGood(least) => write!(f, "at least {least}, or -1"),
        }
    }
}

fn largest_message(settings: &KafkaSettings) -> u64 {
    u64::try_from(settings.max_record_bytes + 128 * 1024).unwrap_or(u64::MAX)
}

/// The properties with which a missing topic is created.
pub(super) fn to_create(topic: &Topic, topics: &TopicSettings, settings: &KafkaSettings) -> BTreeMap<String, String> {
    let mut properties: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: String| drop(properties.insert(name.to_owned(), value));
    let compacted = topic.compacted();
    set("cleanup.policy", if compacted { "compact" } else { "delete" }.to_owned());
    set("retention.bytes", "-1".to_owned());
    set("message.timestamp.type", "LogAppendTime".to_owned());
    set("max.message.bytes", largest_message(settings).to_string());
    set("min.insync.replicas", topics.min_insync_replicas.to_string());
    set("unclean.leader.election.enable", "false".to_owned());
    set("compression.type", "producer".to_owned());
    set("segment.ms", (topics.segment_hours * HOUR_MS).to_string());
    if compacted {
        set("max.compaction.lag.ms", (topics.max_compaction_lag_hours * HOUR_MS).to_string());
        set("delete.retention.ms", (topics.tombstone_hours * HOUR_MS).to_string());
    } else {
        set("retention.ms", topics.retention_ms(topic).map_or_else(|| "-1".to_owned(), |ms| ms.to_string()));
    }
    properties.extend(topics.extra.get(topic).cloned().unwrap_or_default());
    properties
}

/// How to make the topic by hand.
pub(super) fn in_words(topic: &Topic, topics: &TopicSettings, settings: &KafkaSettings) -> String {
    let (partitions, copies) = (topics.partitions_of(topic, settings), topics.replication_factor);
    let properties = to_create(topic, topics, settings);
    let properties: Vec<String> = properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{partitions} partitions, {copies} copies, {}", properties.join(" "))
}

/// What is looked at. Of an inlet only what its reader needs: the topic is its owner's.
pub(super) fn to_verify(topic: &Topic, topics: &TopicSettings, settings: &KafkaSettings) -> Vec<(&'static str, Rule)> {
    let exactly = |value: &str| Rule::Exactly(value.to_owned());
    let retention = topics.retention_ms(topic).map_or_else(|| exactly("-1"), Rule::AtLeastOrForGood);
    if matches!(topic, Topic::Inlet(_)) {
        return vec![("cleanup.policy", exactly("delete")), ("retention.ms", retention)];
    }
    let mut rules = vec![
        ("cleanup.policy", exactly(if topic.compacted() { "compact" } else { "delete" })),
        ("retention.bytes", exactly("-1")),
        ("message.timestamp.type", exactly("LogAppendTime")),
        ("max.message.bytes", Rule::AtLeast(largest_message(settings))),
        ("min.insync.replicas", Rule::AtLeast(u64::from(topics.min_insync_replicas))),
        ("unclean.leader.election.enable", exactly("false")),
    ];
    if topic.compacted() {
        rules.push(("max.compaction.lag.ms", Rule::AtMost(topics.max_compaction_lag_hours * HOUR_MS)));
        rules.push(("delete.retention.ms", Rule::AtLeast(topics.tombstone_hours * HOUR_MS)));
    } else {
        rules.push(("retention.ms", retention));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_was_created_as_wanted_passes_the_look_at_it() {
        let (topics, settings) = (TopicSettings::default(), KafkaSettings::default());
        for topic in Topic::FIXED {
            let created = to_create(&topic, &topics, &settings);
            for (name, rule) in to_verify(&topic, &topics, &settings) {
                assert!(rule.holds(&created[name]), "{topic} {name}");
            }
        }
    }

    #[test]
    fn zero_days_keep_for_good() {
        let retention_days = TopicSettingsRetention { interactions: 0, ..TopicSettingsRetention::default() };
        let (topics, settings) =
            (TopicSettings { retention_days, ..TopicSettings::default() }, KafkaSettings::default());
        assert_eq!(to_create(&Topic::Interactions, &topics, &settings)["retention.ms"], "-1");
        let kept =
            to_verify(&Topic::Interactions, &topics, &settings).into_iter().find(|(name, _)| *name == "retention.ms");
        let (_, rule) = kept.expect("it is looked at");
        assert!(rule.holds("-1") && !rule.holds("604800000"));
    }

    #[test]
    fn what_keeps_less_or_longer_than_promised_differs() {
        assert!(!Rule::AtMost(5).holds("9223372036854775807"));
        assert!(!Rule::AtLeastOrForGood(5).holds("4"));
        assert!(Rule::AtLeastOrForGood(5).holds("-1"));
        assert!(!Rule::AtLeast(5).holds("-1"));
    }
}
