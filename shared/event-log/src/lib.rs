//! The event log: one port, and the logs behind it.
//!
//! Everything memos knows is a fold over this log, so the port ([`EventLog`]) promises exactly what a fold needs
//! and nothing more: records of one partition come back in the order in which they were appended, an append that
//! resolved is durable, a reader sees durable records only, and what can no longer be read is an error and never
//! a shorter answer. Reads block a dedicated thread and are synchronous; appends are queued and resolve later.
//!
//! [`LocalLog`] keeps the log in segment files beside the process, [`kafka::KafkaLog`] in a Kafka cluster, [`MemLog`] in
//! memory. All pass the one suite in [`conformance`].
//!
//! The formats of what crosses the border live here too: [`inlet`] reads what product services publish, and
//! [`dead_letter`] keeps what could not be taken. [`envelope`] seals what memos itself writes, and [`keys`] keeps the keys in
//! the log.

pub mod anchor;
pub mod conformance;
pub mod dead_letter;
pub mod envelope;
pub mod inlet;
pub mod kafka;
pub mod keys;
pub mod ownership;

mod clock;
mod compaction;
mod error;
mod line;
mod local;
mod log;
mod memory;
mod positions;
mod record;
mod retention;
mod signal;
mod topic;

pub use memory_core::{Offset, Partition, Timestamp};

pub use crate::clock::now;
pub use crate::error::{Error, ErrorKind};
pub use crate::local::settings::{FailureHook, LocalLogSettings};
pub use crate::local::{Checked, LocalLog};
pub use crate::log::{Appended, EventLog, Maintained};
pub use crate::memory::{MemLog, MemLogSettings};
pub use crate::record::{Limits, LogId, ReadBatch, Record, Stored, Watermarks};
pub use crate::retention::{Retention, RetentionByTopic};
pub use crate::topic::{InletName, InvalidTopic, Topic};
