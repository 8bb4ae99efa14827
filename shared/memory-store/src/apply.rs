//! Applying steps: rows, marks and positions in one batch (law L02).

use std::collections::BTreeMap;

use event_log::{LogId, Offset, Partition, Topic};
use memory_core::Handle;
use memory_core::step::{Body, Change, Row, RowKey, Step, SubjectRow};
use memory_core::subject::TenantTag;
use rocksdb::WriteBatch;

use crate::keys::{self, KeyKind, ROW_KINDS};
use crate::read::StepNumbers;
use crate::{Error, Store, codec, read};

/// What became of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was the first with its number.
    Applied,
    /// It was read before, or stands in the log twice.
    Known,
    /// Another with its number came first.
    Lost,
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
    pub fn apply(
        &self,
        log: LogId,
        partition: Partition,
        records: &[Record],
        next: Offset,
    ) -> Result<Vec<Verdict>, Error> {
        let verdicts = self.judge(partition, records)?;
        let mut batch = Batch::new(self, log, partition);
        for (record, verdict) in records.iter().zip(&verdicts) {
            match (&record.step, verdict) {
                (None, _) => batch.delete(KeyKind::StepWriter, &keys::step_writer(&record.key)),
                (Some(step), Verdict::Applied) => batch.step(record, step)?,
                (Some(_), Verdict::Known | Verdict::Lost | Verdict::Gone) => {}
            }
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
    tags: BTreeMap<Handle, TenantTag>,
}

impl<'a> Batch<'a> {
    fn new(store: &'a Store, log: LogId, partition: Partition) -> Self {
        let (numbers, tags) = (BTreeMap::new(), BTreeMap::new());
        Self { store, log, partition, write: WriteBatch::default(), numbers, tags }
    }

    fn step(&mut self, record: &Record, step: &Step) -> Result<(), Error> {
        let subject = step.subject;
        let mut numbers = match self.numbers.get(&subject) {
            Some(numbers) => *numbers,
            None => self.store.step_numbers(subject)?,
        };
        numbers.next = step.number.next();
        match &step.body {
            Body::Changes { changes, .. } => self.changes(subject, changes)?,
            Body::Snapshot { part, parts, rows } => {
                // A snapshot looks at what is stored, so what the batch holds must be: with the position before it.
                self.write(record.offset)?;
                self.snapshot(subject, *part, *parts, rows)?;
                if part + 1 == *parts {
                    numbers.after_snapshot = numbers.next;
                }
            }
        }
        self.numbers.insert(subject, numbers);
        let key = keys::of_subject(KeyKind::NextStep, subject);
        self.put(KeyKind::NextStep, &key, &codec::encode(&numbers));
        self.put(KeyKind::StepWriter, &keys::step_writer(&record.key), &[]);
        // A record that lost tells nothing: what its writer had consumed by then need not be in any step.
        if let Some(consumed) = step.consumed.as_ref().filter(|consumed| consumed.log == self.log.uuid()) {
            let key = keys::position(&Topic::Consolidations, consumed.partition);
            self.put(KeyKind::Position, &key, &read::position_bytes(self.log, consumed.next));
        }
        Ok(())
    }

    fn changes(&mut self, subject: Handle, changes: &[Change]) -> Result<(), Error> {
        let rows = changes.iter().filter_map(|change| match change {
            Change::Put(row) => Some(row),
            Change::Delete(_) => None,
        });
        let tag = self.tag(subject, rows)?;
        for change in changes {
            match change {
                Change::Put(row) => self.put_row(subject, tag, row),
                Change::Delete(key) => self.delete_row(subject, tag, key),
            }
        }
        Ok(())
    }

    /// Parts wait in the store until the last one is there; then they replace every row of the subject.
    fn snapshot(&mut self, subject: Handle, part: u32, parts: u32, rows: &[Row]) -> Result<(), Error> {
        let ends = part + 1 == parts;
        let prefix = keys::of_subject(KeyKind::SnapshotPart, subject);
        let mut all: Vec<Row> = Vec::new();
        if part == 0 || ends {
            for waiting in self.store.scan(KeyKind::SnapshotPart, &prefix) {
                let (name, value) = waiting?;
                self.delete(KeyKind::SnapshotPart, &name);
                // What waits when a snapshot begins is the rest of one that never ended.
                if part > 0 {
                    all.extend(codec::decode::<Vec<Row>>(KeyKind::SnapshotPart, subject, &value)?);
                }
            }
        }
        if !ends {
            let key = [prefix.as_slice(), &part.to_be_bytes()].concat();
            self.put(KeyKind::SnapshotPart, &key, &codec::encode(&rows));
            return Ok(());
        }
        all.extend(rows.iter().cloned());
        let tag = self.tag(subject, all.iter())?;
        self.delete_all_rows(subject, tag)?;
        for row in &all {
            self.put_row(subject, tag, row);
        }
        Ok(())
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

    /// The tenant of a subject, from the subject row that comes with a step, or from the stored one.
    fn tag<'r>(&mut self, subject: Handle, rows: impl Iterator<Item = &'r Row>) -> Result<Option<TenantTag>, Error> {
        if let Some(tag) = self.tags.get(&subject) {
            return Ok(Some(*tag));
        }
        let mut owners = rows.filter_map(|row| match row {
            Row::Subject(row) => Some(row.owner.tenant.clone()),
            Row::Memory(_) | Row::Revision(_) | Row::Source(_) | Row::Window(_) | Row::Rules(_) | Row::Fate(_) => None,
        });
        let tenant = match owners.next() {
            Some(tenant) => Some(tenant),
            None => {
                let stored = self.store.get(KeyKind::Subject, &keys::of_subject(KeyKind::Subject, subject))?;
                let row =
                    stored.map(|bytes| codec::decode::<SubjectRow>(KeyKind::Subject, subject, &bytes)).transpose()?;
                row.map(|row| row.owner.tenant)
            }
        };
        let tag = tenant.map(|tenant| tenant.tag(&self.store.secret));
        if let Some(tag) = tag {
            self.tags.insert(subject, tag);
        }
        Ok(tag)
    }

    fn put_row(&mut self, subject: Handle, tag: Option<TenantTag>, row: &Row) {
        let (kind, key) = keys::row(subject, &row.key());
        self.put(kind, &key, &codec::encode_row(row));
        if let Some((index, key)) = tag.and_then(|tag| keys::index_of(tag, subject, kind, &key)) {
            // The key of an event's index names the subject already.
            let value: &[u8] = if index == KeyKind::MemoryIndex { subject.as_bytes() } else { &[] };
            self.put(index, &key, value);
        }
    }

    fn delete_row(&mut self, subject: Handle, tag: Option<TenantTag>, row: &RowKey) {
        let (kind, key) = keys::row(subject, row);
        self.delete(kind, &key);
        if let Some((index, key)) = tag.and_then(|tag| keys::index_of(tag, subject, kind, &key)) {
            self.delete(index, &key);
        }
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
