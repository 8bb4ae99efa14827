//! An event: one thing that happened between people and their AI, or a control event about a memory.
//!
//! [`Event`] is the judged form: everything in it was validated once, at the edge, and is what `interactions` holds
//! for good. The lenient outside form is read by [`parse`].

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::content::Content;
use crate::control::Control;
use crate::ids::EventId;
use crate::position::Offset;
use crate::subject::{Subject, TenantId};
use crate::time::Timestamp;

pub mod parse;

pub use parse::{Refused, UnknownFields};

/// What kind of event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    Turn,
    Note,
    Remember,
    Correct,
    Delete,
    Feedback,
    Consent,
    Forget,
    SessionEnd,
    IdleTick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    User,
    Assistant,
    System,
    Tool,
}

/// Whose statement the content is, which is what trust is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    ThirdParty,
    Tool,
    Assistant,
    User,
}

impl Role {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
            Self::Tool => "tool",
        }
    }

    /// The origin of what a role says, unless the event names another.
    #[must_use]
    pub const fn origin(self) -> Origin {
        match self {
            Self::User => Origin::User,
            Self::Assistant | Self::System => Origin::Assistant,
            Self::Tool => Origin::Tool,
        }
    }
}

impl Origin {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::ThirdParty => "third_party",
        }
    }

    /// 0 (somebody else's text) to 3 (the user's own word).
    #[must_use]
    pub const fn trust(self) -> u8 {
        match self {
            Self::ThirdParty => 0,
            Self::Tool => 1,
            Self::Assistant => 2,
            Self::User => 3,
        }
    }
}

/// One judged event.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub id: EventId,
    #[serde(rename = "type")]
    pub kind: EventType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    pub content: Content,
    /// When it happened.
    pub time: Timestamp,
    pub origin: Origin,
    /// `false`: counted, never kept. Its content was dropped before the log.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub remember: bool,
    /// `true`: memos supplied this text itself; it is shown and never learnt.
    #[serde(default, skip_serializing_if = "is_no")]
    pub recalled: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// What a control event asks for; `None` for turns and notes. Boxed, for it is rare and larger than the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Box<Control>>,
}

/// The redacting form: which event it is, never who or what it tells of.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({:?}, {:016x}, {:?})", self.kind, self.id.fingerprint(), self.content)
    }
}

impl Event {
    /// Who owns what comes of it. Every judged event has an owner.
    #[must_use]
    pub fn subject(&self, tenant: &TenantId) -> Option<Subject> {
        Subject::owner(tenant, self.user_id.as_deref(), self.agent_id.as_deref(), self.session_id.as_deref())
    }

    /// Whether it carries content that could become a memory, rather than a control.
    #[must_use]
    pub const fn is_turn(&self) -> bool {
        matches!(self.kind, EventType::Turn | EventType::Note)
    }
}

/// An event as it stands on `interactions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub tenant: TenantId,
    /// When memos took it.
    pub arrived: Timestamp,
    /// Where it stands in its partition of `interactions`.
    pub offset: Offset,
    /// Shared: whoever folds it keeps it, and one process may fold it twice.
    pub event: Arc<Event>,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_yes(flag: &bool) -> bool {
    *flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_no(flag: &bool) -> bool {
    !*flag
}
