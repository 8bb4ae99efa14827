//! A gateway, its instances of recall, and what writes for them.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use event_log::envelope::Interactions;
use event_log::keys::{Follower, KeyTopic};
use event_log::ownership::All;
use event_log::{Appended, Error, EventLog, Limits, MemLog, Offset, Partition, ReadBatch, Record, Topic};
use gateway::{Gateway, RecallSettings, Routed, RoutedParts};
use keyring::{Key, Keyring, Owner, RootKey, Roots};
use memory_core::{MemoryId, RulesOf, Subject, TenantId, WorkingMemory};
use memory_store::{Replica, Store};
use memos_client::{Client, ClientError, ClientSettings, InternalKey, RecallRequest, RecallResponse, Topology};
use recall::server::ServerSettings;
use serde_json::{Value, json};
use service_runtime::{Health, Metrics, Stop};
use tempfile::TempDir;
use testkit::wait_until;

pub(crate) const PARTITIONS: u32 = 6;
/// No test takes this long unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// How long an instance may take to answer.
const ATTEMPT_MS: u64 = 300;
const KEY: &str = "an-internal-key-of-this-test";
/// For how long keys are used that were not read again.
const FRESH: Duration = Duration::from_secs(3);

/// The log as one instance sees it: it can be made to stand still.
#[derive(Debug)]
pub(crate) struct View {
    inner: Arc<MemLog>,
    /// Whoever reads these waits.
    still: Mutex<Vec<Topic>>,
    changed: Condvar,
}

/// Everything.
pub(crate) struct Cluster {
    pub(crate) topology: Topology,
    pub(crate) instances: Vec<Instance>,
    pub(crate) client: Client,
    pub(crate) metrics: Metrics,
    address: String,
    gateway: ServerHandle,
    writers: Vec<JoinHandle<()>>,
    stop: Stop,
    dirs: Vec<TempDir>,
    /// The keys of the writers and of the gateway.
    _keys: Follower,
}

/// One instance of recall: a place, where a recall may be.
pub(crate) struct Instance {
    pub(crate) address: SocketAddr,
    pub(crate) view: Arc<View>,
    served: Vec<Partition>,
    dir: TempDir,
    up: Option<Up>,
}

struct Up {
    server: ServerHandle,
    health: Health,
    stop: Stop,
    threads: Vec<JoinHandle<Result<(), recall::Error>>>,
    ring: Keyring,
    keys: Follower,
}

fn store(dir: &TempDir, ring: &Keyring) -> Arc<Store> {
    let settings = memory_store::Settings::default();
    Arc::new(Store::open(dir.path(), testkit::secret(), ring.clone(), &settings).expect("a store"))
}

/// The keys of these partitions as they are in the log, followed by whoever reads them through it.
fn keys(log: Arc<dyn EventLog>, partitions: Vec<Partition>) -> (Keyring, Follower) {
    let roots = Arc::new(Roots::new(RootKey::new(Key::new([9; 32])), Vec::new()));
    let every = Duration::from_millis(20);
    let settings = event_log::keys::Settings { every, fresh: FRESH, ..event_log::keys::Settings::default() };
    // It blocks, which the thread of a test must not.
    let opened = std::thread::spawn(move || KeyTopic::open(log, roots, partitions, settings)).join();
    opened.expect("no panic").expect("the log holds keys")
}

impl Cluster {
    /// `count` instances of which `factor` hold each partition, all of them up and ready.
    pub(crate) async fn start(count: u32, factor: u32) -> Self {
        let log = Arc::new(MemLog::new(PARTITIONS));
        let topology = Topology::try_new(count, factor).expect("they fit");
        let (stop, dirs) =
            (Stop::new(), vec![tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory")]);
        let (ring, keys) = keys(Arc::<MemLog>::clone(&log), Partition::all(PARTITIONS).collect());
        let writers = writers(&log, &ring, &dirs, &stop);
        let mut instances: Vec<Instance> = (0..count).map(|ordinal| Instance::new(&log, topology, ordinal)).collect();
        instances.iter_mut().for_each(Instance::start);
        let metrics = Metrics::new();
        let urls = instances.iter().map(|instance| format!("http://{}", instance.address)).collect();
        let (address, gateway) = serve_gateway(&log, &ring, urls, factor, &metrics);
        // What a test asks is asked once: it wants to see the refusals.
        let once = ClientSettings { attempts: 1, ..ClientSettings::default() };
        let client = Client::with_settings(&address, None, once).expect("an address");
        let cluster = Self { topology, instances, client, metrics, address, gateway, writers, stop, dirs, _keys: keys };
        cluster.ready();
        cluster
    }

    /// Waits until every instance that is up serves.
    pub(crate) fn ready(&self) {
        let up = || self.instances.iter().filter_map(|instance| instance.up.as_ref());
        wait_until(DEADLINE, "recall serves", || up().all(|up| up.health.is_ready()));
    }

    /// Somebody of this partition.
    pub(crate) fn person(partition: Partition) -> Subject {
        Self::people(partition).next().expect("one of so many is in it")
    }

    /// People of this partition.
    pub(crate) fn people(partition: Partition) -> impl Iterator<Item = Subject> {
        let all = (0..1_000).map(|number| user(&format!("u{number}")));
        all.filter(move |owner| owner.handle(&testkit::secret()).partition(PARTITIONS) == partition)
    }

    /// Somebody of each partition.
    pub(crate) fn everybody() -> Vec<Subject> {
        Partition::all(PARTITIONS).map(Self::person).collect()
    }

    /// Lets a person say something, which becomes a memory; answers its id. Every instance that is up knows it then.
    pub(crate) async fn remembered(&self, owner: &Subject, text: &str) -> MemoryId {
        let id = uuid::Uuid::now_v7().to_string();
        let events = [
            json!({"id": id, "user_id": owner.id, "content": text}),
            json!({"type": "session_end", "user_id": owner.id}),
        ];
        self.client.publish_with(&events, None, Some(DEADLINE)).await.expect("it is taken");
        let event = memory_core::EventId::try_new(id).expect("an id");
        let memory = MemoryId::of_event(owner.handle(&testkit::secret()), &event);
        let began = std::time::Instant::now();
        // Both instances have to be asked once at least.
        for _ in 0..4 {
            while self.client.memory(memory.as_uuid()).await.is_err() {
                assert!(began.elapsed() < DEADLINE, "waited in vain for a memory");
                actix_web::rt::task::yield_now().await;
            }
        }
        memory
    }

    pub(crate) async fn say(&self, owner: &Subject, text: &str) -> memos_client::PublishResponse {
        let event: Value = json!({"user_id": owner.id, "content": text});
        self.client.publish_with(&[event], None, Some(Duration::from_secs(5))).await.expect("it is taken")
    }

    pub(crate) async fn ask(&self, owner: &Subject, query: &str) -> Result<RecallResponse, ClientError> {
        self.client.recall(&question(owner, query)).await
    }

    /// A client that does not give up when it is told to come again.
    pub(crate) fn patient(&self) -> Client {
        Client::new(&self.address, None).expect("an address")
    }

    /// How often an instance was asked with this outcome.
    pub(crate) fn asked(&self, ordinal: usize, outcome: &str) -> u64 {
        let name = "memos_gateway_recall_requests_total";
        let prefix = format!("{name}{{instance=\"{ordinal}\",outcome=\"{outcome}\"}} ");
        let text = self.metrics.render();
        let value = text.lines().find_map(|line| line.strip_prefix(&prefix));
        value.map_or(0, |value| value.parse().expect("a number"))
    }

    pub(crate) async fn stop(mut self) {
        self.gateway.stop(false).await;
        for instance in &mut self.instances {
            instance.kill().await;
        }
        self.stop.stop();
        self.writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
        drop(self.dirs);
    }
}

impl Instance {
    fn new(log: &Arc<MemLog>, topology: Topology, ordinal: u32) -> Self {
        // The address is kept free for the instance, which comes and goes.
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("is bound");
        drop(listener);
        let view = Arc::new(View { inner: Arc::clone(log), still: Mutex::default(), changed: Condvar::new() });
        let served = topology.partitions_of(ordinal, PARTITIONS);
        Self { address, view, served, dir: tempfile::tempdir().expect("a directory"), up: None }
    }

    /// Starts it with the store that it had.
    pub(crate) fn start(&mut self) {
        let (health, stop) = (Health::new(), Stop::new());
        let (ring, keys) = keys(Arc::<View>::clone(&self.view), self.served.clone());
        let parts = recall::Parts {
            log: Arc::<View>::clone(&self.view),
            store: store(&self.dir, &ring),
            interactions: Arc::default(),
            secret: testkit::secret(),
            rules: Arc::new(RulesOf::default()),
            served: self.served.clone(),
            settings: recall::Settings::default(),
            copies: recall::Copies::default(),
            metrics: Metrics::new(),
            health: health.clone(),
            stop: stop.clone(),
        };
        let recall::Alone { recall, fold, follower } = recall::start_alone(parts).expect("threads");
        let settings = ServerSettings {
            listen: self.address,
            workers: 1,
            internal_key: InternalKey::new(KEY),
            shutdown_seconds: 0,
            ..ServerSettings::default()
        };
        let bound = recall::server::bind(&recall, &settings).expect("the port is still free");
        let server = bound.server.handle();
        drop(actix_web::rt::spawn(bound.server));
        self.up = Some(Up { server, health, stop, threads: vec![fold, follower], ring, keys });
    }

    /// Ends it, in the middle of whatever it does.
    pub(crate) async fn kill(&mut self) {
        let Some(up) = self.up.take() else { return };
        up.server.stop(false).await;
        up.stop.stop();
        self.view.go_on();
        up.threads.into_iter().for_each(|thread| thread.join().expect("no panic").expect("it was told to"));
        drop(up.keys);
    }

    /// Whether it has not heard for so long of destroyed keys that it does not know which of a person's are.
    pub(crate) fn is_unsure_of(&self, owner: &Subject) -> bool {
        let up = self.up.as_ref().expect("it is up");
        !up.ring.is_fresh(Owner::Subject(owner.handle(&testkit::secret())))
    }

    /// Deletes its store. It must not be up.
    pub(crate) fn wipe(&mut self) {
        assert!(self.up.is_none());
        self.dir = tempfile::tempdir().expect("a directory");
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Whoever reads for it can end only then.
        self.view.go_on();
    }
}

/// Working memory and the consolidator, each with its own store.
fn writers(log: &Arc<MemLog>, ring: &Keyring, dirs: &[TempDir], stop: &Stop) -> Vec<JoinHandle<()>> {
    let port: Arc<dyn EventLog> = Arc::<MemLog>::clone(log);
    let working = working_memory::spawn(working_memory::Parts {
        log: Arc::clone(&port),
        store: store(&dirs[0], ring),
        ownership: Box::new(All::of(&*port)),
        interactions: Arc::new(Interactions::default()),
        rules: Arc::new(RulesOf::default()),
        settings: working_memory::Settings::default(),
        fold: WorkingMemory::apply,
        metrics: Metrics::new(),
        health: Health::new(),
        stop: stop.clone(),
    });
    let consolidator = consolidator::spawn(consolidator::Parts {
        replica: Replica::new(Arc::clone(&port), store(&dirs[1], ring), Limits::default()),
        ownership: Box::new(All::of(&*port)),
        settings: consolidator::Settings::default(),
        metrics: Metrics::new(),
        health: Health::new(),
        stop: stop.clone(),
    });
    let (working, consolidator) = (working.expect("a thread"), consolidator.expect("a thread"));
    vec![
        std::thread::spawn(move || working.join().expect("no panic").expect("it was told to")),
        std::thread::spawn(move || consolidator.join().expect("no panic").expect("it was told to")),
    ]
}

fn serve_gateway(
    log: &Arc<MemLog>,
    ring: &Keyring,
    urls: Vec<String>,
    factor: u32,
    metrics: &Metrics,
) -> (String, ServerHandle) {
    let settings = RecallSettings {
        urls,
        replication_factor: factor,
        internal_key: InternalKey::new(KEY),
        attempt_timeout_ms: ATTEMPT_MS,
        skip_ms: 50,
        ..RecallSettings::default()
    };
    let routed = RoutedParts { log: &**log, secret: testkit::secret(), settings: &settings, metrics };
    let routed = Routed::new(&routed).expect("the settings are good");
    let settings = gateway::Settings {
        listen: "127.0.0.1:0".parse().expect("an address"),
        workers: 1,
        recall: settings,
        ..gateway::Settings::default()
    };
    let gateway = Gateway::new(&gateway::Parts {
        log: Arc::<MemLog>::clone(log),
        recall: Arc::new(routed),
        secret: testkit::secret(),
        ring: ring.clone(),
        seal_inlets: false,
        settings,
        health: Health::new(),
        metrics: metrics.clone(),
        writable: Arc::new(AtomicBool::new(true)),
    });
    let bound = gateway.expect("the settings are good").server().expect("a free port");
    let address = format!("http://{}", bound.addresses[0]);
    let handle = bound.server.handle();
    drop(actix_web::rt::spawn(bound.server));
    (address, handle)
}

fn user(id: &str) -> Subject {
    let tenant = TenantId::try_new("default").expect("a tenant");
    Subject::owner(&tenant, Some(id), None, None).expect("a user")
}

pub(crate) fn question(owner: &Subject, query: &str) -> RecallRequest {
    RecallRequest { user_id: Some(owner.id.clone()), query: query.to_owned(), ..RecallRequest::default() }
}

/// The code of a refusal, and whether a time to come again stood beside it (the client has waited for it).
pub(crate) fn code<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> String {
    let error = answer.expect_err("a refusal");
    error.code().unwrap_or_else(|| panic!("no code: {error:?}")).to_owned()
}

/// A thing at an address that takes connections and never answers.
pub(crate) struct Mute {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
}

impl Mute {
    pub(crate) fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("the port is still free");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let hold = move || {
            let mut held = Vec::new();
            while let Ok((connection, _)) = listener.accept() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                held.push(connection);
            }
        };
        Self { stop, thread: Some(std::thread::spawn(hold)), address }
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The thread waits for one more connection.
        drop(std::net::TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("no panic");
        }
    }
}

impl View {
    /// From now on whoever reads one of these topics waits, as for a broker that does not answer.
    pub(crate) fn hold_still(&self, topics: &[Topic]) {
        *self.still.lock().expect("no panic") = topics.to_vec();
        self.changed.notify_all();
    }

    pub(crate) fn go_on(&self) {
        self.hold_still(&[]);
    }
}

impl EventLog for View {
    testkit::rest_of_the_log!(inner);

    fn append(&self, topic: &Topic, partition: Partition, records: Vec<Record>) -> Result<Appended, Error> {
        self.inner.append(topic, partition, records)
    }

    fn read(&self, topic: &Topic, partition: Partition, from: Offset, limits: Limits) -> Result<ReadBatch, Error> {
        let still = self.still.lock().expect("no panic");
        drop(self.changed.wait_while(still, |still| still.contains(topic)).expect("no panic"));
        self.inner.read(topic, partition, from, limits)
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.inner.wait(seen, timeout)
    }
}
