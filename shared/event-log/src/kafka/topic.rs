//! One topic at the brokers, and what this handle knows to be durable in it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::settings::KafkaSettings;
use crate::signal::lock;
use crate::{Error, Offset, Partition, Topic};

#[derive(Debug)]
pub(super) struct TopicState {
    pub(super) topic: Topic,
    /// Its name at the brokers.
    pub(super) name: String,
    partitions: AtomicU32,
    /// One past the newest record that this handle appended or was told of.
    durable: Mutex<BTreeMap<Partition, Offset>>,
}

/// The topic's name at the brokers.
pub(super) fn name_of(topic: &Topic, settings: &KafkaSettings) -> String {
    if let Topic::Inlet(inlet) = topic
        && let Some(name) = settings.inlet_topics.get(inlet)
    {
        return name.clone();
    }
    format!("{}{topic}", settings.topic_prefix)
}

impl TopicState {
    pub(super) fn new(topic: Topic, settings: &KafkaSettings, partitions: u32) -> Self {
        let name = name_of(&topic, settings);
        Self { topic, name, partitions: AtomicU32::new(partitions), durable: Mutex::default() }
    }

    pub(super) const fn is_inlet(&self) -> bool {
        matches!(self.topic, Topic::Inlet(_))
    }

    pub(super) fn partitions(&self) -> u32 {
        self.partitions.load(Ordering::Relaxed)
    }

    /// An inlet's owner may add partitions at any time.
    pub(super) fn set_partitions(&self, partitions: u32) {
        self.partitions.store(partitions, Ordering::Relaxed);
    }

    pub(super) fn check(&self, partition: Partition) -> Result<(), Error> {
        let partitions = self.partitions();
        if partition.get() < partitions {
            return Ok(());
        }
        Err(Error::UnknownPartition { topic: self.topic.clone(), partition, partitions })
    }

    pub(super) fn is_durable(&self, partition: Partition, up_to: Offset) {
        let mut durable = lock(&self.durable);
        let at = durable.entry(partition).or_default();
        *at = up_to.max(*at);
    }

    pub(super) fn durable(&self, partition: Partition) -> Offset {
        lock(&self.durable).get(&partition).copied().unwrap_or_default()
    }
}
