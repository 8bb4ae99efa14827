//! Forgetting on the wire: what is to go, what a dry run shows, and the receipt.

use std::fmt;

use memory_core::{Kind, MemoryId, Origin, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::time;

/// The body of `POST /v1/users/{id}/forget`: what is to go, said in one of four ways. Everything; memories and events by
/// their ids; all events that meet conditions; or whatever a question finds.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ForgetBody {
    /// All there is of the owner.
    #[serde(skip_serializing_if = "is_no")]
    pub everything: bool,
    /// These memories with all their sources; at most 1,000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub memory_ids: Vec<String>,
    /// These events; at most 1,000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_ids: Vec<String>,
    /// Events of this session.
    #[serde(alias = "run_id", alias = "conversation_id", skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Events of this origin: user, assistant, tool or third_party.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub origin: Option<Origin>,
    /// Events that happened then or later.
    #[serde(with = "time::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// Events that happened before that.
    #[serde(with = "time::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Timestamp>,
    /// A question as for a recall. It needs a dry run first, and its `confirm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Of the question: as in a recall.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub filters: Option<Value>,
    /// Of the question: only memories of these kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub kinds: Vec<Kind>,
    /// Of the question: how much it finds at most, 1 to 200; 10 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Of the question: 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_score: Option<f64>,
    /// Only say what would go.
    #[serde(skip_serializing_if = "is_no")]
    pub dry_run: bool,
    /// What the dry run answered: nothing goes if something else would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference to the field")]
const fn is_no(flag: &bool) -> bool {
    !*flag
}

impl ForgetBody {
    /// All there is of the owner.
    #[must_use]
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// These memories.
    #[must_use]
    pub fn memories(ids: &[Uuid]) -> Self {
        Self { memory_ids: ids.iter().map(Uuid::to_string).collect(), ..Self::default() }
    }

    /// Whether it asks a question instead of naming what is to go.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.query.is_some()
            || self.filters.is_some()
            || !self.kinds.is_empty()
            || self.limit.is_some()
            || self.min_score.is_some()
    }

    /// The body of the event that it becomes when it asks nothing.
    #[must_use]
    pub fn scope(&self) -> Map<String, Value> {
        let named = Self {
            query: None,
            filters: None,
            kinds: Vec::new(),
            limit: None,
            min_score: None,
            dry_run: false,
            confirm: None,
            ..self.clone()
        };
        match json!(named) {
            Value::Object(scope) => scope,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        }
    }
}

/// The redacting form: in which way it says what is to go.
impl fmt::Debug for ForgetBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForgetBody")
            .field("everything", &self.everything)
            .field("memories", &self.memory_ids.len())
            .field("events", &self.event_ids.len())
            .field("asks", &self.asks())
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

/// How far a request waits for a forget: `?wait=…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgetUntil {
    /// It is durable.
    Accepted,
    /// No answer shows any more what it takes. The default.
    Recallable,
    /// A stage of the receipt.
    Stage(ReceiptStatus),
}

impl ForgetUntil {
    const ALL: [Self; 5] = [
        Self::Accepted,
        Self::Recallable,
        Self::Stage(ReceiptStatus::KeyDestroyed),
        Self::Stage(ReceiptStatus::Erased),
        Self::Stage(ReceiptStatus::Verified),
    ];
    /// All values, for messages.
    pub const NAMES: &'static str = "none, recallable, key_destroyed, erased or verified";

    /// The value of `wait`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted | Self::Stage(ReceiptStatus::Accepted) => "none",
            Self::Recallable => "recallable",
            Self::Stage(ReceiptStatus::KeyDestroyed) => "key_destroyed",
            Self::Stage(ReceiptStatus::Erased) => "erased",
            Self::Stage(ReceiptStatus::Verified) => "verified",
        }
    }

    /// Reads the value of `wait`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|until| until.as_str() == text)
    }
}

/// How far a forget has come. Each stage is durable before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptStatus {
    /// It is on the log; no answer shows any more what it takes.
    Accepted,
    /// The keys are destroyed: what was derived cannot be read in any copy.
    KeyDestroyed,
    /// The rows are deleted.
    Erased,
    /// The system has looked: no key, no row and no step of it is left.
    Verified,
}

/// What became of a forget. It names nobody and tells nothing of what was forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptView {
    pub id: Uuid,
    pub status: ReceiptStatus,
    /// What it takes: `everything`, `these` (memories and events by id) or `matching` (conditions).
    pub scope: String,
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub accepted_at: Timestamp,
    #[serde(with = "time::option", default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub key_destroyed_at: Option<Timestamp>,
    #[serde(with = "time::option", default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub erased_at: Option<Timestamp>,
    #[serde(with = "time::option", default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub verified_at: Option<Timestamp>,
    /// Known once it is carried out.
    pub forgotten: Option<ForgottenView>,
    /// When each copy is dead.
    pub copies: Vec<CopyView>,
}

/// How much a forget took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForgottenView {
    pub memories: u64,
    /// Kept turns and controls.
    pub sources: u64,
    /// Keys that were destroyed.
    pub keys: u64,
}

/// One place where copies lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CopyView {
    /// Which copy.
    pub what: String,
    /// What kills it.
    pub dies: String,
    /// When it was dead; null while it is not, or where that is not noted one by one.
    #[serde(with = "time::option", default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub died_at: Option<Timestamp>,
    /// When it is dead at the latest; null where the settings give no limit.
    #[serde(with = "time::option", default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub dead_by: Option<Timestamp>,
}

/// What a forget would take now. Nothing is changed by asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForgetPreview {
    /// How many memories would go or lose a source.
    pub memories: usize,
    /// How many turns that are not consolidated yet.
    pub turns: usize,
    /// Their ids, the first 200.
    #[schema(value_type = Vec<Uuid>)]
    pub memory_ids: Vec<MemoryId>,
    pub event_ids: Vec<String>,
}

/// The answer to a forget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForgetResponse {
    pub receipt: ReceiptView,
    /// Where it stands in the log; opaque.
    pub position: crate::position::Position,
}

/// The answer to a dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForgetDryRun {
    pub preview: ForgetPreview,
    /// To be sent along with the same request, so that it takes exactly this.
    pub confirm: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_what_is_to_go_and_nothing_else() {
        let body: ForgetBody = serde_json::from_value(json!({
            "conversation_id": "s", "origin": "tool", "from": "2026-05-08T13:56:00Z", "dry_run": true, "confirm": "c",
        }))
        .expect("a body");
        let scope = json!({ "session_id": "s", "origin": "tool", "from": "2026-05-08T13:56:00Z" });
        assert_eq!((Value::Object(body.scope()), body.asks()), (scope, false));
        assert_eq!(Value::Object(ForgetBody::everything().scope()), json!({ "everything": true }));
        let asks = ForgetBody { min_score: Some(0.0), ..ForgetBody::default() };
        assert!(asks.asks() && asks.scope().is_empty());
    }

    #[test]
    fn every_wait_reads_back() {
        for until in ForgetUntil::ALL {
            assert_eq!(ForgetUntil::parse(until.as_str()), Some(until));
            assert!(ForgetUntil::NAMES.contains(until.as_str()));
        }
        assert_eq!(ForgetUntil::parse("forever"), None);
    }
}
