//! `?wait=recallable&timeout_ms=…`: an answer that comes only when a following question sees the events.
//!
//! The events are durable before the waiting begins. So when the time is over, the answer is still a 202, with the
//! status `accepted`: an error would invite a retry of something that was taken.

use std::time::Duration;

use memos_client::{Position, Reach};

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
            Some("recallable") => {
                let timeout = timeout.unwrap_or_else(|| limits.query_timeout());
                if timeout <= limits.wait_timeout() {
                    return Ok(Self(Some(timeout)));
                }
                let message = format!("must be at most {}", limits.wait_timeout_ms);
                Err(Problem::field(Code::InvalidField, "timeout_ms", message))
            }
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
