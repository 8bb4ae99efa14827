//! Kills, pauses beyond the session timeout, restarts of the broker, wiped directories, and instances that come and go,
//! with requests in flight all the time.
//!
//! Several producers publish without a pause, to whichever gateway answers, and send again what they heard no answer for.
//! At the end every acknowledged event is there once (laws L01 and L03), all stores are the same, and they are what the
//! log says when it is folded from its beginning (laws L02, L05 and L06).

// law: L01, L02, L03, L05, L06, L12

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use memos_client::Client;
use testkit::Random;
use testkit::kafka::Broker;

use super::processes::{Cluster, Size};
use crate::harness::{
    DEADLINE, Ledger, Load, Publisher, Server, between, block_on, is_long, seed, status, wait_until, wait_until_final,
};

const PRODUCERS: u64 = 3;
const USERS_EACH: usize = 12;
/// Ticks would be events that no producer knows of; many snapshots bury many steps.
const SETTINGS: [&str; 3] =
    ["working_memory.idle_tick_seconds=0", "consolidator.snapshot_every=20", "disk.min_free_bytes=0"];

/// What can happen to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    /// `kill -9` of one process, which is started again at once.
    Kill(&'static str),
    /// SIGSTOP of one process until another has taken over, then SIGCONT: it goes on where it stood.
    Zombie(&'static str),
    /// The broker stops in good order, or is killed, and is started again.
    Broker { killed: bool },
    /// The broker stands still for a while.
    BrokerPause,
}

/// The rounds of a run: every kind of process is killed, both writers become zombies.
fn plan(random: &mut Random) -> Vec<Harm> {
    const KINDS: [&str; 4] = ["consolidator", "working-memory", "gateway", "recall"];
    let (kills, zombies, brokers) = if is_long() { (50, 10, 3) } else { (5, 2, 1) };
    let mut plan: Vec<Harm> = (0..kills).map(|round| Harm::Kill(KINDS[round % KINDS.len()])).collect();
    plan.extend((0..zombies).map(|round| Harm::Zombie(KINDS[round % 2])));
    plan.extend((0..brokers).map(|round| Harm::Broker { killed: round % 2 == 0 }));
    plan.push(Harm::BrokerPause);
    for place in (1..plan.len()).rev() {
        plan.swap(place, random.index(place + 1));
    }
    plan
}

/// Producers that publish until they are told to stop.
struct Traffic<'a> {
    clients: Vec<Client>,
    acknowledged: &'a AtomicU64,
    over: &'a AtomicBool,
}

impl Traffic<'_> {
    /// Publishes to one gateway, and to the next one when it breaks off.
    fn run(&self, publisher: &mut Publisher) {
        for client in self.clients.iter().cycle() {
            while !self.over.load(Ordering::SeqCst) {
                match block_on(publisher.next(client, 20)) {
                    Ok(count) => self.acknowledged.fetch_add(count, Ordering::SeqCst),
                    Err(_) => break,
                };
            }
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let answers = || self.clients.iter().any(|client| block_on(client.health()).is_ok());
            wait_until(DEADLINE, "a gateway answers", answers);
        }
    }
}

fn producers(seed: u64, name: &str) -> Vec<Publisher> {
    let one = |number| Publisher::new(seed + number, Load::new(seed, &format!("{name}{number}"), USERS_EACH));
    (0..PRODUCERS).map(one).collect()
}

/// Runs `harm` round after round while producers publish; each round begins with new acknowledged events.
fn under_load(cluster: &mut Cluster, publishers: &mut [Publisher], mut rounds: impl FnMut(&mut Cluster, &dyn Fn(u64))) {
    let (acknowledged, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let gateways = cluster.servers.iter().filter(|(name, _)| name.starts_with("gateway"));
    let clients: Vec<Client> = gateways.map(|(_, gateway)| gateway.client()).collect();
    std::thread::scope(|scope| {
        for (number, publisher) in publishers.iter_mut().enumerate() {
            let mut clients = clients.clone();
            let place = number % clients.len();
            clients.rotate_left(place);
            let traffic = Traffic { clients, acknowledged: &acknowledged, over: &over };
            scope.spawn(move || traffic.run(publisher));
        }
        let new = |count: u64| {
            let before = acknowledged.load(Ordering::SeqCst);
            let enough = || acknowledged.load(Ordering::SeqCst) >= before + count;
            wait_until(DEADLINE, &format!("{count} more events are acknowledged"), enough);
        };
        // The producers end whatever becomes of the rounds, or a failure would hang here.
        let _end = AtEnd(&over);
        rounds(cluster, &new);
    });
}

struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Ends every session, and waits until every acknowledged event has come to its end.
fn settle(cluster: &Cluster, publishers: Vec<Publisher>) -> Ledger {
    let gateway = cluster.server("gateway-0");
    let client = gateway.client();
    let mut ledger = Ledger::default();
    for mut publisher in publishers {
        let send = |publisher: &mut Publisher, end: bool| {
            // What is still unanswered goes first, so that it stands before the end of the session.
            let sent = || {
                if end {
                    let ends = publisher.load.end_sessions();
                    block_on(publisher.send(&client, ends)).is_ok()
                } else {
                    block_on(publisher.next(&client, 20)).is_ok()
                }
            };
            wait_until(DEADLINE, "what was not answered is taken", sent);
        };
        send(&mut publisher, false);
        send(&mut publisher, true);
        ledger.merge(publisher.ledger);
    }
    wait_until_final(gateway, ledger.acknowledged());
    ledger
}

/// Nothing lost, nothing doubled, all stores alike and what the log says. Answers the hash.
fn compare(cluster: &mut Cluster, ledger: &Ledger) -> String {
    let client = cluster.server("gateway-0").client();
    let doubtful: BTreeSet<&str> = ledger.indeterminate().filter(|id| status(&client, id).is_some()).collect();
    let (acknowledged, doubt) = (ledger.acknowledged().count(), ledger.indeterminate().count());
    eprintln!("{acknowledged} acknowledged, {doubt} in doubt, of which {} are there", doubtful.len());
    let expected = ledger.expected(|id| doubtful.contains(id));
    let same = |cluster: &Cluster| cluster.hash("recall-0") == cluster.hash("recall-1");
    wait_until(DEADLINE, "both instances of recall are at the end", || same(cluster));
    let dump = cluster.dump("recall-0");
    dump.assert_every_source_counts_once();
    assert_eq!(dump.events(), expected, "the events that were folded are those that were sent");
    let owners = dump.owners();
    for (handle, row) in dump.rows("subject") {
        let events = &expected[&owners[&handle]];
        assert_eq!(row["next"].as_u64(), Some(events.len() as u64), "numbers of {}", owners[&handle]);
        let shown = cluster.server("gateway-0").next_seq(&owners[&handle]);
        assert_eq!(shown, events.len() as u64, "numbers that recall shows of {}", owners[&handle]);
    }
    let hash = cluster.hash("recall-0");
    cluster.stop();
    cluster.verify("recall-0");
    hash
}

#[test]
fn nothing_is_lost_or_doubled_whatever_happens_to_whom() {
    let seed = seed("chaos", "two of each, kills, zombies, restarts of the broker");
    let root = tempfile::tempdir().expect("a directory");
    let broker = Broker::start();
    let mut random = Random::new(seed);
    let mut cluster = Cluster::new(&broker, root.path(), "chaos", seed, Size::TWO);
    cluster.set(&SETTINGS);
    cluster.make_topics();
    cluster.start();
    let mut publishers = producers(seed, "chaos");
    let plan = plan(&mut random);
    under_load(&mut cluster, &mut publishers, |cluster, new| {
        for (round, harm) in plan.iter().enumerate() {
            eprintln!("round {}: {harm:?}", round + 1);
            new(between(&mut random, 30, 300));
            inflict(cluster, &broker, *harm, &mut random);
            revive(cluster);
        }
        new(100);
    });
    let all_ready = || {
        revive(&mut cluster);
        cluster.servers.values().all(Server::is_ready)
    };
    wait_until(DEADLINE, "everything is ready again", all_ready);
    let ledger = settle(&cluster, publishers);
    let hash = compare(&mut cluster, &ledger);
    wipe_and_rebuild(&mut cluster, &ledger, &hash);
}

fn inflict(cluster: &mut Cluster, broker: &Broker, harm: Harm, random: &mut Random) {
    let other = |number: usize| 1 - number;
    match harm {
        Harm::Kill(kind) => {
            let name = format!("{kind}-{}", random.index(2));
            cluster.take(&name).kill9();
            cluster.launch(&name);
        }
        Harm::Zombie(kind) => {
            let number = random.index(2);
            let (name, heir) = (format!("{kind}-{number}"), format!("{kind}-{}", other(number)));
            cluster.server(&name).pause();
            let paused = Instant::now();
            let all = f64::from(12);
            let owned = format!("memos_{}_partitions", kind.replace('-', "_"));
            // The heir itself may find that it is no member any more: the broker was away a moment ago.
            let taken_over = || {
                revive(cluster);
                cluster.server(&heir).metric(&owned) >= all
            };
            wait_until(DEADLINE, &format!("{heir} has taken over"), taken_over);
            let reading =
                cluster.server(&heir).metric(&format!("memos_{}_takeover_seconds_sum", kind.replace('-', "_")));
            eprintln!(
                "{heir} owns all partitions {:.1?} after {name} fell silent; reading them took {reading:.3} s in all so far",
                paused.elapsed()
            );
            cluster.server(&name).resume();
        }
        Harm::Broker { killed } => {
            if killed {
                broker.kill();
            }
            broker.restart();
        }
        Harm::BrokerPause => {
            let before = broker_errors(cluster);
            broker.pause();
            // Long enough that requests are sent again.
            wait_until(DEADLINE, "somebody misses the broker", || broker_errors(cluster) != before || missing(cluster));
            broker.resume();
        }
    }
}

/// What the gateways count of requests that were not answered in time.
fn broker_errors(cluster: &Cluster) -> f64 {
    cluster.server("gateway-0").metric("memos_kafka_request_errors")
}

/// Whether a gateway holds appends that nobody acknowledges.
fn missing(cluster: &Cluster) -> bool {
    cluster.server("gateway-0").metric("memos_kafka_queued_bytes") > 0.0
}

/// Starts again what has ended by itself, as an orchestrator would: a zombie may find that it was expelled.
fn revive(cluster: &mut Cluster) {
    let ended: Vec<String> =
        cluster.servers.iter_mut().filter_map(|(name, server)| server.has_ended().then(|| name.clone())).collect();
    for name in ended {
        eprintln!("{name} ended by itself and is started again:\n{}", cluster.take(&name).last_words());
        cluster.launch(&name);
    }
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
    let mut publishers = producers(seed, "scaling");
    under_load(&mut cluster, &mut publishers, |cluster, new| {
        new(200);
        for number in 1..4 {
            cluster.launch(&format!("consolidator-{number}"));
        }
        let owned = |cluster: &Cluster, count: usize| {
            let consolidators = cluster.servers.iter().filter(|(name, _)| name.starts_with("consolidator"));
            let owned: Vec<f64> = consolidators.map(|(_, server)| partitions(server)).collect();
            owned.len() == count && owned.iter().sum::<f64>() == 12.0 && owned.iter().all(|owned| *owned > 0.0)
        };
        wait_until(DEADLINE, "four consolidators share the partitions", || owned(cluster, 4));
        new(200);
        cluster.take("consolidator-0").stop();
        cluster.take("consolidator-2").stop();
        wait_until(DEADLINE, "two consolidators share the partitions", || owned(cluster, 2));
        new(200);
    });
    let ledger = settle(&cluster, publishers);
    compare(&mut cluster, &ledger);
}

fn partitions(server: &Server) -> f64 {
    server.metric("memos_consolidator_partitions")
}
