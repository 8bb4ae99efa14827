//! A question, and what memos answers.

use std::collections::BTreeMap;
use std::fmt;

use memory_core::{Kind, Subject, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::context::ContextView;
use crate::memory::MemoryView;
use crate::position::Position;
use crate::turn::TurnView;

/// The body of `POST /v1/recall`.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecallRequest {
    /// Whose memory is asked. Name a user, an agent or a session; where a user is named, the user's is asked.
    #[schema(example = "alice")]
    pub user_id: Option<String>,
    pub agent_id: Option<String>,
    #[serde(alias = "run_id", alias = "conversation_id")]
    pub session_id: Option<String>,
    #[schema(example = "What can she not eat?")]
    pub query: String,
    /// How many results, 1 to 200. The context block is bounded by its budget, not by this.
    #[schema(default = 10)]
    pub limit: usize,
    /// 0 to 1; results below are left out, also from the context block. A score says how sure one may be that the memory
    /// holds an answer: 0.2 leaves out what has little to do with the question, 0.5 is strict.
    #[schema(default = 0.0)]
    pub min_score: f64,
    /// How long the context block may be, in words and punctuation marks; 0 for none.
    #[schema(default = 1000)]
    pub token_budget: usize,
    /// Only memories of these kinds; all by default.
    #[schema(value_type = Vec<String>)]
    pub kinds: Vec<Kind>,
    /// `and`, `or`, `not` over `{"field": {"op": value}}` with eq, ne, in, gt, gte, lt, lte, contains, exists.
    #[schema(value_type = Option<Object>)]
    pub filters: Option<Value>,
    /// Answer as memos knew it then.
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub as_of: Option<Timestamp>,
    /// Only what was true then.
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_at: Option<Timestamp>,
    /// The time to count recency and expiry from; the clock's by default.
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub now: Option<Timestamp>,
    /// Answer only when recall has folded everything up to this position.
    #[schema(value_type = Option<String>)]
    pub at_least: Option<Position>,
    #[schema(default = true)]
    pub include_working_memory: bool,
    /// Whether each result says what its score is made of.
    #[schema(default = true)]
    pub explain: bool,
}

/// The redacting form: how much is asked for, never what or of whom.
impl fmt::Debug for RecallRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecallRequest")
            .field("query_bytes", &self.query.len())
            .field("limit", &self.limit)
            .field("kinds", &self.kinds)
            .field("filtered", &self.filters.is_some())
            .field("at_least", &self.at_least)
            .finish_non_exhaustive()
    }
}

impl Default for RecallRequest {
    fn default() -> Self {
        Self {
            user_id: None,
            agent_id: None,
            session_id: None,
            query: String::new(),
            limit: 10,
            min_score: 0.0,
            token_budget: 1000,
            kinds: Vec::new(),
            filters: None,
            as_of: None,
            valid_at: None,
            now: None,
            at_least: None,
            include_working_memory: true,
            explain: true,
        }
    }
}

impl RecallRequest {
    /// The most results of one answer.
    pub const LIMIT_MAX: usize = 200;

    /// Whose memory is asked; `None` when nobody is named.
    #[must_use]
    pub fn subject(&self, tenant: &TenantId) -> Option<Subject> {
        Subject::owner(tenant, self.user_id.as_deref(), self.agent_id.as_deref(), self.session_id.as_deref())
    }
}

/// The answer of `POST /v1/recall`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecallResponse {
    /// Best first.
    pub results: Vec<ScoredView>,
    pub context: ContextView,
    /// What the answer covers of the subject's partition.
    pub position: Position,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoundType {
    Memory,
    Turn,
}

/// One result: a memory, or a turn that no step covers yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScoredView {
    #[serde(rename = "type")]
    pub kind: FoundType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Box<MemoryView>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Box<TurnView>>,
    /// 0 to 1.
    pub score: f64,
    /// What the score is the sum of; left out when `explain` is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<BTreeMap<String, f64>>,
}

impl ScoredView {
    /// A memory that was found.
    #[must_use]
    pub fn memory(memory: MemoryView, score: f64, parts: Option<BTreeMap<String, f64>>) -> Self {
        Self { kind: FoundType::Memory, memory: Some(Box::new(memory)), turn: None, score, parts }
    }

    /// A turn that was found.
    #[must_use]
    pub fn turn(turn: TurnView, score: f64, parts: Option<BTreeMap<String, f64>>) -> Self {
        Self { kind: FoundType::Turn, memory: None, turn: Some(Box::new(turn)), score, parts }
    }
}
