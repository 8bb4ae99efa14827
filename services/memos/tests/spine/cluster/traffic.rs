//! Producers that go on whatever happens, and what must be true when they have stopped.
//!
//! Each publishes to whichever gateway answers, does not wait for one that stands still, and sends again what it heard
//! no answer for. The last of them publishes through an inlet, so its events wait there for a gateway that owns their
//! partition.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use memos_client::{Client, ClientSettings};

use super::processes::Cluster;
use crate::harness::{DEADLINE, Interrupted, Ledger, Load, Publisher, Way, block_on, is_final, status, wait_until};

const PRODUCERS: u64 = 3;
const USERS_EACH: usize = 12;
/// How long a producer waits for an answer: less than it takes until somebody else has taken over.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a producer waits between two batches once a round has the events it asked for: harm is done under load, and what
/// takes long must not pile up more than the rest of the test can look at.
const PACE: Duration = Duration::from_millis(300);
/// The inlet of [`super::chaos`]'s settings.
const INLET: &str = "events";

/// One producer, and how it publishes.
pub(crate) struct Producer {
    publisher: Publisher,
    inlet: bool,
}

/// Where producers publish.
#[derive(Clone)]
struct Gateway {
    client: Client,
    url: String,
}

impl Gateway {
    fn way(&self, inlet: bool) -> Way<'_> {
        if inlet { Way::Inlet { url: &self.url, name: INLET } } else { Way::Interactions(&self.client) }
    }
}

impl Producer {
    fn next(&mut self, gateway: &Gateway) -> Result<u64, Interrupted> {
        block_on(self.publisher.next(gateway.way(self.inlet), 20))
    }

    fn end_sessions(&mut self, gateway: &Gateway) -> Result<u64, Interrupted> {
        let ends = self.publisher.load.end_sessions();
        block_on(self.publisher.send(gateway.way(self.inlet), ends))
    }
}

pub(crate) fn producers(seed: u64, name: &str) -> Vec<Producer> {
    let one = |number| {
        let load = Load::new(seed, &format!("{name}{number}"), USERS_EACH);
        Producer { publisher: Publisher::new(seed + number, load), inlet: number + 1 == PRODUCERS }
    };
    (0..PRODUCERS).map(one).collect()
}

/// Producers that publish until they are told to stop.
struct Traffic<'a> {
    gateways: Vec<Gateway>,
    acknowledged: &'a AtomicU64,
    /// How many events the rounds have asked for.
    wanted: &'a AtomicU64,
    over: &'a AtomicBool,
}

impl Traffic<'_> {
    /// Publishes to one gateway, and to the next one when it breaks off.
    fn run(&self, producer: &mut Producer) {
        for gateway in self.gateways.iter().cycle() {
            while !self.over.load(Ordering::SeqCst) {
                let Ok(count) = producer.next(gateway) else { break };
                let acknowledged = self.acknowledged.fetch_add(count, Ordering::SeqCst) + count;
                if acknowledged >= self.wanted.load(Ordering::SeqCst) {
                    std::thread::park_timeout(PACE);
                }
            }
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let answers = || self.gateways.iter().any(|gateway| block_on(gateway.client.health()).is_ok());
            wait_until(DEADLINE, "a gateway answers", answers);
        }
    }
}

/// Runs `harm` round after round while producers publish; each round begins with new acknowledged events.
pub(crate) fn under_load(
    cluster: &mut Cluster,
    producers: &mut [Producer],
    mut rounds: impl FnMut(&mut Cluster, &dyn Fn(u64)),
) {
    let (acknowledged, wanted, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let gateways: Vec<Gateway> = (cluster.servers.iter())
        .filter(|(name, _)| name.starts_with("gateway"))
        .map(|(_, server)| {
            let settings = ClientSettings { timeout: PATIENCE, ..ClientSettings::default() };
            let client = Client::with_settings(&server.url, None, settings).expect("its address");
            Gateway { client, url: server.url.clone() }
        })
        .collect();
    std::thread::scope(|scope| {
        for (number, producer) in producers.iter_mut().enumerate() {
            let mut gateways = gateways.clone();
            let place = number % gateways.len();
            gateways.rotate_left(place);
            let traffic = Traffic { gateways, acknowledged: &acknowledged, wanted: &wanted, over: &over };
            scope.spawn(move || traffic.run(producer));
        }
        let new = |count: u64| {
            let enough = acknowledged.load(Ordering::SeqCst) + count;
            wanted.store(enough, Ordering::SeqCst);
            let enough = || acknowledged.load(Ordering::SeqCst) >= enough;
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

/// Ends every session, and waits until every acknowledged event has come to its end. What somebody else has sent and
/// ended is in the ledger already.
pub(crate) fn settle(cluster: &mut Cluster, producers: Vec<Producer>, mut ledger: Ledger) -> Ledger {
    let server = cluster.server("gateway-0");
    let gateway = Gateway { client: server.client(), url: server.url.clone() };
    let mut wait = |what: &str, reached: &mut dyn FnMut() -> bool| {
        wait_until(DEADLINE, what, || {
            cluster.revive();
            reached()
        });
    };
    for mut producer in producers {
        // What is still unanswered goes first, so that it stands before the end of the session.
        wait("what was not answered is taken", &mut || producer.next(&gateway).is_ok());
        wait("the ends of the sessions are taken", &mut || producer.end_sessions(&gateway).is_ok());
        ledger.merge(producer.publisher.ledger);
    }
    for event in ledger.acknowledged() {
        let is_final = || status(&gateway.client, event).is_some_and(is_final);
        wait(&format!("event {event} has a final status"), &mut { is_final });
    }
    ledger
}

/// Nothing lost, nothing doubled, everything in its order, all stores alike and what the log says. Answers the hash.
pub(crate) fn compare(cluster: &mut Cluster, ledger: &Ledger) -> String {
    let client = cluster.server("gateway-0").client();
    let doubtful: BTreeSet<&str> = ledger.indeterminate().filter(|id| status(&client, id).is_some()).collect();
    let (acknowledged, doubt) = (ledger.acknowledged().count(), ledger.indeterminate().count());
    eprintln!("{acknowledged} acknowledged, {doubt} in doubt, of which {} are there", doubtful.len());
    let expected = ledger.expected(|id| doubtful.contains(id));
    let same = || {
        cluster.revive();
        cluster.hash("recall-0") == cluster.hash("recall-1")
    };
    wait_until(DEADLINE, "both instances of recall are at the end", same);
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
    let ordered: usize = dump.sources().iter().map(|(user, kept)| assert_order(ledger, user, kept)).sum();
    assert!(ordered > 0, "nothing was kept whose order is known");
    eprintln!("{ordered} kept turns are in the order in which they were sent");
    let hash = cluster.hash("recall-0");
    cluster.stop();
    cluster.verify("recall-0");
    hash
}

/// What was kept of a user stands in the order in which it was sent; answers of how many events that is known.
#[track_caller]
fn assert_order(ledger: &Ledger, user: &str, kept: &[String]) -> usize {
    let sent: Vec<&str> = ledger.order(user).collect();
    let known: BTreeSet<&str> = sent.iter().copied().collect();
    let kept: Vec<&str> = kept.iter().map(String::as_str).filter(|id| known.contains(id)).collect();
    let there: BTreeSet<&str> = kept.iter().copied().collect();
    let expected: Vec<&str> = sent.into_iter().filter(|id| there.contains(id)).collect();
    assert_eq!(kept, expected, "the order of what {user} said");
    kept.len()
}
