//! A replica of `memories`: reads steps, applies them, tells whoever listens.

use std::fmt;
use std::sync::Arc;

use event_log::{EventLog, Limits, Offset, Partition, Stored, Topic, anchor, envelope};
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
    /// Reads nothing yet: [`Replica::begin`] comes first, partition by partition.
    #[must_use]
    pub const fn new(log: Arc<dyn EventLog>, store: Arc<Store>, limits: Limits) -> Self {
        Self { log, store, listeners: Vec::new(), limits }
    }

    /// Looks whether the store can follow this partition, and makes the log look as well: what others have written so
    /// far is read by the next [`Replica::catch_up`] and [`Replica::catch_up_working`].
    ///
    /// # Errors
    /// [`Error::Ahead`] when the store has read more than the log holds: one of them was replaced or truncated. What
    /// [`Store::check_anchor`] answers when the log holds as much, and it is not what was read.
    pub fn begin(&self, partition: Partition) -> Result<(), Error> {
        for topic in [Topic::Memories, Topic::Consolidations, Topic::Working, Topic::Receipts] {
            let position = self.store.position(self.log.id(), &topic, partition)?;
            let high = self.log.watermarks(&topic, partition).map_err(Error::Log)?.high;
            if position > high {
                let invariant = Invariant::StoreBehindLog;
                return Err(Error::Ahead { invariant, topic, partition, position, high });
            }
            self.store.check_anchor(&*self.log, &topic, partition)?;
        }
        Ok(())
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

    /// Applies everything that `memories` holds of a partition; answers the keys of records that lost against earlier
    /// ones. [`Store::losers`] tells of all that are not buried yet.
    ///
    /// # Errors
    /// As [`Replica::advance`].
    pub fn catch_up(&self, partition: Partition) -> Result<Vec<Vec<u8>>, Error> {
        let mut losers = Vec::new();
        while let Some(lost) = self.advance(partition)? {
            losers.extend(lost);
        }
        Ok(losers)
    }

    /// Applies one batch of `memories`: for whoever has something else to look at in between. `None` at the end, else the
    /// keys of records that lost, as for [`Replica::catch_up`].
    ///
    /// # Errors
    /// [`Error::Gap`] when steps are missing at the end and no snapshot replaced them; a restart says so again. [`Error`];
    /// all of them mean that this process must stop.
    pub fn advance(&self, partition: Partition) -> Result<Option<Vec<Vec<u8>>>, Error> {
        let from = self.store.position(self.log.id(), &Topic::Memories, partition)?;
        let read = || self.log.read(&Topic::Memories, partition, from, self.limits).map_err(Error::Log);
        let mut batch = read()?;
        if batch.next == from {
            let Some((offset, source)) = self.store.missing(partition, self.log.partitions())? else {
                return Ok(None);
            };
            // Compaction took steps after their snapshot was written, so the snapshot is there; see that it is read.
            self.log.watermarks(&Topic::Memories, partition).map_err(Error::Log)?;
            batch = read()?;
            if batch.next == from {
                let invariant = Invariant::StepsAreContiguous;
                return Err(Error::Gap { invariant, partition, offset, source });
            }
        }
        self.apply(partition, &batch.records, batch.next).map(Some)
    }

    /// Brings the table of a partition up to the end of `working`, as every reader of that topic does.
    ///
    /// # Errors
    /// [`Error`]; all of them mean that this process must stop.
    pub fn catch_up_working(&self, partition: Partition) -> Result<(), Error> {
        while self.advance_working(partition)? {}
        Ok(())
    }

    /// One batch of [`Replica::catch_up_working`]; `false` at the end.
    ///
    /// # Errors
    /// As there.
    pub fn advance_working(&self, partition: Partition) -> Result<bool, Error> {
        let from = self.store.position(self.log.id(), &Topic::Working, partition)?;
        let batch = self.log.read(&Topic::Working, partition, from, self.limits).map_err(Error::Log)?;
        if batch.next == from {
            return Ok(false);
        }
        let mut rows = Vec::with_capacity(batch.records.len());
        for stored in &batch.records {
            rows.extend(envelope::read_working(self.store.ring(), stored).map_err(Error::Envelope)?);
        }
        self.store.apply_working(self.log.id(), partition, &rows, batch.next)?;
        Ok(true)
    }

    /// One batch of `receipts`; `false` at the end.
    ///
    /// # Errors
    /// [`Error`]; all of them mean that this process must stop.
    pub fn advance_receipts(&self, partition: Partition) -> Result<bool, Error> {
        let from = self.store.position(self.log.id(), &Topic::Receipts, partition)?;
        let batch = self.log.read(&Topic::Receipts, partition, from, self.limits).map_err(Error::Log)?;
        if batch.next == from {
            return Ok(false);
        }
        let mut receipts = Vec::with_capacity(batch.records.len());
        for stored in &batch.records {
            receipts.extend(envelope::read_receipt(stored).map_err(Error::Envelope)?);
        }
        self.store.apply_receipts(self.log.id(), partition, &receipts, batch.next)?;
        Ok(true)
    }

    fn apply(&self, partition: Partition, records: &[Stored], next: Offset) -> Result<Vec<Vec<u8>>, Error> {
        let mut read = Vec::with_capacity(records.len());
        for stored in records {
            read.push(Record::read(self.store.ring(), stored).map_err(Error::Envelope)?);
        }
        let newest = records.last().map(|stored| anchor::of(stored.offset, &stored.record));
        let verdicts = self.store.apply(self.log.id(), partition, &read, next, newest)?;
        let mut losers = Vec::new();
        for (record, verdict) in read.into_iter().zip(verdicts) {
            match (&record.step, verdict) {
                (Some(step), Verdict::Applied) => self.listeners.iter().for_each(|listener| listener(step)),
                (_, Verdict::Lost) => losers.push(record.key),
                (None, Verdict::Applied) | (_, Verdict::Known | Verdict::Gone | Verdict::Unconnected { .. }) => {}
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
