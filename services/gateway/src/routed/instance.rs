//! One instance of recall, and how it has been lately.
//!
//! An instance that did not answer is passed over for a while, so that not every question waits for it in vain; longer
//! each time, so that one that is gone costs next to nothing. It is still asked where nobody else is left.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memos_client::{RemoteRecall, Unavailable};

use super::is_an_answer;

/// The longest pause, in doublings of the first.
const DOUBLINGS_MAX: u32 = 3;

#[derive(Debug)]
pub(crate) struct Instance {
    api: RemoteRecall,
    skip: Duration,
    lately: Mutex<Lately>,
}

#[derive(Debug, Default)]
struct Lately {
    failures: u32,
    skipped_until: Option<Instant>,
}

impl Instance {
    pub(crate) fn new(api: RemoteRecall, skip: Duration) -> Self {
        Self { api, skip, lately: Mutex::default() }
    }

    pub(crate) const fn api(&self) -> &RemoteRecall {
        &self.api
    }

    /// Until when it is passed over; `None` when it is not.
    pub(crate) fn skipped_until(&self) -> Option<Instant> {
        self.lately().skipped_until.filter(|until| *until > Instant::now())
    }

    pub(crate) fn is_skipped(&self) -> bool {
        self.skipped_until().is_some()
    }

    /// Notes that it answered, or why it did not.
    pub(crate) fn note(&self, ordinal: u32, failure: Option<&Unavailable>) {
        let mut lately = self.lately();
        let Some(failure) = failure.filter(|failure| !failure.invalid && !is_an_answer(failure)) else {
            if lately.failures > 0 {
                tracing::info!(instance = ordinal, url = self.api.url(), "recall answers again");
            }
            *lately = Lately::default();
            return;
        };
        // Questions that were asked at the same time fail together; that is one failure.
        if lately.skipped_until.is_some_and(|until| until > Instant::now()) {
            return;
        }
        let pause = self.skip * 2_u32.pow(lately.failures.min(DOUBLINGS_MAX));
        lately.failures = lately.failures.saturating_add(1);
        lately.skipped_until = Some(Instant::now() + pause);
        tracing::warn!(instance = ordinal, url = self.api.url(), reason = %failure, ?pause, "recall does not answer");
    }

    fn lately(&self) -> MutexGuard<'_, Lately> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
