use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use memory_core::subject::TenantTag;

use super::disk::fault::{self, Cut};
use super::layout::{CHUNK, PLACE, SLOT, SLOTS_AT, slot_at};
use super::*;
use crate::RootError;
use crate::root::{init, replace};
use crate::wrap::WRAPPED;

mod cuts;
mod salvage;

/// A directory with a root key and a key file.
struct Place {
    dir: tempfile::TempDir,
}

const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
const DAY: i64 = 86_400;

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("a directory") };
        init(&place.root()).expect("a root key");
        KeyFile::create(&place.path(), &place.source(), NOW).expect("a key file");
        place
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root.key")
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("data.keys")
    }

    fn source(&self) -> RootSource {
        RootSource::File(self.root())
    }

    fn open(&self) -> (Keyring, KeyFile) {
        KeyFile::open(&self.path(), self.source()).expect("it opens")
    }

    fn refused(&self) -> FileError {
        KeyFile::open(&self.path(), self.source()).map(|(ring, _)| ring).expect_err("it is refused")
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).expect("the file")
    }

    fn slots_in_use(&self) -> usize {
        let bytes = self.bytes();
        let slots = bytes[usize::try_from(SLOTS_AT).expect("small")..].as_chunks::<SLOT>().0;
        slots.iter().filter(|slot| slot.iter().any(|byte| *byte != 0)).count()
    }

    fn flip(&self, at: u64) {
        let file = OpenOptions::new().read(true).write(true).open(self.path()).expect("the file");
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("a byte");
        file.write_all_at(&[byte[0] ^ 0x10], at).expect("a byte");
    }

    /// Puts a new root in front of the one that is there.
    fn next_root(&self) -> Roots {
        let next = crate::RootKey::random().expect("a root");
        let old = self.source().load().expect("the old one");
        replace(&self.root(), &[&next, old.current()]).expect("it is written");
        self.source().load().expect("both")
    }

    /// Leaves only the first root.
    fn forget_old_roots(&self) {
        let roots = self.source().load().expect("both");
        replace(&self.root(), &[roots.current()]).expect("it is written");
    }
}

fn subject(number: u16) -> Handle {
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    Handle::from_bytes(bytes)
}

fn mint(ring: &Keyring, subjects: std::ops::Range<u16>) -> Vec<KeyId> {
    let wanted: Vec<_> = subjects.map(|number| (subject(number), Seq::new(1))).collect();
    ring.of_subjects(&wanted, NOW).expect("they are kept").into_iter().flatten().collect()
}

fn held(ring: &Keyring) -> BTreeMap<KeyId, Minted> {
    ring.all().into_iter().map(|key| (key.id, key)).collect()
}

fn same(left: &BTreeMap<KeyId, Minted>, right: &BTreeMap<KeyId, Minted>) -> bool {
    let all = |key: &Minted| (key.owner, key.id, key.made, *key.key.as_bytes());
    left.values().map(all).eq(right.values().map(all))
}

#[test]
fn keys_are_there_again_and_destroyed_ones_are_not() {
    let place = Place::new();
    let (ring, file) = place.open();
    assert_eq!(id_of(&place.path()).expect("an id"), file.id());
    assert_eq!(FileId::parse(&file.id().to_string()), Some(file.id()));
    mint(&ring, 0..600);
    let tenant = TenantTag::from_bytes([3; 16]);
    let epoch = ring.epoch(tenant, NOW).expect("a key");
    ring.of_subjects(&[(subject(5), Seq::new(9))], NOW).expect("another key");
    assert_eq!(ring.destroy(subject(5), Seq::new(9)).expect("it is destroyed"), 1);
    assert_eq!(ring.destroy(subject(5), Seq::new(9)).expect("again"), 0);
    let before = held(&ring);
    drop((ring, file));
    let (ring, file) = place.open();
    assert!(same(&before, &held(&ring)));
    assert_eq!(ring.of_subject(subject(5)).len(), 1, "the key of the new life");
    assert_eq!(ring.epochs(), [(tenant, NOW, epoch)]);
    ring.destroy_epochs(&[(tenant, epoch)]).expect("it is destroyed");
    drop((ring, file));
    let (ring, _file) = place.open();
    assert_eq!((ring.len(), ring.epochs().len()), (600, 0));
    // What was freed is used again.
    let length = place.bytes().len();
    mint(&ring, 1_000..1_400);
    assert_eq!(place.bytes().len(), length);
}

#[test]
fn a_key_that_comes_after_its_subject_was_forgotten_is_not_kept() {
    let place = Place::new();
    let (ring, file) = place.open();
    let ids = mint(&ring, 1..2);
    // Another thread has kept one more that the ring does not know of yet.
    let late = Minted { id: KeyId::new(Seq::new(2), [1; 8]), ..ring.all().remove(0) };
    file.keep(std::slice::from_ref(&late)).expect("it is kept");
    file.destroy(subject(1), Seq::new(4), &ids).expect("they are destroyed");
    let before = place.bytes();
    assert_eq!(place.slots_in_use(), 1, "only the floor is left");
    file.keep(std::slice::from_ref(&late)).expect("nothing happens");
    assert_eq!(place.bytes(), before);
    drop((ring, file));
    // And not in the next life of the process either.
    let (ring, file) = place.open();
    assert!(ring.is_empty());
    file.keep(&[late]).expect("nothing happens");
    assert_eq!(ring.of_subjects(&[(subject(1), Seq::new(3))], NOW).expect("an answer"), [None]);
    assert_eq!(place.bytes(), before);
}

// law: L09
#[test]
fn a_floor_stays_for_good_and_is_never_lowered() {
    let place = Place::new();
    let (ring, file) = place.open();
    mint(&ring, 1..4);
    ring.of_subjects(&[(subject(1), Seq::new(6))], NOW).expect("another key");
    // One with two keys, of which one dies; one with one; one without; and one of which nothing is forgotten.
    ring.destroy(subject(1), Seq::new(4)).expect("it is destroyed");
    ring.destroy(subject(2), Seq::new(2)).expect("it is destroyed");
    ring.destroy(subject(9), Seq::new(7)).expect("it is destroyed");
    ring.destroy(subject(3), Seq::FIRST).expect("nothing happens");
    let floors = [(subject(1), Seq::new(4)), (subject(2), Seq::new(2)), (subject(9), Seq::new(7))];
    assert_eq!(place.slots_in_use(), 5, "three floors and two keys");
    file.rotate_wrapping(NOW).expect("it is replaced");
    assert_eq!(Summary::of(&place.path()).expect("it is whole").floors, 3);
    drop((ring, file));
    let (ring, file) = place.open();
    let reader = open_read_only(&place.path(), &place.source()).expect("it opens");
    assert_eq!((sorted(ring.floors()), sorted(reader.floors())), (floors.to_vec(), floors.to_vec()));
    assert_eq!(ring.len(), 2);
    // A lower one changes nothing; a higher one is written over the one that is there.
    let before = place.bytes();
    ring.destroy(subject(9), Seq::new(3)).expect("nothing happens");
    assert_eq!(place.bytes(), before);
    ring.destroy(subject(9), Seq::new(8)).expect("it is destroyed");
    ring.destroy(subject(1), Seq::new(7)).expect("it is destroyed");
    assert_eq!(place.slots_in_use(), 4, "three floors and one key");
    reader.refresh(Owner::Subject(subject(1))).expect("it is read again");
    drop((ring, file));
    let floors = [(subject(1), Seq::new(7)), (subject(2), Seq::new(2)), (subject(9), Seq::new(8))];
    for ring in [reader, place.open().0] {
        assert_eq!((sorted(ring.floors()), ring.len()), (floors.to_vec(), 1));
    }
}

fn sorted(mut floors: Vec<(Handle, Seq)>) -> Vec<(Handle, Seq)> {
    floors.sort_unstable();
    floors
}

/// Everything that opens as the key, anywhere in these bytes, for somebody who has the root.
fn finds(bytes: &[u8], roots: &Roots, key: &Minted) -> bool {
    let windows = || bytes.windows(WRAPPED);
    let wrapping: Vec<Wrapping> = (1..4)
        .flat_map(|epoch| windows().filter_map(move |window| roots.current().unwrap(epoch, window).ok()))
        .collect();
    assert!(!wrapping.is_empty(), "at least the wrapping key in force is found");
    windows().any(|window| wrapping.iter().any(|with| with.unwrap(key.owner, key.id, key.made, window).is_ok()))
}

// law: L09
#[test]
fn no_copy_of_a_destroyed_key_opens_after_the_wrapping_key_is_replaced() {
    let place = Place::new();
    let (ring, file) = place.open();
    mint(&ring, 0..3);
    let roots = place.source().load().expect("the root");
    let doomed = ring.all().into_iter().find(|key| key.owner == Owner::Subject(subject(1))).expect("it is held");
    let old = place.bytes();
    assert!(finds(&old, &roots, &doomed), "the search finds what is there");
    ring.destroy(subject(1), Seq::new(5)).expect("it is destroyed");
    // A copy of the slots, as a backup or a freed block has it, opens as long as the wrapping key is there.
    let slots = usize::try_from(SLOTS_AT).expect("small");
    let with_copy = || [&place.bytes()[..slots], &old[slots..]].concat();
    assert!(!finds(&place.bytes(), &roots, &doomed));
    assert!(finds(&with_copy(), &roots, &doomed));
    file.rotate_wrapping(NOW).expect("it is replaced");
    assert!(!finds(&with_copy(), &roots, &doomed));
    let other = ring.all().into_iter().find(|key| key.owner == Owner::Subject(subject(2))).expect("it is held");
    assert!(finds(&place.bytes(), &roots, &other), "the others are still there");
    // A copy of the whole file opens until the root is another one.
    assert!(finds(&old, &roots, &doomed));
    place.next_root();
    assert_eq!(file.maintain(NOW).expect("it looks"), Maintained::NewRoot);
    place.forget_old_roots();
    let roots = place.source().load().expect("the new root");
    assert!(!finds(&[old, place.bytes()].concat(), &roots, &doomed));
}

#[test]
fn the_wrapping_key_is_replaced_after_a_day_and_after_many_destroyed_keys() {
    let place = Place::new();
    let (ring, file) = place.open();
    let at = |seconds| Timestamp::from_seconds(1_000_000 + seconds);
    let (count, more) = (u16::try_from(DESTROYED_MAX).expect("small"), 7);
    mint(&ring, 0..count + more);
    assert_eq!(file.maintain(at(DAY - 1)).expect("it looks"), Maintained::Nothing);
    assert_eq!(file.maintain(at(DAY)).expect("it rotates"), Maintained::Rotated);
    assert_eq!(file.maintain(at(DAY)).expect("it looks"), Maintained::Nothing);
    for number in 0..count {
        assert_eq!(file.maintain(at(DAY)).expect("it looks"), Maintained::Nothing);
        ring.destroy(subject(number), Seq::new(2)).expect("it is destroyed");
    }
    assert_eq!(file.maintain(at(DAY)).expect("it rotates"), Maintained::Rotated);
    assert_eq!(file.maintain(at(0)).expect("a clock was set back"), Maintained::Rotated);
    let summary = Summary::of(&place.path()).expect("it is whole");
    assert_eq!(summary.epochs, BTreeMap::from([(4, u64::from(more))]));
    assert_eq!((summary.subjects, summary.subject_keys, summary.tenant_keys), (7, 7, 0));
    assert_eq!(summary.floors, u64::from(count));
    let before = held(&ring);
    drop((ring, file));
    assert!(same(&before, &held(&place.open().0)));
    // Without the file of the root there is nothing to look at, and nothing that can be replaced.
    let (_ring, file) = place.open();
    std::fs::remove_file(place.root()).expect("it is put away");
    assert_eq!(file.maintain(at(0)).expect("it looks"), Maintained::Nothing);
    assert!(matches!(file.maintain(at(2 * DAY)), Err(FileError::Root(RootError::Missing { .. }))));
    assert!(!file.is_failed());
}

#[test]
fn keys_are_kept_and_destroyed_while_the_wrapping_key_is_replaced() {
    let place = Place::new();
    let (ring, file) = place.open();
    mint(&ring, 0..1_200);
    std::thread::scope(|scope| {
        let work = |from: u16| {
            let ring = &ring;
            move || {
                for number in from..from + 150 {
                    mint(ring, number + 2_000..number + 2_001);
                    ring.destroy(subject(number), Seq::new(2)).expect("it is destroyed");
                }
            }
        };
        let workers = [scope.spawn(work(0)), scope.spawn(work(500))];
        while !workers.iter().all(|worker| worker.is_finished()) {
            file.rotate_wrapping(NOW).expect("it is replaced");
        }
    });
    let before = held(&ring);
    assert_eq!(before.len(), 1_200);
    drop((ring, file));
    assert!(same(&before, &held(&place.open().0)));
}

#[test]
fn damage_is_refused_and_named() {
    let place = Place::new();
    let ring = place.open().0;
    mint(&ring, 0..7);
    ring.destroy(subject(5), Seq::new(2)).expect("it is destroyed");
    drop(ring);
    // Slot 3 holds a key, slot 5 a floor.
    for (slot, at) in (0..SLOT as u64).flat_map(|at| [(3, at), (5, at)]) {
        place.flip(slot_at(slot) + at);
        let text = place.refused().to_string();
        assert!(text.contains(&format!("slot {slot}")) && text.contains("data.keys"), "byte {at}: {text}");
        assert!(matches!(Summary::of(&place.path()), Err(FileError::Damaged { .. })), "byte {at}");
        place.flip(slot_at(slot) + at);
    }
    for at in 0..PLACE as u64 {
        place.flip(PLACES[0] + at);
        assert!(place.refused().to_string().contains("no wrapping key"), "byte {at}");
        place.flip(PLACES[0] + at);
    }
    for at in 0..layout::IDENTITY as u64 {
        place.flip(at);
        assert!(matches!(place.refused(), FileError::Other { .. }), "byte {at}");
        place.flip(at);
    }
    // A torn place beside a whole one is what a crash leaves, unless keys are of its epoch.
    place.flip(PLACES[1]);
    assert_eq!(place.open().0.len(), 6);
    assert!(place.bytes()[usize::try_from(PLACES[1]).expect("small")..][..PLACE].iter().all(|byte| *byte == 0));
}

#[test]
fn a_key_file_that_is_cut_off_or_empty_is_refused() {
    let place = Place::new();
    mint(&place.open().0, 0..600);
    let whole = place.bytes();
    let cut = |length: u64| {
        let file = OpenOptions::new().write(true).open(place.path()).expect("the file");
        file.set_len(length).expect("it is cut");
        let error = place.refused();
        std::fs::write(place.path(), &whole).expect("the file");
        error
    };
    assert!(matches!(cut(0), FileError::Other { .. }));
    assert!(matches!(cut(20), FileError::Other { .. }));
    assert!(matches!(cut(5_000), FileError::Damaged { .. }));
    assert!(matches!(cut(SLOTS_AT + CHUNK as u64 + 2_000), FileError::Damaged { .. }));
    assert_eq!(place.open().0.len(), 600);
    std::fs::remove_file(place.path()).expect("it is gone");
    assert!(matches!(place.refused(), FileError::Missing { .. }));
    assert!(matches!(Summary::of(&place.path()), Err(FileError::Missing { .. })));
}

#[test]
fn a_key_file_is_made_once_and_used_by_one_process() {
    let place = Place::new();
    let again = KeyFile::create(&place.path(), &place.source(), NOW);
    assert!(matches!(again, Err(FileError::Exists { .. })));
    let (ring, file) = place.open();
    mint(&ring, 0..1);
    assert!(matches!(place.refused(), FileError::Locked { .. }));
    drop((ring, file));
    assert_eq!(place.open().0.len(), 1);
    assert_eq!(std::fs::read_dir(place.dir.path()).expect("a list").count(), 2, "nothing is left over");
}

#[test]
fn a_key_file_of_another_root_is_refused() {
    let place = Place::new();
    mint(&place.open().0, 0..4);
    let ours = place.source().load().expect("the root");
    std::fs::remove_file(place.root()).expect("it is gone");
    let other = init(&place.root()).expect("another root");
    let text = place.refused().to_string();
    assert!(text.contains("of another root key"), "{text}");
    assert!(text.contains(&ours.current().name().to_string()) && text.contains(&other.name().to_string()), "{text}");
    // With the old one below it is taken over at once, and the old one can go.
    replace(&place.root(), &[&other, ours.current()]).expect("it is written");
    assert_eq!(place.open().0.len(), 4);
    replace(&place.root(), &[&other]).expect("it is written");
    assert_eq!(place.open().0.len(), 4);
    assert_eq!(Summary::of(&place.path()).expect("it is whole").roots, [other.name()]);
}

#[test]
fn a_reader_sees_what_the_writer_does_and_changes_nothing() {
    let place = Place::new();
    let (ring, file) = place.open();
    mint(&ring, 0..3);
    let reader = open_read_only(&place.path(), &place.source()).expect("it opens beside the writer");
    assert!(same(&held(&ring), &held(&reader)));
    mint(&ring, 3..5);
    ring.destroy(subject(1), Seq::new(2)).expect("it is destroyed");
    file.rotate_wrapping(NOW).expect("it is replaced");
    reader.refresh(Owner::Subject(subject(3))).expect("it is read again");
    assert!(same(&held(&ring), &held(&reader)));
    assert!(reader.of_subjects(&[(subject(9), Seq::new(1))], NOW).is_err());
    assert!(reader.destroy(subject(0), Seq::new(2)).is_err());
    drop((ring, file));
    assert_eq!(place.open().0.len(), 4);
}
