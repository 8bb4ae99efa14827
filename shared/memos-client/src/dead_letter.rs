//! What could not be taken, on the wire. The content itself is never listed: it may be anything.

use std::fmt;

use memory_core::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// One dead letter.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterView {
    /// Names it for a replay; follows from where the record was found.
    pub id: Uuid,
    /// Where the record was found.
    #[schema(example = "inlet.support")]
    pub topic: String,
    pub partition: u32,
    pub offset: u64,
    /// A stable code.
    #[schema(example = "missing_field")]
    pub reason: String,
    /// What to change.
    pub message: String,
    /// When the record arrived.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub arrived: Timestamp,
    /// When it was found wanting.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub made: Timestamp,
    /// Bytes of its content.
    pub bytes: usize,
    /// How often it was replayed before.
    pub replays: u32,
}

/// The redacting form: which letter it is. The message may quote what was published.
impl fmt::Debug for DeadLetterView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetterView")
            .field("id", &self.id)
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("reason", &self.reason)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// The body of `POST /v1/dead-letters/replay`: which ones. Both null: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayRequest {
    /// Only these; an id that is not there is an error.
    pub ids: Option<Vec<Uuid>>,
    /// Only those with this reason.
    pub reason: Option<String>,
}

/// The answer of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayResponse {
    /// How many were appended again.
    pub replayed: usize,
}
