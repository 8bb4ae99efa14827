//! What became of an event.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::position::Position;

/// How far an event has come. The last five are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// It is durable.
    Accepted,
    /// Recall has folded it.
    Recallable,
    /// It became a memory.
    Kept,
    /// It went into a memory that was there already.
    Merged,
    /// It was not worth keeping, or might not be kept; the reason says which.
    NotKept,
    /// It could not be taken.
    DeadLettered,
    /// It was forgotten.
    Forgotten,
}

impl EventStatus {
    /// Whether it stays so, unless the event is forgotten.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Accepted | Self::Recallable => false,
            Self::Kept | Self::Merged | Self::NotKept | Self::DeadLettered | Self::Forgotten => true,
        }
    }
}

/// The answer of `GET /v1/events/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventStatusView {
    pub id: String,
    pub status: EventStatus,
    /// Why it was not kept, or could not be taken.
    pub reason: Option<String>,
    /// The memory it is in.
    pub memory_id: Option<Uuid>,
    /// Where it stands in the log, while that is known.
    pub position: Option<Position>,
}
