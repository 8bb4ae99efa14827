//! Reading a key file: which wrapping keys stand, and which slot holds what.
//!
//! What a crash may leave is told from damage by what the steps of a rotation allow. Two wrapping keys: the rotation is
//! finished later. One of the same epoch twice: a change of the root, either is right. A place that is torn beside a whole
//! one: it was being written or wiped, so no key may be of its epoch. Everything else is damage, and is refused.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use super::disk::Disk;
use super::layout::{self, CHUNK, Entry, Floor, Held, NotOurs, PLACES, Place, SLOT, SLOTS_AT, slot_at};
use super::state::{Slots, Standing, slots_of};
use super::{FileError, FileId};
use crate::{Keyring, Minted, RootName, Roots};

/// The wrapping keys of a file.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) current: Standing,
    pub(super) former: Option<Standing>,
    /// A place that holds nothing of use.
    pub(super) waste: Option<usize>,
}

pub(super) fn identity(disk: &Disk, path: &Path) -> Result<FileId, FileError> {
    let other = || FileError::Other { path: path.to_owned() };
    let short = |error: &std::io::Error| error.kind() == ErrorKind::UnexpectedEof;
    let bytes = disk.read_array(0).map_err(|error| if short(&error) { other() } else { io("read", path)(error) })?;
    layout::read_identity(&bytes).map(FileId).map_err(|error| match error {
        NotOurs::Other => other(),
        NotOurs::Format(format) => FileError::Format { path: path.to_owned(), format },
    })
}

/// What stands in the places, whole or not.
pub(super) fn standing(disk: &Disk, path: &Path) -> Result<[Held<Place>; 2], FileError> {
    let read = |at: u64| disk.read_array(at).map(|bytes| Place::read(&bytes)).map_err(cut_off(path));
    Ok([read(PLACES[0])?, read(PLACES[1])?])
}

pub(super) fn places(disk: &Disk, path: &Path, roots: &Roots) -> Result<Places, FileError> {
    let (mut whole, mut waste) = (Vec::new(), None);
    for (at, held) in standing(disk, path)?.into_iter().enumerate() {
        match held {
            Held::Nothing => {}
            Held::Damaged => waste = Some(at),
            Held::Whole(place) => whole.push((at, place)),
        }
    }
    if whole.is_empty() {
        return Err(damaged(path, "no wrapping key stands in it"));
    }
    let same = whole.len() == 2 && whole[0].1.epoch == whole[1].1.epoch;
    let (mut opened, mut closed) = (Vec::new(), Vec::new());
    for (at, place) in whole {
        let Some(root) = roots.find(place.root) else {
            closed.push((at, RootName(place.root)));
            continue;
        };
        let wrapping = place
            .open(root)
            .map_err(|_| damaged(path, format!("the wrapping key in place {at} does not open with its own root")))?;
        opened.push(Standing { at, place, wrapping });
    }
    // Of two that are the same, the one of the current root goes on, and one is enough.
    let order = |standing: &Standing| (standing.place.epoch, standing.place.root == roots.current().id());
    opened.sort_by_key(order);
    let current = if closed.is_empty() || same { opened.pop() } else { None };
    let Some(current) = current else {
        let needed = closed.into_iter().map(|(_, root)| root).collect();
        let given = roots.iter().map(|root| root.name()).collect();
        return Err(FileError::WrongRoot { path: path.to_owned(), needed, given });
    };
    if same {
        waste = Some(1 - current.at);
        opened.clear();
    }
    Ok(Places { current, former: opened.pop(), waste })
}

/// Every slot; answers how many.
pub(super) fn slots(disk: &Disk, path: &Path, mut each: impl FnMut(u32, Option<Entry>)) -> Result<u32, FileError> {
    let length = disk.len().map_err(io("read", path))?;
    let count = slots_of(length);
    let mut bytes = vec![0; CHUNK];
    for first in (0..count).step_by(CHUNK / SLOT) {
        disk.read(slot_at(first), &mut bytes).map_err(io("read", path))?;
        for (slot, index) in bytes.as_chunks::<SLOT>().0.iter().zip(first..) {
            match Entry::read(slot) {
                Held::Nothing => each(index, None),
                Held::Whole(entry) => each(index, Some(entry)),
                Held::Damaged => return Err(damaged(path, format!("slot {index} is not what was written"))),
            }
        }
    }
    // A crash while the file grows leaves zeros; keys behind the last whole chunk have been cut off from others.
    let rest = usize::try_from(length.saturating_sub(slot_at(count)).min(CHUNK as u64)).unwrap_or(CHUNK);
    disk.read(slot_at(count), &mut bytes[..rest]).map_err(io("read", path))?;
    if bytes[..rest].iter().any(|byte| *byte != 0) {
        return Err(damaged(path, "it has been cut off"));
    }
    Ok(count)
}

/// What the slots hold.
#[derive(Debug)]
pub(super) struct Contents {
    /// Where everything lies.
    pub(super) slots: Slots,
    /// Opened.
    pub(super) keys: Vec<Minted>,
}

impl Contents {
    /// Tells a ring that knows nothing yet. What is doomed it does not take in.
    pub(super) fn teach(self, ring: &Keyring) {
        for (subject, (floor, _)) in &self.slots.floors {
            ring.raise_floor(*subject, *floor);
        }
        self.keys.into_iter().for_each(|key| ring.learn(key));
    }
}

/// Every key and every floor.
pub(super) fn contents(disk: &Disk, path: &Path, places: &Places) -> Result<Contents, FileError> {
    let (mut found, mut forgotten, mut free) = (Vec::new(), Vec::new(), Vec::new());
    let count = slots(disk, path, |index, slot| match slot {
        None => free.push(index),
        Some(Entry::Key(slot)) => found.push((index, slot)),
        Some(Entry::Floor(floor)) => forgotten.push((index, floor)),
    })?;
    free.reverse();
    let mut floors = BTreeMap::new();
    for (index, Floor { subject, floor }) in forgotten {
        if floors.insert(subject, (floor, index)).is_some() {
            return Err(damaged(path, format!("slot {index} holds a floor of a subject that another one has too")));
        }
    }
    let (mut used, mut keys) = (BTreeMap::new(), Vec::with_capacity(found.len()));
    for (index, slot) in found {
        let of = |standing: &&Standing| standing.place.epoch == slot.epoch;
        let standing = std::iter::once(&places.current).chain(&places.former).find(of);
        let standing = standing.ok_or_else(|| {
            damaged(path, format!("slot {index} is of epoch {}, whose wrapping key is not there", slot.epoch))
        })?;
        let key = slot
            .open(&standing.wrapping)
            .map_err(|_| damaged(path, format!("the key in slot {index} does not open")))?;
        if used.insert((slot.owner, slot.id), index).is_some() {
            return Err(damaged(path, format!("slot {index} holds a key that another one holds")));
        }
        keys.push(key);
    }
    Ok(Contents { slots: Slots { used, floors, free, count }, keys })
}

pub(super) fn io(what: &'static str, path: &Path) -> impl Fn(std::io::Error) -> FileError {
    move |source| FileError::Io { what, path: path.to_owned(), source }
}

fn cut_off(path: &Path) -> impl Fn(std::io::Error) -> FileError {
    move |error| {
        let short = error.kind() == ErrorKind::UnexpectedEof;
        if short { damaged(path, "it has been cut off") } else { io("read", path)(error) }
    }
}

pub(super) fn damaged(path: &Path, what: impl Into<String>) -> FileError {
    FileError::Damaged { path: path.to_owned(), what: what.into() }
}

/// Where slots begin: a file is at least as long.
pub(super) const LENGTH_MIN: u64 = SLOTS_AT;
