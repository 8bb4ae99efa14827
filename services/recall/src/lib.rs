//! Recall: what should the model know right now?
//!
//! Recall answers from two things. Long-term memory is the bank of the subject, read from the store once and kept warm
//! by the steps that its replica applies. The current conversation is folded from `interactions` by the same
//! [`memory_core::WorkingMemory`] that the actors run; no service is asked for its state.
//!
//! It serves some of the log's partitions, in one process all of them. In a process of its own it also follows
//! `memories` and `working` into a store of its own ([`start_alone`]) and is asked over HTTP ([`server`]).
//!
//! A turn is ranked from the open window, then from its closed window, until a step covers it; so nothing is ever
//! briefly nowhere. A deletion or correction that is not consolidated yet hides what it names at once.

mod answer;
mod api;
mod conversation;
mod error;
mod fold;
mod follow;
mod metrics;
mod partition;
mod receipt;
pub mod server;
mod warm;

use std::sync::Arc;
use std::thread::JoinHandle;

use event_log::envelope::Interactions;
use event_log::{EventLog, Limits, Partition};
use memory_core::{HashSecret, RulesOf};
use memory_store::{Listener, Replica, Store};
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
        Self { bank_bytes: 96 << 20, conversations_max: 20_000, batch_records: 1_024, batch_bytes: 4 << 20 }
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
    /// The rules that working memory closes windows by: recall closes them by the same.
    pub rules: Arc<RulesOf>,
    /// The partitions that are served here; all of them where recall is not divided.
    pub served: Vec<Partition>,
    pub settings: Settings,
    pub copies: Copies,
    pub metrics: Metrics,
    pub health: Health,
    pub stop: Stop,
}

/// How long copies of events lie where only time removes them, in seconds; `None` for ever, or unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    pub interactions_seconds: Option<i64>,
    pub dead_letters_seconds: Option<i64>,
    /// Until compaction has removed what is marked for removal.
    pub compaction_seconds: Option<i64>,
    /// How long one key of a tenant seals.
    pub epoch_seconds: i64,
}

/// How a partition of this instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionState {
    /// It reads what was on the log when recall started, and answers nothing yet.
    Restoring {
        /// Records that are not read yet; `None` when it has not looked.
        behind: Option<u64>,
    },
    /// It answers.
    Serving,
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
/// process must stop. Somebody else in the process follows `memories` and `working` into the store.
///
/// # Errors
/// [`Error::Embedding`], [`Error::Thread`].
pub fn start(recall: Recall) -> Result<Running, Error> {
    let model = embedding::built_in().map_err(Error::Embedding)?.model();
    recall.metrics().embedding.with_label_values(&[&model.id(), &model.dimension.to_string()]).set(1);
    let folding = recall.clone();
    let fold = std::thread::Builder::new().name(NAME.to_owned()).spawn(move || fold::run(&folding));
    Ok(Running { recall, fold: fold.map_err(Error::Thread)? })
}

/// Recall with a store of its own, in which it follows everything itself.
#[derive(Debug)]
pub struct Alone {
    pub recall: Recall,
    /// Follows `interactions` and `consolidations`.
    pub fold: JoinHandle<Result<(), Error>>,
    /// Follows `memories` and `working`.
    pub follower: JoinHandle<Result<(), Error>>,
}

/// Starts recall as the only user of its store. Both threads end when told to stop, or with the first error; an error
/// means that the process must stop.
///
/// # Errors
/// [`Error::NothingToServe`], [`Error::NoSuchPartition`] when the partitions are not some of this log;
/// [`Error::Embedding`], [`Error::Thread`].
pub fn start_alone(parts: Parts) -> Result<Alone, Error> {
    let partitions = parts.log.partitions();
    if parts.served.is_empty() {
        return Err(Error::NothingToServe);
    }
    if let Some(partition) = parts.served.iter().copied().find(|partition| partition.get() >= partitions) {
        return Err(Error::NoSuchPartition { partition, partitions });
    }
    let (log, store) = (Arc::clone(&parts.log), Arc::clone(&parts.store));
    let limits = Limits { records: parts.settings.batch_records, bytes: parts.settings.batch_bytes };
    let (recall, listener) = prepare(parts);
    let mut replica = Replica::new(log, store, limits);
    replica.listen(listener);
    let following = recall.clone();
    let follow = move || follow::run(&following, &replica);
    let follower =
        std::thread::Builder::new().name("recall-follower".to_owned()).spawn(follow).map_err(Error::Thread)?;
    let Running { recall, fold } = start(recall)?;
    Ok(Alone { recall, fold, follower })
}
