//! A replica of `memories`: reads steps, applies them, tells whoever listens.

use std::fmt;
use std::sync::Arc;

use event_log::{EventLog, Limits, Offset, Partition, Stored, Topic, envelope};
use memory_core::step::Step;
use memory_core::{Handle, Invariant};

use crate::{Error, Record, Store, Verdict};

/// Hears of every applied step, in the order of the log, on the thread that applied it.
pub type Listener = Arc<dyn Fn(&Step) + Send + Sync>;

/// A store that follows `memories`.
pub struct Replica {
    log: Arc<dyn EventLog>,
    store: Arc<Store>,
    listeners: Vec<Listener>,
    limits: Limits,
}

impl Replica {
    /// # Errors
    /// [`Error::Ahead`] when the store has read more than the log holds: one of them was replaced or truncated.
    pub fn new(log: Arc<dyn EventLog>, store: Arc<Store>, limits: Limits) -> Result<Self, Error> {
        for partition in Partition::all(log.partitions()) {
            for topic in [Topic::Memories, Topic::Consolidations, Topic::Working] {
                let position = store.position(log.id(), &topic, partition)?;
                let high = log.watermarks(&topic, partition).map_err(Error::Log)?.high;
                if position > high {
                    return Err(Error::Ahead {
                        invariant: Invariant::StoreBehindLog,
                        topic,
                        partition,
                        position,
                        high,
                    });
                }
            }
        }
        Ok(Self { log, store, listeners: Vec::new(), limits })
    }

    /// Adds a listener. Before the first step is applied.
    pub fn listen(&mut self, listener: Listener) {
        self.listeners.push(listener);
    }

    #[must_use]
    pub const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    #[must_use]
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// Applies everything that `memories` holds of a partition; answers the keys of records that lost against an
    /// earlier one with their number.
    ///
    /// # Errors
    /// [`Error`]; all of them mean that this process must stop.
    pub fn catch_up(&self, partition: Partition) -> Result<Vec<Vec<u8>>, Error> {
        let mut losers = Vec::new();
        loop {
            let from = self.store.position(self.log.id(), &Topic::Memories, partition)?;
            let batch = self.log.read(&Topic::Memories, partition, from, self.limits).map_err(Error::Log)?;
            if batch.next == from {
                return Ok(losers);
            }
            losers.extend(self.apply(partition, &batch.records, batch.next)?);
        }
    }

    fn apply(&self, partition: Partition, records: &[Stored], next: Offset) -> Result<Vec<Vec<u8>>, Error> {
        let mut read = Vec::with_capacity(records.len());
        for stored in records {
            let step = envelope::read_step(stored).map_err(Error::Envelope)?;
            read.push(Record { offset: stored.offset, key: stored.record.key.clone(), step });
        }
        let verdicts = self.store.apply(self.log.id(), partition, &read, next)?;
        let mut losers = Vec::new();
        for (record, verdict) in read.into_iter().zip(verdicts) {
            match (&record.step, verdict) {
                (Some(step), Verdict::Applied) => self.listeners.iter().for_each(|listener| listener(step)),
                (_, Verdict::Lost) => losers.push(record.key),
                (None, Verdict::Applied) | (_, Verdict::Known | Verdict::Gone) => {}
            }
        }
        Ok(losers)
    }

    /// The partition of a subject in this log.
    #[must_use]
    pub fn partition_of(&self, subject: Handle) -> Partition {
        subject.partition(self.log.partitions())
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replica({:?})", self.store)
    }
}
