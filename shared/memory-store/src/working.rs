//! The table of working memory: boundaries as `working` tells them, and subjects that were passivated with an open window.
//!
//! A boundary row is a fold of the topic: of two rows the one with the higher generation and sequence number stands. A
//! spilled row is no fold of anything; it only spares RAM within one run and is thrown away at the next start, when open
//! windows are read from `interactions` again.

use std::collections::BTreeMap;

use event_log::envelope::{OpenFrom, Working};
use event_log::{LogId, Offset, Partition, Topic};
use memory_core::working_memory::{Boundary, WorkingMemory};
use memory_core::{Generation, Handle, Seq};
use rocksdb::WriteBatch;

use crate::keys::{self, KeyKind};
use crate::read::position_bytes;
use crate::{Error, Store, codec};

impl Store {
    /// Folds rows of one partition of `working` that was read up to `next`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn apply_working(&self, log: LogId, partition: Partition, rows: &[Working], next: Offset) -> Result<(), Error> {
        let mut write = WriteBatch::default();
        let family = self.family(KeyKind::Boundary);
        // What stands after the rows so far: the store does not see the batch.
        let mut newest: BTreeMap<Handle, (Generation, Seq)> = BTreeMap::new();
        for row in rows {
            match row {
                Working::Boundary { log: of, boundary } => {
                    let rank = (boundary.generation, boundary.next);
                    let known = match newest.get(&boundary.subject) {
                        Some(rank) => Some(*rank),
                        None => self.boundary(log, boundary.subject)?.map(|known| (known.generation, known.next)),
                    };
                    if known.is_none_or(|known| known <= rank) {
                        newest.insert(boundary.subject, rank);
                        let key = keys::of_subject(KeyKind::Boundary, boundary.subject);
                        write.put_cf(family, key, codec::encode(&(of, boundary)));
                    }
                }
                Working::Open { log: of, partition, marker } => {
                    write.put_cf(family, keys::open_from(*partition), codec::encode(&(of, marker)));
                }
            }
        }
        let key = keys::position(&Topic::Working, partition);
        write.put_cf(self.family(KeyKind::Position), key, position_bytes(log, next));
        self.db.write(write).map_err(|source| Error::Io { what: "write", source })
    }

    /// A subject's state at its newest window's end. Its offsets count only if they are of `log`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn boundary(&self, log: LogId, subject: Handle) -> Result<Option<Boundary>, Error> {
        let Some(bytes) = self.get(KeyKind::Boundary, &keys::of_subject(KeyKind::Boundary, subject))? else {
            return Ok(None);
        };
        let (of, mut boundary): (LogId, Boundary) = codec::decode(KeyKind::Boundary, subject, &bytes)?;
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

    /// Puts a subject with an open window aside.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn spill(&self, memory: &WorkingMemory) -> Result<(), Error> {
        let key = keys::of_subject(KeyKind::Spill, memory.state().subject);
        let written = self.db.put_cf(self.family(KeyKind::Spill), key, codec::encode(memory));
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
        codec::decode(KeyKind::Spill, subject, &bytes).map(Some)
    }

    /// Throws away what an earlier run put aside.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn forget_spilled(&self) -> Result<(), Error> {
        let mut write = WriteBatch::default();
        for row in self.scan(KeyKind::Spill, &KeyKind::Spill.bytes()) {
            write.delete_cf(self.family(KeyKind::Spill), row?.0);
        }
        self.db.write(write).map_err(|source| Error::Io { what: "write", source })
    }
}
