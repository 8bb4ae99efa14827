//! Waiting for what another thread or process does: for a condition, up to a deadline, never for a time.

use std::time::{Duration, Instant};

/// How long to let others run between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Looks until `condition` holds.
///
/// # Panics
/// When it does not hold within `deadline`; the message names `what` was waited for.
#[track_caller]
pub fn wait_until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < deadline, "waited {deadline:?} in vain until {what}");
        std::thread::park_timeout(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn it_returns_when_the_condition_holds() {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| done.store(true, Ordering::SeqCst));
            wait_until(Duration::from_secs(10), "the thread ran", || done.load(Ordering::SeqCst));
        });
    }

    #[test]
    fn it_fails_with_the_reason_when_the_time_is_over() {
        let waited = std::panic::catch_unwind(|| wait_until(Duration::ZERO, "pigs fly", || false));
        let message = waited.expect_err("they do not").downcast::<String>().expect("a text");
        assert!(message.contains("until pigs fly"), "{message}");
    }
}
