//! Forgets in a store: the snapshot that erases, and what receipts tell of it, in whatever order both are read.

use std::collections::BTreeSet;
use std::path::Path;

use event_log::{LogId, Offset, Stored, Topic};
use keyring::Keyring;
use memory_core::forget::{Receipt, Stage};
use memory_core::step::Row;
use memory_core::{MemoryId, Seq, Step, Timestamp};
use memory_store::{Record, Store};
use serde_json::json;
use testkit::{Person, events, seal};

use crate::kit::{ONE, RIVAL, WRITER, open_with};

const LOG: LogId = LogId::new(RIVAL);

/// A step with the key that a consolidator would seal it with.
struct Written {
    record: Record,
    /// The last part of a forget.
    erases: bool,
}

/// The steps of somebody as a replica reads them, one offset each.
fn written(ring: &Keyring, steps: &[Step]) -> Vec<Written> {
    let mut since = Seq::FIRST;
    let mut all = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let last = steps[place..].iter().find(|step| match &step.body {
            memory_core::step::Body::Snapshot { part, parts, .. } => part + 1 == *parts,
            memory_core::step::Body::Changes { .. } => true,
        });
        // All parts of a snapshot are sealed with the key of what comes after it.
        since = last.and_then(Step::erased).map_or(since, |erased| erased.floor);
        let record = seal::step(ring, since, step, WRITER, None);
        let stored = Stored { offset: Offset::new(place as u64), record };
        let record = Record::read(ring, &stored).expect("a step reads back");
        all.push(Written { record, erases: step.erased().is_some() });
    }
    all
}

fn apply(store: &Store, records: &[Written]) {
    let Some(last) = records.last() else { return };
    let next = last.record.offset.next();
    let records: Vec<Record> = records.iter().map(|written| written.record.clone()).collect();
    store.apply(LOG, ONE, &records, next, None).expect("it applies");
}

/// Somebody with so much to remember that what a forget leaves of it needs several parts.
fn talkative() -> (Person, MemoryId) {
    let mut person = Person::new("t", "u");
    let first = person.tell("I moved to Berlin with my sister Anna in March.");
    person.end();
    for number in 0..60 {
        person.say(events::remember(&format!("n{number}").repeat(8_000)));
    }
    (person, first)
}

/// What every stage of a forget says of itself.
fn receipts(person: &Person) -> Vec<Receipt> {
    let erased = person.steps.iter().filter_map(Step::erased);
    let stages = [Stage::KeyDestroyed, Stage::Erased, Stage::Verified];
    let of = |erased: &memory_core::forget::Erased| {
        stages.map(|stage| Receipt {
            subject: person.handle(),
            stage,
            at: Timestamp::from_seconds(100 + stage as i64),
            keys: 2,
            erased: erased.clone(),
        })
    };
    erased.flat_map(of).collect()
}

fn tell(store: &Store, receipts: &[Receipt]) {
    let next = store.position(LOG, &Topic::Receipts, ONE).expect("a position").get() + receipts.len() as u64;
    store.apply_receipts(LOG, ONE, receipts, Offset::new(next)).expect("it applies");
}

fn pending(store: &Store) -> Vec<(Seq, Stage)> {
    let rows = store.pending(ONE, 1).expect("it reads");
    rows.iter().map(|row| (row.erased.floor, row.stage())).collect()
}

// law: L09, L06
#[test]
fn a_forget_in_several_parts_leaves_the_rows_of_the_reference_in_batches_of_any_size() {
    let (mut person, memory) = talkative();
    let before = person.rows.iter().count();
    person.say(events::delete(memory));
    let parts = person.steps.iter().filter(|step| step.erased().is_some()).count();
    let snapshots =
        person.steps.iter().filter(|step| matches!(step.body, memory_core::step::Body::Snapshot { .. })).count();
    assert!(parts == 1 && snapshots >= 4, "{snapshots} parts");
    let floor = person.steps.iter().find_map(Step::erased).expect("one forget").floor;
    let ring = testkit::ring();
    let records = written(&ring, &person.steps);
    for batch in [1, 2, 3, 4_096] {
        let dir = tempfile::tempdir().expect("a directory");
        for (place, chunk) in records.chunks(batch).enumerate() {
            // Every batch is the first after a start.
            let store = open_with(dir.path(), &ring);
            apply(&store, chunk);
            let erased = chunk.iter().any(|written| written.erases);
            assert_eq!(
                pending(&store).is_empty(),
                !erased,
                "batch {place} of {batch}: a forget begins with its last part"
            );
        }
        let store = open_with(dir.path(), &ring);
        assert_eq!(store.rows(person.handle()).expect("rows"), person.rows, "batches of {batch}");
        assert!(person.rows.iter().count() < before);
        let numbers = store.step_numbers(person.handle()).expect("numbers");
        assert_eq!((numbers.key_since, numbers.consolidated), (floor, floor));
        assert_eq!(numbers.snapshot_from.get() + snapshots as u64, numbers.chain.next.get());
        assert_eq!(store.rows_sealed_below(person.handle(), floor).expect("it reads"), 0, "no row has an old key");
        ring.refresh(keyring::Owner::Subject(person.handle())).expect("it is in memory");
    }
    // The rows stand without the old keys.
    let dir = tempfile::tempdir().expect("a directory");
    let store = open_with(dir.path(), &ring);
    apply(&store, &records);
    assert_eq!(ring.destroy(person.handle(), floor).expect("it is destroyed"), 1);
    assert_eq!(store.rows(person.handle()).expect("rows"), person.rows);
    // And are what a store becomes that reads the log when the old keys are dead.
    let rebuilt = tempfile::tempdir().expect("a directory");
    let store = open_with(rebuilt.path(), &ring);
    apply(&store, &records);
    assert_eq!(store.rows(person.handle()).expect("rows"), person.rows);
}

/// Somebody who forgets one memory, and later everything, and comes back.
fn forgetful() -> Person {
    let mut person = Person::new("t", "u");
    let first = person.tell("I moved to Berlin with my sister Anna in March.");
    person.tell("I am allergic to the dust in Lisbon, says Doctor Ruiz.");
    person.end();
    person.say(events::delete(first));
    person.tell("I love hiking near Garmisch with Priya.");
    person.end();
    person.say(events::forget_everything());
    person.tell("We met in Kyoto with my manager Tom in May.");
    person.end();
    person
}

/// The steps in their order and the receipts in theirs; between the two, any order.
fn interleavings(steps: usize, receipts: usize) -> Vec<Vec<bool>> {
    let all = steps + receipts;
    let choices = (0_u32..1 << all).filter(|choice| choice.count_ones() as usize == receipts);
    choices.map(|choice| (0..all).map(|place| choice & (1 << place) != 0).collect()).collect()
}

fn open(dir: &Path, ring: &Keyring) -> Store {
    open_with(dir, ring)
}

/// A forget that is finished is never pending, one that is not is, once its snapshot was read: whichever of the two topics
/// was read how far, and wherever a crash came between two batches.
// law: L09, L02
#[test]
fn receipts_and_steps_fold_in_any_order_with_a_start_between_any_two() {
    let (person, ring) = (forgetful(), testkit::ring());
    let (steps, receipts) = (written(&ring, &person.steps), receipts(&person));
    assert_eq!((steps.len(), receipts.len()), (6, 6));
    let floors: Vec<Seq> = person.steps.iter().filter_map(Step::erased).map(|erased| erased.floor).collect();
    for (number, order) in interleavings(steps.len(), receipts.len()).into_iter().step_by(23).enumerate() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut read, mut told) = (0, 0);
        let mut store = open(dir.path(), &ring);
        for (place, is_receipt) in order.iter().enumerate() {
            if *is_receipt {
                tell(&store, &receipts[told..=told]);
                told += 1;
            } else {
                apply(&store, &steps[read..=read]);
                read += 1;
            }
            if (place + number) % 5 == 0 {
                drop(store);
                store = open(dir.path(), &ring);
            }
            let erases = |floor: &Seq| {
                steps[..read].iter().any(|written| {
                    written.record.step.as_ref().and_then(Step::erased).is_some_and(|erased| erased.floor == *floor)
                })
            };
            let stage = |floor: &Seq| {
                receipts[..told].iter().filter(|one| one.erased.floor == *floor).map(|one| one.stage).max()
            };
            let wanted: Vec<(Seq, Stage)> = floors
                .iter()
                .filter(|floor| erases(floor) && stage(floor) != Some(Stage::Verified))
                .map(|floor| (*floor, stage(floor).unwrap_or(Stage::Accepted)))
                .collect();
            assert_eq!(pending(&store), wanted, "order {order:?}, after {place}");
        }
        assert_eq!(store.rows(person.handle()).expect("rows"), person.rows, "order {order:?}");
        let rows: Vec<_> = store.receipts().collect::<Result<_, _>>().expect("it reads");
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().all(|row| row.keys == 2 && row.stage() == Stage::Verified));
    }
}

// law: L09
#[test]
fn a_stage_that_is_told_again_changes_nothing() {
    let (person, ring) = (forgetful(), testkit::ring());
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), &ring);
    apply(&store, &written(&ring, &person.steps));
    let first = receipts(&person);
    // A second owner that has not read what the first one said says less of keys, since there are none left.
    let again: Vec<Receipt> =
        first.iter().map(|receipt| Receipt { at: receipt.at.plus_seconds(9), keys: 0, ..receipt.clone() }).collect();
    tell(&store, &first[..2]);
    tell(&store, &again[..1]);
    tell(&store, &first[2..]);
    let known: Vec<_> = store.receipts().collect::<Result<_, _>>().expect("it reads");
    tell(&store, &again);
    assert_eq!(store.receipts().collect::<Result<Vec<_>, _>>().expect("it reads"), known);
    assert!(known.iter().all(|row| row.keys == 2 && row.key_destroyed == Some(first[0].at)));
    assert_eq!(pending(&store), []);
}

// law: L09, L08
#[test]
fn nobody_else_has_a_receipt() {
    let (person, ring) = (forgetful(), testkit::ring());
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), &ring);
    apply(&store, &written(&ring, &person.steps));
    let erased = person.steps.iter().find_map(Step::erased).expect("one forget");
    assert_eq!(erased.tenant, store.tag(person.tenant()));
    assert!(store.receipt(erased.tenant, erased.receipt).expect("it reads").is_some());
    let other = memory_core::TenantId::try_new("other").expect("a tenant");
    assert_eq!(store.receipt(store.tag(&other), erased.receipt).expect("it reads"), None);
}

/// What is left of somebody who is forgotten: one row that names nobody, and no way to it from any id.
// law: L09
#[test]
fn a_skeleton_leads_nowhere_and_is_found_from_nowhere() {
    let ring = testkit::ring();
    let mut person = forgetful();
    let ids: BTreeSet<_> =
        person.consolidations.iter().flat_map(|window| &window.turns).map(|turn| turn.event.id.clone()).collect();
    person.say(json!({"type": "forget", "id": "the-last", "body": {"everything": true}}));
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), &ring);
    apply(&store, &written(&ring, &person.steps));
    let rows: Vec<Row> = store.rows(person.handle()).expect("rows").iter().cloned().collect();
    assert!(matches!(rows.as_slice(), [row] if row.is_bare()), "{rows:?}");
    let tag = store.tag(person.tenant());
    for id in &ids {
        assert_eq!(store.subjects_of_event(tag, id).expect("it reads"), []);
        assert_eq!(store.subject_of_memory(tag, MemoryId::of_event(person.handle(), id)).expect("it reads"), None);
        assert_eq!(store.fate(person.handle(), id).expect("it reads"), None);
    }
    assert_eq!(store.subjects().collect::<Result<Vec<_>, _>>().expect("subjects"), [person.handle()]);
}
