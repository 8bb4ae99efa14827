//! `kill -9` at random moments, with requests in flight.
//!
//! Several producers publish without a pause. Each round kills the server after a random number of acknowledgements and
//! starts it again on the same directory; producers then send again what they heard no answer for. At the end
//! what is stored is compared with what was acknowledged: none lost (law L01), none twice (law L03), and everything is
//! what the log says (laws L02 and L06).

// law: L01, L02, L03, L12

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use testkit::Random;

use crate::harness::{
    DEADLINE, DumpText, Interrupted, Ledger, Load, Publisher, Server, between, block_on, data_dir, delete_store, hash,
    is_long, seed, status, verify, wait_until, wait_until_final,
};

const PRODUCERS: u64 = 4;
const USERS_EACH: usize = 12;

/// Subjects leave RAM all the time.
const PASSIVATING: &[&str] = &[
    "working_memory.active_max=3",
    "working_memory.passivate_after_seconds=0",
    "working_memory.batch_records=40",
    "recall.conversations_max=0",
];

/// Subjects that left RAM because nothing came for them. The marker from where a restart must read is written after it.
const IDLE: &str = "memos_working_memory_passivations_total{reason=\"idle\"}";

/// What differs between two rounds: the size of batches, of banks and of segments, whether subjects stay in RAM, and the
/// rules. A restart may come with other settings; windows that were closed stand, and nothing is lost or counted twice.
const SETTINGS: [&[&str]; 5] = [
    &[],
    PASSIVATING,
    &["working_memory.batch_records=3", "consolidator.batch_records=2", "recall.batch_records=1"],
    &["consolidator.snapshot_every=4", "consolidator.bank_bytes=1", "log.segment_bytes=65536"],
    &["rules.window_turns_max=4", "rules.salient_at=500", "rules.gap_seconds=100", "working_memory.active_max=5"],
];

#[test]
fn killed_at_random_moments_nothing_acknowledged_is_lost_or_counted_twice() {
    let kills = if is_long() { 50 } else { 5 };
    let seed = seed("crash", &format!("{kills} kills, {PRODUCERS} producers of {USERS_EACH} users"));
    let root = tempfile::tempdir().expect("a directory");
    let dir = data_dir(root.path(), "data", seed);
    let mut random = Random::new(seed);
    let mut producers: Vec<Publisher> = (0..PRODUCERS)
        .map(|number| Publisher::new(seed + number, Load::new(seed, &format!("crash{number}"), USERS_EACH)))
        .collect();
    for round in 1..=kills {
        // Every third round lasts until the place from where a restart must read has moved on.
        let settings = if round % 3 == 0 { PASSIVATING } else { *random.pick(&SETTINGS) };
        let moment = between(&mut random, 30, 700);
        let server = Server::start_unready(&dir, &arguments(settings));
        kill_after(server, &mut producers, moment, round % 3 == 0);
        eprintln!("kill {round}: after {moment} acknowledgements, with {settings:?}");
        if random.chance(30) {
            // A crash in the middle of the recovery from a crash.
            Server::start_unready(&dir, &arguments(settings)).kill9();
        }
    }
    let server = Server::start(&dir, &arguments(&[]));
    let client = server.client();
    for producer in &mut producers {
        block_on(async {
            // What is still unanswered goes first, so that it stands before the end of the session.
            producer.next(&client, 20).await.expect("nobody kills the server any more");
            let ends = producer.load.end_sessions();
            producer.send(&client, ends).await.expect("nobody kills the server any more");
        });
    }
    let mut ledger = Ledger::default();
    producers.into_iter().for_each(|producer| ledger.merge(producer.ledger));
    let users = compare(&server, &ledger, &dir);
    compare_counts(&server, &users, &dir);
    let live = hash(&dir);
    server.stop();
    assert_eq!(hash(&dir), live, "after stopping");
    verify(&dir);
    delete_store(&dir);
    let server = Server::start(&dir, &arguments(&[]));
    compare(&server, &ledger, &dir);
    compare_counts(&server, &users, &dir);
    server.stop();
    assert_eq!(hash(&dir), live, "after deleting the store and rebuilding it");
    verify(&dir);
}

/// Ticks would be events that no producer knows of.
fn arguments<'a>(settings: &[&'a str]) -> Vec<&'a str> {
    let all = ["working_memory.idle_tick_seconds=0"].into_iter().chain(settings.iter().copied());
    all.flat_map(|setting| ["--set", setting]).collect()
}

/// Lets the producers publish, kills the server after `moment` acknowledgements (and, if asked, after subjects were put
/// aside), and waits for the producers.
fn kill_after(server: Server, producers: &mut [Publisher], moment: u64, put_aside: bool) {
    let acknowledged = AtomicU64::new(0);
    let client = server.client();
    let broken_off = std::thread::scope(|scope| {
        let run = |producer| {
            let (client, acknowledged) = (client.clone(), &acknowledged);
            scope.spawn(move || block_on(Publisher::run(producer, &client, 20, acknowledged)))
        };
        let running: Vec<_> = producers.iter_mut().map(run).collect();
        let enough = || acknowledged.load(Ordering::SeqCst) >= moment;
        let ended = || running.iter().all(|producer| producer.is_finished());
        wait_until(DEADLINE, "enough was acknowledged", || enough() || ended());
        if put_aside {
            wait_until(DEADLINE, "subjects were put aside", || ended() || server.metric(IDLE) > 0.0);
        }
        assert!(enough() && !ended(), "memos ended by itself");
        server.kill9();
        let ended = running.into_iter().map(|thread| thread.join().expect("a producer does not fail"));
        ended.filter(|Interrupted { sent }| *sent).count()
    });
    assert!(acknowledged.load(Ordering::SeqCst) >= moment, "there is new acknowledged state since the last kill");
    assert!(broken_off > 0, "no request was in flight at the kill");
}

/// Every acknowledged event has come to its end, and nothing else is there but what is in doubt. Answers how many events
/// each user has.
fn compare(server: &Server, ledger: &Ledger, dir: &Path) -> Vec<(String, BTreeSet<String>)> {
    let client = server.client();
    wait_until_final(server, ledger.acknowledged());
    let doubtful: BTreeSet<&str> = ledger.indeterminate().filter(|id| status(&client, id).is_some()).collect();
    eprintln!(
        "{} acknowledged, {} in doubt, of which {} are there",
        ledger.acknowledged().count(),
        ledger.indeterminate().count(),
        doubtful.len()
    );
    let expected = ledger.expected(|id| doubtful.contains(id));
    let dump = DumpText::of(dir);
    dump.assert_every_source_counts_once();
    assert_eq!(dump.events(), expected, "the events that were folded are those that were sent");
    expected.into_iter().collect()
}

/// Every event was given one number: the numbers of a user are as many as the distinct events.
fn compare_counts(server: &Server, users: &[(String, BTreeSet<String>)], dir: &Path) {
    let dump = DumpText::of(dir);
    let owners = dump.owners();
    for (handle, row) in dump.rows("subject") {
        let (user, events) = users.iter().find(|(user, _)| *user == owners[&handle]).expect("a user of a producer");
        assert_eq!(row["next"].as_u64(), Some(events.len() as u64), "numbers that the consolidator gave {user}");
        assert_eq!(server.next_seq(user), events.len() as u64, "numbers that working memory gave {user}");
    }
}
