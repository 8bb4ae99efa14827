//! Applying steps: rows, marks and positions in one batch (law L02).

use std::collections::BTreeMap;

use event_log::anchor::Anchor;
use event_log::envelope::{self, After};
use event_log::{LogId, Offset, Partition, Stored, Topic};
use keyring::{KeyId, Keyring};
use memory_core::forget::Erased;
use memory_core::step::{Body, Change, Consumed, Row, RowKey, Step};
use memory_core::subject::TenantTag;
use memory_core::{Handle, Seq, StepNumber};
use rocksdb::WriteBatch;
use uuid::Uuid;

use crate::chain::Link;
use crate::keys::{self, KeyKind, ROW_KINDS};
use crate::read::StepNumbers;
use crate::receipts::ReceiptRow;
use crate::{Error, Store, codec, read};

/// What became of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was the first that continued the steps which count.
    Applied,
    /// It was read before, or stands in the log twice.
    Known,
    /// Another with its number came first, or one with the number of a step that it was decided on.
    Lost,
    /// Steps before it are missing. A snapshot has replaced them and it, or the log is damaged: see [`Store::missing`].
    Unconnected { expected: StepNumber },
    /// It was a tombstone.
    Gone,
}

/// A record of `memories`: a step, or the tombstone of one.
#[derive(Clone, Debug)]
pub struct Record {
    pub offset: Offset,
    pub key: Vec<u8>,
    /// What the step was decided on.
    pub after: Option<After>,
    pub step: Option<Step>,
    /// What it is sealed with, and so are the rows that come of it.
    pub sealed_with: Option<KeyId>,
}

impl Record {
    /// Decodes a record of `memories`.
    ///
    /// # Errors
    /// [`envelope::Error`] when it is none.
    pub fn read(ring: &Keyring, stored: &Stored) -> Result<Self, envelope::Error> {
        let (after, step) = (envelope::after_of(stored)?, envelope::read_step(ring, stored)?);
        let sealed_with = envelope::sealed_with(&stored.record);
        Ok(Self { offset: stored.offset, key: stored.record.key.clone(), after, step, sealed_with })
    }
}

impl Store {
    /// Applies steps of one partition, in the order of the log, and notes that `memories` was read up to `next`, and what
    /// the newest record of it is known by again.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`]; then nothing of the batch need be applied.
    pub fn apply(
        &self,
        log: LogId,
        partition: Partition,
        records: &[Record],
        next: Offset,
        newest: Option<Anchor>,
    ) -> Result<Vec<Verdict>, Error> {
        let verdicts = self.judge(records)?;
        let mut batch = Batch::new(self, log, partition);
        for (record, verdict) in records.iter().zip(&verdicts) {
            match (&record.step, record.link(), verdict) {
                (Some(step), Some(link), Verdict::Applied) => batch.step(record, &link, step)?,
                (Some(step), Some(link), Verdict::Lost) => batch.lost(&record.key, &link, step),
                (Some(step), Some(_), Verdict::Unconnected { expected }) => {
                    batch.unconnected(record.offset, *expected, step);
                }
                (Some(_), Some(_), Verdict::Known | Verdict::Gone) => {}
                (None, _, _) | (_, None, _) => {
                    batch.delete(KeyKind::StepWriter, &keys::step_writer(&record.key));
                    batch.delete(KeyKind::Loser, &keys::loser(&record.key));
                }
            }
        }
        if let Some(newest) = newest {
            batch.anchor(&Topic::Memories, partition, &newest);
        }
        batch.write(next)?;
        Ok(verdicts)
    }
}

struct Batch<'a> {
    store: &'a Store,
    log: LogId,
    partition: Partition,
    write: WriteBatch,
    /// Step numbers as they are after the batch so far.
    numbers: BTreeMap<Handle, StepNumbers>,
    /// What the record at hand is sealed with.
    key: Option<KeyId>,
    /// Writers, and whether a step of theirs has lost in this partition.
    lost: BTreeMap<Uuid, bool>,
    /// How far `consolidations` was consumed, after the batch so far.
    consumed: Option<Offset>,
}

impl<'a> Batch<'a> {
    fn new(store: &'a Store, log: LogId, partition: Partition) -> Self {
        let (numbers, lost) = (BTreeMap::new(), BTreeMap::new());
        Self { store, log, partition, write: WriteBatch::default(), numbers, key: None, lost, consumed: None }
    }

    fn step(&mut self, record: &Record, link: &Link, step: &Step) -> Result<(), Error> {
        let subject = step.subject;
        let mut numbers = match self.numbers.get(&subject) {
            Some(numbers) => *numbers,
            None => self.store.step_numbers(subject)?,
        };
        numbers.chain = numbers.chain.then(link);
        self.key = record.sealed_with;
        // Compaction may have left no step that erases; whoever seals next must still not go back to a dead key.
        let since = record.sealed_with.map_or(Seq::FIRST, |id| id.since());
        numbers.key_since = numbers.key_since.max(since);
        match &step.body {
            Body::Changes { changes, to, .. } => {
                numbers.consolidated = *to;
                self.changes(subject, changes, &mut numbers)?;
            }
            Body::Snapshot { part, parts, rows, erased } => {
                // A snapshot looks at what is stored, so what the batch holds must be: with the position before it.
                self.write(record.offset)?;
                self.snapshot(step, link.writer, (*part, *parts), rows, &mut numbers)?;
                if part + 1 == *parts {
                    numbers.after_snapshot = numbers.chain.next;
                    numbers.snapshot_from = StepNumber::new(step.number.get().saturating_sub(u64::from(*part)));
                    self.delete(KeyKind::Unconnected, &keys::of_subject(KeyKind::Unconnected, subject));
                }
                if let Some(erased) = erased {
                    numbers.consolidated = erased.next;
                    numbers.key_since = numbers.key_since.max(erased.floor);
                    self.erased(subject, erased)?;
                }
            }
        }
        self.numbers.insert(subject, numbers);
        let next_step = keys::of_subject(KeyKind::NextStep, subject);
        self.put(KeyKind::NextStep, &next_step, &codec::encode(&numbers));
        self.put(KeyKind::StepWriter, &keys::step_writer(&record.key), &[]);
        self.consumed(link.writer, step.consumed.as_ref())
    }

    /// Notes how far `consolidations` was consumed. A writer of which a step has lost is not believed any more: what it
    /// decided together with that one must be decided again, though its later steps say that they come after it.
    fn consumed(&mut self, writer: Uuid, consumed: Option<&Consumed>) -> Result<(), Error> {
        let Some(consumed) = consumed.filter(|consumed| consumed.log == self.log.uuid()) else { return Ok(()) };
        let lost = match self.lost.get(&writer) {
            Some(lost) => *lost,
            None => self.store.get(KeyKind::LostWriter, &keys::lost_writer(writer, self.partition))?.is_some(),
        };
        self.lost.insert(writer, lost);
        if lost {
            return Ok(());
        }
        let before = match self.consumed {
            Some(before) => before,
            None => self.store.position(self.log, &Topic::Consolidations, consumed.partition)?,
        };
        // Of two writers one may be behind, and what it says of less is true as well.
        let next = consumed.next.max(before);
        if let Some(anchor) = consumed.anchor.filter(|_| next == consumed.next) {
            self.anchor(&Topic::Consolidations, consumed.partition, &anchor);
        }
        self.consumed = Some(next);
        let key = keys::position(&Topic::Consolidations, consumed.partition);
        self.put(KeyKind::Position, &key, &read::position_bytes(self.log, next));
        Ok(())
    }

    fn lost(&mut self, key: &[u8], link: &Link, step: &Step) {
        self.lost.insert(link.writer, true);
        self.put(KeyKind::LostWriter, &keys::lost_writer(link.writer, self.partition), &[]);
        self.put(KeyKind::Loser, &keys::loser(key), &codec::encode(&step.consumed));
    }

    fn unconnected(&mut self, offset: Offset, expected: StepNumber, step: &Step) {
        let key = keys::of_subject(KeyKind::Unconnected, step.subject);
        self.put(KeyKind::Unconnected, &key, &codec::encode(&(offset, expected, step.number)));
    }

    fn changes(&mut self, subject: Handle, changes: &[Change], numbers: &mut StepNumbers) -> Result<(), Error> {
        let rows = changes.iter().filter_map(|change| match change {
            Change::Put(row) => Some(row),
            Change::Delete(_) => None,
        });
        let tag = self.tag(rows, numbers);
        for change in changes {
            match change {
                Change::Put(row) => self.put_row(subject, tag, row)?,
                Change::Delete(key) => self.delete_row(subject, tag, key),
            }
        }
        Ok(())
    }

    /// Notes a forget that is to be completed, unless that is known to have been done: receipts may be read before the
    /// snapshot that they tell of.
    fn erased(&mut self, subject: Handle, erased: &Erased) -> Result<(), Error> {
        let known = self.store.receipt(erased.tenant, erased.receipt)?;
        if known.as_ref().is_some_and(|row| row.verified.is_some()) {
            return Ok(());
        }
        if known.is_none() {
            let key = keys::receipt(erased.tenant, erased.receipt);
            self.put(KeyKind::Receipt, &key, &codec::encode(&ReceiptRow::begun(subject, erased.clone())));
        }
        let name = (erased.tenant, erased.receipt);
        self.put(KeyKind::Pending, &keys::pending(subject, erased.floor), &codec::encode(&name));
        Ok(())
    }

    /// Parts wait in the store until the last one is there; then they replace every row of the subject.
    fn snapshot(
        &mut self,
        step: &Step,
        writer: Uuid,
        (part, parts): (u32, u32),
        rows: &[Row],
        numbers: &mut StepNumbers,
    ) -> Result<(), Error> {
        let (subject, ends) = (step.subject, part + 1 == parts);
        let prefix = keys::of_subject(KeyKind::SnapshotPart, subject);
        let own = [prefix.as_slice(), writer.as_bytes()].concat();
        let mut all: Vec<Row> = Vec::new();
        if part == 0 || ends {
            for waiting in self.store.scan(KeyKind::SnapshotPart, &prefix) {
                let (name, value) = waiting?;
                self.delete(KeyKind::SnapshotPart, &name);
                // What waits when a snapshot begins is the rest of one that never ended.
                if part > 0 && name.starts_with(&own) {
                    let part: Option<Vec<Row>> =
                        codec::open(&self.store.ring, KeyKind::SnapshotPart, subject, &name, &value)?;
                    all.extend(part.into_iter().flatten());
                }
            }
        }
        if !ends {
            let key = [own.as_slice(), &part.to_be_bytes()].concat();
            if let Some(id) = self.key
                && let Some(value) = codec::seal(&self.store.ring, id, &key, &rows)?
            {
                self.put(KeyKind::SnapshotPart, &key, &value);
            }
            return Ok(());
        }
        all.extend(rows.iter().cloned());
        if let Some(subject_row) = all.iter().find_map(|row| if let Row::Subject(row) = row { Some(row) } else { None })
        {
            numbers.consolidated = subject_row.next;
        }
        let tag = self.tag(all.iter(), numbers);
        self.delete_all_rows(subject, tag)?;
        all.iter().try_for_each(|row| self.put_row(subject, tag, row))
    }

    /// Removes every stored row of a subject. It looks at keys alone: a snapshot also replaces a row that nobody can
    /// read any more.
    fn delete_all_rows(&mut self, subject: Handle, tag: Option<TenantTag>) -> Result<(), Error> {
        for kind in ROW_KINDS {
            for row in self.store.scan(kind, &keys::of_subject(kind, subject)) {
                let (key, _) = row?;
                self.delete(kind, &key);
                if let Some((index, key)) = tag.and_then(|tag| keys::index_of(tag, subject, kind, &key)) {
                    self.delete(index, &key);
                }
            }
        }
        Ok(())
    }

    /// The tenant of a subject, from the subject row that comes with a step, or as it was noted with an earlier one.
    fn tag<'r>(&self, mut rows: impl Iterator<Item = &'r Row>, numbers: &mut StepNumbers) -> Option<TenantTag> {
        let owner = rows.find_map(|row| if let Row::Subject(row) = row { row.owner.as_ref() } else { None });
        if let Some(owner) = owner {
            numbers.tenant = Some(owner.tenant.tag(&self.store.secret));
        }
        numbers.tenant
    }

    fn put_row(&mut self, subject: Handle, tag: Option<TenantTag>, row: &Row) -> Result<(), Error> {
        let (kind, key) = keys::row(&self.store.secret, subject, &row.key());
        // A row of a key that was destroyed meanwhile is one that nobody may read any more.
        let Some(value) = codec::encode_row(&self.store.ring, self.key, &key, row)? else { return Ok(()) };
        self.put(kind, &key, &value);
        if let Some((index, key)) = tag.and_then(|tag| keys::index_of(tag, subject, kind, &key)) {
            // The key of an event's index names the subject already.
            let value: &[u8] = if index == KeyKind::MemoryIndex { subject.as_bytes() } else { &[] };
            self.put(index, &key, value);
        }
        Ok(())
    }

    fn delete_row(&mut self, subject: Handle, tag: Option<TenantTag>, row: &RowKey) {
        let (kind, key) = keys::row(&self.store.secret, subject, row);
        self.delete(kind, &key);
        if let Some((index, key)) = tag.and_then(|tag| keys::index_of(tag, subject, kind, &key)) {
            self.delete(index, &key);
        }
    }

    fn anchor(&mut self, topic: &Topic, partition: Partition, anchor: &Anchor) {
        let bytes = read::anchor_bytes(self.log, anchor);
        self.put(KeyKind::Anchor, &keys::anchor(topic, partition), &bytes);
    }

    /// Writes what the batch holds with the position up to which that is.
    fn write(&mut self, next: Offset) -> Result<(), Error> {
        let key = keys::position(&Topic::Memories, self.partition);
        self.put(KeyKind::Position, &key, &read::position_bytes(self.log, next));
        let write = std::mem::take(&mut self.write);
        self.store.db.write(write).map_err(|source| Error::Io { what: "write", source })
    }

    fn put(&mut self, kind: KeyKind, key: &[u8], value: &[u8]) {
        self.write.put_cf(self.store.family(kind), key, value);
    }

    fn delete(&mut self, kind: KeyKind, key: &[u8]) {
        self.write.delete_cf(self.store.family(kind), key);
    }
}
