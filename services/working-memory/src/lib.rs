//! Short-term memory as a service: interactions in, closed windows out.
//!
//! One actix actor per active subject holds its [`memory_core::WorkingMemory`]; one owner per partition reads
//! `interactions`, hands each subject its events in order, and does what the actors ask for, in this order and
//! batch by batch: windows to `consolidations`, wait until they are durable, then the states at their ends to `working`.
//! So a state is never ahead of its windows, and whatever a crash leaves undone is done again and comes out the same.
//!
//! An owner asks an actor for one thing at a time and reads no further while a batch is under way: mailboxes cannot
//! overflow, and a slow disk pauses the reading (law L10). An actor that panics is gone with its state; the owner builds
//! it again from the last boundary and the log, finds the event that breaks it, and sends that one to `dead-letters`
//! (law L11).

mod actor;
mod error;
mod metrics;
mod owner;
mod restore;
mod roster;
mod service;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use event_log::envelope::Interactions;
use event_log::ownership::Ownership;
use event_log::{EventLog, Limits};
use memory_core::working_memory::Effects;
use memory_core::{Recorded, Rules, RulesOf, WorkingMemory};
use memory_store::Store;
use service_runtime::{Health, Metrics, Stop};

pub use error::Error;

/// The name of this part in `/health/ready`, and of its positions in the log.
pub const NAME: &str = "working-memory";

/// How much is held and done at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Events that are read and folded together, at most.
    pub batch_records: usize,
    /// Bytes of events that are read together, at most.
    pub batch_bytes: usize,
    /// Subjects that are held in RAM per partition, at most.
    pub active_max: usize,
    /// Seconds without an event after which a subject leaves RAM.
    pub passivate_after_seconds: u64,
    /// Seconds without an event after which an open window is closed by a tick; 0 for never.
    pub idle_tick_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_records: 1_024,
            batch_bytes: 4 << 20,
            active_max: 20_000,
            passivate_after_seconds: 60,
            idle_tick_seconds: 1_800,
        }
    }
}

/// How an actor folds an event: [`WorkingMemory::apply`], except where a test plants a poison.
pub type Fold = fn(&mut WorkingMemory, &Rules, &Recorded) -> Effects;

/// What it is made of.
#[derive(Debug)]
pub struct Parts {
    pub log: Arc<dyn EventLog>,
    pub store: Arc<Store>,
    /// Which partitions are this process's own.
    pub ownership: Box<dyn Ownership>,
    /// Shared with whoever else folds interactions in this process.
    pub interactions: Arc<Interactions>,
    pub rules: Arc<RulesOf>,
    pub settings: Settings,
    pub fold: Fold,
    pub metrics: Metrics,
    pub health: Health,
    pub stop: Stop,
}

/// What every owner works with.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    log: Arc<dyn EventLog>,
    store: Arc<Store>,
    interactions: Arc<Interactions>,
    rules: Arc<RulesOf>,
    settings: Settings,
    fold: Fold,
    stop: Stop,
    /// Whether a partition is being taken over.
    taking_over: Rc<Cell<bool>>,
}

impl Context {
    fn ring(&self) -> &keyring::Keyring {
        self.store.ring()
    }

    fn batch(&self) -> Limits {
        Limits { records: self.settings.batch_records, bytes: self.settings.batch_bytes }
    }
}

/// Starts working memory on a thread of its own, on which all actors live. The thread ends when told to stop, or with
/// the first error; an error means that the process must stop.
///
/// # Errors
/// When the thread cannot be started.
pub fn spawn(parts: Parts) -> std::io::Result<JoinHandle<Result<(), Error>>> {
    let run = move || actix_rt::System::new().block_on(service::run(parts));
    std::thread::Builder::new().name(NAME.to_owned()).spawn(run)
}
