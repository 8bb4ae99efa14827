//! A log that breaks at a chosen call, as a disk does, and counts what is asked of it.
//!
//! A service that is ended by its log at every single call, and started again, has been crashed at every moment that
//! the log can tell apart: also between an append and the reading of it. Behind it stands the real log in memory, and
//! beside it the keys of all that is on it, which outlive every crash.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_log::{Appended, Error, EventLog, Limits, MemLog, Offset, Partition, ReadBatch, Record, Topic};
use keyring::Keyring;

/// A [`MemLog`] that can be broken and mended.
#[derive(Debug)]
pub struct BrittleLog {
    inner: MemLog,
    ring: Keyring,
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    /// Appends and reads that are still answered; `None` for all.
    left: Option<u64>,
    appends: BTreeMap<Topic, u64>,
    read_to: BTreeMap<(Topic, Partition), Offset>,
    waits: u64,
    refusals: u64,
}

impl BrittleLog {
    #[must_use]
    pub fn new(inner: MemLog) -> Self {
        Self { inner, ring: crate::ring(), calls: Mutex::default() }
    }

    /// The keys of what is on the log.
    #[must_use]
    pub const fn ring(&self) -> &Keyring {
        &self.ring
    }

    /// The log itself. What is done to it neither breaks nor counts.
    #[must_use]
    pub const fn inner(&self) -> &MemLog {
        &self.inner
    }

    /// Answers this many more appends and reads, and after them none until it is mended.
    pub fn break_after(&self, calls: u64) {
        self.lock().left = Some(calls);
    }

    pub fn mend(&self) {
        self.lock().left = None;
    }

    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.lock().left == Some(0)
    }

    /// How often something was queued for a topic.
    #[must_use]
    pub fn appends(&self, topic: &Topic) -> u64 {
        self.lock().appends.get(topic).copied().unwrap_or(0)
    }

    /// The furthest that anybody has read.
    #[must_use]
    pub fn read_to(&self, topic: &Topic, partition: Partition) -> Offset {
        self.lock().read_to.get(&(topic.clone(), partition)).copied().unwrap_or_default()
    }

    /// How often somebody waited for news.
    #[must_use]
    pub fn waits(&self) -> u64 {
        self.lock().waits
    }

    /// How often the queue was full.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.lock().refusals
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self) -> Result<(), Error> {
        let mut calls = self.lock();
        match &mut calls.left {
            Some(0) => Err(Error::Stopped { reason: "a test broke it".to_owned() }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl EventLog for BrittleLog {
    crate::rest_of_the_log!(inner);

    fn append(&self, topic: &Topic, partition: Partition, records: Vec<Record>) -> Result<Appended, Error> {
        self.call()?;
        let appended = self.inner.append(topic, partition, records);
        match &appended {
            Err(Error::Full { .. }) => self.lock().refusals += 1,
            Ok(_) => *self.lock().appends.entry(topic.clone()).or_default() += 1,
            Err(_) => {}
        }
        appended
    }

    fn read(&self, topic: &Topic, partition: Partition, from: Offset, limits: Limits) -> Result<ReadBatch, Error> {
        self.call()?;
        let batch = self.inner.read(topic, partition, from, limits)?;
        let mut calls = self.lock();
        let furthest = calls.read_to.entry((topic.clone(), partition)).or_default();
        *furthest = batch.next.max(*furthest);
        Ok(batch)
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let generation = self.inner.wait(seen, timeout);
        self.lock().waits += 1;
        generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_breaks_at_the_chosen_call_and_not_before() {
        let (log, zero) = (BrittleLog::new(MemLog::new(1)), Partition::new(0));
        let append = || log.append(&Topic::Receipts, zero, vec![Record::default()]).map(drop);
        log.break_after(2);
        append().expect("the first call");
        log.read(&Topic::Receipts, zero, Offset::FIRST, Limits::default()).expect("the second call");
        assert!(append().is_err() && log.is_broken());
        log.mend();
        append().expect("it is mended");
        assert_eq!((log.appends(&Topic::Receipts), log.read_to(&Topic::Receipts, zero)), (2, Offset::new(1)));
    }
}
