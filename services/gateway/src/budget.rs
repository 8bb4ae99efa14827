//! How many bytes of bodies are in the house. A body is counted from its first byte until its answer is sent, so the
//! sum also bounds what waits for the disk; one over the limit is turned away with 429 and never queued.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use service_runtime::IntGauge;

/// A count of bytes with a limit. Clones are the same count.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
    shown: IntGauge,
}

/// Some of a budget's bytes. They are given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize, shown: IntGauge) -> Self {
        Self { used: Arc::new(AtomicUsize::new(0)), limit, shown }
    }

    /// A share of no bytes, to be grown.
    pub(crate) fn share(&self) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }

    fn show(&self) {
        self.shown.set(i64::try_from(self.used.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
    }
}

impl Share {
    /// Grows to at least `bytes`; false when the budget does not have them, and then nothing changed.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        let limit = self.budget.limit;
        let fits = |used: usize| used.checked_add(more).filter(|sum| *sum <= limit);
        let taken = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if taken {
            self.bytes += more;
            self.budget.show();
        }
        taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.budget.show();
    }
}

#[cfg(test)]
mod tests {
    use service_runtime::Metrics;

    use super::*;

    // law: L10
    #[test]
    fn what_is_over_the_limit_waits_outside() {
        let gauge = Metrics::new().gauge("memos_test_bytes", "Bytes.");
        let budget = Budget::new(10, gauge.clone());
        let (mut first, mut second) = (budget.share(), budget.share());
        assert!(first.grow_to(6) && first.grow_to(6) && !second.grow_to(5) && second.grow_to(4));
        assert_eq!(gauge.get(), 10);
        drop(first);
        assert!(second.grow_to(10) && !second.grow_to(11));
        drop(second);
        assert_eq!(gauge.get(), 0);
    }
}
