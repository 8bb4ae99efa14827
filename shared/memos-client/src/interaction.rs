//! The outside form of an interaction, for building one in Rust and for the API's description.
//!
//! The gateway does not read this type: it judges the JSON itself, so that every refusal names its field.

use std::fmt;

use memory_core::{EventType, Origin, Role, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// One thing that happened, or a control event. Only an owner (`user_id`, `agent_id` or `session_id`) is always
/// needed; what is left out takes its default.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Interaction {
    /// At most 128 bytes, unique within its subject. A repeat of an id is taken once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// turn (default), note, remember, correct, delete, forget, feedback, consent or session_end.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "turn")]
    pub kind: Option<EventType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "alice")]
    pub user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// Also taken as `run_id` or `conversation_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// user (default), assistant, system or tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "user")]
    pub role: Option<Role>,
    /// The name of who speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// A text, or a list of parts with a `type` of text, image_url, file, tool_call or tool_result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "I am allergic to peanuts.")]
    pub content: Option<Value>,
    /// When it happened; the time of arrival by default.
    #[serde(with = "crate::time::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub time: Option<Timestamp>,
    /// Whose statement it is: user, assistant, tool or third_party; from the role by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub origin: Option<Origin>,
    /// False: never kept, and its content is dropped before the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remember: Option<bool>,
    /// True: memos supplied this text; it is shown and never learnt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recalled: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// At most 4 KB; its top-level scalars can be filtered by.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// What a control event asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub body: Option<Value>,
}

/// The redacting form: which event it is, never who or what it tells of.
impl fmt::Debug for Interaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interaction")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Interaction {
    /// A turn of a user's conversation; everything else takes its default.
    #[must_use]
    pub fn turn(user_id: impl Into<String>, role: Role, content: impl Into<String>) -> Self {
        Self {
            user_id: Some(user_id.into()),
            role: Some(role),
            content: Some(Value::String(content.into())),
            ..Self::default()
        }
    }
}
