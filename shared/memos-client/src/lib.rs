//! What memos says over HTTP: the wire types, the port between the gateway and recall, and the Rust client.
//!
//! Both ends share these types, so a field cannot be written one way and read another. The domain types of
//! `memory-core` never go over the wire themselves: each message has a file here with its shape and its conversion,
//! and a change of the domain becomes a change of the API only where somebody writes it down.

pub mod client;
pub mod context;
pub mod dead_letter;
pub mod error_body;
pub mod event_status;
pub mod forget;
pub mod health;
pub mod inlet;
pub mod interaction;
pub mod internal;
pub mod memory;
pub mod page;
pub mod port;
pub mod position;
pub mod profile;
pub mod publish;
pub mod recall;
pub mod remote;
pub mod revision;
pub mod time;
pub mod topology;
pub mod turn;
pub mod working_memory;

pub use client::{Client, ClientError, ClientSettings, MemoriesQuery, Owner};
pub use context::ContextView;
pub use dead_letter::{DeadLetterView, ReplayRequest, ReplayResponse};
pub use error_body::{ErrorBody, ErrorDetail};
pub use event_status::{EventStatus, EventStatusView};
pub use forget::{
    CopyView, ForgetBody, ForgetDryRun, ForgetPreview, ForgetResponse, ForgetUntil, ForgottenView, ReceiptStatus,
    ReceiptView,
};
pub use health::{HealthView, PartView};
pub use interaction::Interaction;
pub use internal::{InternalKey, InternalKeyError};
pub use memory::{AttributeView, EmotionView, MemoryView, SourceView};
pub use page::{List, Page};
pub use port::{Answer, ListRequest, Owned, Reach, RecallApi, ReplicaApi, Unavailable};
pub use position::Position;
pub use profile::{BaselineView, CompanionView, MoodView, ProfileView, StatementView, StyleView, TopicView, WeekView};
pub use publish::{
    Accepted, ConsentRequest, CorrectRequest, FeedbackRequest, InletResponse, PublishRequest, PublishResponse,
};
pub use recall::{FoundType, RecallRequest, RecallResponse, ScoredView};
pub use remote::{RemoteRecall, RemoteSettings};
pub use revision::RevisionView;
pub use topology::Topology;
pub use turn::TurnView;
pub use working_memory::WorkingMemoryView;

/// A score as it stands inside (0..=1000) as it goes over the wire (0..=1).
#[must_use]
pub fn score(thousandths: u16) -> f64 {
    f64::from(thousandths) / 1000.0
}

#[cfg(test)]
mod redacted;
