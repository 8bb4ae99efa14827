//! The power is cut at every write and every sync of every change, and again at every one of the repair.

use super::salvage::salvaged;
use super::*;

const CUTS: [Cut; 8] =
    [Cut::Lost, Cut::Written, Cut::Torn(1), Cut::Torn(2), Cut::Torn(3), Cut::Torn(4), Cut::Torn(5), Cut::Torn(6)];

/// Cuts the power at each operation of `act` in turn. What was acknowledged before must be there afterwards, except that
/// of the keys that `act` destroys none need be, and of those that it keeps any may be. A floor that is there has no key below
/// it; one that was there is there, and one that was acknowledged is.
fn at_every_cut(least: u64, prepare: impl Fn(&Place, &Keyring), act: impl Fn(&Place, &Keyring, &KeyFile) -> bool) {
    for cut in CUTS {
        let mut operation = 0;
        loop {
            let place = Place::new();
            let (ring, file) = place.open();
            mint(&ring, 0..510);
            ring.epoch(TenantTag::from_bytes([3; 16]), NOW).expect("a key");
            prepare(&place, &ring);
            let before = held(&ring);
            let floors = ring.floors();
            fault::cut_at(operation, cut);
            let done = act(&place, &ring, &file);
            let was_cut = fault::end();
            assert_eq!(done, !was_cut, "a failure at operation {operation} ({cut:?}) was hidden");
            assert_eq!(file.is_failed(), was_cut);
            let acknowledged = held(&ring);
            // The ring knows a floor before the file does.
            let raised = sorted(ring.floors());
            drop((ring, file));
            let reopened = reopen(&place, cut);
            let found = held(&reopened);
            for (subject, floor) in reopened.floors() {
                assert!(reopened.of_subject(subject).iter().all(|id| id.since() >= floor));
                assert!(raised.contains(&(subject, floor)) || floors.contains(&(subject, floor)), "a floor of nobody");
            }
            assert!(floors.iter().all(|(subject, floor)| reopened.floor(*subject) >= *floor), "a floor is lost");
            assert!(was_cut || sorted(reopened.floors()) == raised, "after everything was done");
            let roots = place.source().load().expect("the root");
            let on_disk: Vec<KeyId> = salvaged(&place.bytes(), &roots).into_iter().map(|(_, id)| id).collect();
            assert_eq!(on_disk.len(), found.len(), "a key that is doomed lies there");
            for (id, key) in &found {
                // A key that was not acknowledged may be there; nobody uses it.
                let known = before.get(id).or_else(|| acknowledged.get(id));
                assert!(known.is_none_or(|known| known.key.as_bytes() == key.key.as_bytes()));
            }
            for id in acknowledged.keys() {
                assert!(found.contains_key(id), "a kept key is lost, operation {operation}, {cut:?}");
            }
            if !was_cut {
                assert!(same(&acknowledged, &found), "after everything was done");
                break;
            }
            operation += 1;
        }
        assert!(operation >= least, "only {operation} operations");
    }
}

/// Opens the file, with the power cut at each operation of the repair.
fn reopen(place: &Place, cut: Cut) -> Keyring {
    for operation in 0.. {
        fault::cut_at(operation, cut);
        let opened = KeyFile::open(&place.path(), place.source());
        if !fault::end() {
            let (ring, file) = opened.expect("nothing is refused after a cut");
            // And it goes on as if nothing had been.
            mint(&ring, 9_000..9_001);
            file.rotate_wrapping(NOW).expect("it is replaced");
            assert_eq!(Summary::of(&place.path()).expect("it is whole").roots.len(), 1);
            drop((ring, file));
            let (ring, file) = place.open();
            let keys = ring.of_subject(subject(9_000)).into_iter().map(|id| (Owner::Subject(subject(9_000)), id));
            file.destroy_epochs(&keys.collect::<Vec<_>>()).expect("it is destroyed");
            drop((ring, file));
            return place.open().0;
        }
    }
    unreachable!("a repair ends")
}

fn wanted(numbers: std::ops::Range<u16>) -> Vec<(Handle, Seq)> {
    numbers.map(|number| (subject(number), Seq::new(1))).collect()
}

#[test]
fn keep_survives_every_cut() {
    // One slot is free: one more fits, and for many the file grows.
    at_every_cut(2, |_, _| (), |_, ring, _| ring.of_subjects(&wanted(600..601), NOW).is_ok());
    at_every_cut(8, |_, _| (), |_, ring, _| ring.of_subjects(&wanted(600..605), NOW).is_ok());
}

#[test]
fn destroy_survives_every_cut() {
    let prepare = |_: &Place, ring: &Keyring| {
        ring.of_subjects(&[(subject(8), Seq::new(2)), (subject(8), Seq::new(9))], NOW).expect("keys");
    };
    at_every_cut(3, prepare, |_, ring, _| ring.destroy(subject(8), Seq::new(3)).is_ok());
    // A floor that is there already is written over, with and without keys that die with it.
    let forgotten = |place: &Place, ring: &Keyring| {
        prepare(place, ring);
        ring.destroy(subject(8), Seq::new(2)).expect("it is destroyed");
    };
    at_every_cut(2, forgotten, |_, ring, _| ring.destroy(subject(8), Seq::new(3)).is_ok());
    at_every_cut(2, forgotten, |_, ring, _| ring.destroy(subject(8), Seq::new(12)).is_ok());
    // A subject without keys takes a slot of its own; the last one, and one of a chunk that is made for it.
    at_every_cut(2, |_, _| (), |_, ring, _| ring.destroy(subject(600), Seq::new(3)).is_ok());
    let full = |_: &Place, ring: &Keyring| drop(mint(ring, 600..601));
    at_every_cut(4, full, |_, ring, _| ring.destroy(subject(601), Seq::new(3)).is_ok());
    // Many at once.
    at_every_cut(6, prepare, |_, ring, _| {
        let floors: Vec<_> = (6..10).map(|number| (subject(number), Seq::new(3))).collect();
        ring.adopt_floors(&floors).is_ok()
    });
    at_every_cut(
        2,
        |_, _| (),
        |_, ring, _| {
            let dead: Vec<_> = ring.epochs().into_iter().map(|(tenant, _, id)| (tenant, id)).collect();
            ring.destroy_epochs(&dead).is_ok()
        },
    );
}

#[test]
fn rotation_survives_every_cut() {
    // Two writes of slots, one of each place, and a sync each.
    let two_chunks = |_: &Place, ring: &Keyring| {
        mint(ring, 600..700);
        ring.destroy(subject(3), Seq::new(2)).expect("it is destroyed");
    };
    at_every_cut(7, two_chunks, |_, _, file| file.rotate_wrapping(NOW).is_ok());
}

#[test]
fn a_change_of_the_root_survives_every_cut() {
    let both = |place: &Place, _: &Keyring| drop(place.next_root());
    at_every_cut(4, both, |place, _, file| {
        let roots = place.source().load().expect("both");
        file.rewrap_root(&roots).is_ok()
    });
    // Both at once: the new root comes with the next wrapping key.
    at_every_cut(10, both, |_, _, file| file.rotate_wrapping(NOW).is_ok());
}

#[test]
fn a_root_that_is_in_both_places_needs_only_one_of_them() {
    let place = Place::new();
    let (ring, file) = place.open();
    mint(&ring, 0..3);
    let roots = place.next_root();
    // The new root stands, the old one is not wiped yet.
    fault::cut_at(2, Cut::Lost);
    assert!(file.rewrap_root(&roots).is_err());
    assert!(fault::end());
    drop((ring, file));
    assert_eq!(Summary::of(&place.path()).expect("it is whole").roots.len(), 2);
    place.forget_old_roots();
    assert_eq!(reopen(&place, Cut::Lost).len(), 3);
}

#[test]
fn what_was_acknowledged_as_destroyed_stays_so() {
    let place = Place::new();
    let (ring, file) = place.open();
    mint(&ring, 0..20);
    ring.destroy(subject(4), Seq::new(2)).expect("it is destroyed");
    for cut in CUTS {
        for operation in 0..6 {
            let copy = Place { dir: tempfile::tempdir().expect("a directory") };
            std::fs::copy(place.path(), copy.path()).expect("a copy");
            std::fs::copy(place.root(), copy.root()).expect("a copy");
            let (copied, opened) = copy.open();
            fault::cut_at(operation, cut);
            assert!(opened.rotate_wrapping(NOW).is_err());
            assert!(fault::end());
            drop((copied, opened));
            let reopened = reopen(&copy, cut);
            assert!(reopened.of_subject(subject(4)).is_empty(), "operation {operation}, {cut:?}");
            assert_eq!(reopened.floors(), [(subject(4), Seq::new(2))]);
        }
    }
    drop(file);
}

#[test]
fn the_first_failure_is_the_last() {
    let place = Place::new();
    let (ring, file) = place.open();
    mint(&ring, 0..3);
    fault::cut_at(0, Cut::Lost);
    assert!(ring.of_subjects(&wanted(5..6), NOW).is_err());
    fault::end();
    // The disk works again; what it holds is not known until it is read anew.
    assert!(ring.of_subjects(&wanted(6..7), NOW).is_err());
    assert!(ring.destroy(subject(1), Seq::new(2)).is_err());
    assert!(matches!(file.rotate_wrapping(NOW), Err(FileError::Failed { .. })));
    assert!(file.is_failed());
    drop((ring, file));
    assert_eq!(place.open().0.len(), 3);
    File::open(place.path()).expect("it is there");
}
