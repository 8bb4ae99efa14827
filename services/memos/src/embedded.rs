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
use event_log::{EventLog, FailureHook, Limits, LocalLog, LocalLogSettings, now};
use gateway::{Bound, Gateway};
use memory_core::WorkingMemory;
use memory_store::{Replica, Store};
use service_runtime::{DiskGuard, Health, Metrics, Stop, fatal};

use crate::secret;
use crate::settings::Settings;

/// How often the threads are looked after.
const SUPERVISION: Duration = Duration::from_millis(200);

/// A running memos.
pub(crate) struct Embedded {
    log: Arc<LocalLog>,
    store: Arc<Store>,
    /// Stops everything behind the edge.
    stop: Stop,
    threads: Vec<Thread>,
}

/// A thread whose error ends the process.
struct Thread {
    name: &'static str,
    handle: JoinHandle<anyhow::Result<()>>,
}

/// The edge, bound and not yet served.
pub(crate) struct Edge {
    pub(crate) bound: Bound,
    pub(crate) address: SocketAddr,
}

/// Where long-term memory lies in a data directory.
pub(crate) fn store_dir(data: &std::path::Path) -> PathBuf {
    data.join("store")
}

impl Embedded {
    /// Opens everything and starts the services.
    ///
    /// # Errors
    /// Whatever keeps one of them from starting, with what to do about it.
    pub(crate) fn start(settings: &Settings) -> anyhow::Result<(Self, Edge)> {
        let data = &settings.data.dir;
        std::fs::create_dir_all(data).with_context(|| format!("create the data directory {}", data.display()))?;
        let secret = secret::load_or_create(data)?;
        let (metrics, health, stop) = (Metrics::new(), Health::new(), Stop::new());
        let writable = Arc::new(AtomicBool::new(true));
        DiskGuard::new(settings.disk.clone(), Arc::clone(&writable), &metrics)
            .watch(data, stop.clone())
            .context("watch the free disk space")?;
        let log = Arc::new(open_log(settings)?);
        let port: Arc<dyn EventLog> = Arc::<LocalLog>::clone(&log);
        let store = Store::open(&store_dir(data), secret.clone(), &memory_store::Settings::default())?;
        let store = Arc::new(store);
        let rules = Arc::new(settings.rules.clone());
        let interactions = Arc::new(Interactions::default());

        let (recall, listener) = recall::prepare(recall::Parts {
            log: Arc::clone(&port),
            store: Arc::clone(&store),
            interactions: Arc::clone(&interactions),
            secret: secret.clone(),
            rules: Arc::clone(&rules),
            settings: settings.recall.settings(),
            metrics: metrics.clone(),
            health: health.clone(),
            stop: stop.clone(),
        });
        let mut replica = Replica::new(Arc::clone(&port), Arc::clone(&store), Limits::default())?;
        replica.listen(listener);
        let gateway = Gateway::new(&gateway::Parts {
            log: Arc::clone(&port),
            recall: Arc::new(recall.clone()),
            secret,
            settings: settings.gateway.clone(),
            health: health.clone(),
            metrics: metrics.clone(),
            writable,
        })?;
        let bound = gateway.server()?;
        let address = bound.addresses.first().copied().context("the server listens nowhere")?;

        let mut embedded = Self { log, store: Arc::clone(&store), stop: stop.clone(), threads: Vec::new() };
        embedded.watch(
            consolidator::NAME,
            consolidator::spawn(consolidator::Parts {
                replica,
                settings: settings.consolidator.settings(),
                metrics: metrics.clone(),
                health: health.clone(),
                stop: stop.clone(),
            })?,
        );
        embedded.watch(
            working_memory::NAME,
            working_memory::spawn(working_memory::Parts {
                log: Arc::clone(&port),
                store,
                interactions,
                rules,
                settings: settings.working_memory.settings(),
                fold: WorkingMemory::apply,
                metrics,
                health,
                stop: stop.clone(),
            })?,
        );
        embedded.watch(recall::NAME, recall::start(recall)?.fold);
        let inlets = gateway.inlet_worker(stop.clone())?;
        embedded.watch("gateway-inlets", plain(inlets)?);
        let every = Duration::from_secs(settings.log.maintain_seconds.max(1));
        embedded.watch("log-maintenance", plain(maintain(port, stop, every)?)?);
        Ok((embedded, Edge { bound, address }))
    }

    /// Adds a thread to those whose error ends the process.
    fn watch<E>(&mut self, name: &'static str, handle: JoinHandle<Result<(), E>>)
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let adapt = move || match handle.join() {
            Ok(result) => result.map_err(anyhow::Error::from),
            Err(_) => Err(anyhow::anyhow!("it panicked")),
        };
        // A join that blocks needs a thread; these sleep until theirs ends.
        match std::thread::Builder::new().name(format!("watch-{name}")).spawn(adapt) {
            Ok(handle) => self.threads.push(Thread { name, handle }),
            Err(error) => fatal(format_args!("start the watch over {name}: {error}")),
        }
    }

    /// Blocks until `stop` is asked for. A service that ends before that ends the process: it has lost its log or its
    /// store, and a restart recovers (law L12).
    pub(crate) fn supervise(&mut self, stop: &Stop) {
        while !stop.wait_for(SUPERVISION) {
            if let Some(place) = self.threads.iter().position(|thread| thread.handle.is_finished()) {
                let Thread { name, handle } = self.threads.swap_remove(place);
                match handle.join() {
                    Ok(Err(error)) => fatal(format_args!("{name} stopped: {error:#}")),
                    Ok(Ok(())) | Err(_) => fatal(format_args!("{name} stopped without being told to")),
                }
            }
        }
    }

    /// Stops the services, then closes the log and the store.
    ///
    /// # Errors
    /// When something could not be written at the end. Nothing acknowledged depends on it.
    pub(crate) fn shut_down(self) -> anyhow::Result<()> {
        self.stop.stop();
        for Thread { name, handle } in self.threads {
            match handle.join() {
                Ok(result) => result.with_context(|| format!("stop {name}"))?,
                Err(_) => anyhow::bail!("{name} panicked while it stopped"),
            }
        }
        self.store.flush().context("flush the store")?;
        self.log.close().context("close the log")
    }
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

/// A thread that has no error of its own, in the shape of those that have.
fn plain(handle: JoinHandle<()>) -> std::io::Result<JoinHandle<Result<(), std::io::Error>>> {
    let join = move || handle.join().map_err(|_| std::io::Error::other("it panicked"));
    std::thread::Builder::new().name("join".to_owned()).spawn(join)
}

/// Retention and compaction, again and again.
fn maintain(log: Arc<dyn EventLog>, stop: Stop, every: Duration) -> std::io::Result<JoinHandle<()>> {
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
