//! How readers learn that there is something new, and how an append learns that it is durable.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A number that rises whenever something became durable.
#[derive(Debug, Default)]
pub(crate) struct Generation {
    number: Mutex<u64>,
    risen: Condvar,
}

impl Generation {
    pub(crate) fn advance(&self) {
        *lock(&self.number) += 1;
        self.risen.notify_all();
    }

    /// Blocks until the number is above `seen`, or for `timeout`; answers the number.
    pub(crate) fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let deadline = Instant::now().checked_add(timeout);
        let mut number = lock(&self.number);
        while *number <= seen {
            let left = match deadline {
                Some(at) => at.saturating_duration_since(Instant::now()),
                // A timeout beyond what the clock can hold means: however long it takes.
                None => Duration::from_secs(3600),
            };
            if left.is_zero() {
                break;
            }
            number = self.risen.wait_timeout(number, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *number
    }
}

/// Locks even after a panic elsewhere: every critical section of this crate leaves its data whole at every point
/// where it can panic, and a log that deadlocks or panics for ever would hide the first panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
