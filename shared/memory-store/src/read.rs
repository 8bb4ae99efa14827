//! What is read from a store: banks, rows, indexes and positions.
//!
//! A bank and the number of its next step are read as of one moment. In one process the consolidator writes the store
//! that recall reads: a bank with older rows than its number says would never hear of the step in between.

use event_log::anchor::{self, Anchor};
use event_log::{EventLog, LogId, Offset, Partition, Topic};
use memory_core::memory::Revision;
use memory_core::refold::{Rows, StepGap};
use memory_core::step::{Consumed, Fate, FateRow, Row, RowKey, SubjectRow};
use memory_core::subject::TenantTag;
use memory_core::vector::Embed;
use memory_core::{Bank, EventId, Generation, Handle, MemoryId, Seq, StepNumber, TenantId};
use rocksdb::IteratorMode;
use serde::{Deserialize, Serialize};

use crate::chain::Chain;
use crate::codec;
use crate::keys::{self, KeyKind, ROW_KINDS};
use crate::store::{KeyAndValue, range};
use crate::{Error, Store};

/// Where a subject's steps stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepNumbers {
    /// The number of the next step, and who wrote the one before it.
    pub chain: Chain,
    /// The number after the last complete snapshot; the first when there was none.
    pub after_snapshot: StepNumber,
    /// The number that the last complete snapshot begins at: what is below it is replaced.
    pub snapshot_from: StepNumber,
    /// What is remembered now is sealed with keys that seal from here on; a forget moves it.
    pub key_since: Seq,
    /// Where the next window begins. In the clear, since it must be known of what nobody can read any more.
    pub consolidated: Seq,
    /// Whose tenant the subject is.
    pub tenant: Option<TenantTag>,
}

/// A step that lost and is not buried yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loser {
    /// The key of its record.
    pub key: Vec<u8>,
    pub subject: Handle,
    pub consumed: Option<Consumed>,
}

impl Store {
    /// The memories of a subject. One that has none yet has an empty bank.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn bank(&self, subject: Handle) -> Result<Bank, Error> {
        let (next, rows) = self.rows_now(&[KeyKind::Subject, KeyKind::Memory], subject)?;
        Ok(Bank::load(next, rows))
    }

    /// The memories of a subject, ready to be ranked.
    ///
    /// # Errors
    /// As [`Store::bank`].
    pub fn ranked_bank(&self, subject: Handle, embed: &'static dyn Embed) -> Result<Bank, Error> {
        let (next, rows) = self.rows_now(&[KeyKind::Subject, KeyKind::Memory], subject)?;
        Ok(Bank::load_ranked(next, rows, embed))
    }

    /// Every row of a subject, in the order of the canonical dump.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn rows(&self, subject: Handle) -> Result<Rows, Error> {
        let (next, rows) = self.rows_now(&ROW_KINDS, subject)?;
        Ok(Rows::from_rows(next, rows))
    }

    /// The rows of some kinds and the number of the next step, as of one moment.
    fn rows_now(&self, kinds: &[KeyKind], subject: Handle) -> Result<(StepNumber, Vec<Row>), Error> {
        let io = |source| Error::Io { what: "read", source };
        let moment = self.db.snapshot();
        let key = keys::of_subject(KeyKind::NextStep, subject);
        let numbers = moment.get_cf(self.family(KeyKind::NextStep), key).map_err(io)?;
        let numbers = numbers_in(subject, numbers)?;
        let mut rows = Vec::new();
        for kind in kinds {
            let options = range(&keys::of_subject(*kind, subject));
            for row in moment.iterator_cf_opt(self.family(*kind), options, IteratorMode::Start) {
                let (key, value) = row.map_err(io)?;
                rows.extend(codec::decode_row(&self.ring, *kind, subject, &key, &value)?);
            }
        }
        if numbers.consolidated > Seq::FIRST && !rows.iter().any(|row| matches!(row, Row::Subject(_))) {
            // Its key is gone, and the forget that took it is still to be read.
            let next = numbers.consolidated;
            rows.push(Row::Subject(SubjectRow { owner: None, generation: Generation::FIRST, next, forgotten: None }));
        }
        Ok((numbers.chain.next, rows))
    }

    /// The sequence number up to which the subject is consolidated.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn consolidated(&self, subject: Handle) -> Result<Seq, Error> {
        self.step_numbers(subject).map(|numbers| numbers.consolidated)
    }

    /// The number of the subject's next step.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn next_step(&self, subject: Handle) -> Result<StepNumber, Error> {
        self.step_numbers(subject).map(|numbers| numbers.chain.next)
    }

    /// How far the subject's steps have come, and where its last snapshot ended.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn step_numbers(&self, subject: Handle) -> Result<StepNumbers, Error> {
        let found = self.get(KeyKind::NextStep, &keys::of_subject(KeyKind::NextStep, subject))?;
        numbers_in(subject, found)
    }

    /// The keys of the records of `memories` that hold the subject's steps below `number`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn step_records(&self, subject: Handle, number: StepNumber) -> Result<Vec<Vec<u8>>, Error> {
        let prefix = keys::of_subject(KeyKind::StepWriter, subject);
        let end = [prefix.as_slice(), &number.get().to_be_bytes()].concat();
        let mut keys = Vec::new();
        for row in self.scan(KeyKind::StepWriter, &prefix) {
            let (key, _) = row?;
            if *key < *end {
                keys.push(key[2..].to_vec());
            }
        }
        Ok(keys)
    }

    /// The steps that lost and are not buried yet, of all subjects or of one: the keys of their records, and how far their
    /// writers said that `consolidations` was consumed.
    ///
    /// They are buried once those windows are settled, by whoever owns them, because the loss of a step is what warns of
    /// its writer's later words; and before any step of the subject that a snapshot replaced, because a reader that misses
    /// such a step could not tell who lost to it.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn losers(&self, of: Option<Handle>) -> Result<Vec<Loser>, Error> {
        let prefix =
            of.map_or_else(|| KeyKind::Loser.bytes().to_vec(), |subject| keys::of_subject(KeyKind::Loser, subject));
        let loser = |row: Result<KeyAndValue, Error>| {
            let (key, value) = row?;
            let subject = keys::subject_in(KeyKind::Loser, &key)?;
            let consumed = codec::decode(KeyKind::Loser, subject, &value)?;
            Ok(Loser { key: key[2..].to_vec(), subject, consumed })
        };
        self.scan(KeyKind::Loser, &prefix).map(loser).collect()
    }

    /// A step of one of these partitions that does not connect to those before it, and where it stands. While the log is
    /// being read, the snapshot that replaced it may be still to come; at its end it is a loss.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`], [`Error::Key`].
    pub fn missing(&self, partition: Partition, partitions: u32) -> Result<Option<(Offset, StepGap)>, Error> {
        for row in self.scan(KeyKind::Unconnected, &KeyKind::Unconnected.bytes()) {
            let (key, value) = row?;
            let subject = keys::subject_in(KeyKind::Unconnected, &key)?;
            if subject.partition(partitions) == partition {
                let (offset, expected, found) = codec::decode(KeyKind::Unconnected, subject, &value)?;
                return Ok(Some((offset, StepGap { subject, expected, found })));
            }
        }
        Ok(None)
    }

    /// All subjects, in the order of their handles.
    pub fn subjects(&self) -> impl Iterator<Item = Result<Handle, Error>> {
        self.scan(KeyKind::Subject, &KeyKind::Subject.bytes()).map(|row| keys::subject_in(KeyKind::Subject, &row?.0))
    }

    /// What a memory said before, oldest first.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn revisions(&self, subject: Handle, memory: MemoryId) -> Result<Vec<Revision>, Error> {
        let rows = self.scan(KeyKind::Revision, &keys::revisions_of(subject, memory));
        let open = |row: Result<KeyAndValue, Error>| {
            let (key, value) = row?;
            codec::open(&self.ring, KeyKind::Revision, subject, &key, &value)
        };
        rows.filter_map(|row| open(row).transpose()).collect()
    }

    /// What became of an event of the subject; `None` before a step covers it.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn fate(&self, subject: Handle, event: &EventId) -> Result<Option<Fate>, Error> {
        let (kind, key) = keys::row(&self.secret, subject, &RowKey::Fate(event.clone()));
        let Some(bytes) = self.get(kind, &key)? else { return Ok(None) };
        let row: Option<FateRow> = codec::open(&self.ring, kind, subject, &key, &bytes)?;
        Ok(row.map(|row| row.fate))
    }

    /// What stands for a tenant in the indexes.
    #[must_use]
    pub fn tag(&self, tenant: &TenantId) -> TenantTag {
        tenant.tag(&self.secret)
    }

    /// The subject of a tenant's memory; `None` when the tenant has no such memory, whoever else has.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Key`].
    pub fn subject_of_memory(&self, tenant: TenantTag, memory: MemoryId) -> Result<Option<Handle>, Error> {
        let found = self.get(KeyKind::MemoryIndex, &keys::memory_index(tenant, memory))?;
        found.map(|bytes| keys::subject_at_end(KeyKind::MemoryIndex, &bytes)).transpose()
    }

    /// The tenant's subjects that have an event of this id, mostly one.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Key`].
    pub fn subjects_of_event(&self, tenant: TenantTag, event: &EventId) -> Result<Vec<Handle>, Error> {
        let rows = self.scan(KeyKind::EventIndex, &keys::event_index_prefix(&self.secret, tenant, event));
        rows.map(|row| keys::subject_at_end(KeyKind::EventIndex, &row?.0)).collect()
    }

    /// How far the store has read a topic of this log; the beginning when it never did.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn position(&self, log: LogId, topic: &Topic, partition: Partition) -> Result<Offset, Error> {
        let found = self.get(KeyKind::Position, &keys::position(topic, partition))?;
        Ok(found.and_then(|bytes| position_in(&bytes, log)).unwrap_or(Offset::FIRST))
    }

    /// The newest record of a topic of this log that was read for the store; `None` when that was never noted.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn anchor(&self, log: LogId, topic: &Topic, partition: Partition) -> Result<Option<Anchor>, Error> {
        let found = self.get(KeyKind::Anchor, &keys::anchor(topic, partition))?;
        Ok(found.and_then(|bytes| {
            let (position, hash) = bytes.split_last_chunk()?;
            Some(Anchor { offset: position_in(position, log)?, hash: u64::from_be_bytes(*hash) })
        }))
    }

    /// Looks whether the topic is still the one that was read for the store.
    ///
    /// # Errors
    /// [`Error::Log`] of [`event_log::Error::Replaced`] or [`event_log::Error::Beyond`] when it is not; [`Error::Io`].
    pub fn check_anchor(&self, log: &dyn EventLog, topic: &Topic, partition: Partition) -> Result<(), Error> {
        let Some(anchor) = self.anchor(log.id(), topic, partition)? else { return Ok(()) };
        anchor::check(log, topic, partition, &anchor).map_err(Error::Log)
    }
}

fn numbers_in(subject: Handle, found: Option<Vec<u8>>) -> Result<StepNumbers, Error> {
    found.map_or_else(|| Ok(StepNumbers::default()), |bytes| codec::decode(KeyKind::NextStep, subject, &bytes))
}

/// A stored position is the name of its log and an offset. In another log it means nothing.
pub(crate) fn position_bytes(log: LogId, next: Offset) -> Vec<u8> {
    [keys::log_bytes(log.uuid()).as_slice(), &next.get().to_be_bytes()].concat()
}

/// An anchor is stored as the position of its record, and its hash.
pub(crate) fn anchor_bytes(log: LogId, anchor: &Anchor) -> Vec<u8> {
    [position_bytes(log, anchor.offset).as_slice(), &anchor.hash.to_be_bytes()].concat()
}

pub(crate) fn position_in(bytes: &[u8], log: LogId) -> Option<Offset> {
    let (name, offset) = bytes.split_at_checked(16)?;
    (name == keys::log_bytes(log.uuid())).then(|| offset.try_into().ok().map(u64::from_be_bytes).map(Offset::new))?
}
