//! The current conversation on the wire.

use memory_core::{Seq, Subject, SubjectKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::memory::owner_id;
use crate::turn::TurnView;

/// What working memory holds of a subject right now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
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
}

impl WorkingMemoryView {
    /// The view of a subject's current conversation.
    #[must_use]
    pub fn of(subject: &Subject, turns: Vec<TurnView>, window_from: Seq, next_seq: Seq, remember: bool) -> Self {
        Self {
            user_id: owner_id(subject, SubjectKind::User),
            agent_id: owner_id(subject, SubjectKind::Agent),
            session_id: owner_id(subject, SubjectKind::Session),
            turns,
            window_from: window_from.get(),
            next_seq: next_seq.get(),
            remember,
        }
    }
}
