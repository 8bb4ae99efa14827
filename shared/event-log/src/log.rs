//! The port: what every log must offer, in the words of Kafka.
//!
//! It is object-safe and synchronous. A reader owns a thread and reads in batches, because one poll thread per
//! reader is also how Kafka is consumed well; an append only queues and answers an [`Appended`], which a service
//! awaits and a tool waits for. Nothing here is generic, so services are wired with `Arc<dyn EventLog>`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::{Error, Limits, LogId, Offset, Partition, ReadBatch, Record, Timestamp, Topic, Watermarks};

/// A log of topics, all with the same number of partitions.
pub trait EventLog: Send + Sync + fmt::Debug {
    /// The name of this log. Offsets mean nothing in another one.
    fn id(&self) -> LogId;

    /// How many partitions every topic has; fixed for the life of the log.
    fn partitions(&self) -> u32;

    /// How many partitions this topic has: as many as every other, unless it is an inlet that somebody else has made.
    /// Zero for a topic the log does not have.
    fn partitions_of(&self, topic: &Topic) -> u32 {
        if self.topics().contains(topic) { self.partitions() } else { 0 }
    }

    /// Queues records for appending and answers at once. The order of calls is the order in the partition, and the
    /// records of one call are contiguous. The answer resolves when all of them are durable, with their offsets;
    /// dropping it takes nothing back.
    ///
    /// # Errors
    /// [`Error::Full`] when more bytes than configured would wait; nothing was queued. [`Error::TooLarge`] when the
    /// call alone is more than that. [`Error::Stopped`] after the first failed write or fsync.
    fn append(&self, topic: &Topic, partition: Partition, records: Vec<Record>) -> Result<Appended, Error>;

    /// Reads durable records from `from` on, without blocking for new ones. Offsets may skip over what compaction
    /// removed. If there is any record at or above `from` the answer holds at least one, even if it is larger than
    /// `limits.bytes`, or its `next` is further than `from`.
    ///
    /// # Errors
    /// [`Error::Lost`] below the low watermark, [`Error::Beyond`] above the high one, [`Error::Corrupt`] when what is
    /// stored is not what was written.
    fn read(&self, topic: &Topic, partition: Partition, from: Offset, limits: Limits) -> Result<ReadBatch, Error>;

    /// Where the partition begins and ends.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`].
    fn watermarks(&self, topic: &Topic, partition: Partition) -> Result<Watermarks, Error>;

    /// Blocks until something became durable since the generation `seen`, or for `timeout`, and answers the
    /// generation then. To miss nothing: take the generation first, then read, then wait for more than it. A reader
    /// that begins passes 0.
    fn wait(&self, seen: u64, timeout: Duration) -> u64;

    /// Notes the position of a stateless consumer group. Becomes durable soon, so after a crash it may lag: a hint.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`], [`Error::ReadOnly`].
    fn commit(&self, group: &str, topic: &Topic, partition: Partition, next: Offset) -> Result<(), Error>;

    /// The position a consumer group noted last; `None` when it never did.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`].
    fn committed(&self, group: &str, topic: &Topic, partition: Partition) -> Result<Option<Offset>, Error>;

    /// Says that this stateful reader never again reads below `up_to`, and registers it as a reader of the whole
    /// topic. Retention passes neither the lowest release nor the lowest commit of a topic. A release never goes back.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`], [`Error::ReadOnly`].
    fn release(&self, reader: &str, topic: &Topic, partition: Partition, up_to: Offset) -> Result<(), Error>;

    /// Applies retention and compaction, with ages measured against `now`, and answers what was removed.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Corrupt`]; [`Error::ReadOnly`].
    fn maintain(&self, now: Timestamp) -> Result<Maintained, Error>;

    /// All topics of the log: the fixed ones, then its inlets by name.
    fn topics(&self) -> Vec<Topic>;

    /// Why the log takes no more appends, once a write or an fsync failed.
    fn failure(&self) -> Option<String> {
        None
    }
}

/// What one round of maintenance removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Records that were too old and that every reader had released.
    pub trimmed_records: u64,
    /// Records of compacted topics that a newer one with the same key replaced, and tombstones past their time.
    pub compacted_records: u64,
    /// Bytes given back to the file system.
    pub freed_bytes: u64,
}

impl Maintained {
    pub(crate) fn add(&mut self, other: Self) {
        self.trimmed_records += other.trimmed_records;
        self.compacted_records += other.compacted_records;
        self.freed_bytes += other.freed_bytes;
    }
}

/// An append on its way to durability: await it, or [`wait`](Appended::wait) for it.
#[derive(Debug)]
#[must_use = "an append is only known to be durable once this has resolved"]
pub struct Appended(oneshot::Receiver<Result<Vec<Offset>, Error>>);

/// The end of an [`Appended`] that the log keeps.
pub(crate) type Completion = oneshot::Sender<Result<Vec<Offset>, Error>>;

impl Appended {
    /// A pair of an append and the log's end of it. For implementations of [`EventLog`] elsewhere, too.
    pub fn channel() -> (oneshot::Sender<Result<Vec<Offset>, Error>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// Blocks until the records are durable. For threads of their own; asynchronous code awaits instead.
    ///
    /// # Errors
    /// Those of the append; [`Error::Stopped`] when the log ended before it could say.
    ///
    /// # Panics
    /// When called on a thread that drives an asynchronous runtime.
    pub fn wait(self) -> Result<Vec<Offset>, Error> {
        self.0.blocking_recv().unwrap_or_else(|_| Err(abandoned()))
    }
}

impl Future for Appended {
    type Output = Result<Vec<Offset>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or_else(|_| Err(abandoned())))
    }
}

/// Answers an append. Nobody may be waiting any more, which is no error.
pub(crate) fn complete(completion: Completion, answer: Result<Vec<Offset>, Error>) {
    drop(completion.send(answer));
}

fn abandoned() -> Error {
    Error::Stopped { reason: "the log ended before the append was durable".to_owned() }
}
