//! The event log over Apache Kafka.
//!
//! One producer writes ([`writer`]), one consumer per topic reads ([`reader`], [`lane`], [`cursor`]), and the brokers
//! do the rest: retention and compaction are theirs, so [`maintain`](EventLog::maintain) does nothing here. Kafka's
//! consumer groups decide nothing about positions, which the stores keep; groups only say who owns which partitions
//! ([`Membership`]), and show operators how far each service is ([`groups`]).
//!
//! The brokers may be away: appends and reads wait for them, up to the delivery timeout. What cannot be healed by
//! waiting ends the process with a message that says what to do. Nothing is ever skipped: a position that the brokers
//! no longer have is [`Error::Lost`], and topics that were created anew are recognised ([`birth`]).

mod birth;
mod client;
mod cursor;
mod groups;
mod lane;
mod membership;
mod reader;
mod security;
mod settings;
mod statistics;
mod topic;
pub mod topics;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;

pub use membership::{Membership, MembershipSettings};
pub use security::{Mechanism, Protocol, Secret, Security, VerifyHost};
pub use settings::{Compression, KafkaSettings};
pub use statistics::{BrokerStatistics, ClientStatistics, PartitionStatistics};

use crate::local::settings::FailureHook;
use crate::signal::Generation;
use crate::{
    Appended, Error, EventLog, Limits, LogId, Maintained, Offset, Partition, ReadBatch, Record, Timestamp, Topic,
    Watermarks,
};
use client::{Observed, Patience, patiently};
use groups::Groups;
use reader::TopicReader;
use statistics::Collected;
use topic::TopicState;
use writer::Writer;

/// What every part of the log needs of the others.
#[derive(Debug)]
struct Connection {
    settings: KafkaSettings,
    collected: Arc<Collected>,
    generation: Arc<Generation>,
    writer: Writer,
}

/// An [`EventLog`] whose records are kept by Kafka brokers.
#[derive(Debug)]
pub struct KafkaLog {
    id: LogId,
    groups: Groups,
    readers: Vec<TopicReader>,
    connection: Arc<Connection>,
}

impl KafkaLog {
    /// Opens the log whose topics were set up by [`topics::ensure`].
    ///
    /// # Errors
    /// [`Error::Setting`]; [`Error::Away`] and [`Error::Refused`] when the brokers cannot be reached or do not let this
    /// process in; [`Error::NoTopic`], [`Error::TopicPartitions`]; [`Error::CreatedAnew`] when a compacted topic or
    /// a partition of it is not the one that the log was made with.
    pub fn open(settings: &KafkaSettings) -> Result<Self, Error> {
        Self::open_with(settings, FailureHook::default())
    }

    /// Opens the log; `on_failure` is called once when it stops.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn open_with(settings: &KafkaSettings, on_failure: FailureHook) -> Result<Self, Error> {
        let connection = Arc::new(Connection::make(settings, on_failure)?);
        let mut readers = Vec::new();
        for topic in Topic::all(&settings.inlets) {
            let name = topic::name_of(&topic, settings);
            let has = connection.partitions_of(&name)?.ok_or_else(|| Error::NoTopic { name: name.clone() })?;
            if !matches!(topic, Topic::Inlet(_)) && has != settings.partitions {
                return Err(Error::TopicPartitions { name, has, asked: settings.partitions });
            }
            readers.push(TopicReader::new(Arc::new(TopicState::new(topic, settings, has))));
        }
        let kept: Vec<&TopicState> =
            readers.iter().map(|reader| &*reader.topic).filter(|state| birth::KEPT.contains(&state.topic)).collect();
        let certificates = birth::read(&connection, &kept)?;
        let id = birth::agreed(&certificates, |topic| topic::name_of(topic, settings))?;
        let groups = Groups::start(&connection)?;
        Ok(Self { id, groups, readers, connection })
    }

    /// The settings the log was opened with.
    #[must_use]
    pub fn settings(&self) -> &KafkaSettings {
        &self.connection.settings
    }

    /// The newest figures of every client, at most five seconds old.
    #[must_use]
    pub fn statistics(&self) -> Vec<ClientStatistics> {
        self.connection.collected.all()
    }

    /// The topic's name at the brokers.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`].
    pub fn name_of(&self, topic: &Topic) -> Result<&str, Error> {
        let reader = self.readers.iter().find(|reader| reader.topic.topic == *topic);
        reader.map(|reader| reader.topic.name.as_str()).ok_or_else(|| Error::UnknownTopic { topic: topic.clone() })
    }

    fn reader(&self, topic: &Topic, partition: Partition) -> Result<&TopicReader, Error> {
        let reader = self.readers.iter().find(|reader| reader.topic.topic == *topic);
        let reader = reader.ok_or_else(|| Error::UnknownTopic { topic: topic.clone() })?;
        if reader.topic.is_inlet()
            && reader.topic.check(partition).is_err()
            && let Some(partitions) = self.connection.partitions_of(&reader.topic.name)?
        {
            reader.topic.set_partitions(partitions);
        }
        reader.topic.check(partition)?;
        Ok(reader)
    }
}

impl Connection {
    fn make(settings: &KafkaSettings, on_failure: FailureHook) -> Result<Self, Error> {
        settings.validate()?;
        let collected = Arc::new(Collected::default());
        let generation = Arc::new(Generation::default());
        let observed = Observed::new("producer".to_owned(), settings, &collected);
        let writer = Writer::start(settings, observed, Arc::clone(&generation), on_failure)?;
        Ok(Self { settings: settings.clone(), collected, generation, writer })
    }

    fn observed(&self, role: String) -> Arc<Observed> {
        Observed::new(role, &self.settings, &self.collected)
    }

    fn patience(&self) -> Patience {
        let (request, total) = (self.settings.request_timeout(), self.settings.delivery_timeout());
        Patience { request, total, beginning: false }
    }

    /// How many partitions the topic has now; `None` when there is no such topic.
    fn partitions_of(&self, name: &str) -> Result<Option<u32>, Error> {
        let patience = Patience { beginning: true, ..self.patience() };
        let action = format!("describe topic {name}");
        patiently(&action, patience, self.writer.observed(), |timeout| {
            // All topics: a question for one that is not there would leave a trace of it in the client.
            let metadata = self.writer.client().fetch_metadata(None, timeout)?;
            let topic = metadata.topics().iter().find(|topic| topic.name() == name);
            match topic.and_then(|topic| topic.error()).map(RDKafkaErrorCode::from) {
                Some(code) => Err(rdkafka::error::KafkaError::MetadataFetch(code)),
                None => Ok(topic.map(|topic| u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX))),
            }
        })
    }

    /// Asks the brokers, and notes what is durable.
    fn watermarks(&self, topic: &TopicState, partition: Partition) -> Result<Watermarks, Error> {
        let action = format!("say where {}/{partition} ends", topic.name);
        let number = lane::number(partition);
        let answer = patiently(&action, self.patience(), self.writer.observed(), |timeout| {
            self.writer.client().fetch_watermarks(&topic.name, number, timeout)
        });
        let (low, high) = match answer {
            Err(Error::Refused { .. }) if self.partitions_of(&topic.name)?.is_none() => {
                return Err(Error::NoTopic { name: topic.name.clone() });
            }
            other => other?,
        };
        let offset = |at: i64| Offset::new(u64::try_from(at).unwrap_or_default());
        let marks = Watermarks { low: offset(low), high: offset(high) };
        topic.is_durable(partition, marks.high);
        Ok(marks)
    }
}

/// An error of librdkafka that is one of ours or of the settings.
fn cannot(action: &str, error: &impl std::fmt::Display) -> Error {
    Error::Refused { action: action.to_owned(), reason: error.to_string() }
}

impl EventLog for KafkaLog {
    fn id(&self) -> LogId {
        self.id
    }

    fn partitions(&self) -> u32 {
        self.connection.settings.partitions
    }

    fn partitions_of(&self, topic: &Topic) -> u32 {
        let reader = self.readers.iter().find(|reader| reader.topic.topic == *topic);
        reader.map_or(0, |reader| reader.topic.partitions())
    }

    fn append(&self, topic: &Topic, partition: Partition, records: Vec<Record>) -> Result<Appended, Error> {
        let reader = self.reader(topic, partition)?;
        self.connection.writer.append(&reader.topic, partition, &records)
    }

    fn read(&self, topic: &Topic, partition: Partition, from: Offset, limits: Limits) -> Result<ReadBatch, Error> {
        self.reader(topic, partition)?.read(&self.connection, partition, from, limits)
    }

    fn watermarks(&self, topic: &Topic, partition: Partition) -> Result<Watermarks, Error> {
        let reader = self.reader(topic, partition)?;
        self.connection.watermarks(&reader.topic, partition)
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.connection.generation.wait(seen, timeout)
    }

    fn commit(&self, group: &str, topic: &Topic, partition: Partition, next: Offset) -> Result<(), Error> {
        let reader = self.reader(topic, partition)?;
        self.groups.commit(group, &reader.topic.name, partition, next);
        Ok(())
    }

    fn committed(&self, group: &str, topic: &Topic, partition: Partition) -> Result<Option<Offset>, Error> {
        let reader = self.reader(topic, partition)?;
        self.groups.committed(group, &reader.topic.name, partition)
    }

    fn release(&self, reader: &str, topic: &Topic, partition: Partition, up_to: Offset) -> Result<(), Error> {
        let state = &self.reader(topic, partition)?.topic;
        self.groups.release(reader, &state.name, partition, up_to);
        Ok(())
    }

    /// Does nothing: the brokers apply retention and compaction, as the topics are configured.
    fn maintain(&self, _: Timestamp) -> Result<Maintained, Error> {
        Ok(Maintained::default())
    }

    fn topics(&self) -> Vec<Topic> {
        self.readers.iter().map(|reader| reader.topic.topic.clone()).collect()
    }

    fn failure(&self) -> Option<String> {
        self.connection.writer.failure()
    }
}
