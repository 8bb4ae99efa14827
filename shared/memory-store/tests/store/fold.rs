//! A store is the fold of its log, whatever the batches were and whenever it was closed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event_log::{EventLog, LogId, MemLog, Offset, Partition, Topic, envelope};
use memory_core::step::{Body, Change, Row};
use memory_core::{Seq, Step, StepNumber};
use memory_store::Record;
use testkit::{Person, fold, lively_history};

use crate::kit::{ONE, WRITER, append, apply_all, apply_next, dump, log_of, open, replica, ring};

// law: L06
#[test]
fn a_store_is_the_fold_of_its_log_in_batches_of_any_size() {
    for seed in 0..5 {
        let folded = fold(&lively_history(seed, 9, 500));
        assert!(folded.steps.len() > 80, "seed {seed} made only {} steps", folded.steps.len());
        let log = Arc::new(MemLog::new(3));
        append(&log, WRITER, &folded.steps);
        for batch in [1, 7, 4_096] {
            let dir = tempfile::tempdir().expect("a directory");
            let replica = replica(&log, dir.path(), batch);
            for partition in Partition::all(3) {
                assert_eq!(
                    replica.catch_up(partition).expect("it applies"),
                    Vec::<Vec<u8>>::new(),
                    "one writer, no loser"
                );
            }
            assert_eq!(dump(replica.store()), folded.hash(), "seed {seed}, batches of {batch}");
            for (handle, person) in folded.people.iter().filter(|(_, person)| !person.steps.is_empty()) {
                assert_eq!(
                    replica.store().rows(*handle).expect("rows"),
                    person.rows,
                    "seed {seed}, batches of {batch}"
                );
            }
        }
    }
}

// law: L06
#[test]
fn closing_the_store_between_any_two_batches_changes_nothing() {
    let folded = fold(&lively_history(77, 6, 260));
    let log = MemLog::new(2);
    append(&log, WRITER, &folded.steps);
    for batch in [1, 7, 4_096] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut batches = 0;
        for partition in Partition::all(2) {
            while apply_next(&log, &open(dir.path()), partition, batch).is_some() {
                batches += 1;
            }
        }
        assert!(batches >= folded.steps.len() / batch, "{batches} batches of {batch}");
        assert_eq!(dump(&open(dir.path())), folded.hash(), "batches of {batch}");
    }
}

// law: L06
#[test]
fn a_store_that_knew_the_steps_from_another_log_reads_them_again_unharmed() {
    let folded = fold(&lively_history(3, 4, 200));
    let dir = tempfile::tempdir().expect("a directory");
    let first = log_of(&folded.steps);
    apply_all(&first, &open(dir.path()), 50);
    let imported = log_of(&folded.steps);
    let replica = replica(&imported, dir.path(), 50);
    assert_eq!(replica.store().position(imported.id(), &Topic::Memories, ONE).expect("a position"), Offset::FIRST);
    let losers = replica.catch_up(ONE).expect("it applies");
    assert!(losers.is_empty(), "a tombstone for one of {} would take its step out of the log", losers.len());
    assert_eq!(dump(replica.store()), folded.hash());
}

#[test]
fn a_bank_from_the_store_is_the_bank_of_the_rows() {
    let folded = fold(&lively_history(9, 3, 200));
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    apply_all(&log_of(&folded.steps), &store, 4_096);
    for (handle, person) in &folded.people {
        let (stored, folded) = (store.bank(*handle).expect("a bank"), person.rows.bank());
        assert!(stored.memories().eq(folded.memories()) && !folded.is_empty());
        assert_eq!((stored.next(), stored.next_step()), (folded.next(), folded.next_step()));
    }
}

/// In one process the consolidator writes the store that recall loads banks from.
// law: L02
#[test]
fn a_bank_that_is_loaded_while_steps_are_applied_has_exactly_the_steps_that_its_number_says() {
    const MOMENTS: usize = 200;
    let mut person = Person::new("t", "u");
    person.tell("I moved to Berlin with my sister Anna in March.");
    person.end();
    let dir = tempfile::tempdir().expect("a directory");
    let sealed_with = Some(testkit::seal::key(ring(), person.handle(), Seq::FIRST));
    let (store, done, log) = (open(dir.path()), AtomicBool::new(false), LogId::random());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut moments = BTreeSet::new();
            let mut whole = true;
            while whole && moments.len() < MOMENTS {
                let bank = store.bank(person.handle()).expect("a bank");
                whole = bank.next().get() == bank.next_step().get();
                moments.insert(bank.next_step());
            }
            done.store(true, Ordering::SeqCst);
            whole
        });
        for number in 0..2_000_000 {
            if done.load(Ordering::SeqCst) {
                break;
            }
            let step = numbered(&person.steps[0], number);
            let key = envelope::step_key(step.subject, step.number, WRITER);
            let record = Record { offset: Offset::new(number), key, after: None, step: Some(step), sealed_with };
            store.apply(log, ONE, &[record], Offset::new(number + 1), None).expect("it applies");
        }
        assert!(reader.join().expect("the reader did not fail"), "a bank did not have the steps that its number says");
    });
}

/// The step with another number, and with a subject row that tells how many steps there are with it.
fn numbered(step: &Step, number: u64) -> Step {
    let mut step = Step { number: StepNumber::new(number), ..step.clone() };
    if let Body::Changes { changes, .. } = &mut step.body {
        for change in changes {
            if let Change::Put(Row::Subject(row)) = change {
                row.next = Seq::new(number + 1);
            }
        }
    }
    step
}
