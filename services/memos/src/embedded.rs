//! All services in one process, over one local log and one store.
//!
//! The order of starting is the order of dependence: log, store, replica, then the services that fold, then the edge.
//! The order of stopping is the other way round: the edge finishes what it has taken, the folds end between two
//! batches, the log is closed last. Nothing needs that order to be correct, since a kill at any moment is recovered from
//! (law L12); it only spares work at the next start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use event_log::envelope::Interactions;
use event_log::ownership::All;
use event_log::{EventLog, FailureHook, Limits, LocalLog, LocalLogSettings, Partition, now};
use gateway::{Bound, Gateway};
use keyring::{KeyFile, Keyring};
use memory_core::WorkingMemory;
use memory_store::{Listener, Replica, Store};
use service_runtime::{DiskGuard, Health, Metrics, Stop, fatal};

use crate::process::Process;
use crate::settings::Settings;
use crate::threads::Threads;
use crate::{keys, restored, secret};

/// The edge, bound and not yet served.
pub(crate) struct Edge {
    pub(crate) bound: Bound,
    pub(crate) address: SocketAddr,
}

/// Where long-term memory lies in a data directory.
pub(crate) fn store_dir(data: &std::path::Path) -> PathBuf {
    data.join("store")
}

/// Opens everything and starts the services.
///
/// # Errors
/// Whatever keeps one of them from starting, with what to do about it.
pub(crate) fn start(settings: &Settings) -> anyhow::Result<(Process, Edge)> {
    let data = &settings.data.dir;
    std::fs::create_dir_all(data).with_context(|| format!("create the data directory {}", data.display()))?;
    // Before the secret: data without its keys is refused before anything is made.
    let (ring, key_file) = open_keys(settings)?;
    let secret = secret::load_or_create(&settings.hash_secret_file())?;
    let (metrics, health, stop) = (Metrics::new(), Health::new(), Stop::new());
    let writable = watch_disk(settings, &metrics, stop.clone())?;
    let log = Arc::new(open_log(settings)?);
    let port: Arc<dyn EventLog> = Arc::<LocalLog>::clone(&log);
    let store = Store::open(&store_dir(data), secret.clone(), ring.clone(), &memory_store::Settings::default())?;
    let store = Arc::new(store);
    let rules = Arc::new(settings.rules_of());
    let interactions = Arc::new(Interactions::default());
    let (recall, listener) = recall::prepare(recall::Parts {
        log: Arc::clone(&port),
        store: Arc::clone(&store),
        interactions: Arc::clone(&interactions),
        secret: secret.clone(),
        rules: Arc::clone(&rules),
        served: Partition::all(port.partitions()).collect(),
        settings: settings.recall.settings(),
        copies: settings.copies(),
        metrics: metrics.clone(),
        health: health.clone(),
        stop: stop.clone(),
    });
    let replica = replica(&port, &store, listener)?;
    forget_again(&*port, &ring, &store)?;
    let gateway = Gateway::new(&gateway::Parts {
        log: Arc::clone(&port),
        recall: Arc::new(recall.clone()),
        secret,
        ring,
        seal_inlets: true,
        settings: settings.gateway.clone(),
        health: health.clone(),
        metrics: metrics.clone(),
        writable,
    })?;
    let bound = gateway.server()?;
    let address = bound.addresses.first().copied().context("the server listens nowhere")?;
    let (mut threads, closes) = (Threads::default(), Arc::clone(&store));
    let consolidator = consolidator::Parts {
        replica,
        ownership: Box::new(All::of(&*port)),
        settings: settings.consolidator.settings(),
        metrics: metrics.clone(),
        health: health.clone(),
        stop: stop.clone(),
    };
    threads.watch(consolidator::NAME, consolidator::spawn(consolidator)?);
    let working_memory = working_memory::Parts {
        log: Arc::clone(&port),
        store,
        ownership: Box::new(All::of(&*port)),
        interactions,
        rules,
        settings: settings.working_memory.settings(),
        fold: WorkingMemory::apply,
        metrics,
        health: health.clone(),
        stop: stop.clone(),
    };
    threads.watch(working_memory::NAME, working_memory::spawn(working_memory)?);
    threads.watch(recall::NAME, recall::start(recall)?.fold);
    threads.watch("gateway-inlets", gateway.inlet_worker(gateway.all_inlets(), stop.clone())?);
    threads.watch("key-maintenance", keys::maintain(key_file, stop.clone())?);
    threads.watch("log-maintenance", maintain(settings, port, stop.clone())?);
    let close = Box::new(move || close(&closes, &log));
    let stop_timeout = settings.process.stop_timeout();
    Ok((Process { threads, health, stop_timeout, inner_stop: stop, close }, Edge { bound, address }))
}

fn close(store: &Store, log: &LocalLog) -> anyhow::Result<()> {
    store.flush().context("flush the store")?;
    log.close().context("close the log")
}

/// Opens the keys of the data directory.
fn open_keys(settings: &Settings) -> anyhow::Result<(Keyring, KeyFile)> {
    let (ring, file) = keys::open_file(settings)?;
    ring.set_epoch_seconds(settings.keys.epoch_seconds());
    Ok((ring, file))
}

/// Watches the free disk space; the answer is false while it is low.
///
/// # Errors
/// When it cannot be watched.
pub(crate) fn watch_disk(settings: &Settings, metrics: &Metrics, stop: Stop) -> anyhow::Result<Arc<AtomicBool>> {
    let writable = Arc::new(AtomicBool::new(true));
    DiskGuard::new(settings.disk.clone(), Arc::clone(&writable), metrics)
        .watch(&settings.data.dir, stop)
        .context("watch the free disk space")?;
    Ok(writable)
}

fn replica(log: &Arc<dyn EventLog>, store: &Arc<Store>, listener: Listener) -> anyhow::Result<Replica> {
    let mut replica = Replica::new(Arc::clone(log), Arc::clone(store), Limits::default());
    replica.listen(listener);
    // Recall loads conversations from the table of `working`, and may be asked before their owners have begun.
    for partition in Partition::all(log.partitions()) {
        replica.begin(partition)?;
        replica.catch_up_working(partition)?;
    }
    Ok(replica)
}

/// Says the forgets again that this data does not know of, before anybody publishes.
fn forget_again(log: &dyn EventLog, ring: &Keyring, store: &Store) -> anyhow::Result<()> {
    let is_known = |subject, floor| {
        let by_a_step = store.step_numbers(subject)?.key_since >= floor;
        Ok(by_a_step || store.boundary(log.id(), subject)?.is_some_and(|boundary| boundary.key_since >= floor))
    };
    // This thread drives a runtime, and the append is waited for.
    let forget = || restored::forget_again(log, ring, is_known);
    let forgotten = std::thread::scope(|scope| scope.spawn(forget).join());
    forgotten.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map(drop)
}

fn open_log(settings: &Settings) -> anyhow::Result<LocalLog> {
    let dir = settings.log_dir();
    let log_settings = LocalLogSettings {
        partitions: settings.log.partitions,
        inlets: settings.inlet_names()?,
        segment_bytes: settings.log.segment_bytes,
        queue_bytes: settings.log.queue_bytes,
        retention: settings.log.retention_days.by_topic(),
        tombstone_retention: settings.log.tombstone_retention(),
        ..LocalLogSettings::default()
    };
    let hook = FailureHook::new(|reason: &str| fatal(format_args!("the log cannot be written: {reason}")));
    LocalLog::open_with(&dir, log_settings, hook).with_context(|| format!("open the log in {}", dir.display()))
}

/// Retention and compaction, again and again.
fn maintain(settings: &Settings, log: Arc<dyn EventLog>, stop: Stop) -> std::io::Result<JoinHandle<()>> {
    let every = Duration::from_secs(settings.log.maintain_seconds.max(1));
    let run = move || {
        while !stop.wait_for(every) {
            match log.maintain(now()) {
                Ok(done) if done.freed_bytes > 0 => tracing::info!(?done, "log maintained"),
                Ok(_) => {}
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "maintain the log"),
            }
        }
    };
    std::thread::Builder::new().name("log-maintenance".to_owned()).spawn(run)
}
