//! Gateways that share an inlet over a real broker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use event_log::dead_letter::DeadLetter;
use event_log::kafka::topics::{self, TopicSettings};
use event_log::kafka::{KafkaLog, KafkaSettings, Membership, MembershipSettings};
use event_log::ownership::Ownership;
use event_log::{EventLog, InletName, Limits, Offset, Record, Stored, Topic, Watermarks, envelope};
use gateway::{Gateway, INLET_GROUP, InletOwnership, InletReader, Parts, Settings};
use keyring::Keyring;
use memory_core::{Partition, Role};
use memos_client::Interaction;
use memos_client::inlet::{InletRecord, Secret, Signer};
use serde_json::json;
use service_runtime::{Health, Metrics, Stop};
use testkit::kafka::Broker;

use super::record;
use super::signed::{Keys, SECRET_OF_ACME};
use crate::support::{FakeRecall, INLET, inlet_topic, secret, settings};

/// More than the other topics have.
const INLET_PARTITIONS: u32 = 6;
const USERS: usize = 20;
const DEADLINE: Duration = Duration::from_secs(90);

fn kafka(broker: &Broker) -> KafkaSettings {
    KafkaSettings {
        bootstrap_servers: broker.bootstrap().to_owned(),
        topic_prefix: "gateway.".to_owned(),
        partitions: 4,
        inlets: vec![InletName::try_new(INLET).expect("a name")],
        ..KafkaSettings::default()
    }
}

/// The keys of all processes.
static RING: LazyLock<Keyring> = LazyLock::new(|| Keyring::in_memory().expect("a ring"));

/// One process: a log of its own, and a gateway on it.
struct Process {
    log: Arc<KafkaLog>,
    gateway: Gateway,
}

impl Process {
    fn start(broker: &Broker) -> Self {
        Self::with(broker, settings())
    }

    fn with(broker: &Broker, settings: Settings) -> Self {
        let log = Arc::new(KafkaLog::open(&kafka(broker)).expect("the log opens"));
        let port: Arc<dyn EventLog> = Arc::<KafkaLog>::clone(&log);
        let parts = Parts {
            log: port,
            recall: Arc::new(FakeRecall::default()),
            secret: secret(),
            ring: RING.clone(),
            seal_inlets: false,
            settings,
            health: Health::new(),
            metrics: Metrics::new(),
            writable: Arc::new(AtomicBool::new(true)),
        };
        Self { log, gateway: Gateway::new(&parts).expect("the settings are good") }
    }

    fn ownership(&self) -> InletOwnership {
        let settings = MembershipSettings::new(INLET_GROUP, None);
        let member = |inlet: &InletName| {
            let member = Membership::join(&self.log, &settings, &Topic::Inlet(inlet.clone())).expect("it can join");
            (inlet.clone(), Box::new(member) as Box<dyn Ownership>)
        };
        self.gateway.inlets().map(member).collect()
    }

    fn reader(&self) -> InletReader {
        self.gateway.inlet_reader(self.ownership()).expect("all are owned")
    }
}

/// The turns of all users with these numbers, each user's in a partition of their own.
fn publish(log: &dyn EventLog, numbers: std::ops::Range<usize>) {
    let mut records: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
    for number in numbers {
        for user in 0..USERS {
            let turn = json!({ "id": id(user, number), "user_id": format!("u{user}"), "content": "x" });
            let partition = u32::try_from(user).expect("few") % INLET_PARTITIONS;
            records.entry(partition).or_default().push(record(&turn, &[]));
        }
    }
    append(log, records);
}

fn append(log: &dyn EventLog, records: BTreeMap<u32, Vec<Record>>) {
    let append = |(partition, records)| log.append(&inlet_topic(), Partition::new(partition), records).expect("room");
    for appended in records.into_iter().map(append).collect::<Vec<_>>() {
        assert!(!appended.wait().expect("is durable").is_empty());
    }
}

fn id(user: usize, number: usize) -> String {
    format!("u{user}-{number:05}")
}

fn marks(log: &dyn EventLog, topic: &Topic, partition: u32) -> Watermarks {
    log.watermarks(topic, Partition::new(partition)).expect("the broker says")
}

/// Reads what is new on all partitions of a topic.
fn read_on(log: &dyn EventLog, topic: &Topic, next: &mut BTreeMap<u32, Offset>) -> Vec<Stored> {
    let mut records = Vec::new();
    for partition in 0..log.partitions() {
        let high = marks(log, topic, partition).high;
        let next = next.entry(partition).or_default();
        while *next < high {
            let batch = log.read(topic, Partition::new(partition), *next, Limits::default()).expect("readable");
            records.extend(batch.records);
            *next = batch.next;
        }
    }
    records
}

/// What stands on `interactions`.
#[derive(Default)]
struct Seen {
    next: BTreeMap<u32, Offset>,
    /// The ids of each user, in the order in which they stand there first.
    users: BTreeMap<String, Vec<String>>,
    ids: BTreeSet<String>,
    repeated: usize,
}

impl Seen {
    fn look(&mut self, log: &dyn EventLog) -> usize {
        for stored in read_on(log, &Topic::Interactions, &mut self.next) {
            let (_, recorded) = envelope::read_interaction(&RING, &stored).expect("an envelope").expect("no tombstone");
            let (user, id) = (recorded.event.user_id.clone().expect("a user"), recorded.event.id.to_string());
            if self.ids.insert(id.clone()) {
                self.users.entry(user).or_default().push(id);
            } else {
                self.repeated += 1;
            }
        }
        self.ids.len()
    }

    fn until(&mut self, log: &dyn EventLog, count: usize) {
        let deadline = Instant::now() + DEADLINE;
        while self.look(log) < count {
            assert!(Instant::now() < deadline, "{} of {count} events are there", self.ids.len());
            let _news: u64 = log.wait(u64::MAX, Duration::from_millis(50));
        }
    }
}

/// Takes until this many records were taken.
fn take(reader: &mut InletReader, count: usize) {
    let (deadline, mut taken) = (Instant::now() + DEADLINE, 0);
    while taken < count {
        assert!(Instant::now() < deadline, "{taken} of {count} were taken");
        let round = reader.take().expect("the broker is there");
        taken += round.accepted + round.dead_lettered;
    }
}

// law: L03
#[test]
fn gateways_come_and_go_and_every_record_is_an_event_in_order() {
    let broker = Broker::start();
    topics::ensure(&kafka(&broker), &wanted()).expect("the topics can be made");
    let watcher = KafkaLog::open(&kafka(&broker)).expect("the log opens");
    let mut seen = Seen::default();

    // The first dies between its append and its commit: it leaves the group and says nothing of how far it was.
    let first = Process::start(&broker);
    publish(&watcher, 0..50);
    let mut reader = first.reader();
    take(&mut reader, 50 * USERS);
    drop(reader);
    assert_eq!(seen.look(&watcher), 50 * USERS, "acknowledged is durable");

    let second = Process::start(&broker);
    let stop_second = Stop::new();
    let worker = second.gateway.inlet_worker(second.ownership(), stop_second.clone()).expect("a thread");
    publish(&watcher, 50..100);
    seen.until(&watcher, 100 * USERS);
    assert_eq!(seen.repeated, 50 * USERS, "what was not committed comes again, and nothing else");

    // A third joins while more comes, and then the second leaves in good order.
    let third = Process::start(&broker);
    let stop_third = Stop::new();
    let other = third.gateway.inlet_worker(third.ownership(), stop_third.clone()).expect("a thread");
    for number in 100..200 {
        publish(&watcher, number..number + 1);
    }
    seen.until(&watcher, 200 * USERS);
    assert_eq!(seen.repeated, 50 * USERS, "who gives up partitions leaves nothing to repeat");
    stop_second.stop();
    worker.join().expect("the thread ends");
    let bad = BTreeMap::from([(INLET_PARTITIONS - 1, vec![record(&json!({ "user_id": "u" }), &[])])]);
    append(&watcher, bad);
    publish(&watcher, 200..250);
    seen.until(&watcher, 250 * USERS);
    assert_eq!(seen.repeated, 50 * USERS, "who leaves in good order leaves nothing to repeat");
    for user in 0..USERS {
        let expected: Vec<String> = (0..250).map(|number| id(user, number)).collect();
        assert_eq!(seen.users[&format!("u{user}")], expected);
    }
    let letters = read_on(&watcher, &Topic::DeadLetters, &mut BTreeMap::new());
    let letter = DeadLetter::from_record(&RING, &letters[0].record).expect("a dead letter");
    assert_eq!((letters.len(), letter.reason.as_str()), (1, "missing_field"));
    assert_eq!(letter.found.partition, Partition::new(INLET_PARTITIONS - 1), "an inlet has partitions of its own");
    stop_third.stop();
    other.join().expect("the thread ends");
    for partition in 0..INLET_PARTITIONS {
        let noted = watcher.committed(INLET_GROUP, &inlet_topic(), Partition::new(partition)).expect("it is known");
        assert_eq!(noted, Some(marks(&watcher, &inlet_topic(), partition).high), "partition {partition}");
    }
}

/// One copy of everything: there is one broker.
fn wanted() -> TopicSettings {
    TopicSettings {
        replication_factor: 1,
        min_insync_replicas: 1,
        inlet_partitions: INLET_PARTITIONS,
        ..TopicSettings::default()
    }
}

/// What the Rust client builds and signs is an event of whose key it is, when it came through a broker.
// law: L08
#[test]
fn a_record_that_the_rust_client_signed_is_taken_from_a_broker() {
    let broker = Broker::start();
    topics::ensure(&kafka(&broker), &wanted()).expect("the topics can be made");
    let keys = Keys::new();
    let process = Process::with(&broker, keys.settings());
    let signer = |secret: &str| {
        let secret = Secret::try_new(secret).expect("a secret");
        Signer::try_new(INLET, "acme", "k-1", secret).expect("good names")
    };
    let by = |secret: &str, id: &str| {
        let turn =
            Interaction { id: Some(id.to_owned()), ..Interaction::turn("zoë", Role::User, "I moved to Köln.") };
        let record = InletRecord::binary("/chat", &turn).expect("a record").signed(&signer(secret)).expect("signed");
        let InletRecord { key, headers, value } = record;
        let headers = headers.into_iter().map(|(name, value)| (name, Some(value))).collect();
        Record { key, value: Some(value), headers, ..Record::default() }
    };
    let forged = by("a-secret-that-memos-does-not-know-1", "forged");
    append(process.log.as_ref(), BTreeMap::from([(5, vec![by(SECRET_OF_ACME, "signed"), forged])]));
    let mut reader = process.reader();
    let (began, mut taken) = (Instant::now(), (0, 0));
    while taken != (1, 1) {
        assert!(began.elapsed() < DEADLINE, "{taken:?}");
        let now = reader.take().expect("the log works");
        reader.commit().expect("the log works");
        taken = (taken.0 + now.accepted, taken.1 + now.dead_lettered);
    }
    let events = read_on(process.log.as_ref(), &Topic::Interactions, &mut BTreeMap::new());
    let events: Vec<_> =
        events.iter().filter_map(|stored| envelope::read_interaction(&RING, stored).expect("ours")).collect();
    let [(_, event)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.tenant.as_str(), event.event.id.to_string().as_str()), ("acme", "signed"));
    reader.close().expect("the log works");
}
