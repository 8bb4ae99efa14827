//! Kills, pauses beyond the session timeout, restarts of the broker, wiped directories, and instances that come and go,
//! with requests in flight all the time.
//!
//! Several producers publish without a pause, over HTTP and through an inlet. At the end every acknowledged event is there
//! once and in its order (laws L01 and L03), all stores are the same, and they are what the log says when it is folded
//! from its beginning (laws L02, L05 and L06).

// law: L01, L02, L03, L05, L06, L12

use std::time::{Duration, Instant};

use testkit::Random;
use testkit::kafka::Broker;

use super::processes::{Cluster, SESSION, Size};
use super::traffic::{compare, producers, settle, under_load};
use super::witness::{Answer, Witness};
use crate::harness::{DEADLINE, Ledger, Server, between, is_long, seed, wait_until, wait_until_final};

/// Partitions of every topic.
const PARTITIONS: f64 = 12.0;
/// Questions that must be answered while an instance of recall stands still.
const QUESTIONS: u32 = 10;
/// Ticks would be events that no producer knows of; many snapshots bury many steps. A producer may take a partition's leader for
/// unknown for good when the brokers were away (librdkafka's issue 5430): then its process ends after the time for a
/// delivery and is started again, which must not take longer than the test waits.
const SETTINGS: [&str; 5] = [
    "kafka.delivery_timeout_ms=20000",
    "working_memory.idle_tick_seconds=0",
    "consolidator.snapshot_every=20",
    "disk.min_free_bytes=0",
    "gateway.inlets=[{name = \"events\", tenant = \"default\"}]",
];

/// When the last has ended whose producer has lost its way: the first look after the harm, the time until a topic that is said to
/// be unknown is believed to be, and that for a delivery, with something over.
const LOST_WAY: Duration = Duration::from_secs(35);
/// Who shares partitions with another of its kind.
const SHARING: [&str; 3] = ["gateway", "working-memory", "consolidator"];

/// What can happen to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    /// `kill -9` of one process, which is started again at once.
    Kill(&'static str),
    /// SIGSTOP of one process, for longer than its session and until another does its work, then SIGCONT: it goes on
    /// where it stood.
    Zombie(&'static str),
    /// The broker stops in good order, or is killed, and is started again.
    Broker { killed: bool },
    /// The broker stands still for a while.
    BrokerPause,
}

/// The rounds of a run: every kind of process is killed, and every kind becomes a zombie.
fn plan(random: &mut Random) -> Vec<Harm> {
    const KINDS: [&str; 4] = ["consolidator", "working-memory", "gateway", "recall"];
    let (kills, zombies, brokers) = if is_long() { (50, 12, 3) } else { (5, 4, 1) };
    let mut plan: Vec<Harm> = (0..kills).map(|round| Harm::Kill(KINDS[round % KINDS.len()])).collect();
    plan.extend((0..zombies).map(|round| Harm::Zombie(KINDS[round % KINDS.len()])));
    plan.extend((0..brokers).map(|round| Harm::Broker { killed: round % 2 == 0 }));
    plan.push(Harm::BrokerPause);
    for place in (1..plan.len()).rev() {
        plan.swap(place, random.index(place + 1));
    }
    plan
}

#[test]
fn nothing_is_lost_or_doubled_whatever_happens_to_whom() {
    let seed = seed("chaos", "two of each, kills, zombies, restarts of the broker");
    let root = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let mut random = Random::new(seed);
    let mut cluster = Cluster::new(&broker, root.path(), "chaos", seed, Size::TWO);
    cluster.may_end = true;
    cluster.set(&SETTINGS);
    cluster.make_topics();
    cluster.start();
    let (mut producers, mut witness) = (producers(seed, "chaos"), Witness::default());
    let plan = plan(&mut random);
    under_load(&mut cluster, &mut producers, |cluster, new| {
        for (round, harm) in plan.iter().enumerate() {
            eprintln!("round {}: {harm:?}", round + 1);
            new(between(&mut random, 30, 300));
            let number = random.index(2);
            match *harm {
                Harm::Kill(kind) => kill(cluster, &format!("{kind}-{number}")),
                Harm::Zombie("recall") => silence_recall(cluster, &mut witness, number, new),
                Harm::Zombie(kind) => silence_member(cluster, kind, number, new),
                Harm::Broker { killed } => restart(&broker, killed),
                Harm::BrokerPause => pause(cluster, &broker),
            }
            cluster.revive();
        }
        new(100);
    });
    let harmed = Instant::now();
    let all_ready = || {
        cluster.revive();
        cluster.servers.values().all(Server::is_ready)
    };
    wait_until(DEADLINE, "everything is ready again", all_ready);
    let of_witness = witness.ends(cluster.server("gateway-0"));
    let ledger = settle(&mut cluster, producers, of_witness);
    calm_down(&mut cluster, harmed);
    let hash = compare(&mut cluster, &ledger);
    wipe_and_rebuild(&mut cluster, &ledger, &hash);
}

fn kill(cluster: &mut Cluster, name: &str) {
    cluster.take(name).kill9();
    cluster.launch(name);
}

fn restart(broker: &Broker, killed: bool) {
    if killed {
        broker.kill();
    }
    broker.restart();
}

fn pause(cluster: &Cluster, broker: &Broker) {
    let before = broker_errors(cluster);
    broker.pause();
    // Long enough that requests are sent again.
    wait_until(DEADLINE, "somebody misses the broker", || broker_errors(cluster) != before || missing(cluster));
    broker.resume();
}

/// How many partitions a member of a group owns, as it says itself.
fn owned(server: &Server, kind: &str) -> f64 {
    match kind {
        "gateway" => server.metric("memos_gateway_inlet_partitions"),
        writer => server.metric(&format!("memos_{}_partitions", writer.replace('-', "_"))),
    }
}

/// A member of a group falls silent until the other one owns everything, and comes back.
fn silence_member(cluster: &mut Cluster, kind: &str, number: usize, new: &dyn Fn(u64)) {
    let (name, heir) = (format!("{kind}-{number}"), format!("{kind}-{}", 1 - number));
    // Or there would be nothing to take over: both may have been started a moment ago.
    wait_until_shared(cluster, kind, Duration::ZERO);
    cluster.server(&name).pause();
    let paused = Instant::now();
    // The heir itself may find that it is no member any more: the broker was away a moment ago.
    let taken_over = || {
        cluster.revive();
        owned(cluster.server(&heir), kind) >= PARTITIONS
    };
    wait_until(DEADLINE, &format!("{heir} has taken over"), taken_over);
    eprintln!("{heir} owns all partitions {:.1?} after {name} fell silent", paused.elapsed());
    match kind {
        "gateway" => {
            let read = |cluster: &Cluster| cluster.server(&heir).metric("memos_gateway_inlet_records_total");
            let before = read(cluster);
            wait_until(DEADLINE, &format!("{heir} reads the inlet"), || read(cluster) > before);
        }
        writer => {
            let metric = format!("memos_{}_takeover_seconds_sum", writer.replace('-', "_"));
            eprintln!("reading them took {:.3} s in all so far", cluster.server(&heir).metric(&metric));
        }
    }
    // Whatever was in flight to the silent one: its producers have gone to another.
    new(60);
    cluster.server(&name).resume();
    wait_until_shared(cluster, kind, Duration::ZERO);
}

/// Waits until both of a kind have owned some of the partitions, and together all of them, for so long.
fn wait_until_shared(cluster: &mut Cluster, kind: &str, held: Duration) {
    let mut since: Option<Instant> = None;
    let shared = || {
        cluster.revive();
        let of = |number| owned(cluster.server(&format!("{kind}-{number}")), kind);
        let (one, other) = (of(0), of(1));
        let shared = one > 0.0 && other > 0.0 && one + other == PARTITIONS;
        since = if shared { since.or_else(|| Some(Instant::now())) } else { None };
        since.is_some_and(|since| since.elapsed() >= held)
    };
    wait_until(DEADLINE, &format!("two of {kind} share the partitions"), shared);
}

/// Waits until whoever lost its way to the brokers has ended and was started again, and everybody has its share.
fn calm_down(cluster: &mut Cluster, harmed: Instant) {
    let over = || {
        cluster.revive();
        harmed.elapsed() > LOST_WAY
    };
    wait_until(DEADLINE, "nobody has lost its way any more", over);
    SHARING.iter().for_each(|kind| wait_until_shared(cluster, kind, SESSION));
}

/// An instance of recall falls silent, and every question is answered by the other one.
fn silence_recall(cluster: &mut Cluster, witness: &mut Witness, number: usize, new: &dyn Fn(u64)) {
    // A writer may have found a moment ago that it lost its name.
    let ready = |cluster: &mut Cluster| {
        cluster.revive();
        cluster.servers.values().all(Server::is_ready)
    };
    wait_until(DEADLINE, "everything is ready", || ready(cluster));
    let (name, gateway) = (format!("recall-{number}"), cluster.server("gateway-1"));
    let missed = format!("memos_gateway_recall_requests_total{{instance=\"{number}\",outcome=\"unreachable\"}}");
    let before = gateway.metric(&missed);
    cluster.server(&name).pause();
    let paused = Instant::now();
    let word = witness.says(gateway);
    let (mut answered, mut refused) = (0, 0);
    wait_until(DEADLINE, &format!("the other recall answers for {name}"), || {
        match Witness::is_remembered(gateway, word) {
            Answer::Known => answered += 1,
            Answer::Unknown => assert_eq!(answered, 0, "what was known is not known any more"),
            Answer::Refused => refused += 1,
        }
        answered >= QUESTIONS && paused.elapsed() > SESSION && gateway.metric(&missed) > before
    });
    eprintln!("{answered} questions were answered without {name} and {refused} refused in {:.1?}", paused.elapsed());
    assert!(refused <= answered / QUESTIONS, "{refused} questions were refused while one instance was there");
    new(60);
    cluster.server(&name).resume();
    wait_until(DEADLINE, &format!("{name} answers again"), || cluster.server(&name).is_ready());
}

/// What the gateways count of requests that were not answered in time.
fn broker_errors(cluster: &Cluster) -> f64 {
    cluster.server("gateway-0").metric("memos_kafka_request_errors")
}

/// Whether a gateway holds appends that nobody acknowledges.
fn missing(cluster: &Cluster) -> bool {
    cluster.server("gateway-0").metric("memos_kafka_queued_bytes") > 0.0
}

/// Every data directory may be deleted: all of it comes back from the log.
fn wipe_and_rebuild(cluster: &mut Cluster, ledger: &Ledger, hash: &str) {
    for name in ["recall-0", "consolidator-0", "working-memory-0"] {
        std::fs::remove_dir_all(cluster.dir(name)).expect("it had a data directory");
    }
    cluster.start();
    wait_until_final(cluster.server("gateway-1"), ledger.acknowledged());
    wait_until(DEADLINE, "recall is rebuilt", || cluster.hash("recall-0") == hash);
    assert_eq!(cluster.hash("recall-1"), hash, "nothing was decided again");
    cluster.stop();
    cluster.verify("recall-0");
}

/// librdkafka was seen to lose its way after such a moment: a member got no share any more, and a reader stood still.
#[test]
fn who_missed_the_broker_for_a_moment_has_its_share_again() {
    let seed = seed("moments", "two of each, a broker that stands still and is killed");
    let root = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let mut cluster = Cluster::new(&broker, root.path(), "moments", seed, Size::TWO);
    cluster.may_end = true;
    cluster.set(&SETTINGS);
    cluster.make_topics();
    cluster.start();
    let mut producers = producers(seed, "moments");
    under_load(&mut cluster, &mut producers, |cluster, new| {
        for round in 0..if is_long() { 50 } else { 2 } {
            new(60);
            if round % 2 == 0 {
                let paused = Instant::now();
                broker.pause();
                wait_until(DEADLINE, "every session is over", || paused.elapsed() > SESSION * 2);
                broker.resume();
            } else {
                restart(&broker, true);
            }
            // Some of them notice late what they have lost.
            SHARING.iter().for_each(|kind| wait_until_shared(cluster, kind, SESSION * 2));
        }
        new(60);
    });
    let harmed = Instant::now();
    let ledger = settle(&mut cluster, producers, Ledger::default());
    calm_down(&mut cluster, harmed);
    compare(&mut cluster, &ledger);
}

#[test]
fn consolidators_come_and_go_under_load() {
    let seed = seed("scaling", "consolidators from 1 to 4 to 2");
    let root = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let size = Size { consolidators: 1, working_memories: 1, ..Size::TWO };
    let mut cluster = Cluster::new(&broker, root.path(), "scaling", seed, size);
    cluster.set(&SETTINGS);
    cluster.make_topics();
    cluster.start();
    let mut producers = producers(seed, "scaling");
    under_load(&mut cluster, &mut producers, |cluster, new| {
        new(200);
        for number in 1..4 {
            cluster.launch(&format!("consolidator-{number}"));
        }
        let shared = |cluster: &Cluster, count: usize| {
            let consolidators = cluster.servers.iter().filter(|(name, _)| name.starts_with("consolidator"));
            let owned: Vec<f64> = consolidators.map(|(_, server)| owned(server, "consolidator")).collect();
            owned.len() == count && owned.iter().sum::<f64>() == PARTITIONS && owned.iter().all(|owned| *owned > 0.0)
        };
        wait_until(DEADLINE, "four consolidators share the partitions", || shared(cluster, 4));
        new(200);
        cluster.take("consolidator-0").stop();
        cluster.take("consolidator-2").stop();
        wait_until(DEADLINE, "two consolidators share the partitions", || shared(cluster, 2));
        new(200);
    });
    let ledger = settle(&mut cluster, producers, Ledger::default());
    compare(&mut cluster, &ledger);
}
