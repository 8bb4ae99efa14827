//! What lies in RocksDB, seen without keys (law L09).

use event_log::envelope::Working;
use event_log::{Offset, Partition};
use memory_core::forget::{Receipt, Stage};
use memory_core::refold::Rows;
use memory_core::{Seq, Timestamp};
use testkit::{Person, events};

use super::*;

const NAMES: [&str; 8] = [
    "canary-tenant",
    "canary-user",
    "canary-session",
    "canary-event",
    "canary-content",
    "canary-tag",
    "canary-meta",
    "canary-spoken",
];

/// Somebody whose names and words are all found again wherever they lie in the clear.
fn canary() -> Person {
    let mut person = Person::new("canary-tenant", "canary-user");
    let mut said = events::turn("I moved to canary-content with my sister Anna in March.");
    said["id"] = serde_json::json!("canary-event");
    said["session_id"] = serde_json::json!("canary-session");
    said["tags"] = serde_json::json!(["canary-tag"]);
    said["metadata"] = serde_json::json!({"canary-meta": "canary-meta"});
    said["speaker"] = serde_json::json!("canary-spoken");
    let event = person.say(said);
    person.end();
    person.say(events::correct(MemoryId::of_event(person.handle(), &event), "No, it was canary-content again."));
    person
}

/// Every row of every column family, as its bytes.
fn everything(store: &Store) -> Vec<KeyAndValue> {
    let of = |name: &str| {
        let family = store.db.cf_handle(name).expect("every column family was opened");
        store.db.iterator_cf(family, IteratorMode::Start).map(|row| row.expect("it reads")).collect::<Vec<_>>()
    };
    FAMILIES.iter().flat_map(|name| of(name)).collect()
}

fn shows(bytes: &[u8], name: &str) -> bool {
    bytes.windows(name.len()).any(|window| window == name.as_bytes())
}

/// All that a store takes of a subject: rows, a boundary, a spilled window, a snapshot that is not complete, receipts.
fn fill(store: &Store, person: &mut Person) {
    let records: Vec<Record> = person.steps.iter().map(|step| record(&store.ring, step)).collect();
    store.apply(LOG, Partition::new(0), &records, Offset::new(9), None).expect("it applies");
    let mut parts =
        memory_core::snapshot::steps(person.handle(), person.rows.next_step(), person.rows.iter().cloned().collect());
    if let memory_core::step::Body::Snapshot { parts: all, .. } = &mut parts[0].body {
        *all = 2;
    }
    store.apply(LOG, Partition::new(0), &[record(&store.ring, &parts[0])], Offset::new(10), None).expect("it applies");
    let boundary = Box::new(person.working.state().clone());
    let row = Working::Boundary { log: LOG, boundary };
    store.apply_working(LOG, Partition::new(0), &[row], Offset::new(1)).expect("it applies");
    person.tell("I still think of canary-content.");
    let key = seal::key(&store.ring, person.handle(), Seq::FIRST);
    store.spill(&person.working, key).expect("it is put aside");
    let mut forgetful = person.clone();
    forgetful.say(events::forget_everything());
    let erased = forgetful.steps.last().and_then(|step| step.erased()).expect("it erases").clone();
    let receipt = Receipt { subject: person.handle(), stage: Stage::Erased, at: Timestamp::EPOCH, keys: 1, erased };
    store.apply_receipts(LOG, Partition::new(0), &[receipt], Offset::new(1)).expect("it applies");
}

// law: L09, L08
#[test]
fn nothing_that_anybody_said_or_is_called_lies_in_the_clear() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path(), secret(), ring(), &Settings::default()).expect("it opens");
    let mut person = canary();
    fill(&store, &mut person);
    let rows = everything(&store);
    let kinds: std::collections::BTreeSet<&[u8]> = rows.iter().map(|(key, _)| &key[..2]).collect();
    assert!(kinds.len() > 14, "only {} kinds of rows were looked at", kinds.len());
    for (key, value) in &rows {
        for name in NAMES {
            let kind = String::from_utf8_lossy(&key[..2]);
            assert!(!shows(key, name), "a key of kind {kind} holds {name}");
            assert!(!shows(value, name), "a row of kind {kind} holds {name}");
        }
    }
    // All of them are there, for whoever has the keys.
    let known = serde_json::to_string(&store.rows(person.handle()).expect("rows").iter().collect::<Vec<_>>());
    let known = known.expect("rows are plain data");
    assert!(NAMES.iter().all(|name| known.contains(name)), "{known}");
}

/// Also the files, which hold more than rows: names of column families, bounds of tables, the log before the tables.
// law: L09
#[test]
fn no_file_of_the_directory_shows_a_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path(), secret(), ring(), &Settings::default()).expect("it opens");
    fill(&store, &mut canary());
    for flushed in [false, true] {
        if flushed {
            store.flush().expect("it flushes");
        }
        for entry in fs::read_dir(dir.path()).expect("a directory") {
            let path = entry.expect("an entry").path();
            let bytes = fs::read(&path).expect("it reads");
            let found = NAMES.iter().find(|name| shows(&bytes, name));
            assert_eq!(found, None, "in {}, flushed: {flushed}", path.display());
        }
    }
}

// law: L09, L08
#[test]
fn a_value_under_another_key_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, person) = store(dir.path());
    let mut moved = 0;
    for kind in crate::keys::ROW_KINDS.into_iter().filter(|kind| is_sealed(*kind)) {
        let rows: Vec<_> = store.scan(kind, &kind.bytes()).map(|row| row.expect("it reads")).collect();
        // To the next row of the kind, or to one that was not there.
        let (first, value) = rows.first().expect("a row of every kind");
        let to = rows.get(1).map_or_else(|| [first.as_ref(), &[1]].concat(), |(key, _)| key.to_vec());
        let before = store.db.get_cf(store.family(kind), &to).expect("it reads");
        store.db.put_cf(store.family(kind), &to, value).expect("it writes");
        let error = store.rows(person.handle()).expect_err("it is not the row that it was sealed as");
        assert!(matches!(error, Error::Keys(keyring::Error::Tampered(_))), "{kind:?}: {error}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        match before {
            Some(before) => store.db.put_cf(store.family(kind), &to, before).expect("it writes"),
            None => store.db.delete_cf(store.family(kind), &to).expect("it writes"),
        }
        moved += 1;
    }
    assert_eq!(moved, 5);
    assert_eq!(store.rows(person.handle()).expect("all is well again"), person.rows);
}

/// Nor may one subject's row be given to another who has the same words.
// law: L09, L08
#[test]
fn a_value_of_another_subject_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, person) = store(dir.path());
    let (key, value) =
        store.scan(KeyKind::Memory, &KeyKind::Memory.bytes()).next().expect("a memory").expect("it reads");
    let other = Handle::from_bytes([0x11; 16]);
    let there = [&key[..2], other.as_bytes(), &key[18..]].concat();
    store.db.put_cf(store.family(KeyKind::Memory), &there, &value).expect("it writes");
    let error = store.bank(other).expect_err("it is of somebody else");
    assert!(matches!(error, Error::Keys(keyring::Error::Tampered(_))), "{error}");
    assert!(!store.bank(person.handle()).expect("it is untouched").is_empty());
}

#[test]
fn a_subject_row_in_the_clear_that_names_somebody_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, person) = store(dir.path());
    let row = person.rows.subject().expect("a subject row");
    let (_, key) = crate::keys::row(&secret(), person.handle(), &memory_core::step::RowKey::Subject);
    store.db.put_cf(store.family(KeyKind::Subject), key, crate::codec::encode(row)).expect("it writes");
    let error = store.rows(person.handle()).expect_err("nobody writes that");
    assert!(matches!(error, Error::Row { kind: "subject", .. }), "{error}");
}

// law: L09
#[test]
fn rows_whose_key_is_gone_read_as_missing_and_the_numbers_are_known() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, person) = store_with(dir.path(), testkit::ring());
    let (handle, tag) = (person.handle(), store.tag(person.tenant()));
    let log = LOG;
    store.spill(&person.working, seal::key(&store.ring, handle, Seq::FIRST)).expect("it is put aside");
    let boundary = Box::new(person.working.state().clone());
    store
        .apply_working(log, Partition::new(0), &[Working::Boundary { log, boundary }], Offset::new(1))
        .expect("applies");
    let memory = person.rows.bank().memories().next().expect("a memory").clone();
    let (rows, numbers) = (everything(&store).len(), store.step_numbers(handle).expect("numbers"));
    store.ring.destroy(handle, Seq::new(1)).expect("it is destroyed");

    assert!(store.rows_sealed_below(handle, Seq::new(1)).expect("it reads") > 7, "they are still there");
    assert_eq!(everything(&store).len(), rows, "nothing was deleted yet");
    let bank = store.bank(handle).expect("it reads");
    assert!(bank.is_empty() && bank.owner().is_none());
    assert_eq!((bank.next(), bank.next_step()), (numbers.consolidated, numbers.chain.next));
    assert_eq!(
        bank.next(),
        person.rows.subject().expect("a subject row").next,
        "where the next window begins is known"
    );
    let left: Vec<_> = store.rows(handle).expect("it reads").iter().cloned().collect();
    let tells = |row: &&memory_core::step::Row| match row {
        memory_core::step::Row::Subject(row) => row.owner.is_some(),
        memory_core::step::Row::Window(_) | memory_core::step::Row::Rules(_) => false,
        memory_core::step::Row::Memory(_)
        | memory_core::step::Row::Revision(_)
        | memory_core::step::Row::Source(_)
        | memory_core::step::Row::Fate(_) => true,
    };
    assert_eq!(left.iter().find(tells), None, "what is left tells of nobody");
    assert!(store.revisions(handle, memory.id).expect("it reads").is_empty());
    assert_eq!(store.fate(handle, &memory.sources[0].event_id).expect("it reads"), None);
    assert_eq!(store.unspill(handle).expect("it reads"), None);
    let boundary = store.boundary(log, handle).expect("it reads").expect("its skeleton is there");
    assert!(boundary.owner.is_none() && boundary.recent.is_empty());
    assert_eq!((boundary.next, &boundary.seen), (person.working.state().next, &person.working.state().seen));
    // The index still leads to the subject, which says nothing; a step replaces both.
    assert_eq!(store.subject_of_memory(tag, memory.id).expect("it reads"), Some(handle));
    assert_ne!(store.rows(handle).expect("it reads"), Rows::default());
}
