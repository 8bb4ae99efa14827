//! What waits for the brokers: how much, for how long, and what its callers are told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::kafka::client::Observed;
use crate::kafka::topic::TopicState;
use crate::local::settings::FailureHook;
use crate::log::{Completion, complete};
use crate::signal::{Generation, lock};
use crate::{Error, Offset, Partition};

pub(super) struct Queue {
    pub(super) limit: usize,
    pub(super) observed: Arc<Observed>,
    pub(super) generation: Arc<Generation>,
    pub(super) waiting: Mutex<Waiting>,
    pub(super) ended: AtomicBool,
    pub(super) on_failure: FailureHook,
}

#[derive(Default)]
pub(super) struct Waiting {
    pub(super) bytes: usize,
    pub(super) failure: Option<String>,
    pub(super) next_call: u64,
    /// When each call was made, on the clock below.
    pub(super) calls: BTreeMap<u64, Duration>,
    /// The time for which this process was running, as the polling thread saw it.
    pub(super) clock: Duration,
}

/// One call to append, on its way.
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) bytes: usize,
    pub(super) topic: Arc<TopicState>,
    pub(super) partition: Partition,
    pub(super) left: AtomicUsize,
    pub(super) outcome: Mutex<(Vec<Offset>, Option<String>, Option<Completion>)>,
}

pub(in crate::kafka) struct Ticket {
    pub(super) call: Arc<Call>,
    pub(super) index: usize,
}

impl Queue {
    pub(super) fn admit(&self, bytes: usize, empty: bool) -> Result<u64, Error> {
        let mut waiting = lock(&self.waiting);
        if let Some(reason) = &waiting.failure {
            return Err(Error::Stopped { reason: reason.clone() });
        }
        if waiting.bytes + bytes > self.limit {
            return Err(Error::Full { queued: waiting.bytes, limit: self.limit });
        }
        let number = waiting.next_call;
        if !empty {
            waiting.next_call += 1;
            waiting.bytes += bytes;
            let at = waiting.clock;
            waiting.calls.insert(number, at);
        }
        Ok(number)
    }

    pub(super) fn delivered(&self, ticket: &Ticket, delivered: Result<Offset, String>) {
        let call = &ticket.call;
        let mut outcome = lock(&call.outcome);
        match delivered {
            Ok(offset) => outcome.0[ticket.index] = offset,
            Err(reason) => {
                self.stop(&format!("{}/{} did not take a record: {reason}", call.topic.topic, call.partition));
                outcome.1.get_or_insert(reason);
            }
        }
        if call.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let offsets = std::mem::take(&mut outcome.0);
        let (failed, completion) = (outcome.1.take(), outcome.2.take());
        drop(outcome);
        {
            let mut waiting = lock(&self.waiting);
            waiting.bytes -= call.bytes;
            waiting.calls.remove(&call.number);
        }
        let answer = match failed {
            None => {
                if let Some(last) = offsets.iter().max() {
                    call.topic.is_durable(call.partition, last.next());
                }
                Ok(offsets)
            }
            Some(reason) => {
                Err(Error::Undelivered { topic: call.topic.topic.clone(), partition: call.partition, reason })
            }
        };
        self.generation.advance();
        if let Some(completion) = completion {
            complete(completion, answer);
        }
    }

    pub(super) fn stop(&self, reason: &str) {
        {
            let mut waiting = lock(&self.waiting);
            if waiting.failure.is_some() {
                return;
            }
            waiting.failure = Some(reason.to_owned());
        }
        tracing::error!(reason, "the log has stopped");
        self.generation.advance();
        self.on_failure.call(reason);
    }

    /// Moves the clock on, and answers for how long the oldest call waits.
    pub(super) fn oldest(&self, ran: Duration) -> Option<Duration> {
        let mut waiting = lock(&self.waiting);
        waiting.clock += ran;
        let clock = waiting.clock;
        waiting.calls.first_key_value().map(|(_, at)| clock.saturating_sub(*at))
    }
}
