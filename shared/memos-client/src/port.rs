//! The port between the gateway, which speaks HTTP, and recall, which holds the memories.
//!
//! In one process it is a call; between processes it is HTTP. The gateway sees no difference: both answer later, both
//! may be unavailable, and "missing" is an answer and not an error. What belongs to another tenant is missing
//! (law L08).

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use memory_core::forget::Scope;
use memory_core::{EventId, Kind, MemoryId, Partition, ReceiptId, Subject, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event_status::EventStatusView;
use crate::forget::{ForgetPreview, ReceiptView};
use crate::memory::MemoryView;
use crate::page::Page;
use crate::position::Position;
use crate::profile::ProfileView;
use crate::recall::{RecallRequest, RecallResponse};
use crate::revision::RevisionView;
use crate::working_memory::WorkingMemoryView;

/// An answer that comes later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Unavailable {
    /// Stable; one of [`Unavailable::CODES`].
    pub code: &'static str,
    pub message: String,
    /// When to ask again; of no meaning for an invalid question.
    pub retry_after_seconds: u32,
    /// True when the question is at fault: a 400, and not a 503.
    pub invalid: bool,
}

impl Unavailable {
    /// All codes. The last four are said between processes only: another instance may have the answer.
    pub const CODES: [&'static str; 10] = [
        "restoring",
        "position_not_reached",
        "wrong_log",
        "timeout",
        "invalid_query",
        "invalid_cursor",
        Self::NOT_SERVED_HERE,
        Self::UNREACHABLE,
        Self::BUSY,
        Self::UNAUTHORIZED,
    ];
    /// The partition is not one of this instance.
    pub const NOT_SERVED_HERE: &'static str = "not_served_here";
    /// The instance does not answer, or not in time.
    pub const UNREACHABLE: &'static str = "unreachable";
    /// The instance works on as many questions as it may.
    pub const BUSY: &'static str = "busy";
    /// The instance has another internal key than the one that was sent.
    pub const UNAUTHORIZED: &'static str = "unauthorized";

    /// The code with this name, as it came over the wire.
    #[must_use]
    pub fn code_named(name: &str) -> Option<&'static str> {
        Self::CODES.into_iter().find(|code| *code == name)
    }

    /// The same question may be answered after a while.
    #[must_use]
    pub fn later(code: &'static str, message: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self { code, message: message.into(), retry_after_seconds, invalid: false }
    }

    /// The question itself is wrong.
    #[must_use]
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_seconds: 0, invalid: true }
    }
}

/// A view with the subject it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Owned<T> {
    pub subject: Subject,
    pub value: T,
}

/// Which of a subject's memories to list.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ListRequest {
    /// 1 to 200.
    pub limit: usize,
    /// The `next` of the page before.
    pub cursor: Option<String>,
    /// Only these kinds; all when empty.
    pub kinds: Vec<Kind>,
    /// As in [`RecallRequest::filters`].
    pub filters: Option<Value>,
    /// Also those that are not active, or have expired.
    pub include_inactive: bool,
}

/// The redacting form: how much is asked for.
impl Debug for ListRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListRequest")
            .field("limit", &self.limit)
            .field("kinds", &self.kinds)
            .field("filtered", &self.filters.is_some())
            .field("include_inactive", &self.include_inactive)
            .finish_non_exhaustive()
    }
}

/// Who must have reached a position, where several instances hold the same partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// One instance of each partition: enough for a question that names the position itself.
    One,
    /// Every instance that answers at all: whichever is asked next, without a position, sees the events.
    Every,
}

/// Everything the gateway asks of recall.
pub trait RecallApi: Send + Sync + Debug {
    /// Ranks what one subject has. The request names a subject, and its limit is in range.
    fn recall(&self, tenant: &TenantId, request: RecallRequest) -> Answer<'_, RecallResponse>;

    /// A memory; `None` when it is missing, deleted or another tenant's.
    fn memory(&self, tenant: &TenantId, id: MemoryId) -> Answer<'_, Option<Owned<MemoryView>>>;

    /// All versions of a memory, oldest first, the current one last; `None` as for [`RecallApi::memory`].
    fn history(&self, tenant: &TenantId, id: MemoryId) -> Answer<'_, Option<Vec<RevisionView>>>;

    /// The memories of a subject, one page at a time.
    fn memories(&self, subject: &Subject, request: ListRequest) -> Answer<'_, Page<MemoryView>>;

    /// The current conversation of a subject; of an unknown subject, an empty one.
    fn working_memory(&self, subject: &Subject) -> Answer<'_, WorkingMemoryView>;

    /// What a subject is like at `now`, which is the clock's time by default; of an unknown subject, nothing.
    fn profile(&self, subject: &Subject, now: Option<Timestamp>) -> Answer<'_, ProfileView>;

    /// What became of an event; `None` when it is unknown or another tenant's.
    fn event(&self, tenant: &TenantId, id: &EventId) -> Answer<'_, Option<EventStatusView>>;

    /// How far a forget has come; `None` when it is unknown or another tenant's.
    fn receipt(&self, tenant: &TenantId, id: ReceiptId) -> Answer<'_, Option<ReceiptView>>;

    /// What a forget of this would take of a subject now.
    fn preview(&self, subject: &Subject, scope: &Scope) -> Answer<'_, ForgetPreview>;

    /// Resolves when everything up to `position` is recallable; `timeout` or `restoring` after `timeout`, and
    /// `wrong_log` (invalid) when the position is of another log.
    fn reached(&self, position: &Position, reach: Reach, timeout: Duration) -> Answer<'_, ()>;
}

/// One of several instances of recall, each of which holds some partitions.
///
/// Whose an id is cannot be seen from it. So what is asked by id alone says among which partitions it is looked for, and
/// `None` means: in none of these. An instance that does not serve all of them finds it, or is unavailable. The
/// methods of [`RecallApi`] look in all partitions of the log.
pub trait ReplicaApi: RecallApi {
    /// As [`RecallApi::memory`].
    fn memory_within(
        &self,
        tenant: &TenantId,
        id: MemoryId,
        within: &[Partition],
    ) -> Answer<'_, Option<Owned<MemoryView>>>;

    /// As [`RecallApi::history`].
    fn history_within(
        &self,
        tenant: &TenantId,
        id: MemoryId,
        within: &[Partition],
    ) -> Answer<'_, Option<Vec<RevisionView>>>;

    /// As [`RecallApi::receipt`].
    fn receipt_within(&self, tenant: &TenantId, id: ReceiptId, within: &[Partition])
    -> Answer<'_, Option<ReceiptView>>;

    /// As [`RecallApi::event`].
    fn event_within(
        &self,
        tenant: &TenantId,
        id: &EventId,
        within: &[Partition],
    ) -> Answer<'_, Option<EventStatusView>>;
}
