//! `?wait=recallable&timeout_ms=…`: an answer that comes only when a following question sees the events; of a forget, also
//! when it has come to a stage of its receipt.
//!
//! The events are durable before the waiting begins. So when the time is over, the answer is still a 202, with the
//! status `accepted`: an error would invite a retry of something that was taken.

use std::time::Duration;

use actix_web::rt::time::{Instant, sleep};
use memory_core::{ReceiptId, TenantId};
use memos_client::{ForgetUntil, Position, Reach, ReceiptStatus, ReceiptView};

use crate::params::Params;
use crate::problem::{Code, Problem};
use crate::settings::LimitSettings;
use crate::state::State;

/// How long a request waits for its events to be recallable; `None`: it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait(Option<Duration>);

impl Wait {
    /// Takes `wait` and `timeout_ms` out of the query string.
    pub(crate) fn take(params: &mut Params, limits: &LimitSettings) -> Result<Self, Problem> {
        let timeout = params.parsed("timeout_ms", "a number of milliseconds")?.map(Duration::from_millis);
        match params.take("wait")?.as_deref() {
            None if timeout.is_some() => Err(Problem::field(Code::InvalidField, "timeout_ms", "needs wait=recallable")),
            None => Ok(Self(None)),
            Some("recallable") => Ok(Self(Some(bounded(timeout, limits)?))),
            Some(_) => Err(Problem::field(Code::InvalidField, "wait", "must be recallable")),
        }
    }

    /// Waits; answers whether the position was reached.
    pub(crate) async fn reached(self, state: &State, position: &Position) -> bool {
        let Some(timeout) = self.0 else { return false };
        // Recall keeps the time itself; the second guards against one that does not answer at all.
        let guard = timeout + Duration::from_secs(1);
        crate::state::ask_within(state.recall.reached(position, Reach::Every, timeout), guard).await.is_ok()
    }
}

fn bounded(timeout: Option<Duration>, limits: &LimitSettings) -> Result<Duration, Problem> {
    let timeout = timeout.unwrap_or_else(|| limits.query_timeout());
    if timeout <= limits.wait_timeout() {
        return Ok(timeout);
    }
    let message = format!("must be at most {}", limits.wait_timeout_ms);
    Err(Problem::field(Code::InvalidField, "timeout_ms", message))
}

/// The first pause between two looks at a receipt, and the longest.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// How far a request waits for a forget. Unless it says otherwise, until no answer shows any more what is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ForgetWait {
    until: ForgetUntil,
    timeout: Duration,
}

impl ForgetWait {
    /// Takes `wait` and `timeout_ms` out of the query string.
    pub(crate) fn take(params: &mut Params, limits: &LimitSettings) -> Result<Self, Problem> {
        let timeout = params.parsed("timeout_ms", "a number of milliseconds")?.map(Duration::from_millis);
        let refused = || {
            let message = format!("must be {}", ForgetUntil::NAMES);
            Problem::field(Code::InvalidField, "wait", message)
        };
        let until = match params.take("wait")? {
            Some(until) => ForgetUntil::parse(&until).ok_or_else(refused)?,
            None => ForgetUntil::Recallable,
        };
        Ok(Self { until, timeout: bounded(timeout, limits)? })
    }

    /// Waits; answers the receipt as it is then. What cannot be known yet is told as it was when the forget was taken.
    pub(crate) async fn receipt(
        self,
        state: &State,
        tenant: &TenantId,
        position: &Position,
        accepted: ReceiptView,
    ) -> ReceiptView {
        let wanted = match self.until {
            ForgetUntil::Accepted => return accepted,
            ForgetUntil::Recallable => ReceiptStatus::Accepted,
            ForgetUntil::Stage(stage) => stage,
        };
        let deadline = Instant::now() + self.timeout;
        if !Wait(Some(self.timeout)).reached(state, position).await {
            return accepted;
        }
        let (id, mut latest, (mut pause, pause_max)) = (ReceiptId::from_uuid(accepted.id), accepted, LOOKS);
        loop {
            if let Ok(Some(receipt)) = state.ask(state.recall.receipt(tenant, id)).await {
                latest = receipt;
            }
            if latest.status >= wanted || Instant::now() + pause > deadline {
                return latest;
            }
            sleep(pause).await;
            pause = pause_max.min(pause * 2);
        }
    }
}
