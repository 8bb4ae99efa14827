//! Snapshots in several parts, complete or not.

use std::sync::Arc;

use event_log::{EventLog, MemLog};
use memory_core::snapshot;
use memory_core::step::{Body, Row};
use memory_core::{Handle, Step};
use testkit::{Person, events};

use crate::kit::{ONE, WRITER, append, apply_all, bury, dump, hash, log_of, open, oracle, read_all, records, replica};

/// Somebody with so much to remember that a snapshot of it needs several parts.
fn talkative(times: usize) -> Person {
    let mut person = Person::new("t", "u");
    for number in 0..times {
        person.say(events::remember(&format!("n{number}").repeat(8_000)));
    }
    person
}

fn few(user: &str) -> Person {
    let mut person = Person::new("t", user);
    for number in 0..6 {
        person.tell(&format!(
            "In March {number} I moved to Berlin number {number} with my sister Anna, we had {number} cats."
        ));
        person.end();
    }
    person
}

fn snapshot_of(person: &Person, first: u64) -> Vec<Step> {
    let rows = person.rows.iter().cloned().collect();
    snapshot::steps(person.handle(), memory_core::StepNumber::new(first), rows)
}

/// Numbers the steps of one subject one after the other.
fn in_line(steps: impl IntoIterator<Item = Step>) -> Vec<Step> {
    let numbered = (0..).zip(steps).map(|(number, mut step)| {
        step.number = memory_core::StepNumber::new(number);
        step
    });
    numbered.collect()
}

// law: L06
#[test]
fn a_snapshot_in_parts_alone_is_worth_all_the_steps_before_it() {
    let person = talkative(60);
    let parts = snapshot_of(&person, person.rows.next_step().get());
    assert!(parts.len() >= 4, "{} parts", parts.len());
    for batch in [1, 2, 4_096] {
        let dir = tempfile::tempdir().expect("a directory");
        let log = log_of(&parts);
        let store = open(dir.path());
        apply_all(&log, &store, batch);
        let truth = oracle(&records(&read_all(&log, ONE)));
        assert_eq!(truth[&person.handle()].iter().count(), person.rows.iter().count());
        assert_eq!(dump(&store), hash(&truth), "batches of {batch}");
        let numbers = store.step_numbers(person.handle()).expect("numbers");
        assert_eq!(numbers.chain.next, truth[&person.handle()].next_step());
        assert_eq!(numbers.after_snapshot, numbers.chain.next);
    }
}

// law: L06
#[test]
fn a_snapshot_that_never_ended_leaves_nothing_in_a_later_one() {
    let (large, small) = (talkative(60), few("u"));
    let mut unfinished = snapshot_of(&large, 0);
    unfinished.pop();
    let changes = small.steps.clone();
    let line =
        [changes[..3].to_vec(), unfinished, changes[3..].to_vec(), snapshot_of(&small, 0), vec![changes[5].clone()]];
    let steps = in_line(line.into_iter().flatten());
    let log = log_of(&steps);
    let all = records(&read_all(&log, ONE));
    for batch in [1, 3, 4_096] {
        let dir = tempfile::tempdir().expect("a directory");
        // The moment before the complete snapshot: the unfinished one has taken no effect.
        let before = &all[..all.len() - 2];
        let store = open(dir.path());
        for chunk in before.chunks(batch) {
            let next = chunk.last().expect("chunks are not empty").offset.next();
            store.apply(log.id(), ONE, chunk, next, None).expect("it applies");
        }
        assert_eq!(dump(&store), hash(&oracle(before)), "batches of {batch}");
        drop(store);
        let store = open(dir.path());
        apply_all(&log, &store, batch);
        assert_eq!(dump(&store), hash(&oracle(&all)), "batches of {batch}");
        let rest = serde_json::to_string(&store.rows(small.handle()).expect("rows").iter().collect::<Vec<_>>());
        assert!(!rest.expect("plain data").contains("n1n1n1"), "batches of {batch}");
    }
}

// law: L06
#[test]
fn a_snapshot_that_was_begun_anew_after_a_crash_holds_nothing_of_the_first_attempt() {
    let (large, medium) = (talkative(60), talkative(25));
    let (first, second) = (snapshot_of(&large, 0), snapshot_of(&medium, 0));
    assert!(second.len() > 1 && first.len() > second.len() + 1, "{} and {} parts", first.len(), second.len());
    let unfinished = first[..first.len() - 1].to_vec();
    let log = log_of(&in_line([unfinished, second].into_iter().flatten()));
    for batch in [1, 3, 4_096] {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        apply_all(&log, &store, batch);
        assert!(store.rows(medium.handle()).expect("rows").iter().eq(medium.rows.iter()), "batches of {batch}");
    }
}

// law: L06
#[test]
fn steps_that_a_snapshot_replaced_may_be_compacted_away_before_anybody_reads_them() {
    let person = few("u");
    let log = log_of(&person.steps);
    let parts = snapshot_of(&person, person.rows.next_step().get());
    append(&log, WRITER, &parts);
    let mut later = person.steps[5].clone();
    later.number = memory_core::StepNumber::new(person.rows.next_step().get() + parts.len() as u64);
    append(&log, WRITER, &[later]);
    let (early, late) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let live = replica(&log, early.path(), 2);
    live.catch_up(ONE).expect("it applies");
    for key in live.store().step_records(person.handle(), person.rows.next_step()).expect("keys") {
        bury(&log, ONE, key);
    }
    let removed = log.maintain(event_log::Timestamp::from_seconds(1)).expect("it compacts").compacted_records;
    assert!(removed >= 6, "{removed} records were compacted");
    live.catch_up(ONE).expect("it applies");
    let rebuilt = replica(&log, late.path(), 2);
    assert!(rebuilt.catch_up(ONE).expect("no step is missing").is_empty());
    assert_eq!(dump(live.store()), dump(rebuilt.store()));
    assert_eq!(
        live.store().step_numbers(person.handle()).expect("n"),
        rebuilt.store().step_numbers(person.handle()).expect("n")
    );
}

/// A re-fold without some event is a snapshot without its rows: nothing may lead to them any more.
#[test]
fn what_a_snapshot_left_out_is_gone_from_the_indexes_as_well() {
    let person = few("u");
    let rows: Vec<Row> = person.rows.iter().cloned().collect();
    let gone = person.rows.bank().memories().next().expect("a memory").clone();
    let event = gone.sources[0].event_id.clone();
    let kept = rows.into_iter().filter(|row| match row {
        Row::Memory(memory) => memory.id != gone.id,
        Row::Fate(fate) => fate.event_id != event,
        Row::Subject(_) | Row::Revision(_) | Row::Source(_) | Row::Window(_) | Row::Rules(_) => true,
    });
    let parts = snapshot::steps(person.handle(), person.rows.next_step(), kept.collect());
    for batch in [1, 4_096] {
        let log = log_of(&person.steps);
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        let tag = store.tag(person.tenant());
        apply_all(&log, &store, 4_096);
        assert_eq!(store.subject_of_memory(tag, gone.id).expect("it reads"), Some(person.handle()));
        assert_eq!(store.subjects_of_event(tag, &event).expect("it reads"), [person.handle()]);
        append(&log, WRITER, &parts);
        apply_all(&log, &store, batch);
        assert_eq!(store.subject_of_memory(tag, gone.id).expect("it reads"), None);
        assert_eq!(store.subjects_of_event(tag, &event).expect("it reads"), Vec::<Handle>::new());
        let other = person.rows.bank().memories().last().expect("a memory").id;
        assert_eq!(store.subject_of_memory(tag, other).expect("it reads"), Some(person.handle()));
    }
}

#[test]
fn a_snapshot_of_one_subject_leaves_the_others_alone() {
    let (anna, ben) = (few("anna"), few("ben"));
    let log = Arc::new(MemLog::new(1));
    append(&log, WRITER, &anna.steps);
    append(&log, WRITER, &ben.steps);
    let emptied = Step {
        subject: anna.handle(),
        number: anna.rows.next_step(),
        body: Body::Snapshot { part: 0, parts: 1, rows: Vec::new(), erased: None },
        consumed: None,
    };
    append(&log, WRITER, &[emptied]);
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    apply_all(&log, &store, 4_096);
    let left = store.rows(anna.handle()).expect("rows");
    assert_eq!(left.next_step(), anna.rows.next_step().next());
    assert!(left.iter().all(Row::is_bare), "nothing is left but the number of the next window");
    assert_eq!(store.rows(ben.handle()).expect("rows"), ben.rows);
}
