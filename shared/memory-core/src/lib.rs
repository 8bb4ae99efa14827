//! The domain of memos: what an event is, how a subject's working memory folds events into windows, what of
//! a window is worth keeping, and how kept memories are ranked for a question.
//!
//! Everything here is a pure function of its arguments. There is no clock, no randomness, no IO and no floating
//! point: time is a field of an event, scores are integers in 1/1000, and every map is ordered. That is what
//! makes *rebuild equals live* (law L06) possible, and it is why the same fold can run in the actor, in recall,
//! in `memos verify` and in a test.
//!
//! The order of reading: [`event`] → [`working_memory`] → [`consolidation`] → [`consolidate()`] → [`bank`] →
//! [`rank`].

#![deny(clippy::float_arithmetic)]

pub mod bank;
pub mod candidate;
pub mod consolidate;
pub mod consolidation;
pub mod content;
pub mod context;
pub mod control;
pub mod dump;
pub mod emotion;
pub mod event;
pub mod extract;
pub mod filter;
pub mod forget;
pub mod ids;
pub mod index;
pub mod invariant;
pub mod law;
mod lists;
pub mod memory;
pub mod position;
pub mod profile;
pub mod query;
pub mod rank;
pub mod refold;
pub mod rules;
pub mod rules_of;
pub mod salience;
pub mod similar;
pub mod snapshot;
pub mod step;
pub mod subject;
pub mod text;
pub mod time;
pub mod turn;
pub mod vector;
pub mod working_memory;

pub use bank::Bank;
pub use consolidate::consolidate;
pub use consolidation::{Consolidation, Trigger};
pub use content::{Content, Part};
pub use control::Control;
pub use event::{Event, EventType, Origin, Recorded, Role};
pub use ids::{ConsolidationId, EventId, Generation, MemoryId, ReceiptId, Seq, StepNumber};
pub use invariant::Invariant;
pub use law::Law;
pub use lists::Listed;
pub use memory::{Kind, Memory, Status};
pub use position::{Anchor, Interval, Offset, Partition};
pub use rules::{Rules, TOPICS_MAX};
pub use rules_of::RulesOf;
pub use step::Step;
pub use subject::{Handle, HashSecret, Subject, SubjectKind, TenantId};
pub use time::Timestamp;
pub use turn::Turn;
pub use working_memory::WorkingMemory;
