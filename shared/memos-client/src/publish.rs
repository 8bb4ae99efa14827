//! What changes something: publishing, correcting, giving feedback and consent. Each answers with what was accepted
//! and with the position to wait for.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::event_status::EventStatus;
use crate::interaction::Interaction;
use crate::position::Position;

/// The body of `POST /v1/interactions`. All of it is accepted, or nothing.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PublishRequest {
    #[schema(value_type = Vec<Interaction>)]
    pub interactions: Vec<Value>,
}

/// The redacting form: how many they are.
impl fmt::Debug for PublishRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublishRequest({} interactions)", self.interactions.len())
    }
}

/// The answer to everything that appends events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublishResponse {
    /// One for each event, in the order of the request.
    pub results: Vec<Accepted>,
    /// Where the last of them stands.
    pub position: Position,
}

/// One event that is durable now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    pub id: String,
    /// `accepted`; `recallable` when the request waited for it and it was reached in time.
    pub status: EventStatus,
}

/// The answer of `POST /v1/inlets/{name}`: the records are durable and not yet judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InletResponse {
    /// How many records were taken.
    pub accepted: usize,
}

/// The body of `PATCH /v1/memories/{id}`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CorrectRequest {
    /// What the memory says from now on.
    #[schema(value_type = String)]
    pub text: Option<String>,
}

/// The redacting form: how long the text is.
impl fmt::Debug for CorrectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CorrectRequest").field("bytes", &self.text.as_ref().map(String::len)).finish_non_exhaustive()
    }
}

/// The body of `POST /v1/feedback`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FeedbackRequest {
    pub user_id: Option<String>,
    pub agent_id: Option<String>,
    #[serde(alias = "run_id", alias = "conversation_id")]
    pub session_id: Option<String>,
    /// The memories it is about, at most 200.
    pub memory_ids: Vec<String>,
    /// Whether they were of use.
    #[schema(value_type = bool)]
    pub useful: Option<bool>,
}

/// The redacting form: what it is about, never whose.
impl fmt::Debug for FeedbackRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedbackRequest")
            .field("memories", &self.memory_ids.len())
            .field("useful", &self.useful)
            .finish_non_exhaustive()
    }
}

/// The body of `PUT /v1/users/{id}/consent`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentRequest {
    /// Whether anything may be remembered from now on.
    #[schema(value_type = bool)]
    pub remember: Option<bool>,
}
