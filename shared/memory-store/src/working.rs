//! The table of working memory: boundaries as `working` tells them, and subjects that were passivated with an open window.
//!
//! A boundary row is a fold of the topic: of two rows the one with the higher generation and sequence number stands, in
//! whatever order they were written. A former owner that was paused may write an older row over a newer one; the topic is
//! compacted and would keep that one, so it is noted until the owner has written the newer row again (law L05). A spilled row is no fold of anything; it only spares RAM within one run and is thrown away at the next start, when open
//! windows are read from `interactions` again.

use std::collections::BTreeMap;

use event_log::envelope::{OpenFrom, Working};
use event_log::{LogId, Offset, Partition, Topic};
use keyring::KeyId;
use memory_core::working_memory::{Boundary, Skeleton, Words, WorkingMemory};
use memory_core::{Generation, Handle, Seq};
use rocksdb::WriteBatch;
use uuid::Uuid;

use crate::keys::{self, KeyKind};
use crate::read::position_bytes;
use crate::{Error, Store, codec};

impl Store {
    /// Folds rows of one partition of `working` that was read up to `next`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn apply_working(&self, log: LogId, partition: Partition, rows: &[Working], next: Offset) -> Result<(), Error> {
        let (write, newest, markers) = (WriteBatch::default(), BTreeMap::new(), BTreeMap::new());
        let mut fold = Fold { store: self, log, partition, write, newest, markers };
        for row in rows {
            match row {
                Working::Boundary { log: of, boundary } => fold.boundary(*of, boundary)?,
                Working::Open { log: of, partition, marker } => fold.marker(*of, *partition, *marker)?,
            }
        }
        let mut write = fold.write;
        let key = keys::position(&Topic::Working, partition);
        write.put_cf(self.family(KeyKind::Position), key, position_bytes(log, next));
        self.db.write(write).map_err(|source| Error::Io { what: "write", source })
    }

    /// What an older row of the topic was written over, by a former owner that did not know that it was one. Compaction
    /// would keep the older row, so the owner must write the newer one again.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Key`].
    pub fn overwritten(&self, partition: Partition) -> Result<Overwritten, Error> {
        let prefix = keys::overwritten(partition, None);
        let mut found = Overwritten::default();
        for row in self.scan(KeyKind::Overwritten, &prefix) {
            let (key, _) = row?;
            if key.len() == prefix.len() {
                found.marker = true;
            } else {
                found.boundaries.push(keys::subject_at_end(KeyKind::Overwritten, &key)?);
            }
        }
        Ok(found)
    }

    /// A subject's state at its newest window's end. Its offsets count only if they are of `log`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn boundary(&self, log: LogId, subject: Handle) -> Result<Option<Boundary>, Error> {
        let key = keys::of_subject(KeyKind::Boundary, subject);
        let Some(bytes) = self.get(KeyKind::Boundary, &key)? else { return Ok(None) };
        let ((of, skeleton), words) =
            codec::open_behind::<(LogId, Skeleton), Words>(&self.ring, KeyKind::Boundary, subject, &key, &bytes)?;
        let mut boundary = Boundary::join(subject, skeleton, words);
        if of != log {
            boundary.folded = Offset::FIRST;
        }
        Ok(Some(boundary))
    }

    /// From where the partition must be read so that every open window is complete; the beginning in another log.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn open_from(&self, log: LogId, partition: Partition) -> Result<OpenFrom, Error> {
        let Some(bytes) = self.get(KeyKind::OpenFrom, &keys::open_from(partition))? else {
            return Ok(OpenFrom::default());
        };
        let nobody = Handle::from_bytes([0; Handle::BYTES]);
        let (of, marker): (LogId, OpenFrom) = codec::decode(KeyKind::OpenFrom, nobody, &bytes)?;
        Ok(if of == log { marker } else { OpenFrom::default() })
    }

    /// Puts a subject with an open window aside, sealed with this key of it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn spill(&self, memory: &WorkingMemory, id: KeyId) -> Result<(), Error> {
        let key = keys::of_subject(KeyKind::Spill, memory.state().subject);
        // Where the key is gone meanwhile, the window is read from the log again.
        let Some(value) = codec::seal(&self.ring, id, &key, memory)? else { return Ok(()) };
        let written = self.db.put_cf(self.family(KeyKind::Spill), key, value);
        written.map_err(|source| Error::Io { what: "write", source })
    }

    /// Takes a subject back that was put aside.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn unspill(&self, subject: Handle) -> Result<Option<WorkingMemory>, Error> {
        let key = keys::of_subject(KeyKind::Spill, subject);
        let Some(bytes) = self.get(KeyKind::Spill, &key)? else { return Ok(None) };
        self.db.delete_cf(self.family(KeyKind::Spill), &key).map_err(|source| Error::Io { what: "write", source })?;
        codec::open(&self.ring, KeyKind::Spill, subject, &key, &bytes)
    }

    /// Throws away what an earlier run, or an earlier owner in this run, put aside of a partition.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Key`].
    pub fn forget_spilled(&self, partition: Partition, partitions: u32) -> Result<(), Error> {
        let mut write = WriteBatch::default();
        for row in self.scan(KeyKind::Spill, &KeyKind::Spill.bytes()) {
            let (key, _) = row?;
            if keys::subject_in(KeyKind::Spill, &key)?.partition(partitions) == partition {
                write.delete_cf(self.family(KeyKind::Spill), key);
            }
        }
        self.db.write(write).map_err(|source| Error::Io { what: "write", source })
    }
}

/// Rows of a partition of `working` that must be written again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overwritten {
    /// Subjects whose newest boundary is not the newest record.
    pub boundaries: Vec<Handle>,
    /// The marker of open windows is not the newest record.
    pub marker: bool,
}

/// A batch of rows on its way into the table.
struct Fold<'a> {
    store: &'a Store,
    log: LogId,
    partition: Partition,
    write: WriteBatch,
    /// What stands after the rows so far: the store does not see the batch.
    newest: BTreeMap<Handle, (Generation, Seq)>,
    markers: BTreeMap<(Uuid, Partition), OpenFrom>,
}

impl Fold<'_> {
    /// Of two boundaries of a subject the one with the higher generation and sequence number stands.
    fn boundary(&mut self, of: LogId, boundary: &Boundary) -> Result<(), Error> {
        let subject = boundary.subject;
        let rank = (boundary.generation, boundary.next);
        let known = match self.newest.get(&subject) {
            Some(rank) => Some(*rank),
            None => self.store.boundary(self.log, subject)?.map(|known| (known.generation, known.next)),
        };
        let stands = known.is_none_or(|known| known <= rank);
        self.overwritten(Some(subject), !stands);
        if stands {
            self.newest.insert(subject, rank);
            let key = keys::of_subject(KeyKind::Boundary, subject);
            let (skeleton, words) = boundary.split();
            let ring = &self.store.ring;
            let id = ring.of_subject(subject).into_iter().find(|id| id.since() == boundary.key_since);
            let value = codec::seal_behind(ring, id, &key, &(of, skeleton), words.as_ref())?;
            self.write.put_cf(self.store.family(KeyKind::Boundary), key, value);
        }
        Ok(())
    }

    /// Of two markers each offset that is further stands: what one owner has said stays true when another says less.
    fn marker(&mut self, of: LogId, partition: Partition, marker: OpenFrom) -> Result<(), Error> {
        let known = match self.markers.get(&(of.uuid(), partition)) {
            Some(known) => *known,
            None => self.store.open_from(of, partition)?,
        };
        let furthest = OpenFrom {
            interactions: known.interactions.max(marker.interactions),
            consolidations: known.consolidations.max(marker.consolidations),
            read: known.read.newest(marker.read),
        };
        self.overwritten(None, furthest != marker);
        self.markers.insert((of.uuid(), partition), furthest);
        let key = keys::open_from(partition);
        self.write.put_cf(self.store.family(KeyKind::OpenFrom), key, codec::encode(&(of, furthest)));
        Ok(())
    }

    fn overwritten(&mut self, subject: Option<Handle>, yes: bool) {
        let (family, key) = (self.store.family(KeyKind::Overwritten), keys::overwritten(self.partition, subject));
        if yes {
            self.write.put_cf(family, key, []);
        } else {
            self.write.delete_cf(family, key);
        }
    }
}
