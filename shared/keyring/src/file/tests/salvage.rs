//! What is provable of a destroyed key, and what is not.
//!
//! Provable: the file itself does not hold it once it was destroyed, and after the next rotation no copy of its slot, in
//! freed blocks or anywhere, is opened by what the file holds. Not provable by anything that is done to the file: that a copy
//! of *all* of it, its wrapping key included, does not open with its root. It always does; such copies die with the root key
//! ([`KeyFile::rewrap_root`] after a new root, and the old root destroyed). So what matters of an old copy is its wrapping
//! key, and wiping the one in a copy proves nothing about the others.

use super::*;

pub(super) fn salvaged(image: &[u8], roots: &Roots) -> Vec<(Owner, KeyId)> {
    salvage(image, roots).expect("it is read")
}

/// The keys of a ring as a search names them.
fn named(ring: &Keyring) -> Vec<(Owner, KeyId)> {
    let mut all: Vec<_> = ring.all().iter().map(|key| (key.owner, key.id)).collect();
    all.sort_unstable();
    all
}

// law: L09
#[test]
fn a_disk_holds_the_live_keys_and_no_others() {
    let place = Place::new();
    let (ring, file) = place.open();
    mint(&ring, 0..700);
    ring.epoch(TenantTag::from_bytes([3; 16]), NOW).expect("a key");
    let roots = place.source().load().expect("the root");
    let (old, all) = (place.bytes(), named(&ring));
    assert_eq!(salvaged(&old, &roots), all, "it finds what there is");
    ring.destroy(subject(1), Seq::new(5)).expect("it is destroyed");
    let left = named(&ring);
    assert_eq!(left.len(), all.len() - 1);
    assert_eq!(salvaged(&place.bytes(), &roots), left, "the slot was overwritten where it lies");
    // Slots as they lie in freed blocks open as long as the wrapping key stands, wherever they lie.
    let slots = usize::try_from(SLOTS_AT).expect("small");
    let freed = [vec![0xA5; 1_536], old[slots..].to_vec()].concat();
    let disk = || [freed.as_slice(), &[0; 4_096], &place.bytes()].concat();
    assert_eq!(salvaged(&disk(), &roots), all);
    assert_eq!(salvaged(&freed, &roots), [], "alone they are noise");
    file.rotate_wrapping(NOW).expect("it is replaced");
    assert_eq!(salvaged(&disk(), &roots), left, "and after the rotation they are");
    // A whole copy needs nothing but its root.
    let disk = || [old.as_slice(), &place.bytes()].concat();
    assert_eq!(salvaged(&disk(), &roots), all);
    let roots = place.next_root();
    file.rewrap_root(&roots).expect("it is wrapped");
    assert_eq!(salvaged(&disk(), &roots), all, "the old root is still there");
    place.forget_old_roots();
    assert_eq!(salvaged(&disk(), &place.source().load().expect("the new root")), left);
}

#[test]
fn a_search_needs_no_whole_file_and_finds_a_slot_whose_checksum_is_damaged() {
    let place = Place::new();
    let (ring, _file) = place.open();
    mint(&ring, 0..2);
    let roots = place.source().load().expect("the root");
    let mut bytes = place.bytes();
    let of_slot = |index: u32| usize::try_from(slot_at(index)).expect("small");
    bytes[of_slot(0) + SLOT - 1] ^= 1;
    bytes[usize::try_from(PLACES[0]).expect("small") + PLACE - 1] ^= 1;
    assert_eq!(salvaged(&bytes, &roots), named(&ring));
    // The file is cut off in the middle of a sector.
    assert_eq!(salvaged(&bytes[..of_slot(1) + SLOT], &roots), named(&ring));
    assert_eq!(salvaged(&bytes[..of_slot(1)], &roots), named(&ring)[..1]);
    assert_eq!(salvaged(&[], &roots), []);
    let other = Roots::new(crate::RootKey::random().expect("a root"), Vec::new());
    assert_eq!(salvaged(&bytes, &other), []);
}
