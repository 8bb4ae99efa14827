//! Partitions that change hands, and former owners that do not know that they are.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;

use consolidator::Settings;
use event_log::{EventLog, Partition, Timestamp, Topic};
use memory_store::Store;
use testkit::{BrittleLog, Hand, Random, Scripted, StoppableLog, fold, lively_history, wait_until};

use crate::kit::{
    DEADLINE, Home, PARTITIONS, Service, home, in_turns, log, publish, publish_one, rebuild, rebuilt, settings, start,
    start_owning, steps,
};

/// A process: its own store, its own handle of the log.
struct Process {
    home: Home,
    log: Arc<StoppableLog>,
    hand: Hand,
    service: Service,
}

fn process(log: &Arc<BrittleLog>, settings: Settings) -> Process {
    let (home, handle) = (home(log), Arc::new(StoppableLog::new(Arc::<BrittleLog>::clone(log))));
    let (ownership, hand) = Scripted::new();
    let port: Arc<dyn EventLog> = Arc::<StoppableLog>::clone(&handle);
    let service = start_owning(port, &home, settings, Box::new(ownership), None);
    Process { home, log: handle, hand, service }
}

fn all() -> Vec<Partition> {
    Partition::all(PARTITIONS).collect()
}

/// Ends all of them, and lets each store read on alone to the end of the log.
fn finish(log: &Arc<BrittleLog>, processes: Vec<Process>, settings: &Settings) -> Vec<Arc<Store>> {
    let mut homes = Vec::new();
    for process in processes {
        process.log.go_on();
        process.service.stop().expect("a rival is no error");
        homes.push(process.home);
    }
    // Twice: the first may still write what the others have not read.
    for home in homes.iter().chain(&homes) {
        let alone = start(log, home, settings.clone());
        alone.drain();
        alone.stop().expect("it was told to");
    }
    let first = homes[0].hash();
    assert!(homes.iter().all(|home| home.hash() == first), "the stores differ");
    homes.into_iter().map(|home| home.store).collect()
}

// law: L05
#[test]
fn a_partition_that_is_handed_over_under_load_is_never_written_by_two() {
    let folded = fold(&lively_history(81, 7, 1_200));
    let (log, settings) = (log(), Settings { batch_records: 3, ..Settings::default() });
    let processes: Vec<Process> = (0..3).map(|_| process(&log, settings.clone())).collect();
    let mut random = Random::new(81);
    let mut owners = vec![0; all().len()];
    processes[0].hand.give(&all());
    for chunk in in_turns(&folded).chunks(9) {
        chunk.iter().for_each(|window| publish_one(&log, window));
        let partition = random.pick(&all()).to_owned();
        let owner = &mut owners[usize::try_from(partition.get()).expect("few")];
        processes[*owner].hand.take_and_wait(&[partition], DEADLINE);
        *owner = random.index(3);
        processes[*owner].hand.give(&[partition]);
    }
    let lost: u64 = processes.iter().map(|process| process.service.metric("memos_consolidator_lost_steps_total")).sum();
    assert_eq!(lost, 0);
    finish(&log, processes, &settings);
    assert_eq!(rebuild(&log).hash(), folded.hash());
    for ((subject, number), records) in steps(&log) {
        assert_eq!(records.len(), 1, "step {number} of {subject} was written by two");
    }
}

/// A process is stopped anywhere, also with an append behind it. Others take over; it wakes and goes on as if nothing had
/// happened, beside the new owner, until it is told.
fn zombies(seed: u64, snapshot_every: u64) -> u64 {
    let folded = fold(&lively_history(seed, 6, 700));
    let log = log();
    let settings = Settings { batch_records: 8, snapshot_every, ..Settings::default() };
    let processes: Vec<Process> = (0..3).map(|_| process(&log, settings.clone())).collect();
    let mut random = Random::new(seed);
    let mut owner = 0;
    processes[owner].hand.give(&all());
    let windows = in_turns(&folded);
    let mut chunks = windows.chunks(windows.len() / 24);
    let mut next = || chunks.next().into_iter().flatten().for_each(|window| publish_one(&log, window));
    for _ in 0..8 {
        let zombie = &processes[owner];
        next();
        zombie.log.stop_after(random.below(30));
        wait_until(DEADLINE, "it stands still", || zombie.log.stands_still());
        next();
        owner = (owner + 1 + random.index(2)) % 3;
        let heir = &processes[owner];
        let took = |process: &Process| process.service.metric("memos_consolidator_takeovers_total");
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
    let lost = processes.iter().map(|process| process.service.metric("memos_consolidator_lost_steps_total")).sum();
    chunks.flatten().for_each(|window| publish_one(&log, window));
    finish(&log, processes, &settings);
    let rebuilt = rebuild(&log);
    assert_eq!(rebuilt.hash(), folded.hash(), "seed {seed}");
    assert_eq!(rebuilt.store.losers(None).expect("it reads"), [], "seed {seed}: somebody who lost is not buried");
    log.maintain(Timestamp::from_seconds(i64::from(u32::MAX))).expect("it compacts");
    assert_eq!(rebuild(&log).hash(), folded.hash(), "seed {seed}, compacted");
    lost
}

// law: L05
#[test]
fn what_a_former_owner_still_writes_is_recognised_and_undone() {
    let lost: u64 = (0..6).map(|seed| zombies(seed, u64::MAX)).sum();
    assert!(lost > 0, "no zombie ever lost");
}

// law: L05
#[test]
fn zombies_that_write_snapshots_and_tombstones_harm_nothing() {
    for seed in 10..16 {
        zombies(seed, 4);
    }
}

/// A process that stands still while it reads what others have consolidated.
fn in_the_middle_of_a_takeover(log: &Arc<BrittleLog>) -> Process {
    publish(log, &fold(&lively_history(84, 7, 600)));
    let first = start(log, &home(log), settings(64));
    first.drain();
    first.stop().expect("it was told to");
    let heir = process(log, Settings::default());
    heir.log.stop_after(9);
    heir.hand.give(&all());
    wait_until(DEADLINE, "it stands still", || heir.log.stands_still());
    assert!(!heir.service.health.is_ready());
    heir
}

fn is_read(log: &BrittleLog, store: &Store) -> bool {
    let read = |partition| store.position(log.id(), &Topic::Memories, partition).expect("it reads");
    let high = |partition| log.watermarks(&Topic::Memories, partition).expect("watermarks").high;
    all().into_iter().all(|partition| read(partition) == high(partition))
}

#[test]
fn a_takeover_is_given_up_between_two_batches() {
    let log = log();
    let heir = in_the_middle_of_a_takeover(&log);
    let let_go = heir.hand.take(&all(), false);
    heir.log.go_on();
    assert_eq!(let_go.recv_timeout(DEADLINE), Err(RecvTimeoutError::Disconnected));
    assert!(!is_read(&log, &heir.home.store), "it read everything first");
    heir.hand.give(&all());
    wait_until(DEADLINE, "it owns", || heir.service.metric("memos_consolidator_partitions") == u64::from(PARTITIONS));
    assert_eq!(heir.home.hash(), rebuilt(&log));
    heir.service.stop().expect("it was told to");
}

#[test]
fn a_stop_is_heard_between_two_batches_of_a_takeover() {
    let log = log();
    let heir = in_the_middle_of_a_takeover(&log);
    heir.service.tell_to_stop();
    heir.log.go_on();
    heir.service.join().expect("it was told to");
    assert!(!is_read(&log, &heir.home.store), "it read everything first");
}

#[test]
fn who_owns_nothing_is_ready_and_idle() {
    let log = log();
    let spare = process(&log, Settings::default());
    wait_until(DEADLINE, "it is ready", || spare.service.health.is_ready());
    assert_eq!(spare.service.metric("memos_consolidator_partitions"), 0);
    spare.hand.give(&all());
    wait_until(DEADLINE, "it owns", || spare.service.metric("memos_consolidator_partitions") == u64::from(PARTITIONS));
    spare.hand.take_and_wait(&all(), DEADLINE);
    wait_until(DEADLINE, "it owns nothing", || spare.service.metric("memos_consolidator_partitions") == 0);
    assert_eq!(spare.service.lag(Partition::new(0)), None, "it shows no lag of what it does not own");
    spare.service.stop().expect("it was told to");
}
