//! A store resumes from the positions it holds, and they are true of its rows.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use event_log::{EventLog, MemLog, Offset, Partition, Topic};
use memory_core::Step;
use memory_core::snapshot;
use memory_core::step::Consumed;
use memory_store::{Error, ErrorKind, Replica, Store};
use testkit::{Person, fold, lively_history};

use crate::kit::{
    ONE, RIVAL, WRITER, append, apply_next, dump, hash, limits, log_of, open, oracle, read_all, records, replica,
};

// law: L02
#[test]
fn a_store_that_was_not_flushed_resumes_after_the_last_batch() {
    let folded = fold(&lively_history(31, 4, 300));
    let log = log_of(&folded.steps);
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for _ in 0..4 {
        apply_next(&log, &store, ONE, 9).expect("there are more");
    }
    drop(store);
    let mut replica = replica(&log, dir.path(), 9);
    let position = replica.store().position(log.id(), &Topic::Memories, ONE).expect("a position");
    assert_eq!(position, Offset::new(36));
    let heard = Arc::new(Mutex::new(0));
    let ear = Arc::clone(&heard);
    replica.listen(Arc::new(move |_| *ear.lock().expect("nobody panicked") += 1));
    replica.catch_up(ONE).expect("it applies");
    assert_eq!(*heard.lock().expect("nobody panicked"), folded.steps.len() - 36);
    assert_eq!(dump(replica.store()), folded.hash());
}

/// A power cut takes the end of RocksDB's own log. Wherever it cuts, rows and position must have come from the same
/// batches: the store holds exactly the records below its position. Snapshots are among them.
// law: L02
#[test]
fn wherever_a_power_cut_ends_the_store_its_rows_are_those_below_its_position() {
    let mut steps = fold(&lively_history(41, 2, 120)).steps;
    let mut person = Person::new("t", "u");
    for number in 0..4 {
        person.tell(&format!("In March I moved to Berlin number {number} with my sister Anna and {number} cats."));
        person.end();
    }
    let rows = person.rows.iter().cloned().collect();
    steps.extend(person.steps.iter().cloned());
    steps.extend(snapshot::steps(person.handle(), person.rows.next_step(), rows));
    steps.extend(
        fold(&lively_history(42, 1, 60)).steps.into_iter().filter(|step| step.subject != person.handle()).map(foreign),
    );
    let log = log_of(&steps);
    let all = records(&read_all(&log, ONE));
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let length = || fs::metadata(wal_of(dir.path())).expect("RocksDB keeps a log").len();
    let mut ends = vec![length()];
    while apply_next(&log, &store, ONE, 5).is_some() {
        ends.push(length());
    }
    drop(store);
    let length = length();
    // Anywhere, and around each moment at which a batch was whole.
    let mut cuts: Vec<u64> = (0..=30).map(|cut| length * cut / 30).collect();
    cuts.extend(ends.iter().flat_map(|end| [end.saturating_sub(1), *end]));
    let mut positions = std::collections::BTreeSet::new();
    for cut in cuts {
        let cut_dir = copy(dir.path());
        let file = fs::OpenOptions::new().write(true).open(wal_of(cut_dir.path())).expect("it opens");
        file.set_len(cut).expect("it is cut");
        let store = open(cut_dir.path());
        let position = store.position(log.id(), &Topic::Memories, ONE).expect("a position");
        let below = all.iter().take_while(|record| record.offset < position);
        assert_eq!(dump(&store), hash(&oracle(below)), "cut at byte {cut} of {length}, position {position}");
        if let Some(anchor) = store.anchor(log.id(), &Topic::Memories, ONE).expect("it reads") {
            assert!(anchor.offset < position, "the anchor {anchor:?} was not read at {position}");
        }
        store.check_anchor(&*log, &Topic::Memories, ONE).expect("it is of a record that was read");
        positions.insert(position);
        while apply_next(&log, &store, ONE, 5).is_some() {}
        assert_eq!(dump(&store), hash(&oracle(&all)), "cut at byte {cut} of {length}, and read on");
    }
    assert!(positions.len() > 10, "only {} positions were seen", positions.len());
}

/// The same step of a subject that nobody else is.
fn foreign(mut step: Step) -> Step {
    let mut handle = *step.subject.as_bytes();
    handle[0] ^= 0xff;
    step.subject = memory_core::Handle::from_bytes(handle);
    step
}

/// RocksDB's own log: the only one that ends in `.log`.
fn wal_of(dir: &Path) -> PathBuf {
    let names = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut logs: Vec<PathBuf> = names.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
    assert_eq!(logs.len(), 1, "{logs:?}");
    logs.remove(0)
}

fn copy(dir: &Path) -> tempfile::TempDir {
    let target = tempfile::tempdir().expect("a directory");
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, target.path().join(path.file_name().expect("a name"))).expect("it is copied");
    }
    target
}

/// How far `consolidations` was consumed is told by the steps that count, if it was in this log.
// law: L02
#[test]
fn the_position_in_consolidations_comes_from_the_steps_that_count() {
    let folded = fold(&lively_history(51, 1, 200));
    let log = Arc::new(MemLog::new(1));
    let consumed =
        |next: u64, log: uuid::Uuid| Some(Consumed { log, partition: ONE, next: Offset::new(next), anchor: None });
    let steps = |writer, plus: u64, range: std::ops::Range<usize>| {
        for (number, step) in (0_u64..).zip(&folded.steps).skip(range.start).take(range.len()) {
            append(&log, writer, &[Step { consumed: consumed(number + 1 + plus, log.id().uuid()), ..step.clone() }]);
        }
    };
    steps(WRITER, 0, 0..5);
    steps(RIVAL, 100, 0..5);
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let told = || store.position(log.id(), &Topic::Consolidations, ONE).expect("a position");
    assert_eq!(told(), Offset::FIRST);
    while apply_next(&log, &store, ONE, 4_096).is_some() {}
    assert_eq!(told(), Offset::new(5), "what the loser had consumed need not be in any step");
    append(&log, WRITER, &[Step { consumed: consumed(77, uuid::Uuid::from_u128(99)), ..folded.steps[5].clone() }]);
    while apply_next(&log, &store, ONE, 4_096).is_some() {}
    assert_eq!(told(), Offset::new(5), "offsets of another log mean nothing here");
    steps(WRITER, 0, 6..7);
    while apply_next(&log, &store, ONE, 4_096).is_some() {}
    assert_eq!(told(), Offset::new(7));
}

/// Of a batch the first steps lost, and a later one of another subject counts. It says that it comes after windows that
/// nobody has decided.
// law: L05, L02
#[test]
fn a_writer_of_which_a_step_lost_is_not_believed_any_more() {
    let folded = fold(&lively_history(52, 3, 300));
    let of: Vec<Vec<Step>> = folded.people.values().map(|person| person.steps.clone()).collect();
    let rival = uuid::Uuid::from_u128(7);
    for batch in [1, 2, 4_096] {
        let mut line = crate::kit::Line::new();
        let log = line.log.clone();
        let at = |step: &Step, next: u64| {
            let consumed =
                Some(Consumed { log: log.id().uuid(), partition: ONE, next: Offset::new(next), anchor: None });
            Step { consumed, ..step.clone() }
        };
        // Decided together, on the same state: two steps of one subject, one of each of the others.
        let decided = [
            line.decide(WRITER, &at(&of[0][0], 1)),
            line.decide(WRITER, &at(&of[1][0], 2)),
            line.decide(WRITER, &at(&of[1][1], 3)),
            line.decide(WRITER, &at(&of[2][0], 4)),
        ];
        line.append(RIVAL, &at(&of[1][0], 2));
        decided.into_iter().for_each(|record| line.write(record));
        let dir = tempfile::tempdir().expect("a directory");
        let replica = replica(&log, dir.path(), batch);
        let told = || replica.store().position(log.id(), &Topic::Consolidations, ONE).expect("a position").get();
        assert_eq!(replica.catch_up(ONE).expect("it applies").len(), 2);
        assert_eq!(told(), 2, "the window at 2 is not decided; batches of {batch}");
        assert_eq!(replica.store().losers(None).expect("it reads").len(), 2);
        // Under another name it is believed, and nobody's word takes back what another said.
        line.append(rival, &at(&of[1][1], 3));
        line.append(rival, &at(&of[2][1], 5));
        line.append(RIVAL, &at(&of[0][1], 4));
        replica.catch_up(ONE).expect("it applies");
        assert_eq!(told(), 5, "batches of {batch}");
    }
}

/// The topic that a store has read too far of, and how that came about.
type Spoil<'a> = (&'a str, &'a dyn Fn(&Store));

// law: L02
#[test]
fn a_store_that_is_ahead_of_its_log_is_refused() {
    let folded = fold(&lively_history(61, 2, 100));
    let log = log_of(&folded.steps);
    let high = log.watermarks(&Topic::Memories, ONE).expect("watermarks").high;
    let consumed = Some(Consumed { log: log.id().uuid(), partition: ONE, next: Offset::new(1), anchor: None });
    let spoil: [Spoil<'_>; 3] = [
        ("memories", &|store| drop(store.apply(log.id(), ONE, &[], high.next(), None).expect("it applies"))),
        ("working", &|store| store.apply_working(log.id(), ONE, &[], Offset::new(1)).expect("it applies")),
        ("consolidations", &|store| {
            let mut records = records(&read_all(&log, ONE)[..1]);
            records[0].step.as_mut().expect("a step").consumed = consumed.clone();
            store.apply(log.id(), ONE, &records, Offset::new(1), None).expect("it applies");
        }),
    ];
    for (name, spoil) in spoil {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(open(dir.path()));
        spoil(&store);
        let shared: Arc<dyn EventLog> = log.clone();
        let error = Replica::new(shared, store, limits(9)).begin(ONE).expect_err("it is ahead");
        assert!(error.to_string().starts_with("INV-04"), "{error}");
        assert!(matches!(&error, Error::Ahead { topic, .. } if topic.to_string() == name), "{error}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn positions_of_partitions_and_topics_are_kept_apart() {
    let log = MemLog::new(300);
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for partition in [0, 1, 255, 256] {
        store
            .apply(log.id(), Partition::new(partition), &[], Offset::new(u64::from(partition) + 10), None)
            .expect("it applies");
    }
    store.apply_working(log.id(), Partition::new(1), &[], Offset::new(5)).expect("it applies");
    let position =
        |topic, partition| store.position(log.id(), topic, Partition::new(partition)).expect("it reads").get();
    let found = [0, 1, 2, 255, 256].map(|partition| position(&Topic::Memories, partition));
    assert_eq!(found, [10, 11, 0, 265, 266]);
    assert_eq!(
        (position(&Topic::Working, 1), position(&Topic::Working, 0), position(&Topic::Consolidations, 1)),
        (5, 0, 0)
    );
}
