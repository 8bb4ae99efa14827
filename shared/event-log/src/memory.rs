//! The log in memory: the same promises as the local log except that it ends with the process.
//!
//! It is what tests and simulations run on. [`MemLog::hold`] lets a test stand in the moment between an append and
//! its durability, which on a disk is short and here would not exist.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::compaction::{Newest, TombstoneRule};
use crate::log::{Completion, complete};
use crate::positions::Positions;
use crate::retention::before;
use crate::signal::{Generation, lock};
use crate::{
    Appended, Error, EventLog, InletName, Limits, LogId, Maintained, Offset, Partition, ReadBatch, Record,
    RetentionByTopic, Stored, Timestamp, Topic, Watermarks,
};

/// How a [`MemLog`] is set up.
#[derive(Clone, Debug)]
pub struct MemLogSettings {
    /// Partitions of every topic. Default: 4.
    pub partitions: u32,
    /// The inlets there are. Default: none.
    pub inlets: Vec<InletName>,
    /// Bytes that may wait while the log is held. Default: 64 MiB.
    pub queue_bytes: usize,
    /// Default: see [`RetentionByTopic`].
    pub retention: RetentionByTopic,
    /// How long a tombstone stays in a compacted topic. Default: 1 day.
    pub tombstone_retention: Duration,
}

impl Default for MemLogSettings {
    fn default() -> Self {
        Self {
            partitions: 4,
            inlets: Vec::new(),
            queue_bytes: 64 << 20,
            retention: RetentionByTopic::default(),
            tombstone_retention: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// An [`EventLog`] in memory.
#[derive(Debug)]
pub struct MemLog {
    id: LogId,
    settings: MemLogSettings,
    inner: Mutex<Inner>,
    generation: Generation,
}

#[derive(Debug, Default)]
struct Inner {
    topics: BTreeMap<Topic, Vec<Kept>>,
    positions: Positions,
    held: bool,
    queue: VecDeque<Waiting>,
    queued_bytes: usize,
}

/// The records of one partition: rising offsets, with holes after compaction.
#[derive(Debug, Default)]
struct Kept {
    low: Offset,
    high: Offset,
    records: VecDeque<Arc<Stored>>,
}

#[derive(Debug)]
struct Waiting {
    topic: Topic,
    partition: Partition,
    records: Vec<Record>,
    completion: Completion,
}

impl MemLog {
    /// An empty log with this many partitions and the defaults for the rest.
    #[must_use]
    pub fn new(partitions: u32) -> Self {
        Self::with_settings(MemLogSettings { partitions, ..MemLogSettings::default() })
    }

    /// An empty log.
    #[must_use]
    pub fn with_settings(settings: MemLogSettings) -> Self {
        let partitions = || (0..settings.partitions).map(|_| Kept::default()).collect();
        let topics = Topic::all(&settings.inlets).into_iter().map(|topic| (topic, partitions())).collect();
        let inner = Mutex::new(Inner { topics, ..Inner::default() });
        Self { id: LogId::random(), settings, inner, generation: Generation::default() }
    }

    /// Lets appends wait, as if the disk were slow: they are queued, and neither readable nor resolved.
    pub fn hold(&self) {
        lock(&self.inner).held = true;
    }

    /// Makes what waits durable, in order, and later appends at once again.
    pub fn resume(&self) {
        let mut inner = lock(&self.inner);
        inner.held = false;
        self.drain(inner);
    }

    /// Makes a partition of a topic anew, with nothing in it, as when somebody deletes a topic at the brokers and creates
    /// another one under its name. The log's name stays.
    pub fn recreate(&self, topic: &Topic, partition: Partition) {
        if let Ok(kept) = partition_of(&mut lock(&self.inner).topics, topic, partition) {
            *kept = Kept::default();
        }
    }

    /// Appends everything queued, then tells the callers and the readers, outside the lock.
    fn drain(&self, mut inner: std::sync::MutexGuard<'_, Inner>) {
        let mut done = Vec::with_capacity(inner.queue.len());
        while let Some(waiting) = inner.queue.pop_front() {
            inner.queued_bytes -= weight(&waiting.records);
            let kept = partition_of(&mut inner.topics, &waiting.topic, waiting.partition);
            // The coordinates were checked when the append was queued.
            let Ok(kept) = kept else { continue };
            done.push((waiting.completion, kept.push(waiting.records)));
        }
        drop(inner);
        self.generation.advance();
        for (completion, offsets) in done {
            complete(completion, Ok(offsets));
        }
    }
}

impl EventLog for MemLog {
    fn id(&self) -> LogId {
        self.id
    }

    fn partitions(&self) -> u32 {
        self.settings.partitions
    }

    fn append(&self, topic: &Topic, partition: Partition, records: Vec<Record>) -> Result<Appended, Error> {
        let (completion, appended) = Appended::channel();
        let mut inner = lock(&self.inner);
        partition_of(&mut inner.topics, topic, partition)?;
        let (bytes, limit) = (weight(&records), self.settings.queue_bytes);
        if bytes > limit {
            return Err(Error::TooLarge { topic: topic.clone(), partition, bytes, limit });
        }
        if inner.queued_bytes + bytes > limit {
            return Err(Error::Full { queued: inner.queued_bytes, limit });
        }
        inner.queued_bytes += bytes;
        inner.queue.push_back(Waiting { topic: topic.clone(), partition, records, completion });
        if !inner.held {
            self.drain(inner);
        }
        Ok(appended)
    }

    fn read(&self, topic: &Topic, partition: Partition, from: Offset, limits: Limits) -> Result<ReadBatch, Error> {
        let mut inner = lock(&self.inner);
        let kept = partition_of(&mut inner.topics, topic, partition)?;
        if from < kept.low {
            return Err(Error::Lost { topic: topic.clone(), partition, from, low: kept.low });
        }
        if from > kept.high {
            return Err(Error::Beyond { topic: topic.clone(), partition, from, high: kept.high });
        }
        let start = kept.records.partition_point(|stored| stored.offset < from);
        let mut found = Vec::new();
        let mut bytes = 0;
        for stored in kept.records.range(start..) {
            bytes += stored.record.weight();
            if !found.is_empty() && (bytes > limits.bytes || found.len() >= limits.records) {
                break;
            }
            found.push(Arc::clone(stored));
        }
        let next = kept.records.get(start + found.len()).map_or(kept.high, |stored| stored.offset);
        drop(inner);
        Ok(ReadBatch { records: found.iter().map(|stored| Stored::clone(stored)).collect(), next })
    }

    fn watermarks(&self, topic: &Topic, partition: Partition) -> Result<Watermarks, Error> {
        let mut inner = lock(&self.inner);
        let kept = partition_of(&mut inner.topics, topic, partition)?;
        Ok(Watermarks { low: kept.low, high: kept.high })
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.generation.wait(seen, timeout)
    }

    fn commit(&self, group: &str, topic: &Topic, partition: Partition, next: Offset) -> Result<(), Error> {
        let mut inner = lock(&self.inner);
        partition_of(&mut inner.topics, topic, partition)?;
        inner.positions.commit(group, topic, partition, next);
        Ok(())
    }

    fn committed(&self, group: &str, topic: &Topic, partition: Partition) -> Result<Option<Offset>, Error> {
        let mut inner = lock(&self.inner);
        partition_of(&mut inner.topics, topic, partition)?;
        Ok(inner.positions.committed(group, topic, partition))
    }

    fn release(&self, reader: &str, topic: &Topic, partition: Partition, up_to: Offset) -> Result<(), Error> {
        let mut inner = lock(&self.inner);
        partition_of(&mut inner.topics, topic, partition)?;
        inner.positions.release(reader, topic, partition, up_to);
        Ok(())
    }

    fn maintain(&self, now: Timestamp) -> Result<Maintained, Error> {
        let mut inner = lock(&self.inner);
        let Inner { topics, positions, .. } = &mut *inner;
        let mut done = Maintained::default();
        for (topic, partitions) in topics {
            let retention = self.settings.retention.of(topic);
            for (partition, kept) in Partition::all(self.settings.partitions).zip(partitions) {
                let unread_from = positions.unread_from(topic, partition);
                if topic.compacted() {
                    let older_than = before(now, self.settings.tombstone_retention);
                    done.add(kept.compact(&TombstoneRule { older_than, unread_from }));
                } else if let Some(age) = retention.age {
                    let stop = if retention.trims_unread { kept.high } else { unread_from.unwrap_or(Offset::FIRST) };
                    done.add(kept.trim(before(now, age), stop));
                }
            }
        }
        Ok(done)
    }

    fn topics(&self) -> Vec<Topic> {
        Topic::all(&self.settings.inlets)
    }
}

impl Kept {
    fn push(&mut self, records: Vec<Record>) -> Vec<Offset> {
        let mut offsets = Vec::with_capacity(records.len());
        for record in records {
            offsets.push(self.high);
            self.records.push_back(Arc::new(Stored { offset: self.high, record }));
            self.high = self.high.next();
        }
        offsets
    }

    fn trim(&mut self, older_than: Timestamp, stop: Offset) -> Maintained {
        let mut done = Maintained::default();
        while let Some(first) = self.records.front() {
            if first.record.timestamp >= older_than || first.offset >= stop {
                break;
            }
            done.trimmed_records += 1;
            done.freed_bytes += bytes_of(first);
            self.low = first.offset.next();
            self.records.pop_front();
        }
        done
    }

    fn compact(&mut self, rule: &TombstoneRule) -> Maintained {
        let mut newest = Newest::default();
        for stored in &self.records {
            newest.see(&stored.record.key, stored.offset);
        }
        let mut done = Maintained::default();
        self.records.retain(|stored| {
            let tombstone = stored.record.value.is_none().then_some(stored.record.timestamp);
            let keeps = newest.keeps(&stored.record.key, stored.offset, tombstone, rule);
            if !keeps {
                done.compacted_records += 1;
                done.freed_bytes += bytes_of(stored);
            }
            keeps
        });
        done
    }
}

fn partition_of<'a>(
    topics: &'a mut BTreeMap<Topic, Vec<Kept>>,
    topic: &Topic,
    partition: Partition,
) -> Result<&'a mut Kept, Error> {
    let partitions = topics.get_mut(topic).ok_or_else(|| Error::UnknownTopic { topic: topic.clone() })?;
    let count = u32::try_from(partitions.len()).unwrap_or(u32::MAX);
    usize::try_from(partition.get())
        .ok()
        .and_then(|index| partitions.get_mut(index))
        .ok_or_else(|| Error::UnknownPartition { topic: topic.clone(), partition, partitions: count })
}

fn weight(records: &[Record]) -> usize {
    records.iter().map(Record::weight).sum()
}

fn bytes_of(stored: &Stored) -> u64 {
    u64::try_from(stored.record.weight()).unwrap_or(u64::MAX)
}
