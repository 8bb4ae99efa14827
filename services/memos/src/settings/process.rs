//! How a process ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[process]`: how it ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    pub(super) stop_timeout_seconds: u64,
}

impl Default for Process {
    fn default() -> Self {
        Self { stop_timeout_seconds: 25 }
    }
}

impl Process {
    pub(crate) const fn stop_timeout(&self) -> Duration {
        Duration::from_secs(self.stop_timeout_seconds)
    }
}
