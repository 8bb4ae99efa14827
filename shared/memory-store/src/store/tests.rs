//! What only somebody with a hand in RocksDB can bring about: bytes that no memos of this version wrote.

use std::sync::LazyLock;

use event_log::{LogId, Partition};
use memory_core::{Handle, MemoryId, Seq};
use testkit::{Person, events, seal, secret};
use uuid::Uuid;

mod sealing;

use keyring::Keyring;

use super::*;
use crate::{ErrorKind, Record};

const LOG: LogId = LogId::new(Uuid::from_u128(1));

/// The keys of all stores here but those of tests that destroy some.
static RING: LazyLock<Keyring> = LazyLock::new(testkit::ring);

fn ring() -> Keyring {
    RING.clone()
}

/// Whether rows of a kind tell of somebody. Windows and rules hold numbers alone.
fn is_sealed(kind: KeyKind) -> bool {
    !matches!(kind, KeyKind::Window | KeyKind::Rules)
}

/// A step as it comes from the log, sealed with a key of its subject.
fn record(ring: &Keyring, step: &memory_core::Step) -> Record {
    Record {
        offset: event_log::Offset::FIRST,
        key: event_log::envelope::step_key(step.subject, step.number, Uuid::from_u128(2)),
        after: None,
        step: Some(step.clone()),
        sealed_with: Some(seal::key(ring, step.subject, Seq::FIRST)),
    }
}

/// A store with one subject that has rows of every kind.
fn store(dir: &Path) -> (Store, Person) {
    store_with(dir, ring())
}

fn store_with(dir: &Path, ring: Keyring) -> (Store, Person) {
    let store = Store::open(dir, secret(), ring, &Settings::default()).expect("it opens");
    let mut person = Person::new("t", "u");
    let memory = person.tell("I moved to Berlin with my sister Anna in March.");
    person.end();
    person.say(events::correct(memory, "I moved to Bremen."));
    let records: Vec<Record> = person.steps.iter().map(|step| record(&store.ring, step)).collect();
    store.apply(LOG, Partition::new(0), &records, event_log::Offset::new(9), None).expect("it applies");
    (store, person)
}

#[test]
fn a_store_of_another_format_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = store(dir.path());
    store.db.put_cf(store.family(KeyKind::Position), FORMAT_KEY, "99").expect("it writes");
    drop(store);
    let again = Store::open(dir.path(), secret(), ring(), &Settings::default()).expect_err("a newer memos wrote it");
    let reader = Store::open_read_only(dir.path(), secret(), ring()).expect_err("a newer memos wrote it");
    for error in [again, reader] {
        assert!(matches!(&error, Error::Format { found, known: 2, .. } if found == "99"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Operator);
    }
}

#[test]
fn a_reader_refuses_a_directory_without_a_format() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = store(dir.path());
    store.db.delete_cf(store.family(KeyKind::Position), FORMAT_KEY).expect("it writes");
    drop(store);
    let error = Store::open_read_only(dir.path(), secret(), ring()).expect_err("nobody knows what it is");
    assert!(matches!(&error, Error::Format { found, .. } if found == "none"), "{error}");
}

/// RocksDB's checksums find what a disk did; this is about bytes that were written like that. No byte may bring the
/// reader down, and one that breaks the row is an error. Only the name of the key is not proven: another name is that of a
/// key that nobody has, so the row reads as one that was forgotten, and never as another one.
// law: L09
#[test]
fn a_row_with_a_wrong_byte_is_an_error_and_never_a_panic() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, person) = store(dir.path());
    let mut refused = 0;
    for kind in crate::keys::ROW_KINDS {
        let (key, value) = store.scan(kind, &kind.bytes()).next().expect("a row of every kind").expect("it reads");
        let name_of_key = |place| is_sealed(kind) && (1..=keyring::KeyId::BYTES).contains(&place);
        for place in 0..value.len() {
            let mut wrong = value.to_vec();
            wrong[place] ^= 0x80;
            store.db.put_cf(store.family(kind), &key, &wrong).expect("it writes");
            match store.rows(person.handle()) {
                Ok(rows) => {
                    assert!(name_of_key(place), "byte {place} of a {kind:?} is not proven");
                    assert_eq!(
                        rows.iter().filter(|row| !person.rows.iter().any(|known| known == *row)).count(),
                        usize::from(kind == KeyKind::Subject)
                    );
                    assert!(rows.subject().expect("numbers are known").owner.is_none() || kind != KeyKind::Subject);
                }
                Err(error) => {
                    let named = matches!(&error, Error::Row { kind: found, .. } if *found == kind.name());
                    assert!(named || matches!(error, Error::Keys(keyring::Error::Tampered(_))), "{error}");
                    assert!(!name_of_key(place) && error.kind() == ErrorKind::Corrupt);
                    refused += 1;
                }
            }
        }
        for wrong in [&[][..], &value[..value.len() / 2], b"\x02{}", b"\x01{}", b"\x03{}\n"] {
            store.db.put_cf(store.family(kind), &key, wrong).expect("it writes");
            let error = store.rows(person.handle()).expect_err("it is no row");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{kind:?}");
        }
        store.db.put_cf(store.family(kind), &key, &value).expect("it writes");
    }
    assert!(refused > 1_000, "{refused}");
    assert_eq!(store.rows(person.handle()).expect("all is well again"), person.rows);
}

#[test]
fn a_key_that_is_too_short_is_an_error_and_never_a_panic() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, person) = store(dir.path());
    store.db.put_cf(store.family(KeyKind::Subject), b"sbx", b"").expect("it writes");
    let error = store.subjects().find_map(Result::err).expect("it is listed");
    assert!(matches!(error, Error::Key { kind: "subject", length: 3 }), "{error}");
    let tag = store.tag(person.tenant());
    let memory = MemoryId::from_uuid(Uuid::from_u128(5));
    let key = crate::keys::memory_index(tag, memory);
    store.db.put_cf(store.family(KeyKind::MemoryIndex), &key, b"short").expect("it writes");
    let found = store.subject_of_memory(tag, memory);
    assert!(matches!(found, Err(Error::Key { kind: "memory-index", length: 5 })), "{found:?}");
}

/// A snapshot is how a row that cannot be read is repaired, so it must not have to read it.
#[test]
fn a_snapshot_replaces_a_row_that_nobody_can_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, person) = store(dir.path());
    let (key, _) = store.scan(KeyKind::Memory, &KeyKind::Memory.bytes()).next().expect("a memory").expect("it reads");
    store.db.put_cf(store.family(KeyKind::Memory), &key, b"\xff").expect("it writes");
    assert!(store.bank(person.handle()).is_err());
    let first = store.next_step(person.handle()).expect("a number");
    let steps = memory_core::snapshot::steps(person.handle(), first, person.rows.iter().cloned().collect());
    let records: Vec<Record> = steps.iter().map(|step| record(&store.ring, step)).collect();
    store.apply(LOG, Partition::new(0), &records, event_log::Offset::new(10), None).expect("it applies");
    assert!(store.rows(person.handle()).expect("all is well again").iter().eq(person.rows.iter()));
}

/// The bytes that older stores hold. Whoever changes one of these has changed the format.
#[test]
fn the_keys_of_a_subject_are_what_they_always_were() {
    let subject = Handle::from_bytes([0xab; 16]);
    let (_, key) = crate::keys::row(&secret(), subject, &memory_core::step::RowKey::Source(Seq::new(258)));
    assert_eq!(key, [b"so".as_slice(), &[0xab; 16], &[0, 0, 0, 0, 0, 0, 1, 2]].concat());
    let key = crate::keys::position(&event_log::Topic::Memories, Partition::new(3));
    assert_eq!(key, b"po\x00\x00\x00\x03memories");
}
