//! A log of steps, a store beside it, and the dump of the store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use event_log::envelope::After;
use event_log::{EventLog, Limits, MemLog, Offset, Partition, Stored, Timestamp, Topic, anchor, envelope};
use keyring::Keyring;
use memory_core::dump::{self, Dump, DumpHash};
use memory_core::refold::Rows;
use memory_core::{Handle, Seq, Step};
use memory_store::{Chain, Error, Place, Record, Replica, Settings, Store, Verdict};
use testkit::secret;
use uuid::Uuid;

pub(crate) const ONE: Partition = Partition::new(0);
pub(crate) const WRITER: Uuid = Uuid::from_u128(1);
pub(crate) const RIVAL: Uuid = Uuid::from_u128(2);

/// The keys of all stores here but those of tests that destroy some.
static RING: LazyLock<Keyring> = LazyLock::new(testkit::ring);

pub(crate) fn ring() -> &'static Keyring {
    &RING
}

pub(crate) fn open(dir: &Path) -> Store {
    open_with(dir, ring())
}

pub(crate) fn open_with(dir: &Path, ring: &Keyring) -> Store {
    Store::open(dir, secret(), ring.clone(), &Settings::default()).expect("the store opens")
}

pub(crate) fn limits(records: usize) -> Limits {
    Limits { records, bytes: usize::MAX }
}

pub(crate) fn replica(log: &Arc<MemLog>, dir: &Path, batch: usize) -> Replica {
    let log: Arc<dyn EventLog> = log.clone();
    Replica::new(log, Arc::new(open(dir)), limits(batch))
}

/// The record of a step. All of a subject are sealed with one key: what matters where keys die is tested there.
pub(crate) fn sealed(step: &Step, writer: Uuid, after: Option<After>) -> event_log::Record {
    testkit::seal::step(ring(), Seq::FIRST, step, writer, after)
}

/// Appends what one writer decided; every subject's steps to its partition.
pub(crate) fn append(log: &MemLog, writer: Uuid, steps: &[Step]) {
    for step in steps {
        let record = sealed(step, writer, None);
        put(log, step.subject.partition(log.partitions()), record);
    }
}

/// A log on which several writers write, each on what it has read.
pub(crate) struct Line {
    pub(crate) log: Arc<MemLog>,
    chains: BTreeMap<Handle, Chain>,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self { log: Arc::new(MemLog::new(1)), chains: BTreeMap::new() }
    }

    /// The record of a step that a writer decides now, having read everything.
    pub(crate) fn decide(&self, writer: Uuid, step: &Step) -> event_log::Record {
        let after = self.chains.get(&step.subject).and_then(Chain::after);
        sealed(step, writer, after)
    }

    pub(crate) fn write(&mut self, record: event_log::Record) {
        let read = Record::read(ring(), &Stored { offset: Offset::FIRST, record: record.clone() }).expect("a step");
        let (link, step) = (read.link().expect("a step"), read.step.expect("a step"));
        let chain = self.chains.entry(step.subject).or_default();
        if chain.place(&link) == Place::Next {
            *chain = chain.then(&link);
        }
        put(&self.log, step.subject.partition(1), record);
    }

    /// Decides and writes.
    pub(crate) fn append(&mut self, writer: Uuid, step: &Step) {
        let record = self.decide(writer, step);
        self.write(record);
    }
}

pub(crate) fn bury(log: &MemLog, partition: Partition, key: Vec<u8>) {
    put(log, partition, envelope::step_tombstone(key, Timestamp::EPOCH));
}

pub(crate) fn put(log: &MemLog, partition: Partition, record: event_log::Record) {
    log.append(&Topic::Memories, partition, vec![record]).expect("the log takes it").wait().expect("it is durable");
}

/// A log of one partition with these steps.
pub(crate) fn log_of(steps: &[Step]) -> Arc<MemLog> {
    let log = Arc::new(MemLog::new(1));
    append(&log, WRITER, steps);
    log
}

/// Everything that a partition of `memories` holds.
pub(crate) fn read_all(log: &MemLog, partition: Partition) -> Vec<Stored> {
    log.read(&Topic::Memories, partition, Offset::FIRST, limits(usize::MAX)).expect("the log reads").records
}

/// What a replica hands to the store.
pub(crate) fn records(stored: &[Stored]) -> Vec<Record> {
    stored.iter().map(|stored| Record::read(ring(), stored).expect("a step reads back")).collect()
}

/// Applies the next batch of a partition; `None` at the end.
pub(crate) fn apply_next(log: &MemLog, store: &Store, partition: Partition, batch: usize) -> Option<Vec<Verdict>> {
    let from = store.position(log.id(), &Topic::Memories, partition).expect("a position");
    let read = log.read(&Topic::Memories, partition, from, limits(batch)).expect("the log reads");
    let newest = read.records.last().map(|stored| anchor::of(stored.offset, &stored.record));
    (read.next != from).then(|| {
        store.apply(log.id(), partition, &records(&read.records), read.next, newest).expect("the batch applies")
    })
}

pub(crate) fn apply_all(log: &MemLog, store: &Store, batch: usize) {
    for partition in Partition::all(log.partitions()) {
        while apply_next(log, store, partition, batch).is_some() {}
    }
}

/// The rows of every subject that has some, folded from records without a database.
pub(crate) fn oracle<'a>(records: impl IntoIterator<Item = &'a Record>) -> BTreeMap<Handle, Rows> {
    let mut subjects: BTreeMap<Handle, (Rows, Chain)> = BTreeMap::new();
    for record in records {
        let (Some(step), Some(link)) = (&record.step, record.link()) else { continue };
        let (rows, chain) = subjects.entry(step.subject).or_default();
        if chain.place(&link) == Place::Next {
            rows.apply(step).expect("no step is missing");
            *chain = chain.then(&link);
        }
    }
    let rows = subjects.into_iter().map(|(subject, (rows, _))| (subject, rows));
    rows.filter(|(_, rows)| rows.iter().next().is_some()).collect()
}

pub(crate) fn hash(subjects: &BTreeMap<Handle, Rows>) -> DumpHash {
    dump::of(subjects).hash()
}

/// The canonical dump of a store.
pub(crate) fn dump(store: &Store) -> DumpHash {
    let mut dump = Dump::default();
    for subject in store.subjects().collect::<Result<Vec<_>, Error>>().expect("subjects") {
        dump.subject(subject, store.rows(subject).expect("rows").iter(), |_| {});
    }
    dump.hash()
}
