//! Control is data: what a person or an operator decides about a memory is an event of the subject like any turn,
//! ordered with the turns and replayed with them.

use serde::{Deserialize, Serialize};

use crate::forget::Scope;
use crate::ids::{EventId, MemoryId, Seq};
use crate::memory::Kind;
use crate::time::Timestamp;

/// The body of a control event.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Keep this text, whatever its salience.
    Remember {
        kind: Kind,
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid_from: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        #[serde(default)]
        pinned: bool,
    },
    /// The memory says this from now on; what it said before stays in its history.
    Correct { memory_id: MemoryId, text: String },
    /// Forget this of the subject, for good. Where it was carried out before, in a log that went on from this one, the keys that
    /// seal from below `floor` are dead already.
    Forget {
        scope: Scope,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        floor: Option<Seq>,
    },
    /// Whether these memories were of use.
    Feedback { memory_ids: Vec<MemoryId>, useful: bool },
    /// Whether anything may be remembered from now on.
    Consent { remember: bool },
    /// The conversation is over.
    SessionEnd,
    /// Nothing came after the event `last`.
    IdleTick { last: EventId },
}

impl Control {
    /// The memory that it lets say something else.
    #[must_use]
    pub const fn corrects(&self) -> Option<MemoryId> {
        match self {
            Self::Correct { memory_id, .. } => Some(*memory_id),
            Self::Remember { .. }
            | Self::Forget { .. }
            | Self::Feedback { .. }
            | Self::Consent { .. }
            | Self::SessionEnd
            | Self::IdleTick { .. } => None,
        }
    }

    /// What it takes away.
    #[must_use]
    pub const fn forgets(&self) -> Option<&Scope> {
        match self {
            Self::Forget { scope, .. } => Some(scope),
            Self::Remember { .. }
            | Self::Correct { .. }
            | Self::Feedback { .. }
            | Self::Consent { .. }
            | Self::SessionEnd
            | Self::IdleTick { .. } => None,
        }
    }
}

/// The redacting form: which control it is, never its text.
impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Remember { .. } => "Remember",
            Self::Correct { .. } => "Correct",
            Self::Forget { .. } => "Forget",
            Self::Feedback { .. } => "Feedback",
            Self::Consent { .. } => "Consent",
            Self::SessionEnd => "SessionEnd",
            Self::IdleTick { .. } => "IdleTick",
        })
    }
}
