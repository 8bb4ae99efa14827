//! A new epoch of wrapping: every key that is alive is wrapped anew, and then the old wrapping keys die.
//!
//! 1. The new wrapping key is written. From then on whoever has heard of it wraps with it.
//! 2. Until everybody must have heard, it waits. Whoever has not heard for too long asks before it keeps a key.
//! 3. It reads all of the topic, and writes every key of an older epoch again, wrapped with the new one; until it finds none.
//! 4. It destroys the older wrapping keys.
//!
//! Broken off anywhere it leaves a topic in which every key opens, and begins again with one more epoch. While it runs keys
//! are destroyed as always. A key may be written again behind its tombstone then: that of a forgotten subject is dead by its
//! floor, and both kinds are found by the next pass, which buries them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use keyring::{KeyId, Owner};
use memory_core::subject::TenantTag;
use memory_core::{Handle, Seq};

use super::entry::{self, Entry, Wrapped};
use super::follower::Stop;
use super::{Error, Inner, ZERO};
use crate::signal::lock;
use crate::{Limits, Offset, Partition, Record, Topic};

pub(super) fn rotate(inner: &Inner, stop: &Stop, settle: Duration) -> Result<u32, Error> {
    inner.read_wrappings()?;
    let epoch = lock(&inner.wrappings).newest().unwrap_or(0) + 1;
    inner.begin_epoch(epoch)?;
    if stop.wait(settle) {
        return Err(Error::Stopped);
    }
    let partitions = Partition::all(inner.log.partitions());
    let mut scans: BTreeMap<Partition, Scan> = partitions.map(|partition| (partition, Scan::default())).collect();
    loop {
        let mut written = 0;
        for (partition, scan) in &mut scans {
            scan.read(inner, *partition, epoch)?;
            let records = scan.to_write(inner, *partition)?;
            written += records.len();
            inner.append(*partition, records)?;
        }
        if written == 0 {
            break;
        }
    }
    inner.read_wrappings()?;
    let dead = lock(&inner.wrappings).tombstones_below(epoch);
    inner.append(ZERO, dead)?;
    inner.read_wrappings()?;
    Ok(epoch)
}

/// What was read of a partition, pass by pass.
#[derive(Debug, Default)]
struct Scan {
    next: Option<Offset>,
    /// Keys that are alive and of an older epoch.
    old: BTreeMap<(Owner, KeyId), (Offset, Wrapped)>,
    destroyed: BTreeSet<([u8; 16], KeyId)>,
    floors: BTreeMap<Handle, Seq>,
    /// Keys that were written behind their tombstone.
    risen: BTreeSet<([u8; 16], KeyId)>,
}

impl Scan {
    fn read(&mut self, inner: &Inner, partition: Partition, epoch: u32) -> Result<(), Error> {
        let reading = |source| Error::Log { action: "read", partition, source };
        let marks = inner.log.watermarks(&Topic::Keys, partition).map_err(reading)?;
        let mut next = self.next.unwrap_or(marks.low);
        while next < marks.high {
            let batch = inner.log.read(&Topic::Keys, partition, next, Limits::default()).map_err(reading)?;
            for stored in batch.records {
                let entry = Entry::read(&stored.record).map_err(|bad| Error::bad(partition, stored.offset, bad))?;
                self.apply(epoch, stored.offset, entry);
            }
            if batch.next == next {
                return Err(Error::Stuck { partition, offset: next });
            }
            next = batch.next;
            self.next = Some(next);
        }
        Ok(())
    }

    fn apply(&mut self, epoch: u32, offset: Offset, entry: Entry) {
        match entry {
            Entry::Wrapping { .. } => {}
            Entry::Floor { subject, floor } => {
                let known = self.floors.entry(subject).or_default();
                *known = floor.max(*known);
            }
            Entry::Key(key) => {
                let name = (*key.owner.as_bytes(), key.id);
                if self.destroyed.contains(&name) {
                    self.risen.insert(name);
                } else if key.epoch < epoch {
                    self.old.insert((key.owner, key.id), (offset, key));
                } else {
                    self.old.remove(&(key.owner, key.id));
                }
            }
            Entry::Destroyed { owner, id } => {
                for owner in [Owner::Subject(Handle::from_bytes(owner)), Owner::Tenant(TenantTag::from_bytes(owner))] {
                    self.old.remove(&(owner, id));
                }
                self.risen.remove(&(owner, id));
                self.destroyed.insert((owner, id));
            }
        }
    }

    fn is_doomed(&self, owner: Owner, id: KeyId) -> bool {
        match owner {
            Owner::Subject(subject) => self.floors.get(&subject).is_some_and(|floor| id.since() < *floor),
            Owner::Tenant(_) => false,
        }
    }

    /// The keys of older epochs, wrapped anew, and tombstones for those that are to be dead.
    fn to_write(&self, inner: &Inner, partition: Partition) -> Result<Vec<Record>, Error> {
        let mut records: Vec<Record> = self.risen.iter().map(|(owner, id)| entry::tombstone(owner, *id)).collect();
        let wrappings = lock(&inner.wrappings);
        let wrapping = wrappings.current().ok_or(Error::NoWrapping)?;
        for (offset, key) in self.old.values() {
            if self.is_doomed(key.owner, key.id) {
                records.push(entry::tombstone(key.owner.as_bytes(), key.id));
                continue;
            }
            match wrappings.open(key) {
                Some(Ok(minted)) => {
                    records.push(entry::put(&minted, wrapping.epoch(), wrapping.wrap(&inner.nonces, &minted)));
                }
                Some(Err(_)) => return Err(Error::tampered(partition, *offset)),
                // Nobody can open it any more, as in a reader: it was never used.
                None => records.push(entry::tombstone(key.owner.as_bytes(), key.id)),
            }
        }
        Ok(records)
    }
}
