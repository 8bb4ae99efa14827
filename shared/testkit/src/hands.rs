//! Several processes on one log, in one process: who owns what is said by the test, and each can be stopped like a
//! process by SIGSTOP.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_log::ownership::{Change, Ownership, Revoked};
use event_log::{Appended, Error, EventLog, Limits, Offset, Partition, ReadBatch, Record, Topic};

/// Changes that a process may be behind; a test that goes on after so many waits for it.
const CHANGES: usize = 64;

/// Ownership that a test gives and takes.
#[derive(Debug)]
pub struct Scripted(Receiver<Change>);

/// The end of [`Scripted`] that the test holds.
#[derive(Debug)]
pub struct Hand(SyncSender<Change>);

impl Scripted {
    /// Ownership of nothing yet, and who will change that.
    #[must_use]
    pub fn new() -> (Self, Hand) {
        let (sender, receiver) = sync_channel(CHANGES);
        (Self(receiver), Hand(sender))
    }
}

impl Ownership for Scripted {
    fn next(&mut self, timeout: Duration) -> Result<Option<Change>, Error> {
        match self.0.recv_timeout(timeout) {
            Ok(change) => Ok(Some(change)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(None),
        }
    }
}

impl Hand {
    /// Gives partitions. A process that has ended hears nothing.
    pub fn give(&self, partitions: &[Partition]) {
        self.0.send(Change::Assigned(partitions.to_vec())).ok();
    }

    /// Takes partitions; what is answered disconnects when they were let go.
    #[must_use]
    pub fn take(&self, partitions: &[Partition], lost: bool) -> Receiver<()> {
        let (revoked, let_go) = Revoked::new(partitions.to_vec(), lost);
        self.0.send(Change::Revoked(revoked)).ok();
        let_go
    }

    /// Takes partitions and waits until they were let go.
    ///
    /// # Panics
    /// When that takes longer than `deadline`.
    pub fn take_and_wait(&self, partitions: &[Partition], deadline: Duration) {
        let told = self.take(partitions, false).recv_timeout(deadline);
        assert_eq!(told, Err(RecvTimeoutError::Disconnected), "the partitions were not let go");
    }
}

/// One process's handle of a log that several share. While it is stopped every append and read waits: half of them before
/// the log hears of it, half of them after, so that a process can stand still with an append behind it.
#[derive(Debug)]
pub struct StoppableLog {
    inner: Arc<dyn EventLog>,
    state: Mutex<State>,
    goes_on: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Appends and reads until it stops; `None` for never.
    left: Option<u64>,
    /// Whoever stands still now.
    standing: u32,
}

impl StoppableLog {
    #[must_use]
    pub fn new(inner: Arc<dyn EventLog>) -> Self {
        Self { inner, state: Mutex::default(), goes_on: Condvar::new() }
    }

    /// Stops after this many more halves of calls.
    pub fn stop_after(&self, halves: u64) {
        self.lock().left = Some(halves);
    }

    pub fn go_on(&self) {
        self.lock().left = None;
        self.goes_on.notify_all();
    }

    /// Whether a call stands still now.
    #[must_use]
    pub fn stands_still(&self) -> bool {
        self.lock().standing > 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn half(&self) {
        let mut state = self.lock();
        if let Some(left @ 1..) = &mut state.left {
            *left -= 1;
            return;
        }
        state.standing += 1;
        while state.left.is_some() {
            state = self.goes_on.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.standing -= 1;
    }
}

impl EventLog for StoppableLog {
    crate::rest_of_the_log!(inner);

    fn append(&self, topic: &Topic, partition: Partition, records: Vec<Record>) -> Result<Appended, Error> {
        self.half();
        let appended = self.inner.append(topic, partition, records);
        self.half();
        appended
    }

    fn read(&self, topic: &Topic, partition: Partition, from: Offset, limits: Limits) -> Result<ReadBatch, Error> {
        self.half();
        let batch = self.inner.read(topic, partition, from, limits);
        self.half();
        batch
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.inner.wait(seen, timeout)
    }
}
