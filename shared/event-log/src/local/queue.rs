//! What waits for the writer: appends in the order in which they were called, and segments to be closed.
//!
//! Bytes count from the moment they are queued until they are durable, so the bound holds for what the writer has in
//! its hands as well.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::log::{Completion, complete};
use crate::signal::lock;
use crate::{Error, Record};

/// An append.
#[derive(Debug)]
pub(crate) struct Request {
    /// Which partition of the log.
    pub(crate) slot: usize,
    pub(crate) records: Vec<Record>,
    /// How many records there were, for when the writer has taken them.
    pub(crate) count: usize,
    pub(crate) bytes: usize,
    pub(crate) completion: Completion,
}

/// A segment to be closed, and whom to tell.
#[derive(Debug)]
pub(crate) struct Roll {
    pub(crate) slot: usize,
    pub(crate) completion: Completion,
}

/// What the writer takes at once.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) requests: Vec<Request>,
    pub(crate) rolls: Vec<Roll>,
    /// Nothing will be queued any more.
    pub(crate) closing: bool,
}

#[derive(Debug, Default)]
struct Waiting {
    work: Work,
    queued_bytes: usize,
    stopped: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Queue {
    limit: usize,
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, waiting: Mutex::default(), filled: Condvar::new() }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn push(&self, request: Request) -> Result<(), Error> {
        let mut waiting = lock(&self.waiting);
        waiting.accepts()?;
        if waiting.queued_bytes + request.bytes > self.limit {
            return Err(Error::Full { queued: waiting.queued_bytes, limit: self.limit });
        }
        waiting.queued_bytes += request.bytes;
        waiting.work.requests.push(request);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    pub(crate) fn roll(&self, roll: Roll) -> Result<(), Error> {
        let mut waiting = lock(&self.waiting);
        waiting.accepts()?;
        waiting.work.rolls.push(roll);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for work, for at most `patience`, and takes all of it.
    pub(crate) fn take(&self, patience: Duration) -> Work {
        let mut waiting = lock(&self.waiting);
        if waiting.work.is_idle() {
            let idle = |waiting: &mut Waiting| waiting.work.is_idle();
            let woken = self.filled.wait_timeout_while(waiting, patience, idle);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let closing = waiting.work.closing;
        std::mem::replace(&mut waiting.work, Work { closing, ..Work::default() })
    }

    /// Makes room for what has become durable.
    pub(crate) fn durable(&self, bytes: usize) {
        let mut waiting = lock(&self.waiting);
        waiting.queued_bytes = waiting.queued_bytes.saturating_sub(bytes);
    }

    /// Takes no more; what is queued is still written.
    pub(crate) fn close(&self) {
        lock(&self.waiting).work.closing = true;
        self.filled.notify_one();
    }

    /// Takes no more, and fails what is queued. Answers whether this was the first reason.
    pub(crate) fn stop(&self, reason: &str) -> bool {
        let mut waiting = lock(&self.waiting);
        let first = waiting.stopped.is_none();
        waiting.stopped.get_or_insert_with(|| reason.to_owned());
        let work = std::mem::take(&mut waiting.work);
        waiting.work.closing = true;
        drop(waiting);
        fail(work, reason);
        self.filled.notify_one();
        first
    }

    pub(crate) fn failure(&self) -> Option<String> {
        lock(&self.waiting).stopped.clone()
    }
}

/// Tells everybody who waits that it will not happen.
pub(crate) fn fail(work: Work, reason: &str) {
    let requests = work.requests.into_iter().map(|request| request.completion);
    let rolls = work.rolls.into_iter().map(|roll| roll.completion);
    for completion in requests.chain(rolls) {
        complete(completion, Err(Error::Stopped { reason: reason.to_owned() }));
    }
}

impl Waiting {
    fn accepts(&self) -> Result<(), Error> {
        match &self.stopped {
            Some(reason) => Err(Error::Stopped { reason: reason.clone() }),
            None if self.work.closing => Err(Error::Closed),
            None => Ok(()),
        }
    }
}

impl Work {
    fn is_idle(&self) -> bool {
        self.requests.is_empty() && self.rolls.is_empty() && !self.closing
    }
}
