//! Two writers, one log: the first record with a number counts, and the other is named so that it can be buried.

use std::sync::{Arc, Mutex};

use event_log::envelope::step_key;
use event_log::{EventLog, MemLog};
use memory_core::step::{Body, Change, Row};
use memory_core::{Step, StepNumber};
use memory_store::{Error, ErrorKind};
use testkit::{Random, fold, lively_history, without_forgets};
use uuid::Uuid;

use crate::kit::{
    Line, ONE, RIVAL, WRITER, apply_all, bury, dump, hash, log_of, open, oracle, read_all, records, replica,
};

/// The same decision with other words.
fn altered(step: &Step) -> Step {
    let mut step = step.clone();
    if let Body::Changes { changes, .. } = &mut step.body {
        for change in changes {
            if let Change::Put(Row::Memory(memory)) = change {
                memory.text.push_str(" (as a rival put it)");
            }
        }
    }
    step
}

/// Two writers' steps in one log. The second says something else; either may be the first with a number.
fn contested(steps: &[Step], seed: u64, rival: impl Fn(&Step) -> Step) -> (Arc<MemLog>, Vec<Vec<u8>>) {
    let (mut line, mut random) = (Line::new(), Random::new(seed));
    let mut losers = Vec::new();
    let mut late = Vec::new();
    for step in steps {
        let (own, other) = (line.decide(WRITER, step), line.decide(RIVAL, &rival(step)));
        match random.below(4) {
            0 => line.write(own),
            1 => {
                line.write(other);
                losers.push(own.key.clone());
                line.write(own);
            }
            2 => {
                line.write(own);
                losers.push(other.key.clone());
                line.write(other);
            }
            _ => {
                line.write(own);
                late.push(other);
            }
        }
        if late.len() > 5 {
            for record in late.drain(..) {
                losers.push(record.key.clone());
                line.write(record);
            }
        }
    }
    (line.log, losers)
}

// law: L05
#[test]
fn of_two_records_with_one_number_the_first_counts_and_the_other_is_named() {
    for seed in 0..4 {
        let folded = fold(&lively_history(seed, 5, 300));
        let (log, expected) = contested(&folded.steps, seed, altered);
        assert!(expected.len() > 20, "the writers hardly met");
        let truth = oracle(&records(&read_all(&log, ONE)));
        assert_ne!(hash(&truth), folded.hash(), "the rival never was first");
        for batch in [1, 7, 4_096] {
            let dir = tempfile::tempdir().expect("a directory");
            let replica = replica(&log, dir.path(), batch);
            let losers = replica.catch_up(ONE).expect("it applies");
            assert_eq!(losers, expected, "seed {seed}, batches of {batch}");
            assert_eq!(dump(replica.store()), hash(&truth), "seed {seed}, batches of {batch}");
        }
    }
}

// law: L05
#[test]
fn two_writers_that_decide_alike_leave_what_one_would_have_left() {
    let folded = fold(&lively_history(21, 5, 300));
    let (log, losers) = contested(&folded.steps, 21, Step::clone);
    let dir = tempfile::tempdir().expect("a directory");
    let replica = replica(&log, dir.path(), 16);
    assert_eq!(replica.catch_up(ONE).expect("it applies"), losers);
    assert_eq!(dump(replica.store()), folded.hash());
    // Burying the losers changes nothing, neither here nor for whoever reads the log from its beginning.
    for key in losers {
        bury(&log, ONE, key);
    }
    log.maintain(event_log::Timestamp::from_seconds(1)).expect("it compacts");
    replica.catch_up(ONE).expect("it applies");
    let fresh = tempfile::tempdir().expect("a directory");
    let rebuilt = open(fresh.path());
    apply_all(&log, &rebuilt, 16);
    assert_eq!((dump(replica.store()), dump(&rebuilt)), (folded.hash(), folded.hash()));
}

/// A producer that retries may write a record twice. A tombstone for the second would bury the first: they share a key.
// law: L05
#[test]
fn a_record_that_stands_in_the_log_twice_is_no_loser() {
    let folded = fold(&lively_history(4, 2, 120));
    let twice: Vec<Step> = folded.steps.iter().flat_map(|step| [step.clone(), step.clone()]).collect();
    let log = log_of(&twice);
    for batch in [1, 4_096] {
        let dir = tempfile::tempdir().expect("a directory");
        let replica = replica(&log, dir.path(), batch);
        assert!(replica.catch_up(ONE).expect("it applies").is_empty(), "batches of {batch}");
        assert_eq!(dump(replica.store()), folded.hash());
    }
}

// law: L02
#[test]
fn listeners_hear_every_step_that_counts_once_and_in_order() {
    let folded = fold(&lively_history(6, 3, 200));
    let (log, _) = contested(&folded.steps, 6, Step::clone);
    let dir = tempfile::tempdir().expect("a directory");
    let mut replica = replica(&log, dir.path(), 7);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    replica.listen(Arc::new(move |step| ear.lock().expect("nobody panicked").push(step.clone())));
    replica.catch_up(ONE).expect("it applies");
    assert_eq!(*heard.lock().expect("nobody panicked"), folded.steps);
}

/// A writer that decided several steps in one go, and lost the first, has lost all of them: also the one whose number is
/// next when it is read, which was decided on a history that never was.
// law: L05
#[test]
fn what_was_decided_on_a_step_that_lost_is_lost_too() {
    let folded = fold(&lively_history(13, 1, 200));
    let steps = &folded.steps[..12];
    let lost = |from: usize, to: usize| -> Vec<Vec<u8>> {
        steps[from..to].iter().map(|step| step_key(step.subject, step.number, RIVAL)).collect()
    };
    // The rival wrote 5 to 8 in one go, having read up to 4; so many of the other's came first, so many in between.
    for (before, between) in [(1, 0), (1, 1), (1, 2), (1, 3), (2, 1), (2, 4), (4, 0), (5, 1)] {
        let mut line = Line::new();
        steps[..5].iter().for_each(|step| line.append(WRITER, step));
        let after = line.decide(RIVAL, &steps[5]).headers;
        let batch: Vec<_> = steps[5..9]
            .iter()
            .map(|step| event_log::Record { headers: after.clone(), ..line.decide(RIVAL, &altered(step)) })
            .collect();
        let mut next = 5;
        steps[next..next + before].iter().for_each(|step| line.append(WRITER, step));
        next += before;
        for (number, record) in batch.into_iter().enumerate() {
            line.write(record);
            if number < between {
                line.append(WRITER, &steps[next]);
                next += 1;
            }
        }
        steps[next..].iter().for_each(|step| line.append(WRITER, step));
        let truth = oracle(&records(&read_all(&log_of(steps), ONE)));
        for batch in [1, 3, 4_096] {
            let dir = tempfile::tempdir().expect("a directory");
            let replica = replica(&line.log, dir.path(), batch);
            let found = replica.catch_up(ONE).expect("nothing is missing");
            assert_eq!(found, lost(5, 9), "{before} before, {between} between, batches of {batch}");
            assert_eq!(dump(replica.store()), hash(&truth), "{before} before, {between} between, batches of {batch}");
        }
    }
}

// law: L02
#[test]
fn a_missing_step_stops_whoever_reads_on_again_and_again() {
    // A forget would restate everything after the hole.
    let folded = fold(&without_forgets(lively_history(8, 1, 200)));
    let last = folded.steps.len() - 1;
    let mut with_a_hole = folded.steps.clone();
    with_a_hole.remove(last - 3);
    let log = log_of(&with_a_hole);
    for batch in [1, 7, 4_096] {
        let dir = tempfile::tempdir().expect("a directory");
        for start in 0..2 {
            let replica = replica(&log, dir.path(), batch);
            let error = replica.catch_up(ONE).expect_err("a step is missing");
            assert!(error.to_string().starts_with("INV-02"), "start {start}: {error}");
            let Error::Gap { offset, source, .. } = &error else { panic!("{error}") };
            assert_eq!((source.expected, source.found), (folded.steps[last - 3].number, folded.steps[last].number));
            assert_eq!(offset.get(), last as u64 - 1);
            assert_eq!(error.kind(), ErrorKind::Stop);
            let whole = records(&read_all(&log_of(&folded.steps[..last - 3]), ONE));
            assert_eq!(dump(replica.store()), hash(&oracle(&whole)), "nothing behind the hole is applied");
        }
    }
}

/// Compaction takes what a snapshot replaced in no particular order, and not all at once.
// law: L06
#[test]
fn steps_that_compaction_took_before_others_are_not_missing_once_their_snapshot_is_read() {
    let folded = fold(&lively_history(8, 1, 200));
    let (handle, person) = folded.people.first_key_value().expect("one person");
    let first = person.rows.next_step();
    let parts = memory_core::snapshot::steps(*handle, first, person.rows.iter().cloned().collect());
    for (from, to) in [(0, 1), (0, 7), (3, 9), (1, folded.steps.len())] {
        let mut left = folded.steps.clone();
        left.drain(from..to);
        let log = log_of(&[left, parts.clone()].concat());
        for batch in [1, 5, 4_096] {
            let dir = tempfile::tempdir().expect("a directory");
            let replica = replica(&log, dir.path(), batch);
            assert!(replica.catch_up(ONE).expect("a snapshot replaced them").is_empty());
            assert_eq!(dump(replica.store()), folded.hash(), "without {from} to {to}, batches of {batch}");
            let numbers = replica.store().step_numbers(*handle).expect("numbers");
            assert_eq!(numbers.chain.next, parts.last().expect("a part").number.next());
        }
    }
}

#[test]
fn a_tombstone_takes_the_name_of_its_record_out_of_the_store() {
    let folded = fold(&lively_history(12, 1, 150));
    let handle = *folded.people.keys().next().expect("one person");
    let log = log_of(&folded.steps);
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    apply_all(&log, &store, 10);
    let end = store.next_step(handle).expect("a number");
    let key = |number: u64, writer: Uuid| step_key(handle, StepNumber::new(number), writer);
    let all: Vec<Vec<u8>> = (0..end.get()).map(|number| key(number, WRITER)).collect();
    assert_eq!(store.step_records(handle, end).expect("keys"), all);
    assert_eq!(store.step_records(handle, StepNumber::new(3)).expect("keys"), all[..3]);
    for buried in &all[..2] {
        bury(&log, ONE, buried.clone());
    }
    bury(&log, ONE, key(2, RIVAL));
    apply_all(&log, &store, 10);
    assert_eq!(store.step_records(handle, end).expect("keys"), all[2..]);
    assert_eq!(dump(&store), folded.hash(), "a tombstone touches no rows");
}
