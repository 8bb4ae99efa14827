//! Two writers, one log: the first record with a number counts, and the other is named so that it can be buried.

use std::sync::{Arc, Mutex};

use event_log::envelope::step_key;
use event_log::{EventLog, MemLog};
use memory_core::step::{Body, Change, Row};
use memory_core::{Step, StepNumber};
use memory_store::{Error, ErrorKind};
use testkit::{Random, fold, lively_history};
use uuid::Uuid;

use crate::kit::{
    ONE, RIVAL, WRITER, append, apply_all, bury, dump, hash, log_of, open, oracle, read_all, records, replica,
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
    let (log, mut random) = (Arc::new(MemLog::new(1)), Random::new(seed));
    let mut losers = Vec::new();
    let mut late: Vec<Step> = Vec::new();
    for step in steps {
        match random.below(4) {
            0 => append(&log, WRITER, std::slice::from_ref(step)),
            1 => {
                append(&log, RIVAL, &[rival(step)]);
                append(&log, WRITER, std::slice::from_ref(step));
                losers.push(step_key(step.subject, step.number, WRITER));
            }
            2 => {
                append(&log, WRITER, std::slice::from_ref(step));
                append(&log, RIVAL, &[rival(step)]);
                losers.push(step_key(step.subject, step.number, RIVAL));
            }
            _ => {
                append(&log, WRITER, std::slice::from_ref(step));
                late.push(rival(step));
            }
        }
        if late.len() > 5 {
            append(&log, RIVAL, &late);
            losers.extend(late.drain(..).map(|step| step_key(step.subject, step.number, RIVAL)));
        }
    }
    (log, losers)
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

// law: L02
#[test]
fn a_missing_step_is_refused_and_nothing_of_its_batch_is_applied() {
    let folded = fold(&lively_history(8, 1, 200));
    let (handle, person) = folded.people.first_key_value().expect("one person");
    let rows = person.rows.iter().cloned().collect();
    let snapshot = memory_core::snapshot::steps(*handle, person.rows.next_step(), rows);
    let mut after = folded.steps[0].clone();
    after.number = StepNumber::new(person.rows.next_step().get() + 5);
    let whole: Vec<Step> = folded.steps.iter().chain(&snapshot).chain([&after]).cloned().collect();
    let log = log_of(&whole);
    let dir = tempfile::tempdir().expect("a directory");
    let replica = replica(&log, dir.path(), 4_096);
    let empty = dump(replica.store());
    let error = replica.catch_up(ONE).expect_err("a step is missing");
    assert!(error.to_string().starts_with("INV-02"), "{error}");
    let Error::Gap { offset, source, .. } = &error else { panic!("{error}") };
    assert_eq!((offset.get(), source.found), (whole.len() as u64 - 1, after.number));
    assert_eq!(error.kind(), ErrorKind::Stop);
    assert_eq!(dump(replica.store()), empty);
    let position = replica.store().position(log.id(), &event_log::Topic::Memories, ONE).expect("a position");
    assert_eq!(position, event_log::Offset::FIRST);
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
