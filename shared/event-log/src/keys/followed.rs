//! What a partition of `keys` has told, and what is to be done about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Instant;

use keyring::{KeyId, Keyring, Owner};
use memory_core::Handle;
use memory_core::subject::TenantTag;

use super::Error;
use super::entry::{Entry, Wrapped};
use super::wrappings::Wrappings;
use crate::signal::lock;
use crate::{EventLog, Limits, Offset, Partition, Topic};

/// A partition that is followed.
#[derive(Debug, Default)]
pub(super) struct Followed {
    next: Option<Offset>,
    /// Nobody follows it any more: what is read of it now would stay in the ring.
    pub(super) let_go: bool,
    /// Keys below the floor of their subject that no tombstone has been seen of.
    pub(super) late: BTreeSet<(Handle, KeyId)>,
    /// Subjects whose newest record of a floor is lower than an older one: compaction would leave the lower.
    pub(super) lowered: BTreeSet<Handle>,
    /// Keys of epochs that were not known when they were read.
    pending: BTreeMap<(Owner, KeyId), (Offset, Wrapped)>,
}

/// Reads a partition and tells the ring.
pub(super) struct Reader<'a> {
    pub(super) log: &'a dyn EventLog,
    pub(super) ring: &'a Keyring,
    pub(super) partition: Partition,
    pub(super) wrappings: &'a Mutex<Wrappings>,
}

impl Reader<'_> {
    /// Reads to the present end, and answers when that was asked for. Keys of unknown epochs wait.
    pub(super) fn read(&self, followed: &mut Followed) -> Result<Instant, Error> {
        let reading = |source| Error::Log { action: "read", partition: self.partition, source };
        let asked = Instant::now();
        let marks = self.log.watermarks(&Topic::Keys, self.partition).map_err(reading)?;
        let mut next = followed.next.unwrap_or(marks.low);
        while next < marks.high {
            let batch = self.log.read(&Topic::Keys, self.partition, next, Limits::default()).map_err(reading)?;
            for stored in &batch.records {
                let entry = Entry::read(&stored.record);
                let entry = entry.map_err(|bad| Error::bad(self.partition, stored.offset, bad))?;
                self.apply(followed, stored.offset, entry)?;
            }
            if batch.next == next {
                return Err(Error::Stuck { partition: self.partition, offset: next });
            }
            next = batch.next;
            followed.next = Some(next);
        }
        Ok(asked)
    }

    fn apply(&self, followed: &mut Followed, offset: Offset, entry: Entry) -> Result<(), Error> {
        match entry {
            Entry::Wrapping { .. } => Ok(()),
            Entry::Floor { subject, floor } => {
                if floor < self.ring.floor(subject) {
                    followed.lowered.insert(subject);
                } else {
                    followed.lowered.remove(&subject);
                }
                let dead = self.ring.raise_floor(subject, floor);
                followed.late.extend(dead.into_iter().map(|id| (subject, id)));
                let doomed = |(owner, id): &(Owner, KeyId)| *owner == Owner::Subject(subject) && id.since() < floor;
                let waiting: Vec<_> = followed.pending.keys().copied().filter(doomed).collect();
                for name in waiting {
                    followed.pending.remove(&name);
                    followed.late.insert((subject, name.1));
                }
                Ok(())
            }
            Entry::Key(key) => {
                followed.pending.remove(&(key.owner, key.id));
                self.learn(followed, offset, key)
            }
            Entry::Destroyed { owner, id } => {
                self.ring.lose(id);
                let subject = Handle::from_bytes(owner);
                for owner in [Owner::Subject(subject), Owner::Tenant(TenantTag::from_bytes(owner))] {
                    followed.pending.remove(&(owner, id));
                }
                followed.late.remove(&(subject, id));
                Ok(())
            }
        }
    }

    fn learn(&self, followed: &mut Followed, offset: Offset, key: Wrapped) -> Result<(), Error> {
        if let Owner::Subject(subject) = key.owner
            && key.id.since() < self.ring.floor(subject)
        {
            followed.late.insert((subject, key.id));
            return Ok(());
        }
        if self.ring.is_held(key.id) {
            return Ok(());
        }
        let opened = lock(self.wrappings).open(&key);
        match opened {
            Some(Ok(minted)) => self.ring.learn(minted),
            Some(Err(_)) => return Err(Error::tampered(self.partition, offset)),
            None => drop(followed.pending.insert((key.owner, key.id), (offset, key))),
        }
        Ok(())
    }

    /// Tries once more those that wait, and gives up those that still do. Before an epoch dies all keys that anybody has used
    /// are wrapped anew, so one of a dead epoch was never used: whoever made it ended before it could be.
    pub(super) fn settle(&self, followed: &mut Followed) -> Result<(), Error> {
        for (offset, key) in std::mem::take(&mut followed.pending).into_values() {
            self.learn(followed, offset, key)?;
        }
        let newest = lock(self.wrappings).newest();
        for (offset, key) in std::mem::take(&mut followed.pending).into_values() {
            if newest.is_none_or(|newest| key.epoch >= newest) {
                return Err(Error::NoEpoch { partition: self.partition, offset, epoch: key.epoch });
            }
            tracing::warn!(partition = %self.partition, %offset, epoch = key.epoch, "a key of a dead epoch was never used");
        }
        Ok(())
    }
}

impl Followed {
    /// Whether keys wait for their epoch.
    pub(super) fn waits(&self) -> bool {
        !self.pending.is_empty()
    }
}
