//! `memos gateway | working-memory | consolidator | recall`: one service in a process of its own, over Kafka.
//!
//! Each has a data directory and a port of its own, and nothing but Kafka and HTTP between them. What they must agree
//! on is the log, the hash secret, and for recall and the gateway how partitions are spread over the instances.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix_web::dev::Server;
use anyhow::Context;
use event_log::envelope::Interactions;
use event_log::kafka::{KafkaLog, Membership, MembershipSettings};
use event_log::keys::Follower;
use event_log::ownership::Ownership;
use event_log::{EventLog, FailureHook, InletName, Limits, Partition, Topic};
use gateway::{Gateway, INLET_GROUP, InletOwnership, Routed, RoutedParts};
use keyring::Keyring;
use memory_core::{HashSecret, WorkingMemory};
use memory_store::{Replica, Store};
use memos_client::topology::Topology;
use service_runtime::{Health, Metrics, Stop, fatal, init_logging};

use crate::cli::{Service, ServiceArgs};
use crate::embedded::{self, store_dir};
use crate::keys::no_core_dumps;
use crate::metrics::watch_kafka;
use crate::process::Process;
use crate::settings::Settings;
use crate::threads::Threads;
use crate::{kafka_keys, operations, secret, settings};

/// What every service begins with.
struct Base<'a> {
    settings: &'a Settings,
    log: Arc<KafkaLog>,
    secret: HashSecret,
    ring: Keyring,
    keys: Follower,
    metrics: Metrics,
    health: Health,
    stop: Stop,
    threads: Threads,
}

/// A service that is bound and not yet served.
struct Started {
    process: Process,
    server: Server,
    address: SocketAddr,
}

/// Runs one service.
///
/// # Errors
/// Whatever keeps it from starting.
pub(crate) fn run(service: Service, args: &ServiceArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let loaded = settings::load(&args.settings(service))?;
    init_logging(&loaded.settings.logging)?;
    let stop = Stop::new();
    // The server belongs to the runtime it is bound in; what comes before may have to wait for the log, which none of its
    // threads may.
    let system = actix_rt::System::new();
    let base = Base::open(service, &loaded.settings)?;
    let started = system.block_on(async { base.start(service) })?;
    // Until here a signal ends the process at once, which is right: there is nothing to finish.
    stop.on_signals().context("catch signals")?;
    writeln!(out, "memos {} listens on http://{}", service.name(), started.address)?;
    out.flush()?;
    started.process.serve(&system, started.server, stop)
}

impl<'a> Base<'a> {
    fn open(service: Service, settings: &'a Settings) -> anyhow::Result<Self> {
        no_core_dumps()?;
        let file = settings.hash_secret_file();
        let secret = secret::load(&file)
            .context("services that share a log share its hash secret: `memos topics` makes it once; copy that file")?;
        let hook = FailureHook::new(|reason: &str| fatal(format_args!("the log cannot be written: {reason}")));
        let kafka = settings.kafka()?;
        let log = KafkaLog::open_with(&kafka, hook)
            .with_context(|| format!("open the log at {}", kafka.bootstrap_servers))?;
        secret::agree(&log, &secret).with_context(|| format!("use the hash secret {}", file.display()))?;
        let log = Arc::new(log);
        let port: Arc<dyn EventLog> = Arc::<KafkaLog>::clone(&log);
        // A gateway opens nothing that is sealed with a subject's key, and those of tenants lie in the first partition.
        let followed = if service == Service::Gateway { 1 } else { log.partitions() };
        let (ring, keys) = kafka_keys::follow(settings, &port, Partition::all(followed))?;
        let (metrics, health, stop) = (Metrics::new(), Health::new(), Stop::new());
        let mut threads = Threads::default();
        threads.watch("kafka-metrics", watch_kafka(Arc::clone(&log), &metrics, stop.clone())?);
        Ok(Self { settings, log, secret, ring, keys, metrics, health, stop, threads })
    }

    fn start(self, service: Service) -> anyhow::Result<Started> {
        match service {
            Service::Gateway => self.gateway(),
            Service::WorkingMemory => self.working_memory(),
            Service::Consolidator => self.consolidator(),
            Service::Recall => self.recall(),
        }
    }

    fn port(&self) -> Arc<dyn EventLog> {
        Arc::<KafkaLog>::clone(&self.log)
    }

    /// The store of this service. Whether its disk fills up is told in the metrics; a write that fails ends the process.
    fn store(&self) -> anyhow::Result<Arc<Store>> {
        let data = &self.settings.data.dir;
        std::fs::create_dir_all(data).with_context(|| format!("create the data directory {}", data.display()))?;
        embedded::watch_disk(self.settings, &self.metrics, self.stop.clone())?;
        let store =
            Store::open(&store_dir(data), self.secret.clone(), self.ring.clone(), &memory_store::Settings::default())?;
        Ok(Arc::new(store))
    }

    fn join(&self, group: &str, topic: &Topic) -> anyhow::Result<Box<Membership>> {
        let membership = Membership::join(&self.log, &self.settings.group.membership(group), topic);
        Ok(Box::new(membership.with_context(|| format!("join the group of {group}"))?))
    }

    /// Membership for the inlets of a gateway.
    fn join_inlets<'g>(&self, inlets: impl Iterator<Item = &'g InletName>) -> anyhow::Result<InletOwnership> {
        let inlets: Vec<&InletName> = inlets.collect();
        let topics: Vec<Topic> = inlets.iter().map(|inlet| Topic::Inlet((*inlet).clone())).collect();
        // Who keeps nothing of a partition gains nothing by finding it again, and may come back under its name at any time.
        let settings = MembershipSettings { instance: None, ..self.settings.group.membership(INLET_GROUP) };
        let members = Membership::join_all(&self.log, &settings, &topics).context("join the group of the gateways")?;
        let owner = |(inlet, member): (&InletName, Membership)| (inlet.clone(), Box::new(member) as Box<dyn Ownership>);
        Ok(inlets.into_iter().zip(members).map(owner).collect())
    }

    /// Health and metrics where the service has no API.
    fn operations(&self, listen: SocketAddr) -> anyhow::Result<(Server, SocketAddr)> {
        operations::bind(listen, self.health.clone(), self.metrics.clone())
    }

    fn started(self, server: Server, address: SocketAddr, store: Option<Arc<Store>>) -> Started {
        let Self { settings, log, keys, health, stop, threads, .. } = self;
        let close = move || {
            keys.stop().context("follow the keys")?;
            if let Some(store) = store {
                store.flush().context("flush the store")?;
            }
            // The last owner of the log waits for what is on its way.
            drop(log);
            Ok(())
        };
        let (stop_timeout, close) = (settings.process.stop_timeout(), Box::new(close));
        Started { process: Process { threads, health, stop_timeout, inner_stop: stop, close }, server, address }
    }

    fn gateway(mut self) -> anyhow::Result<Started> {
        let settings = &self.settings.gateway;
        let recall = Routed::new(&RoutedParts {
            log: &*self.log,
            secret: self.secret.clone(),
            settings: &settings.recall,
            metrics: &self.metrics,
        })?;
        let gateway = Gateway::new(&gateway::Parts {
            log: self.port(),
            recall: Arc::new(recall),
            secret: self.secret.clone(),
            ring: self.ring.clone(),
            // The inlets are topics of those who publish.
            seal_inlets: false,
            settings: settings.clone(),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
            // It has no disk of its own; a full one at the brokers refuses appends.
            writable: Arc::new(AtomicBool::new(true)),
        })?;
        let bound = gateway.server()?;
        let address = bound.addresses.first().copied().context("the server listens nowhere")?;
        let ownership = self.join_inlets(gateway.inlets())?;
        let inlets = gateway.inlet_worker(ownership, self.stop.clone())?;
        self.threads.watch("gateway-inlets", inlets);
        Ok(self.started(bound.server, address, None))
    }

    fn working_memory(mut self) -> anyhow::Result<Started> {
        let store = self.store()?;
        let (server, address) = self.operations(self.settings.working_memory.listen)?;
        let parts = working_memory::Parts {
            log: self.port(),
            store: Arc::clone(&store),
            ownership: self.join(working_memory::NAME, &Topic::Interactions)?,
            interactions: Arc::new(Interactions::default()),
            rules: Arc::new(self.settings.rules_of()),
            settings: self.settings.working_memory.settings(),
            fold: WorkingMemory::apply,
            metrics: self.metrics.clone(),
            health: self.health.clone(),
            stop: self.stop.clone(),
        };
        self.threads.watch(working_memory::NAME, working_memory::spawn(parts)?);
        Ok(self.started(server, address, Some(store)))
    }

    fn consolidator(mut self) -> anyhow::Result<Started> {
        let store = self.store()?;
        let (server, address) = self.operations(self.settings.consolidator.listen)?;
        let parts = consolidator::Parts {
            replica: Replica::new(self.port(), Arc::clone(&store), Limits::default()),
            ownership: self.join(consolidator::NAME, &Topic::Consolidations)?,
            settings: self.settings.consolidator.settings(),
            metrics: self.metrics.clone(),
            health: self.health.clone(),
            stop: self.stop.clone(),
        };
        self.threads.watch(consolidator::NAME, consolidator::spawn(parts)?);
        Ok(self.started(server, address, Some(store)))
    }

    fn recall(mut self) -> anyhow::Result<Started> {
        let settings = &self.settings.recall;
        let topology = Topology::try_new(settings.instances, settings.replication_factor)
            .context("recall.replication_factor must be between 1 and recall.instances")?;
        anyhow::ensure!(settings.ordinal < settings.instances, "recall.ordinal must be below recall.instances");
        let store = self.store()?;
        let alone = recall::start_alone(recall::Parts {
            log: self.port(),
            store: Arc::clone(&store),
            interactions: Arc::new(Interactions::default()),
            secret: self.secret.clone(),
            rules: Arc::new(self.settings.rules_of()),
            served: topology.partitions_of(settings.ordinal, self.log.partitions()),
            settings: settings.settings(),
            copies: self.settings.copies_on_kafka(),
            metrics: self.metrics.clone(),
            health: self.health.clone(),
            stop: self.stop.clone(),
        })?;
        let bound = recall::server::bind(&alone.recall, &settings.server)?;
        let address = bound.addresses.first().copied().context("the server listens nowhere")?;
        self.threads.watch(recall::NAME, alone.fold);
        self.threads.watch("recall-follower", alone.follower);
        Ok(self.started(bound.server, address, Some(store)))
    }
}
