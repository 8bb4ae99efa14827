//! The consolidator: closed windows in, steps of long-term memory out.
//!
//! **Decide → append → apply** (law L02). It decides on the banks it has, appends the steps to `memories`, and applies
//! them after reading them back, exactly as every replica does. The log is the arbiter: of two writers the one whose
//! record comes first has decided, and the other, who reads that too, throws its decision away and decides again on
//! what is there now (law L05). Which partitions it works on, [`Ownership`] says; `deploy/decisions/009-two-writers.md` tells
//! why two processes that both believe to own one leave what one would have left.
//!
//! It works in batches: what one read of `consolidations` brings is decided, appended in one go, made durable by one
//! fsync and applied in one write. Nothing is in flight between batches, so stopping at any moment loses nothing.

mod banks;
mod error;
mod metrics;
mod worker;

use std::thread::JoinHandle;

use event_log::ownership::Ownership;
use memory_store::Replica;
use service_runtime::{Health, Metrics, Stop};

pub use error::Error;

/// The name of this part in `/health/ready`, and of its positions in the log.
pub const NAME: &str = "consolidator";

/// How much is done at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Windows that are read, decided and written together, at most.
    pub batch_records: usize,
    /// Bytes of windows that are read together, at most.
    pub batch_bytes: usize,
    /// Bytes of banks that are kept in RAM between batches.
    pub bank_bytes: usize,
    /// Steps of a subject after which a snapshot replaces them.
    pub snapshot_every: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { batch_records: 1_024, batch_bytes: 4 << 20, bank_bytes: 8 << 20, snapshot_every: 512 }
    }
}

/// What it is made of.
#[derive(Debug)]
pub struct Parts {
    pub replica: Replica,
    /// Which partitions are this process's own.
    pub ownership: Box<dyn Ownership>,
    pub settings: Settings,
    pub metrics: Metrics,
    pub health: Health,
    pub stop: Stop,
}

/// Starts the consolidator on a thread of its own. The thread ends when told to stop, or with the first error; an error
/// means that the process must stop.
///
/// # Errors
/// When the thread cannot be started.
pub fn spawn(parts: Parts) -> std::io::Result<JoinHandle<Result<(), Error>>> {
    std::thread::Builder::new().name(NAME.to_owned()).spawn(move || worker::Worker::new(parts).run())
}
