//! Which partitions this process owns (law L05).
//!
//! A writer asks for changes between two batches, so a partition changes hands when nothing is in flight: what is
//! revoked is drained and flushed before the revocation is answered, and only then may another process take it. The
//! answer is the drop of [`Revoked`]. Who owns everything for good, as the embedded memos does, is told so once.

use std::fmt;
use std::sync::mpsc;
use std::time::Duration;

use crate::{Error, EventLog, Partition};

/// Tells a writer which partitions are its own.
pub trait Ownership: Send + fmt::Debug {
    /// The next change; `None` when there was none for `timeout`. A zero timeout only looks.
    ///
    /// # Errors
    /// [`Error`] when this process may not go on owning anything: it must stop.
    fn next(&mut self, timeout: Duration) -> Result<Option<Change>, Error>;
}

/// A change of ownership.
#[derive(Debug)]
pub enum Change {
    /// These are owned from now on, in addition to what was owned before.
    Assigned(Vec<Partition>),
    /// These are given up.
    Revoked(Revoked),
}

/// Partitions to give up. They may be taken by another process once this is dropped.
#[derive(Debug)]
pub struct Revoked {
    pub partitions: Vec<Partition>,
    /// They are another's already: this process was away for too long. What it still writes is recognised and undone.
    pub lost: bool,
    /// Its other end waits for the drop.
    _drained: mpsc::SyncSender<()>,
}

impl Revoked {
    /// A revocation, and the end that hears (as a disconnection) when it was drained.
    #[must_use]
    pub fn new(partitions: Vec<Partition>, lost: bool) -> (Self, mpsc::Receiver<()>) {
        let (drained, hears) = mpsc::sync_channel(1);
        (Self { partitions, lost, _drained: drained }, hears)
    }
}

/// Ownership of every partition, for good.
#[derive(Debug)]
pub struct All(Option<Vec<Partition>>);

impl All {
    /// Of all partitions of this log.
    #[must_use]
    pub fn of(log: &dyn EventLog) -> Self {
        Self(Some(Partition::all(log.partitions()).collect()))
    }
}

impl Ownership for All {
    fn next(&mut self, timeout: Duration) -> Result<Option<Change>, Error> {
        if let Some(partitions) = self.0.take() {
            return Ok(Some(Change::Assigned(partitions)));
        }
        std::thread::sleep(timeout);
        Ok(None)
    }
}
