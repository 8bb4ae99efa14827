//! The table of working memory: boundaries, markers and subjects that were put aside.

use event_log::envelope::{Anchors, OpenFrom, Working};
use event_log::{LogId, Offset, Partition};
use keyring::KeyId;
use memory_core::working_memory::Boundary;
use memory_core::{Generation, Seq};
use memory_store::Overwritten;
use testkit::{Person, Random};
use uuid::Uuid;

use crate::kit::{ONE, open, ring};

const LOG: LogId = LogId::new(Uuid::from_u128(10));
const OTHER: LogId = LogId::new(Uuid::from_u128(11));

fn key_of(person: &Person) -> KeyId {
    testkit::seal::key(ring(), person.handle(), person.working.state().key_since)
}

fn boundary(generation: u32, next: u64) -> Boundary {
    let person = Person::new("t", "u");
    testkit::seal::make_key(ring(), person.handle(), person.working.state().key_since);
    let mut state = person.working.state().clone();
    state.generation = Generation::new(generation);
    state.next = Seq::new(next);
    state.folded = Offset::new(next * 10 + 1);
    state
}

fn row(log: LogId, boundary: &Boundary) -> Working {
    Working::Boundary { log, boundary: Box::new(boundary.clone()) }
}

// law: L05
#[test]
fn of_all_boundaries_the_one_with_the_highest_generation_and_number_stands() {
    let mut order: Vec<Boundary> = [(0, 3), (0, 9), (1, 2), (1, 4), (1, 4), (0, 40), (1, 3)]
        .map(|(generation, next)| boundary(generation, next))
        .into();
    let mut random = Random::new(1);
    for _ in 0..20 {
        for place in (1..order.len()).rev() {
            order.swap(place, random.index(place + 1));
        }
        for batch in [1, 3, 7] {
            let dir = tempfile::tempdir().expect("a directory");
            let store = open(dir.path());
            for rows in order.chunks(batch) {
                let rows: Vec<Working> = rows.iter().map(|boundary| row(LOG, boundary)).collect();
                store.apply_working(LOG, ONE, &rows, Offset::new(1)).expect("it applies");
            }
            let stands = store.boundary(LOG, order[0].subject).expect("it reads");
            assert_eq!(stands, Some(boundary(1, 4)), "batches of {batch}: {:?}", ranks(&order));
        }
    }
}

/// What a former owner writes over a newer row is what compaction would keep; the newer one must be written again.
// law: L05
#[test]
fn an_older_row_over_a_newer_one_is_noted_until_the_newer_one_is_written_again() {
    let marker = |at: u64, windows: u64| Working::Open {
        log: LOG,
        partition: ONE,
        marker: OpenFrom {
            interactions: Offset::new(at),
            consolidations: Offset::new(windows),
            read: Anchors::default(),
        },
    };
    let subject = boundary(0, 0).subject;
    let noted = |boundary: bool, marker: bool| Overwritten {
        boundaries: boundary.then_some(subject).into_iter().collect(),
        marker,
    };
    let rows = [
        (row(LOG, &boundary(0, 9)), noted(false, false)),
        (marker(50, 5), noted(false, false)),
        (row(LOG, &boundary(0, 7)), noted(true, false)),
        (marker(40, 6), noted(true, true)),
        (row(LOG, &boundary(0, 8)), noted(true, true)),
        (marker(50, 6), noted(true, false)),
        (row(LOG, &boundary(0, 9)), noted(false, false)),
    ];
    for batch in [1, 2, 7] {
        let dir = tempfile::tempdir().expect("a directory");
        for chunk in rows.chunks(batch) {
            // A start in the middle knows what was noted.
            let store = open(dir.path());
            let (read, after): (Vec<Working>, Vec<Overwritten>) = chunk.iter().cloned().unzip();
            store.apply_working(LOG, ONE, &read, Offset::new(1)).expect("it applies");
            assert_eq!(store.overwritten(ONE).expect("it reads"), *after.last().expect("a row"), "batches of {batch}");
            assert_eq!(store.overwritten(Partition::new(1)).expect("it reads"), Overwritten::default());
        }
        let store = open(dir.path());
        assert_eq!(store.boundary(LOG, subject).expect("it reads"), Some(boundary(0, 9)));
        let furthest =
            OpenFrom { interactions: Offset::new(50), consolidations: Offset::new(6), read: Anchors::default() };
        assert_eq!(store.open_from(LOG, ONE).expect("it reads"), furthest);
    }
}

fn ranks(order: &[Boundary]) -> Vec<(u32, u64)> {
    order.iter().map(|boundary| (boundary.generation.get(), boundary.next.get())).collect()
}

// law: L06
#[test]
fn offsets_of_another_log_are_ignored_and_numbers_are_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let marker = OpenFrom { interactions: Offset::new(70), consolidations: Offset::new(7), read: Anchors::default() };
    let rows = [row(OTHER, &boundary(0, 5)), Working::Open { log: OTHER, partition: ONE, marker }];
    store.apply_working(LOG, ONE, &rows, Offset::new(2)).expect("it applies");
    let here = store.boundary(LOG, boundary(0, 5).subject).expect("it reads").expect("it is there");
    assert_eq!((here.next, here.folded), (Seq::new(5), Offset::FIRST));
    let there = store.boundary(OTHER, here.subject).expect("it reads").expect("it is there");
    assert_eq!(there.folded, Offset::new(51));
    assert_eq!(store.open_from(LOG, ONE).expect("it reads"), OpenFrom::default());
    assert_eq!(store.open_from(OTHER, ONE).expect("it reads"), marker);
    // The owner writes the same boundary again with offsets of this log.
    store.apply_working(LOG, ONE, &[row(LOG, &boundary(0, 5))], Offset::new(3)).expect("it applies");
    let again = store.boundary(LOG, here.subject).expect("it reads").expect("it is there");
    assert_eq!(again.folded, Offset::new(51));
}

#[test]
fn the_newest_marker_of_a_partition_stands() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let marker = |at: u64| OpenFrom {
        interactions: Offset::new(at),
        consolidations: Offset::new(at / 2),
        read: Anchors::default(),
    };
    let open =
        |partition: u32, at: u64| Working::Open { log: LOG, partition: Partition::new(partition), marker: marker(at) };
    let rows = [open(0, 5), open(1, 9), open(0, 8)];
    store.apply_working(LOG, ONE, &rows, Offset::new(3)).expect("it applies");
    let at = |partition| store.open_from(LOG, Partition::new(partition)).expect("it reads");
    assert_eq!((at(0), at(1), at(2)), (marker(8), marker(9), OpenFrom::default()));
}

#[test]
fn a_subject_that_was_put_aside_comes_back_as_it_was_once() {
    let mut person = Person::new("t", "u");
    for minute in 0..5 {
        person.tell(&format!("We talked about minute {minute} for a while."));
    }
    assert_eq!(person.working.window().len(), 5, "its window is open");
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    store.spill(&person.working, key_of(&person)).expect("it is put aside");
    let mut back = store.unspill(person.handle()).expect("it reads").expect("it is there");
    assert_eq!(back, person.working);
    assert_eq!(store.unspill(person.handle()).expect("it reads"), None);
    let event = testkit::events::recorded(
        person.tenant(),
        event_log::Timestamp::from_seconds(1_000_100),
        Offset::new(9),
        &serde_json::json!({"id": "later", "user_id": "u", "type": "session_end"}),
    );
    let (here, there) = (person.working.apply(&person.rules, &event), back.apply(&person.rules, &event));
    assert_eq!(here.closed[0].consolidation, there.closed[0].consolidation);
}

#[test]
fn what_an_earlier_owner_put_aside_is_thrown_away_and_nothing_else() {
    let (anna, ben) = (Person::new("t", "anna"), Person::new("t", "ben"));
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for person in [&anna, &ben] {
        store.spill(&person.working, key_of(person)).expect("it is put aside");
    }
    let kept = anna.working.state().clone();
    store.apply_working(LOG, ONE, &[row(LOG, &kept)], Offset::new(1)).expect("it applies");
    drop(store);
    let store = open(dir.path());
    let partitions = 1 << 31;
    let of = anna.handle().partition(partitions);
    assert_ne!(of, ben.handle().partition(partitions));
    store.forget_spilled(of, partitions).expect("they are thrown away");
    assert_eq!(store.unspill(anna.handle()).expect("it reads"), None);
    assert_eq!(store.unspill(ben.handle()).expect("it reads"), Some(ben.working), "another partition's");
    assert_eq!(store.boundary(LOG, anna.handle()).expect("it reads"), Some(kept));
}
