//! The certificate of birth: how a log is told from another one under the same name.
//!
//! Offsets only mean something in the log they were noted in. A topic that is deleted and created again under its name
//! has the same offsets with other records behind them, and Kafka's clients go on without a word. So the first record
//! of every partition is a certificate with the name of the log. In compacted topics it has a key of its own and stays
//! for good; there every partition is looked at when the log is opened. Readers never see a certificate: it is a hole.
//!
//! Which name the log has is decided by the log: whoever sets it up appends a certificate to the first partition of
//! `memories` and takes the name of the first one that is there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset as At, TopicPartitionList};
use uuid::Uuid;

use super::Connection;
use super::client::Plain;
use super::lane::{number, record_of};
use super::topic::TopicState;
use crate::{Error, LogId, Partition, Record, Topic};

/// The key under which compaction keeps the certificate. No handle is that short.
const KEY: &[u8] = b"memos_log";
/// The header by which a certificate is recognised.
const HEADER: &str = "memos_log";
const TICK: Duration = Duration::from_millis(100);

/// The topics whose certificates stay.
pub(super) const KEPT: [Topic; 3] = [Topic::Memories, Topic::Working, Topic::Keys];

/// A partition of a kept topic, and the certificate in it.
pub(super) type Certificates = BTreeMap<(Topic, Partition), Option<LogId>>;

pub(super) fn certificate(id: LogId) -> Record {
    let text = id.to_string().into_bytes();
    Record {
        key: KEY.to_vec(),
        value: Some(text.clone()),
        headers: vec![(HEADER.to_owned(), Some(text))],
        timestamp: crate::now(),
    }
}

pub(super) fn is_certificate(record: &Record) -> bool {
    record.key == KEY && record.header(HEADER).is_some()
}

fn id_in(record: &Record) -> Option<LogId> {
    let text = record.header(HEADER)?;
    std::str::from_utf8(text).ok()?.parse::<Uuid>().ok().map(LogId::new)
}

/// The first certificate of every partition of these topics.
///
/// # Errors
/// [`Error::Away`], [`Error::Refused`].
pub(super) fn read(connection: &Connection, topics: &[&TopicState]) -> Result<Certificates, Error> {
    let mut found = Certificates::new();
    for topic in topics {
        for (partition, id) in read_topic(connection, topic)? {
            found.insert((topic.topic.clone(), partition), id);
        }
    }
    Ok(found)
}

fn read_topic(connection: &Connection, topic: &TopicState) -> Result<BTreeMap<Partition, Option<LogId>>, Error> {
    let unclear = |error: &KafkaError| super::cannot("look for the certificates of birth", error);
    let mut found = BTreeMap::new();
    let mut open = BTreeSet::new();
    let mut from = TopicPartitionList::new();
    for partition in Partition::all(topic.partitions()) {
        let marks = connection.watermarks(topic, partition)?;
        found.insert(partition, None);
        if marks.low < marks.high {
            open.insert(partition);
            let low = i64::try_from(marks.low.get()).unwrap_or(i64::MAX);
            let added = from.add_partition_offset(&topic.name, number(partition), At::Offset(low));
            added.map_err(|error| unclear(&error))?;
        }
    }
    if open.is_empty() {
        return Ok(found);
    }
    let consumer = consumer(connection)?;
    consumer.assign(&from).map_err(|error| unclear(&error))?;
    let total = connection.patience().total;
    let deadline = Instant::now() + total;
    while !open.is_empty() {
        if Instant::now() >= deadline {
            let action = format!("show the first records of {}", topic.name);
            return Err(Error::Away { action, seconds: total.as_secs(), reason: "nothing arrived".to_owned() });
        }
        match consumer.poll(TICK) {
            None => {}
            Some(Ok(message)) => {
                let partition = Partition::new(u32::try_from(message.partition()).unwrap_or(u32::MAX));
                let record = record_of(&message);
                if is_certificate(&record) && open.remove(&partition) {
                    found.insert(partition, id_in(&record));
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&Partition::new(u32::try_from(partition).unwrap_or(u32::MAX)));
            }
            Some(Err(error)) => tracing::debug!(%error, "a fetch failed and is tried again"),
        }
    }
    Ok(found)
}

fn consumer(connection: &Connection) -> Result<BaseConsumer<Plain>, Error> {
    let mut config = connection.settings.client()?;
    config
        .set("group.id", connection.settings.group_name("reader"))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "50")
        // One look at the beginning of each partition is enough, nearly always.
        .set("fetch.message.max.bytes", "65536")
        .set("queued.max.messages.kbytes", "4096")
        .set("statistics.interval.ms", "0");
    let context = Plain(connection.observed("consumer.certificates".to_owned()));
    config.create_with_context(context).map_err(|error| super::cannot("make a consumer", &error))
}

/// The one name in all certificates.
///
/// # Errors
/// [`Error::CreatedAnew`] when a partition has none, or another one than the first.
pub(super) fn agreed(found: &Certificates, names: impl Fn(&Topic) -> String) -> Result<LogId, Error> {
    // The name that most partitions have is the log's: one topic or partition is created anew, not all the others.
    let mut votes: BTreeMap<LogId, usize> = BTreeMap::new();
    for id in found.values().flatten() {
        *votes.entry(*id).or_default() += 1;
    }
    let expected = votes.into_iter().max_by_key(|(_, count)| *count).map(|(id, _)| id);
    for ((topic, partition), has) in found {
        if has.is_none() || *has != expected {
            return Err(Error::CreatedAnew { name: names(topic), partition: *partition, has: *has, expected });
        }
    }
    // Not one certificate at all was answered above, for the first partition.
    expected.ok_or(Error::Closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_recognised_and_nothing_else_is() {
        let id = LogId::random();
        let record = certificate(id);
        assert!(is_certificate(&record));
        assert_eq!(id_in(&record), Some(id));
        assert!(!is_certificate(&Record { key: vec![1; 16], ..record.clone() }));
        assert!(!is_certificate(&Record { headers: Vec::new(), ..record }));
    }

    #[test]
    fn the_partition_that_differs_is_named() {
        let (old, new) = (LogId::random(), LogId::random());
        let place = |topic: Topic, number| (topic, Partition::new(number));
        let mut found: Certificates = (0..3).map(|n| (place(Topic::Memories, n), Some(old))).collect();
        assert_eq!(agreed(&found, Topic::to_string).expect("all agree"), old);
        found.insert(place(Topic::Working, 1), Some(new));
        let error = agreed(&found, Topic::to_string).expect_err("one differs");
        assert!(error.to_string().contains("working") && error.to_string().contains("partition 1"), "{error}");
        found.insert(place(Topic::Working, 1), None);
        assert!(agreed(&found, Topic::to_string).is_err(), "one has none");
    }
}
