//! What every request needs, built once at start.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::rt::time::timeout;
use event_log::EventLog;
use memory_core::{HashSecret, Timestamp};
use memos_client::{Answer, RecallApi};
use service_runtime::{Health, Metrics};

use crate::auth::Access;
use crate::budget::Budget;
use crate::inlets::Bindings;
use crate::metrics::GatewayMetrics;
use crate::problem::{Code, Problem};
use crate::sealing::Sealing;
use crate::settings::Settings;
use crate::{Parts, StartError};

/// The gateway between its requests: everything shared, nothing owned.
pub(crate) struct State {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) recall: Arc<dyn RecallApi>,
    pub(crate) secret: HashSecret,
    pub(crate) sealing: Sealing,
    /// What is posted to inlets lies on our own disk.
    pub(crate) seal_inlets: bool,
    pub(crate) settings: Settings,
    pub(crate) access: Access,
    pub(crate) bindings: Bindings,
    pub(crate) health: Health,
    pub(crate) registry: Metrics,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) budget: Budget,
    writable: Arc<AtomicBool>,
}

/// The redacting form: settings name tenants.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("listen", &self.settings.listen).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn new(parts: &Parts) -> Result<Self, StartError> {
        let metrics = GatewayMetrics::new(&parts.metrics);
        Ok(Self {
            log: Arc::clone(&parts.log),
            recall: Arc::clone(&parts.recall),
            secret: parts.secret.clone(),
            sealing: Sealing::new(parts.ring.clone()),
            seal_inlets: parts.seal_inlets,
            access: Access::new(&parts.settings)?,
            bindings: Bindings::new(&parts.settings, parts.log.as_ref())?,
            health: parts.health.clone(),
            registry: parts.metrics.clone(),
            budget: Budget::new(parts.settings.limits.in_flight_bytes, metrics.inflight_bytes.clone()),
            metrics,
            settings: parts.settings.clone(),
            writable: Arc::clone(&parts.writable),
        })
    }

    /// Whether the disk takes anything.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Acquire)
    }

    /// Refuses a write while the disk is nearly full (law L12): reads go on.
    pub(crate) fn check_writable(&self) -> Result<(), Problem> {
        if self.is_writable() {
            return Ok(());
        }
        let message = "the disk is nearly full, so nothing is taken; questions are still answered";
        Err(Problem::new(Code::StorageLow, message).retry_after(5))
    }

    /// What recall answers, within the time that a question may take.
    pub(crate) async fn ask<T>(&self, answer: Answer<'_, T>) -> Result<T, Problem> {
        ask_within(answer, self.settings.limits.query_timeout()).await
    }
}

/// What recall answers, within a time.
pub(crate) async fn ask_within<T>(answer: Answer<'_, T>, limit: Duration) -> Result<T, Problem> {
    let late = |_| Problem::new(Code::Timeout, "no answer came in time").retry_after(1);
    Ok(timeout(limit, answer).await.map_err(late)??)
}

/// The clock. Only the edge reads it; inside, time is a field of the event.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}
