//! Health as a list of named parts, each of which says how it is; the process is what its parts are.
//!
//! *Live* asks whether a restart would help: only a failed part says yes. *Ready* asks whether to send requests: only
//! when every part is ready. A part that restores for minutes is therefore not restarted, and not asked either.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// How one part is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "reason")]
pub enum State {
    /// It restores what it needs; questions to it would find too little.
    Starting,
    /// It does its work.
    Ready,
    /// It finishes what it has and takes nothing new.
    Draining,
    /// It cannot go on, and why.
    Failed(String),
}

/// Health as it is told: the body of `GET /health/ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthReport {
    pub ready: bool,
    /// False while the disk is too full to take anything.
    pub writable: bool,
    pub parts: BTreeMap<String, State>,
}

/// The health of a process. Clones are the same health.
#[derive(Clone, Debug, Default)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<String, State>>>,
}

impl Health {
    /// No parts yet, which is live and not ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how a part is. The first time also makes it known.
    pub fn set(&self, part: &str, state: State) {
        self.lock().insert(part.to_owned(), state);
    }

    /// All parts, by name.
    #[must_use]
    pub fn parts(&self) -> BTreeMap<String, State> {
        self.lock().clone()
    }

    /// Whether no part has failed.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !self.lock().values().any(|state| matches!(state, State::Failed(_)))
    }

    /// Whether there are parts and all of them are ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let parts = self.lock();
        !parts.is_empty() && parts.values().all(|state| *state == State::Ready)
    }

    /// All of it, at one moment.
    #[must_use]
    pub fn report(&self, writable: bool) -> HealthReport {
        HealthReport { ready: self.is_ready(), writable, parts: self.parts() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        // One insert cannot leave the map half done, so a panic elsewhere spoils nothing.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_what_its_parts_are() {
        let health = Health::new();
        assert!(health.is_live() && !health.is_ready(), "nothing has said that it is ready");
        health.set("gateway", State::Ready);
        health.set("recall", State::Starting);
        assert!(health.is_live() && !health.is_ready(), "restoring is not a reason to restart");
        health.set("recall", State::Ready);
        assert!(health.is_ready());
        health.set("gateway", State::Draining);
        assert!(health.is_live() && !health.is_ready());
        health.set("gateway", State::Failed("fsync".to_owned()));
        assert!(!health.is_live() && !health.is_ready());
        assert_eq!(health.parts().len(), 2);
    }
}
