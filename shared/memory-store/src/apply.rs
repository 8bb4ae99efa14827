//! Applying steps: rows, marks and positions in one batch (law L02).

use std::collections::BTreeMap;

use event_log::{LogId, Offset, Partition, Topic};
use memory_core::refold::StepGap;
use memory_core::step::{Body, Change, Row, RowKey, Step, SubjectRow};
use memory_core::subject::TenantTag;
use memory_core::{Handle, Invariant};
use rocksdb::WriteBatch;

use crate::keys::{self, KeyKind, ROW_KINDS};
use crate::read::StepNumbers;
use crate::{Error, Store, codec, read};

/// What became of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was the first with its number.
    Applied,
    /// Another with its number came first, or it was read before.
    Known,
    /// It was a tombstone.
    Gone,
}

/// A record of `memories`: a step, or the tombstone of one.
#[derive(Clone, Debug)]
pub struct Record {
    pub offset: Offset,
    pub key: Vec<u8>,
    pub step: Option<Step>,
}

impl Store {
    /// Applies steps of one partition, in the order of the log, and notes that `memories` was read up to `next`.
    ///
    /// # Errors
    /// [`Error::Gap`] when a step is missing: then nothing of the batch is applied. [`Error::Io`].
    pub fn apply(&self, log: LogId, partition: Partition, records: &[Record], next: Offset) -> Result<Vec<Verdict>, Error> {
        let mut batch = Batch { store: self, write: WriteBatch::default(), numbers: BTreeMap::new(), tags: BTreeMap::new() };
        let mut verdicts = Vec::with_capacity(records.len());
        for record in records {
            let verdict = batch.record(record).map_err(|error| match error {
                Stop::Gap(source) => {
                    Error::Gap { invariant: Invariant::StepsAreContiguous, partition, offset: record.offset, source }
                }
                Stop::Store(error) => error,
            })?;
            verdicts.push(verdict);
        }
        batch.positions(log, partition, records, next);
        self.db.write(batch.write).map_err(|source| Error::Io { what: "write", source })?;
        Ok(verdicts)
    }
}

enum Stop {
    Gap(StepGap),
    Store(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

struct Batch<'a> {
    store: &'a Store,
    write: WriteBatch,
    /// Step numbers as they are after the batch so far.
    numbers: BTreeMap<Handle, StepNumbers>,
    tags: BTreeMap<Handle, TenantTag>,
}

impl Batch<'_> {
    fn record(&mut self, record: &Record) -> Result<Verdict, Stop> {
        let Some(step) = &record.step else {
            self.delete(KeyKind::StepWriter, &keys::step_writer(&record.key));
            return Ok(Verdict::Gone);
        };
        let subject = step.subject;
        let mut numbers = match self.numbers.get(&subject) {
            Some(numbers) => *numbers,
            None => self.store.step_numbers(subject)?,
        };
        if step.number < numbers.next {
            return Ok(Verdict::Known);
        }
        if step.number > numbers.next && !matches!(step.body, Body::Snapshot { part: 0, .. }) {
            return Err(Stop::Gap(StepGap { subject, expected: numbers.next, found: step.number }));
        }
        numbers.next = step.number.next();
        match &step.body {
            Body::Changes { changes, .. } => self.changes(subject, changes),
            Body::Snapshot { part, parts, rows } => {
                self.snapshot(step, *part, *parts, rows)?;
                if part + 1 == *parts {
                    numbers.after_snapshot = numbers.next;
                }
            }
        }
        self.numbers.insert(subject, numbers);
        let key = keys::of_subject(KeyKind::NextStep, subject);
        self.put(KeyKind::NextStep, &key, &codec::encode(&numbers));
        self.put(KeyKind::StepWriter, &keys::step_writer(&record.key), &[]);
        Ok(Verdict::Applied)
    }

    fn changes(&mut self, subject: Handle, changes: &[Change]) {
        // The subject row stands last in a step, but the indexes of its other rows need its tenant.
        let owner = changes.iter().find_map(|change| match change {
            Change::Put(Row::Subject(row)) => Some(row),
            Change::Put(_) | Change::Delete(_) => None,
        });
        if let Some(row) = owner {
            self.learn_tenant(subject, row);
        }
        for change in changes {
            match change {
                Change::Put(row) => self.put_row(subject, row),
                Change::Delete(key) => self.delete_row(subject, key),
            }
        }
    }

    /// Parts wait in the store until the last one is there; then they replace every row of the subject.
    fn snapshot(&mut self, step: &Step, part: u32, parts: u32, rows: &[Row]) -> Result<(), Error> {
        // A snapshot reads what is stored, so what the batch holds already must be. Each step of it carries its own
        // mark, so a crash right after this leaves a store that only has to read a little again.
        let written = std::mem::take(&mut self.write);
        self.store.db.write(written).map_err(|source| Error::Io { what: "write", source })?;
        let subject = step.subject;
        let prefix = keys::of_subject(KeyKind::SnapshotPart, subject);
        let mut all: Vec<Row> = Vec::new();
        for waiting in self.store.scan(KeyKind::SnapshotPart, &prefix) {
            let (name, value) = waiting?;
            // What waits when a snapshot begins is the rest of one that never ended.
            if part == 0 || part + 1 == parts {
                self.delete(KeyKind::SnapshotPart, &name);
            }
            if part > 0 {
                all.extend(codec::decode::<Vec<Row>>(KeyKind::SnapshotPart, subject, &value)?);
            }
        }
        if part + 1 < parts {
            let key = [prefix.as_slice(), &part.to_be_bytes()].concat();
            self.put(KeyKind::SnapshotPart, &key, &codec::encode(&rows));
            return Ok(());
        }
        all.extend(rows.iter().cloned());
        for kind in ROW_KINDS {
            for row in self.store.rows_of_kind(kind, subject)? {
                self.delete_row(subject, &row.key());
            }
        }
        for row in &all {
            if let Row::Subject(row) = row {
                self.learn_tenant(subject, row);
            }
        }
        for row in &all {
            self.put_row(subject, row);
        }
        Ok(())
    }

    fn learn_tenant(&mut self, subject: Handle, row: &SubjectRow) {
        let store = self.store;
        self.tags.entry(subject).or_insert_with(|| row.owner.tenant.tag(&store.secret));
    }

    fn put_row(&mut self, subject: Handle, row: &Row) {
        let (kind, key) = keys::row(subject, &row.key());
        self.put(kind, &key, &codec::encode_row(row));
        let Some(tag) = self.tags.get(&subject).copied() else { return };
        match row {
            Row::Memory(memory) => {
                self.put(KeyKind::MemoryIndex, &keys::memory_index(tag, memory.id), subject.as_bytes());
            }
            Row::Fate(fate) => self.put(KeyKind::EventIndex, &keys::event_index(tag, &fate.event_id, subject), &[]),
            Row::Subject(_) | Row::Revision(_) | Row::Source(_) | Row::Window(_) | Row::Rules(_) => {}
        }
    }

    fn delete_row(&mut self, subject: Handle, row: &RowKey) {
        let (kind, key) = keys::row(subject, row);
        self.delete(kind, &key);
        if let (RowKey::Memory(id), Some(tag)) = (row, self.tags.get(&subject).copied()) {
            self.delete(KeyKind::MemoryIndex, &keys::memory_index(tag, *id));
        }
    }

    /// The position in `memories`, and the one in `consolidations` that the last step tells.
    fn positions(&mut self, log: LogId, partition: Partition, records: &[Record], next: Offset) {
        let key = keys::position(&Topic::Memories, partition);
        self.put(KeyKind::Position, &key, &read::position_bytes(log, next));
        let consumed = records.iter().rev().find_map(|record| record.step.as_ref()?.consumed.as_ref());
        if let Some(consumed) = consumed.filter(|consumed| consumed.log == log.uuid()) {
            let key = keys::position(&Topic::Consolidations, consumed.partition);
            self.put(KeyKind::Position, &key, &read::position_bytes(log, consumed.next));
        }
    }

    fn put(&mut self, kind: KeyKind, key: &[u8], value: &[u8]) {
        self.write.put_cf(self.store.family(kind), key, value);
    }

    fn delete(&mut self, kind: KeyKind, key: &[u8]) {
        self.write.delete_cf(self.store.family(kind), key);
    }
}
