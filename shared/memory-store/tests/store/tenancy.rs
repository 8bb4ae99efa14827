//! Rows of neighbours: subjects whose handles, and so whose keys, stand side by side.

use event_log::envelope::Working;
use event_log::{LogId, Offset};
use memory_core::refold::Rows;
use memory_core::snapshot;
use memory_core::working_memory::WorkingMemory;
use memory_core::{Handle, Seq, Step, StepNumber};
use memory_store::Record;
use testkit::{Person, events, seal};

use crate::kit::{ONE, WRITER, open, ring};

/// Handles at both ends of the range, and pairs with nothing between them.
const NEIGHBOURS: [u128; 9] =
    [0, 1, 2, 0xff, 0x100, 0x00ff_ffff_ffff_ffff_ffff_ffff_ffff_ffff, 1 << 120, u128::MAX - 1, u128::MAX];

fn handle(number: u128) -> Handle {
    Handle::from_bytes(number.to_be_bytes())
}

/// Somebody with rows of every kind, who says what only this neighbour says.
fn person(place: usize) -> Person {
    let mut person = Person::new("t", &format!("user-{place}"));
    let first = person.tell(&format!("I moved to Berlin number {place} with my sister Anna in March."));
    person.end();
    person.say(events::correct(first, &format!("I moved to Bremen number {place} with Anna.")));
    person.say(events::remember(&format!("my locker has number {place}")));
    person
}

fn of(subject: Handle, person: &Person) -> Vec<Step> {
    person.steps.iter().map(|step| Step { subject, ..step.clone() }).collect()
}

fn apply(store: &memory_store::Store, steps: &[Step]) {
    let records = |step: &Step| Record {
        offset: Offset::FIRST,
        key: event_log::envelope::step_key(step.subject, step.number, WRITER),
        after: None,
        step: Some(step.clone()),
        sealed_with: Some(seal::key(ring(), step.subject, Seq::FIRST)),
    };
    let records: Vec<Record> = steps.iter().map(records).collect();
    store.apply(LogId::new(WRITER), ONE, &records, Offset::FIRST, None).expect("it applies");
}

// law: L08
#[test]
fn neighbours_never_see_each_others_rows() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let people: Vec<(Handle, Person)> =
        NEIGHBOURS.iter().enumerate().map(|(place, number)| (handle(*number), person(place))).collect();
    // The last one stays empty: it has neighbours and nothing of its own.
    let (empty, full) = people.split_last().expect("there are neighbours");
    for (handle, person) in full {
        apply(&store, &of(*handle, person));
    }
    let known: Vec<Handle> = store.subjects().collect::<Result<_, _>>().expect("subjects");
    assert_eq!(known, full.iter().map(|(handle, _)| *handle).collect::<Vec<_>>(), "in the order of their handles");
    for (handle, person) in full {
        assert_eq!(store.rows(*handle).expect("rows"), person.rows);
        let memory = person.rows.bank().memories().find(|memory| memory.version == 2).expect("it was corrected").id;
        let bank = store.bank(*handle).expect("a bank");
        assert!(bank.memories().eq(person.rows.bank().memories()));
        assert_eq!(store.revisions(*handle, memory).expect("revisions").len(), 1);
        let keys = store.step_records(*handle, StepNumber::new(u64::MAX)).expect("keys");
        assert!(keys.len() == person.steps.len() && keys.iter().all(|key| key.starts_with(handle.as_bytes())));
    }
    let (nobody, stranger) = empty;
    assert_eq!(store.rows(*nobody).expect("rows"), Rows::default());
    assert!(store.bank(*nobody).expect("a bank").is_empty());
    assert_eq!(store.step_records(*nobody, StepNumber::new(u64::MAX)).expect("keys"), Vec::<Vec<u8>>::new());
    for memory in stranger.rows.bank().memories() {
        assert!(store.revisions(*nobody, memory.id).expect("revisions").is_empty());
        assert_eq!(store.fate(*nobody, &memory.sources[0].event_id).expect("it reads"), None);
    }
}

// law: L08
#[test]
fn a_snapshot_replaces_the_rows_of_no_neighbour() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let people: Vec<(Handle, Person)> =
        NEIGHBOURS.iter().enumerate().map(|(place, number)| (handle(*number), person(place))).collect();
    for (handle, person) in &people {
        apply(&store, &of(*handle, person));
    }
    for (emptied, person) in &people {
        let first = store.next_step(*emptied).expect("a number");
        apply(&store, &snapshot::steps(*emptied, first, Vec::new()));
        let left = store.rows(*emptied).expect("rows");
        assert!(left.iter().all(memory_core::step::Row::is_bare), "nothing is left but the number of the next window");
        for (other, neighbour) in people.iter().filter(|(other, _)| other > emptied) {
            assert!(store.rows(*other).expect("rows").iter().eq(neighbour.rows.iter()), "{emptied} took from {other}");
        }
        apply(&store, &snapshot::steps(*emptied, first.next(), person.rows.iter().cloned().collect()));
    }
}

// law: L08
#[test]
fn neighbours_in_working_memory_are_told_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let log = LogId::new(WRITER);
    let memories: Vec<WorkingMemory> = NEIGHBOURS
        .iter()
        .enumerate()
        .map(|(place, number)| {
            let mut state = person(place).working.state().clone();
            state.subject = handle(*number);
            // A state is sealed with a key that was made before it is written.
            seal::make_key(ring(), state.subject, state.key_since);
            WorkingMemory::resume(state)
        })
        .collect();
    let (empty, full) = memories.split_last().expect("there are neighbours");
    for memory in full {
        let boundary = Box::new(memory.state().clone());
        store.apply_working(log, ONE, &[Working::Boundary { log, boundary }], Offset::new(1)).expect("it applies");
        store.spill(memory, seal::key(ring(), memory.state().subject, Seq::FIRST)).expect("it is put aside");
    }
    let nobody = empty.state().subject;
    assert_eq!((store.boundary(log, nobody).expect("reads"), store.unspill(nobody).expect("reads")), (None, None));
    for memory in full {
        let subject = memory.state().subject;
        assert_eq!(store.boundary(log, subject).expect("reads").as_ref(), Some(memory.state()));
        assert_eq!(store.unspill(subject).expect("reads").as_ref(), Some(memory));
    }
}
