//! What is known of an open key file, and the changes of it. Every change is durable when it returns; one that fails ends
//! all changes, because nobody knows then what the disk holds (law L12).

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use memory_core::{Handle, Seq, Timestamp};

use super::disk::Disk;
use super::layout::{CHUNK, Entry, Floor, Held, PLACE, PLACES, Place, SLOT, SLOTS_AT, Slot, slot_at};
use crate::wrap::Wrapping;
use crate::{Doomed, KeyId, Minted, Nonces, Owner, RootKey};

const SLOTS_PER_CHUNK: u32 = (CHUNK / SLOT) as u32;

/// A wrapping key and the place where it stands.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) at: usize,
    pub(super) place: Place,
    pub(super) wrapping: Wrapping,
}

/// Which slot holds what.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    pub(super) used: BTreeMap<(Owner, KeyId), u32>,
    /// Up to where keys of a subject are dead: one that was on its way when the subject was forgotten is not kept.
    pub(super) floors: BTreeMap<Handle, (Seq, u32)>,
    /// The lowest is at the end.
    pub(super) free: Vec<u32>,
    pub(super) count: u32,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) disk: Disk,
    pub(super) current: Standing,
    /// The wrapping key that is on its way out.
    pub(super) former: Option<Standing>,
    pub(super) slots: Slots,
    /// Keys that were destroyed since the wrapping key was made.
    pub(super) destroyed: u64,
    pub(super) failed: bool,
}

impl State {
    pub(super) fn keep(&mut self, nonces: &Nonces, keys: &[Minted]) -> io::Result<()> {
        let wanted: Vec<&Minted> = keys.iter().filter(|key| self.is_wanted(key)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        while self.slots.free.len() < wanted.len() {
            self.grow()?;
        }
        let mut kept = Vec::with_capacity(wanted.len());
        for key in wanted {
            let index = self.slots.free.pop().expect("it has grown");
            self.disk.write(slot_at(index), &wrap(key, &self.current.wrapping, nonces).write())?;
            kept.push(((key.owner, key.id), index));
        }
        self.disk.sync()?;
        self.slots.used.extend(kept);
        Ok(())
    }

    fn is_wanted(&self, key: &Minted) -> bool {
        let doomed = match key.owner {
            Owner::Subject(subject) => key.id.since() < self.floor(subject),
            Owner::Tenant(_) => false,
        };
        !doomed && !self.slots.used.contains_key(&(key.owner, key.id))
    }

    /// Zeros that are durable before they are used: a slot is then overwritten where it lies.
    fn grow(&mut self) -> io::Result<()> {
        let first = self.slots.count;
        let count = first.checked_add(SLOTS_PER_CHUNK).ok_or(ErrorKind::FileTooLarge)?;
        self.disk.write(slot_at(first), &[0; CHUNK])?;
        self.disk.sync()?;
        self.slots.count = count;
        let fresh = (first..count).rev();
        self.slots.free.splice(0..0, fresh);
        Ok(())
    }

    fn floor(&self, subject: Handle) -> Seq {
        self.slots.floors.get(&subject).map_or(Seq::FIRST, |(floor, _)| *floor)
    }

    /// Destroys every key of these subjects that seals from below their floors, and the keys that are named, and writes the
    /// floors down. They outlive the process: without them what a replay seals again would be readable.
    pub(super) fn destroy_subjects(&mut self, doomed: &[Doomed]) -> io::Result<()> {
        let (mut freed, mut wrote) = (Vec::new(), false);
        for Doomed { subject, floor, keys } in doomed {
            let mut slots = self.take_subject(*subject, *floor, keys);
            self.destroyed += slots.len() as u64;
            if *floor > self.floor(*subject) {
                // A slot that held a key is overwritten all the same.
                let index = match self.slots.floors.get(subject) {
                    Some((_, index)) => *index,
                    None if slots.is_empty() => self.free_slot()?,
                    None => slots.remove(0),
                };
                self.disk.write(slot_at(index), &Floor { subject: *subject, floor: *floor }.write())?;
                self.slots.floors.insert(*subject, (*floor, index));
                wrote = true;
            }
            freed.append(&mut slots);
        }
        if freed.is_empty() && !wrote {
            return Ok(());
        }
        self.wipe(freed)
    }

    /// The slots of a subject's keys that seal from below `floor`, and of those that are named; nothing knows of them then.
    fn take_subject(&mut self, subject: Handle, floor: Seq, keys: &[KeyId]) -> Vec<u32> {
        let owner = Owner::Subject(subject);
        let from = (owner, KeyId::from_bytes([0; KeyId::BYTES]));
        let below = self.slots.used.range(from..(owner, KeyId::new(floor, [0; 8]))).map(|(named, _)| *named);
        let mut dead: Vec<(Owner, KeyId)> = below.collect();
        dead.extend(keys.iter().map(|id| (owner, *id)));
        // What is not there was destroyed before.
        dead.iter().filter_map(|named| self.slots.used.remove(named)).collect()
    }

    pub(super) fn destroy(&mut self, dead: &[(Owner, KeyId)]) -> io::Result<()> {
        let freed: Vec<u32> = dead.iter().filter_map(|named| self.slots.used.remove(named)).collect();
        if freed.is_empty() {
            return Ok(());
        }
        self.destroyed += freed.len() as u64;
        self.wipe(freed)
    }

    /// Destroys the keys that a crash has left below their floor.
    pub(super) fn bury_doomed(&mut self) -> io::Result<()> {
        let doomed = |(owner, id): &(Owner, KeyId)| match owner {
            Owner::Subject(subject) => id.since() < self.floor(*subject),
            Owner::Tenant(_) => false,
        };
        let dead: Vec<(Owner, KeyId)> = self.slots.used.keys().filter(|named| doomed(named)).copied().collect();
        self.destroy(&dead)
    }

    /// Wipes slots, and makes durable what was written before.
    fn wipe(&mut self, freed: Vec<u32>) -> io::Result<()> {
        for index in &freed {
            self.disk.write(slot_at(*index), &[0; SLOT])?;
        }
        self.disk.sync()?;
        self.slots.free.extend(freed);
        Ok(())
    }

    fn free_slot(&mut self) -> io::Result<u32> {
        if self.slots.free.is_empty() {
            self.grow()?;
        }
        Ok(self.slots.free.pop().expect("it has grown"))
    }

    /// The first step of a rotation: the next wrapping key stands beside the old one.
    pub(super) fn begin_rotation(&mut self, nonces: &Nonces, root: &RootKey, now: Timestamp) -> io::Result<()> {
        if self.former.is_some() {
            return Ok(());
        }
        let epoch = self.current.place.epoch.checked_add(1).ok_or(ErrorKind::FileTooLarge)?;
        let wrapping = Wrapping::random(epoch).map_err(io::Error::other)?;
        let next = self.stand(nonces, root, wrapping, now)?;
        self.former = Some(std::mem::replace(&mut self.current, next));
        self.destroyed = 0;
        Ok(())
    }

    /// The second step, a chunk at a time: keys are wrapped again. Answers whether there may be more.
    pub(super) fn rotate_chunk(&mut self, nonces: &Nonces, chunk: u32) -> io::Result<bool> {
        let Some(former) = &self.former else { return Ok(false) };
        let Some(first) = chunk.checked_mul(SLOTS_PER_CHUNK).filter(|first| *first < self.slots.count) else {
            return Ok(false);
        };
        let mut bytes = vec![0; CHUNK];
        self.disk.read(slot_at(first), &mut bytes)?;
        let mut changed = false;
        for (slot, index) in bytes.as_chunks_mut::<SLOT>().0.iter_mut().zip(first..) {
            let damaged = || io::Error::new(ErrorKind::InvalidData, format!("slot {index} is damaged"));
            let old = match Entry::read(slot) {
                Held::Nothing | Held::Whole(Entry::Floor(_)) => continue,
                Held::Damaged => return Err(damaged()),
                Held::Whole(Entry::Key(old)) => old,
            };
            if old.epoch != self.current.place.epoch {
                let key = old.open(&former.wrapping).map_err(|_| damaged())?;
                *slot = wrap(&key, &self.current.wrapping, nonces).write();
                changed = true;
            }
        }
        if changed {
            self.disk.write(slot_at(first), &bytes)?;
        }
        Ok(true)
    }

    /// The last step: when all is wrapped again, the old wrapping key is destroyed.
    pub(super) fn finish_rotation(&mut self) -> io::Result<()> {
        let Some(former) = &self.former else { return Ok(()) };
        let at = former.at;
        self.disk.sync()?;
        self.clear(at)?;
        self.former = None;
        Ok(())
    }

    /// Wraps the wrapping key with another root. It stands in both places for a moment, so that there is always a whole one.
    pub(super) fn change_root(&mut self, nonces: &Nonces, root: &RootKey) -> io::Result<()> {
        let old = self.current.at;
        let place = self.write_place(nonces, root, &self.current.wrapping, self.current.place.made)?;
        self.current.place = place;
        self.current.at = 1 - old;
        self.clear(old)
    }

    fn stand(&self, nonces: &Nonces, root: &RootKey, wrapping: Wrapping, made: Timestamp) -> io::Result<Standing> {
        let place = self.write_place(nonces, root, &wrapping, made)?;
        Ok(Standing { at: 1 - self.current.at, place, wrapping })
    }

    /// Writes into the place that is free.
    fn write_place(&self, nonces: &Nonces, root: &RootKey, key: &Wrapping, made: Timestamp) -> io::Result<Place> {
        let place = Place::new(key.epoch(), made, root.id(), root.wrap(nonces, key));
        self.disk.write(PLACES[1 - self.current.at], &place.write())?;
        self.disk.sync()?;
        Ok(place)
    }

    /// Wipes a place.
    pub(super) fn clear(&self, at: usize) -> io::Result<()> {
        self.disk.write(PLACES[at], &[0; PLACE])?;
        self.disk.sync()
    }
}

fn wrap(key: &Minted, with: &Wrapping, nonces: &Nonces) -> Slot {
    let wrapped = with.wrap(nonces, key);
    Slot { owner: key.owner, id: key.id, made: key.made, epoch: with.epoch(), wrapped }
}

/// How many slots a file of this length has; what is behind them was never used.
pub(super) fn slots_of(length: u64) -> u32 {
    let chunks = length.saturating_sub(SLOTS_AT) / CHUNK as u64;
    u32::try_from(chunks).unwrap_or(u32::MAX / SLOTS_PER_CHUNK).saturating_mul(SLOTS_PER_CHUNK)
}
