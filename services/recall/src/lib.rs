//! Recall: what should the model know right now?
//!
//! Recall answers from two things. Long-term memory is the bank of the subject, read from the store once and kept warm
//! by the steps that its replica applies. The current conversation is folded from `interactions` by the same
//! [`memory_core::WorkingMemory`] that the actors run; no service is asked for its state.
//!
//! A turn is ranked from the open window, then from its closed window, until a step covers it; so nothing is ever
//! briefly nowhere. A deletion or correction that is not consolidated yet hides what it names at once.

mod answer;
mod api;
mod conversation;
mod error;
mod fold;
mod metrics;
mod partition;
mod warm;

use std::sync::Arc;
use std::thread::JoinHandle;

use event_log::EventLog;
use event_log::envelope::Interactions;
use memory_core::{HashSecret, Rules};
use memory_store::{Listener, Store};
use service_runtime::{Health, Metrics, Stop};

pub use api::Recall;
pub use error::Error;

/// The name of this part in `/health/ready`, and of its positions in the log.
pub const NAME: &str = "recall";

/// How much is held at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of banks that are kept in RAM, over all partitions.
    pub bank_bytes: usize,
    /// Conversations that are kept in RAM per partition, at most, before those without an open window leave.
    pub conversations_max: usize,
    /// Events that are folded together, at most.
    pub batch_records: usize,
    /// Bytes of events that are folded together, at most.
    pub batch_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bank_bytes: 96 << 20, conversations_max: 20_000, batch_records: 2_048, batch_bytes: 4 << 20 }
    }
}

/// What it is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    pub log: Arc<dyn EventLog>,
    pub store: Arc<Store>,
    /// Shared with whoever else folds interactions in this process.
    pub interactions: Arc<Interactions>,
    pub secret: HashSecret,
    pub rules: Arc<Rules>,
    pub settings: Settings,
    pub metrics: Metrics,
    pub health: Health,
    pub stop: Stop,
}

/// Recall in this process: the part that answers, and what the replica must tell it.
#[derive(Debug)]
pub struct Running {
    pub recall: Recall,
    pub fold: JoinHandle<Result<(), Error>>,
}

/// Prepares recall. The listener must hear of every applied step before [`start`] is called.
#[must_use]
pub fn prepare(parts: Parts) -> (Recall, Listener) {
    let recall = Recall::new(parts);
    let hears = recall.clone();
    (recall, Arc::new(move |step| hears.step(step)))
}

/// Starts folding on a thread of its own. It ends when told to stop, or with the first error; an error means that the
/// process must stop.
///
/// # Errors
/// When the thread cannot be started.
pub fn start(recall: Recall) -> std::io::Result<Running> {
    let folding = recall.clone();
    let fold = std::thread::Builder::new().name(NAME.to_owned()).spawn(move || fold::run(&folding))?;
    Ok(Running { recall, fold })
}
