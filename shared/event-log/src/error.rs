//! What can go wrong with a log, with the coordinates of where, and what the caller must do about it.

use std::path::PathBuf;

use crate::{LogId, Offset, Partition, Topic};

/// What the caller must do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Do the same again, after a pause.
    Retry,
    /// Set this record aside and go on behind it.
    Poison,
    /// End: this instance may not go on. A new one recovers.
    Fenced,
    /// Change the request or the settings.
    Invalid,
    /// Call a human: what is stored is not what was written.
    Corrupt,
    /// Call a programmer.
    Bug,
    /// Wait until the queue is shorter, and let the producer feel it.
    Full,
}

/// Why a log could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More bytes wait to become durable than the settings allow. Nothing was queued.
    #[error("the append queue is full: {queued} of {limit} bytes wait to become durable")]
    Full { queued: usize, limit: usize },
    /// One call to append is larger than the log takes at once. Nothing was queued.
    #[error("{bytes} bytes for {topic}/{partition} are more than the {limit} that one append may hold")]
    TooLarge { topic: Topic, partition: Partition, bytes: usize, limit: usize },
    /// A write or an fsync failed, and the log takes no more appends until it is opened again.
    #[error("the log has stopped: {reason}")]
    Stopped { reason: String },
    /// The log was closed by its owner.
    #[error("the log is closed")]
    Closed,
    /// The log was opened for reading.
    #[error("the log was opened read-only")]
    ReadOnly,
    /// What the reader asks for was trimmed. Only a reader that does not need it may go on at `low`.
    #[error("{topic}/{partition} begins at offset {low}: the records from {from} were trimmed")]
    Lost { topic: Topic, partition: Partition, from: Offset, low: Offset },
    /// The reader's position is in the future: it belongs to another log, or the log was replaced by an older copy.
    #[error("{topic}/{partition} ends at offset {high}: position {from} is not of this log")]
    Beyond { topic: Topic, partition: Partition, from: Offset, high: Offset },
    /// The log has no such topic.
    #[error("the log has no topic {topic}")]
    UnknownTopic { topic: Topic },
    /// The log has no such partition.
    #[error("{topic} has {partitions} partitions, so there is no partition {partition}")]
    UnknownPartition { topic: Topic, partition: Partition, partitions: u32 },
    /// The count of partitions is fixed for the life of a log.
    #[error("the log in {} has {has} partitions and {asked} were asked for: the count is fixed for the life of a log, so move to a new one by export and import", dir.display())]
    PartitionCount { dir: PathBuf, has: u32, asked: u32 },
    /// A setting makes no sense.
    #[error("{setting} cannot be {value}: {reason}")]
    Setting { setting: &'static str, value: String, reason: &'static str },
    /// Another process writes to this directory.
    #[error("the log in {} is in use by another process{owner}: stop that one first, or open the log read-only", dir.display())]
    Locked { dir: PathBuf, owner: String },
    /// The directory holds no log, and a reader does not make one.
    #[error("{} holds no log", dir.display())]
    Missing { dir: PathBuf },
    /// A file was written by a newer release, or is not a log's.
    #[error("{} has format version {version}, and this release reads up to {known}", file.display())]
    UnknownVersion { file: PathBuf, version: u32, known: u32 },
    /// What is stored is not what was written.
    #[error("{} is corrupt at byte {position} (offset {offset}): {detail}", file.display())]
    Corrupt { file: PathBuf, position: u64, offset: Offset, detail: String },
    /// A file disappeared under a read-only log, because its writer trimmed or compacted it.
    #[error("{} was trimmed or compacted since the log was opened read-only: open it again", file.display())]
    Changed { file: PathBuf },
    /// A record that was taken for appending did not become durable, or nobody knows whether it did.
    #[error("{topic}/{partition} did not take a record: {reason}")]
    Undelivered { topic: Topic, partition: Partition, reason: String },
    /// No broker answered for so long that going on makes no sense.
    #[error("the brokers did not {action} for {seconds} seconds: {reason}")]
    Away { action: String, seconds: u64, reason: String },
    /// A broker answered, and waiting does not change its answer.
    #[error("the brokers do not {action}: {reason}")]
    Refused { action: String, reason: String },
    /// The brokers have no such topic.
    #[error(
        "there is no topic {name} at the brokers: create the topics with `memos topics`, or see decision 008 if it was there before"
    )]
    NoTopic { name: String },
    /// The count of partitions is fixed for the life of a log.
    #[error(
        "topic {name} has {has} partitions and {asked} are configured: the count is fixed for the life of a log, so set `partitions` to what there is or move to new topics by export and import"
    )]
    TopicPartitions { name: String, has: u32, asked: u32 },
    /// A partition is not the one it was when the log was made: offsets and what is stored elsewhere belong to another.
    #[error("topic {name} partition {partition} was created anew or belongs to another log ({}, the log is {}): see decision 008 for the way on", shown(*has), shown(*expected))]
    CreatedAnew { name: String, partition: Partition, has: Option<LogId>, expected: Option<LogId> },
    /// Where a record was read there is another one now.
    #[error(
        "{topic}/{partition} holds another record at offset {offset} than the one that was read there: the topic was created anew or belongs to another log, and positions in it mean nothing; stop every process, and see decision 008 for the way on"
    )]
    Replaced { topic: Topic, partition: Partition, offset: Offset },
    /// Another process took this one's place in its group, or the group has no place for it.
    #[error("this process is no member of group {group} any more: {reason}")]
    Expelled { group: String, reason: String },
    /// The operating system refused.
    #[error("failed to {action} {}", file.display())]
    Io {
        action: &'static str,
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

fn shown(id: Option<LogId>) -> String {
    id.map_or_else(|| "it says of no log".to_owned(), |id| id.to_string())
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Full { .. } => ErrorKind::Full,
            Self::Stopped { .. }
            | Self::Closed
            | Self::Lost { .. }
            | Self::Io { .. }
            | Self::Undelivered { .. }
            | Self::Away { .. }
            | Self::Expelled { .. } => ErrorKind::Fenced,
            Self::TooLarge { .. }
            | Self::ReadOnly
            | Self::Beyond { .. }
            | Self::PartitionCount { .. }
            | Self::Setting { .. }
            | Self::Locked { .. }
            | Self::Missing { .. }
            | Self::UnknownVersion { .. }
            | Self::Refused { .. }
            | Self::NoTopic { .. }
            | Self::TopicPartitions { .. } => ErrorKind::Invalid,
            Self::UnknownTopic { .. } | Self::UnknownPartition { .. } => ErrorKind::Bug,
            Self::Corrupt { .. } | Self::CreatedAnew { .. } | Self::Replaced { .. } => ErrorKind::Corrupt,
            Self::Changed { .. } => ErrorKind::Retry,
        }
    }

    /// Shorthand for `map_err` around a call to the operating system.
    pub(crate) fn io(action: &'static str, file: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, file: file.to_owned(), source }
    }

    /// The message with those of its sources, for a place that can keep only text.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}
