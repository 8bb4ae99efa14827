//! The current conversation on the wire.

use std::fmt;

use memory_core::working_memory::Boundary;
use memory_core::{Seq, Subject, SubjectKind, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::memory::owner_id;
use crate::time;
use crate::turn::TurnView;

/// What working memory holds of a subject right now.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkingMemoryView {
    pub user_id: Option<String>,
    pub agent_id: Option<String>,
    pub session_id: Option<String>,
    /// The newest turns, oldest first: some of closed windows, then the open one.
    pub turns: Vec<TurnView>,
    /// The number of the first event of the open window.
    pub window_from: u64,
    /// The number that the next event gets.
    pub next_seq: u64,
    /// The subject's consent.
    pub remember: bool,
    /// When everything was forgotten last: what arrived before is never shown again.
    #[serde(with = "time::option", default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub forgotten_before: Option<Timestamp>,
}

/// The redacting form: where it stands, never what was said or by whom.
impl fmt::Debug for WorkingMemoryView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkingMemoryView")
            .field("turns", &self.turns)
            .field("window_from", &self.window_from)
            .field("next_seq", &self.next_seq)
            .field("remember", &self.remember)
            .field("forgotten_before", &self.forgotten_before)
            .finish_non_exhaustive()
    }
}

impl WorkingMemoryView {
    /// The view of a subject's current conversation.
    #[must_use]
    pub fn of(subject: &Subject, turns: Vec<TurnView>, window_from: Seq, state: &Boundary) -> Self {
        Self {
            user_id: owner_id(subject, SubjectKind::User),
            agent_id: owner_id(subject, SubjectKind::Agent),
            session_id: owner_id(subject, SubjectKind::Session),
            turns,
            window_from: window_from.get(),
            next_seq: state.next.get(),
            remember: state.remember,
            forgotten_before: state.forgotten,
        }
    }
}
