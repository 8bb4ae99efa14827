//! The wall clock of the shells around the core. Folds never see it: they see the times that records carry.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::Timestamp;

/// Now, as whole microseconds since the epoch; the epoch itself on a machine whose clock stands before it.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
