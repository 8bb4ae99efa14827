//! Partitions that change hands, and former owners that do not know that they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;

use event_log::envelope::{self, OpenFrom, Working};
use event_log::{EventLog, Limits, Offset, Partition, Stored, Timestamp, Topic};
use memory_core::consolidation::Rest;
use memory_core::{Consolidation, Handle, Recorded, Rules, Seq, WorkingMemory};
use memory_store::Replica;
use testkit::{BrittleLog, Hand, Random, Scripted, StoppableLog, fold, lively_history, wait_until};

use crate::crash::{accepted, once};
use crate::kit::{
    DEADLINE, Home, PARTITIONS, Service, assert_same, expected, home, log, publish, records, settings, start,
    start_owning, start_with, windows,
};

/// A process: its own store, its own handle of the log.
struct Process {
    home: Home,
    log: Arc<StoppableLog>,
    hand: Hand,
    service: Service,
}

fn process(log: &Arc<BrittleLog>, rules: Rules) -> Process {
    let (home, handle) = (home(log), Arc::new(StoppableLog::new(Arc::<BrittleLog>::clone(log))));
    let (ownership, hand) = Scripted::new();
    let port: Arc<dyn EventLog> = Arc::<StoppableLog>::clone(&handle);
    let service = start_owning(port, &home, settings(16), rules, WorkingMemory::apply, Box::new(ownership));
    Process { home, log: handle, hand, service }
}

fn all() -> Vec<Partition> {
    Partition::all(PARTITIONS).collect()
}

/// Ends all of them; then one goes on alone to the end of the log.
fn finish(log: &Arc<BrittleLog>, processes: Vec<Process>, rules: Rules) {
    let mut homes = Vec::new();
    for process in processes {
        process.log.go_on();
        process.service.stop().expect("a rival is no error");
        homes.push(process.home);
    }
    let alone = start_with(log, &homes[0], settings(64), rules, WorkingMemory::apply);
    alone.drain();
    alone.stop().expect("it was told to");
}

// law: L05
#[test]
fn a_partition_that_is_handed_over_under_load_gives_every_window_once() {
    let history = lively_history(81, 7, 1_500);
    let log = log();
    let processes: Vec<Process> = (0..3).map(|_| process(&log, Rules::default())).collect();
    let mut random = Random::new(81);
    let mut owners = vec![0; all().len()];
    processes[0].hand.give(&all());
    for chunk in history.chunks(50) {
        publish(&log, chunk);
        let partition = random.pick(&all()).to_owned();
        let owner = &mut owners[usize::try_from(partition.get()).expect("few")];
        processes[*owner].hand.take_and_wait(&[partition], DEADLINE);
        *owner = random.index(3);
        processes[*owner].hand.give(&[partition]);
    }
    let again = |process: &Process| process.service.metric("memos_working_memory_rows_written_again_total");
    assert_eq!(processes.iter().map(again).sum::<u64>(), 0);
    finish(&log, processes, Rules::default());
    assert_same(&windows(&log), &expected(&fold(&history)));
}

/// A process is stopped anywhere, also with an append behind it. Others take over; it wakes and goes on as if nothing had
/// happened, beside the new owner, until it is told.
fn zombies(seed: u64, history: &[(Handle, Recorded)], rules: [Rules; 3]) -> Arc<BrittleLog> {
    let log = log();
    let last = rules[0].clone();
    let processes: Vec<Process> = rules.into_iter().map(|rules| process(&log, rules)).collect();
    let mut random = Random::new(seed);
    let mut owner = 0;
    processes[owner].hand.give(&all());
    let mut chunks = history.chunks(history.len() / 24);
    let mut next = || chunks.next().into_iter().for_each(|chunk| publish(&log, chunk));
    for _ in 0..8 {
        let zombie = &processes[owner];
        next();
        zombie.log.stop_after(random.below(30));
        wait_until(DEADLINE, "it stands still", || zombie.log.stands_still());
        next();
        owner = (owner + 1 + random.index(2)) % 3;
        let heir = &processes[owner];
        let took = |process: &Process| process.service.metric("memos_working_memory_takeovers_total");
        let before = took(heir);
        heir.hand.give(&all());
        if random.below(2) == 0 {
            wait_until(DEADLINE, "the heir has begun", || took(heir) >= before + u64::from(PARTITIONS));
        }
        zombie.log.go_on();
        next();
        // Only now it hears of it; what it does until then it does as an owner.
        drop(zombie.hand.take(&all(), true));
    }
    chunks.for_each(|chunk| publish(&log, chunk));
    finish(&log, processes, last);
    log
}

/// The newest row of every key of `working` is the highest that was ever written, once compaction has been there.
fn assert_states(log: &Arc<BrittleLog>, ends: &BTreeMap<Handle, Seq>) {
    log.maintain(Timestamp::from_seconds(i64::from(u32::MAX))).expect("it compacts");
    let home = home(log);
    let port: Arc<dyn EventLog> = Arc::<BrittleLog>::clone(log);
    let replica = Replica::new(port, Arc::clone(&home.store), Limits::default());
    for partition in all() {
        replica.begin(partition).expect("a new store is not ahead");
        replica.catch_up_working(partition).expect("rows");
    }
    for (subject, end) in ends {
        let boundary = home.store.boundary(log.id(), *subject).expect("it reads").expect("its windows closed");
        assert_eq!(boundary.next, *end, "the state of {subject}");
    }
}

// law: L05, L06
#[test]
fn a_former_owner_repeats_windows_and_changes_none() {
    for seed in 0..6 {
        let history = lively_history(seed, 6, 900);
        let log = zombies(seed, &history, [(); 3].map(|()| Rules::default()));
        let wanted = expected(&fold(&history));
        assert_same(&once(windows(&log)), &wanted);
        let end = |windows: &Vec<Consolidation>| windows.last().expect("no list is empty").to;
        assert_states(&log, &wanted.iter().map(|(subject, windows)| (*subject, end(windows))).collect());
    }
}

/// Every process has other rules, as while a new configuration is rolled out: their windows overlap.
// law: L05
#[test]
fn windows_that_overlap_cover_every_event_once() {
    let mut overlaps = 0;
    for seed in 20..28 {
        let history = lively_history(seed, 6, 900);
        let rules = [4, 7, 3].map(|window_turns_max| Rules { window_turns_max, ..Rules::default() });
        let log = zombies(seed, &history, rules);
        let folded = fold(&history);
        let mut ends = BTreeMap::new();
        for (subject, all) in windows(&log) {
            let (mut next, mut events) = (Seq::FIRST, Vec::new());
            for window in all {
                let from = window.from;
                match window.rest(next) {
                    Rest::Known => {}
                    Rest::News(window) => {
                        overlaps += u32::from(window.from != from);
                        events.extend(window.turns.iter().map(|turn| turn.event.id.clone()));
                        next = window.to;
                    }
                    Rest::Gap(_) => panic!("seed {seed}: a window of {subject} begins at {from}, above {next}"),
                }
            }
            ends.insert(subject, next);
            let accepted = accepted(&folded, subject);
            assert!(accepted.starts_with(&events), "seed {seed}: the events of {subject}, in order and once");
            assert!(accepted.len() - events.len() <= 7, "seed {seed}: events of {subject} are in no window");
        }
        assert_states(&log, &ends);
    }
    assert!(overlaps > 0, "no windows overlapped");
}

/// What the newest record of a key of `working` says: sealed anew, the same row has other bytes.
fn newest(log: &BrittleLog, key: &[u8]) -> Option<Working> {
    let found = records(log, &Topic::Working).into_iter().rfind(|(_, stored)| stored.record.key == key);
    read(log, &found.expect("it was written").1)
}

fn read(log: &BrittleLog, stored: &Stored) -> Option<Working> {
    envelope::read_working(log.ring(), stored).expect("a row")
}

// law: L05
#[test]
fn an_older_row_of_a_former_owner_is_written_over() {
    let history = lively_history(83, 3, 300);
    let log = log();
    let home = home(&log);
    publish(&log, &history);
    let service = start(&log, &home, settings(8));
    service.drain();
    let subject = *windows(&log).keys().next().expect("somebody");
    let partition = subject.partition(PARTITIONS);
    let put =
        |record| drop(log.inner().append(&Topic::Working, partition, vec![record]).expect("there is room").wait());
    let folded = fold(&history);
    let begins = |(of, stored): &(Partition, Stored)| {
        let read = envelope::read_interaction(log.ring(), stored).expect("an event").expect("no tombstone");
        let first = folded.people[&read.0].working.window().first().map(|turn| turn.event.id.clone());
        *of == partition && first.is_some_and(|id| id == read.1.event.id)
    };
    let open = records(&log, &Topic::Interactions).into_iter().find(begins).map(|(_, stored)| stored.offset);
    let high = |topic| log.watermarks(topic, partition).expect("watermarks").high;
    let last = (open.unwrap_or_else(|| high(&Topic::Interactions)), high(&Topic::Consolidations));
    let is_last = |marker: &OpenFrom| (marker.interactions, marker.consolidations) == last;
    let marked = || {
        records(&log, &Topic::Working).into_iter().rfind(|(of, stored)| {
            let row = envelope::read_working(log.ring(), stored).expect("a row");
            *of == partition && matches!(row, Some(Working::Open { marker, .. }) if is_last(&marker))
        })
    };
    wait_until(DEADLINE, "a position was noted", || marked().is_some());
    let rows = [subject.as_bytes().to_vec(), marked().expect("it was noted").1.record.key];
    let wanted = rows.clone().map(|key| newest(&log, &key));
    let older = records(&log, &Topic::Working).into_iter().find(|(_, stored)| stored.record.key == rows[0]);
    let older = older.expect("a row").1;
    assert_ne!(read(&log, &older), wanted[0]);
    put(older.record);
    let marker = OpenFrom { interactions: Offset::new(1), ..OpenFrom::default() };
    let row = Working::Open { log: log.id(), partition, marker };
    put(envelope::working(log.ring(), None, row, Timestamp::EPOCH).expect("it needs no key"));
    wait_until(DEADLINE, "both are written over", || rows.clone().map(|key| newest(&log, &key)) == wanted);
    assert_eq!(service.metric("memos_working_memory_rows_written_again_total"), 2);
    service.stop().expect("it was told to");
}

/// A process that stands still while it reads what others have folded.
fn in_the_middle_of_a_takeover(log: &Arc<BrittleLog>) -> Process {
    publish(log, &lively_history(84, 7, 900));
    let first = start(log, &home(log), settings(8));
    first.drain();
    first.stop().expect("it was told to");
    let heir = process(log, Rules::default());
    heir.log.stop_after(5);
    heir.hand.give(&all());
    wait_until(DEADLINE, "it stands still", || heir.log.stands_still());
    assert!(!heir.service.health.is_ready());
    heir
}

fn is_read(log: &BrittleLog, home: &Home) -> bool {
    let read = |partition| home.store.position(log.id(), &Topic::Working, partition).expect("it reads");
    let high = |partition| log.watermarks(&Topic::Working, partition).expect("watermarks").high;
    all().into_iter().all(|partition| read(partition) == high(partition))
}

#[test]
fn a_takeover_is_given_up_between_two_batches() {
    let log = log();
    let heir = in_the_middle_of_a_takeover(&log);
    let let_go = heir.hand.take(&all(), false);
    heir.log.go_on();
    assert_eq!(let_go.recv_timeout(DEADLINE), Err(RecvTimeoutError::Disconnected));
    assert!(!is_read(&log, &heir.home), "it read everything first");
    heir.hand.give(&all());
    let owns = || heir.service.metric("memos_working_memory_partitions") == u64::from(PARTITIONS);
    wait_until(DEADLINE, "it owns", owns);
    wait_until(DEADLINE, "it has read everything", || is_read(&log, &heir.home));
    heir.service.stop().expect("it was told to");
}

#[test]
fn a_stop_is_heard_between_two_batches_of_a_takeover() {
    let log = log();
    let heir = in_the_middle_of_a_takeover(&log);
    heir.service.tell_to_stop();
    heir.log.go_on();
    heir.service.join().expect("it was told to");
    assert!(!is_read(&log, &heir.home), "it read everything first");
}

#[test]
fn who_owns_nothing_is_ready_and_idle() {
    let log = log();
    let spare = process(&log, Rules::default());
    wait_until(DEADLINE, "it is ready", || spare.service.health.is_ready());
    assert_eq!(spare.service.metric("memos_working_memory_partitions"), 0);
    spare.hand.give(&all());
    let owns = || spare.service.metric("memos_working_memory_partitions");
    wait_until(DEADLINE, "it owns", || owns() == u64::from(PARTITIONS));
    spare.hand.take_and_wait(&all(), DEADLINE);
    wait_until(DEADLINE, "it owns nothing", || owns() == 0);
    spare.service.stop().expect("it was told to");
}
