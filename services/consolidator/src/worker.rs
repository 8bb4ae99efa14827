//! The loop: read, decide, append, apply.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_log::{EventLog, Limits, Offset, Partition, Record, Stored, Topic, envelope, now};
use memory_core::position::Continuation;
use memory_core::step::{Body, Change, Consumed, Fate, Row, Step};
use memory_core::{Consolidation, Handle, Interval, Invariant, consolidate, rules, snapshot};
use memory_store::{Replica, Store};
use service_runtime::{Health, State, Stop};
use uuid::Uuid;

use crate::banks::Banks;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::{NAME, Parts, Settings};

/// How long to wait for news before looking whether to stop.
const IDLE_WAIT: Duration = Duration::from_millis(100);

/// How long the log gets to drain a full queue before the next try.
const FULL_WAIT: Duration = Duration::from_millis(5);

pub(crate) struct Worker {
    log: Arc<dyn EventLog>,
    replica: Replica,
    store: Arc<Store>,
    settings: Settings,
    metrics: Metrics,
    health: Health,
    stop: Stop,
    banks: Banks,
    /// This run of this process: it is in the key of every record it writes.
    writer: Uuid,
    /// Where to read on in `consolidations`, by partition.
    next: Vec<Offset>,
}

impl Worker {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { replica, settings, metrics, health, stop } = parts;
        let partitions = replica.log().partitions();
        Self {
            log: Arc::clone(replica.log()),
            store: Arc::clone(replica.store()),
            replica,
            metrics: Metrics::new(&metrics),
            health,
            stop,
            banks: Banks::new(settings.bank_bytes),
            settings,
            writer: Uuid::now_v7(),
            next: Partition::all(partitions).map(|_| Offset::FIRST).collect(),
        }
    }

    pub(crate) fn run(mut self) -> Result<(), Error> {
        self.health.set(NAME, State::Starting);
        for partition in Partition::all(self.log.partitions()) {
            self.take_over(partition)?;
        }
        self.health.set(NAME, State::Ready);
        tracing::info!(writer = %self.writer, "consolidator runs");
        let mut seen = 0;
        while !self.stop.is_stopped() {
            let mut busy = false;
            for partition in Partition::all(self.log.partitions()) {
                busy |= self.turn(partition)?;
            }
            if !busy {
                seen = self.log.wait(seen, IDLE_WAIT);
            }
        }
        Ok(())
    }

    /// Reads `memories` to its end, so that nothing is decided twice, and goes on from where the steps say.
    fn take_over(&mut self, partition: Partition) -> Result<(), Error> {
        let losers = self.replica.catch_up(partition)?;
        self.bury(partition, losers)?;
        self.next[place(partition)] = self.store.position(self.log.id(), &Topic::Consolidations, partition)?;
        Ok(())
    }

    /// One batch of a partition; `false` when there was nothing to do.
    fn turn(&mut self, partition: Partition) -> Result<bool, Error> {
        let from = self.next[place(partition)];
        let limits = Limits { records: self.settings.batch_records, bytes: self.settings.batch_bytes };
        let batch = self.log.read(&Topic::Consolidations, partition, from, limits)?;
        if batch.next == from {
            self.metrics.lag.with_label_values(&[&partition.to_string()]).set(0);
            return Ok(false);
        }
        let started = Instant::now();
        let decided = self.decide(partition, &batch.records)?;
        let kept = self.append_and_apply(partition, &decided)?;
        if kept {
            self.next[place(partition)] = batch.next;
            self.log.release(NAME, &Topic::Consolidations, partition, batch.next)?;
            self.snapshot_where_due(partition, &decided)?;
        }
        self.banks.shrink();
        self.report(partition, started)?;
        Ok(true)
    }

    fn decide(&mut self, partition: Partition, records: &[Stored]) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::with_capacity(records.len());
        for stored in records {
            let Some(window) = envelope::read_consolidation(stored)? else { continue };
            if window.rules.version > rules::FOLD_VERSION {
                return Err(Error::FoldVersion { known: rules::FOLD_VERSION, found: window.rules.version });
            }
            let bank = self.banks.get(&self.store, window.subject)?;
            match continuation(&window, bank.next()) {
                Continuation::Known => self.metrics.windows.with_label_values(&["repeat"]).inc(),
                Continuation::Gap => {
                    return Err(Error::Gap {
                        invariant: Invariant::WindowsAreContiguous,
                        subject: window.subject,
                        partition,
                        offset: stored.offset,
                        expected: bank.next(),
                        from: window.from,
                        to: window.to,
                    });
                }
                Continuation::Next => {
                    let consumed = Consumed { log: self.log.id().uuid(), partition, next: stored.offset.next() };
                    let step = consolidate(bank, &window, Some(consumed));
                    bank.apply(&step);
                    self.metrics.windows.with_label_values(&["new"]).inc();
                    count_fates(&self.metrics, &step);
                    steps.push(step);
                }
            }
        }
        Ok(steps)
    }

    /// Appends the steps and applies what the log then holds. `false` when another writer was first: then the banks are
    /// forgotten and the batch is read again.
    fn append_and_apply(&mut self, partition: Partition, steps: &[Step]) -> Result<bool, Error> {
        if steps.is_empty() {
            return Ok(true);
        }
        let now = now();
        let records: Vec<Record> = steps.iter().map(|step| envelope::step(step, self.writer, now)).collect();
        append(&*self.log, partition, records)?;
        let losers = self.replica.catch_up(partition)?;
        if losers.is_empty() {
            return Ok(true);
        }
        tracing::warn!(%partition, count = losers.len(), "another consolidator was first; deciding again on its steps");
        self.banks.clear();
        self.bury(partition, losers)?;
        self.next[place(partition)] = self.store.position(self.log.id(), &Topic::Consolidations, partition)?;
        Ok(false)
    }

    /// Tombstones for records that lost, or that a snapshot replaced.
    fn bury(&self, partition: Partition, keys: Vec<Vec<u8>>) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let now = now();
        let records = keys.into_iter().map(|key| envelope::step_tombstone(key, now)).collect();
        append(&*self.log, partition, records)?;
        Ok(())
    }

    fn snapshot_where_due(&mut self, partition: Partition, steps: &[Step]) -> Result<(), Error> {
        let subjects: BTreeSet<Handle> = steps.iter().map(|step| step.subject).collect();
        for subject in subjects {
            let numbers = self.store.step_numbers(subject)?;
            if numbers.next.get() - numbers.after_snapshot.get() >= self.settings.snapshot_every {
                self.snapshot(partition, subject)?;
            }
        }
        Ok(())
    }

    /// Restates a subject in a snapshot and buries the steps before it.
    fn snapshot(&mut self, partition: Partition, subject: Handle) -> Result<(), Error> {
        let rows = self.store.rows(subject)?;
        let first = rows.next_step();
        let mut steps = snapshot::steps(subject, first, rows.iter().cloned().collect());
        // Compaction may leave nothing but snapshots, so they tell as well how far `consolidations` was consumed.
        let consumed = Consumed { log: self.log.id().uuid(), partition, next: self.next[place(partition)] };
        steps.iter_mut().for_each(|step| step.consumed = Some(consumed.clone()));
        let replaced = self.store.step_records(subject, first)?;
        if self.append_and_apply(partition, &steps)? {
            let bank = self.banks.get(&self.store, subject)?;
            steps.iter().for_each(|step| bank.apply(step));
            self.bury(partition, replaced)?;
            self.metrics.snapshots.inc();
        }
        Ok(())
    }

    fn report(&self, partition: Partition, started: Instant) -> Result<(), Error> {
        self.metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
        self.metrics.bank_bytes.set(i64::try_from(self.banks.bytes()).unwrap_or(i64::MAX));
        let high = self.log.watermarks(&Topic::Consolidations, partition)?.high;
        let lag = high.get().saturating_sub(self.next[place(partition)].get());
        self.metrics.lag.with_label_values(&[&partition.to_string()]).set(i64::try_from(lag).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// A window continues a bank only as a whole: one that begins before the position and ends after it is no repeat and no
/// continuation, and is treated as the gap that it is.
fn continuation(window: &Consolidation, next: memory_core::Seq) -> Continuation {
    match (Interval { from: window.from, to: window.to }).after(next) {
        Continuation::Next if window.from != next => Continuation::Gap,
        other @ (Continuation::Known | Continuation::Next | Continuation::Gap) => other,
    }
}

/// Appends and waits for durability; waits as well while the log's queue is full.
fn append(log: &dyn EventLog, partition: Partition, records: Vec<Record>) -> Result<(), Error> {
    loop {
        match log.append(&Topic::Memories, partition, records.clone()) {
            Ok(appended) => return Ok(appended.wait().map(drop)?),
            Err(event_log::Error::Full { .. }) => std::thread::sleep(FULL_WAIT),
            Err(error) => return Err(error.into()),
        }
    }
}

fn count_fates(metrics: &Metrics, step: &Step) {
    let Body::Changes { changes, .. } = &step.body else { return };
    for change in changes {
        if let Change::Put(Row::Fate(row)) = change {
            metrics.events.with_label_values(&[fate_name(row.fate)]).inc();
        }
    }
}

const fn fate_name(fate: Fate) -> &'static str {
    match fate {
        Fate::Kept(_) => "kept",
        Fate::Merged(_) => "merged",
        Fate::NotKept(reason) => reason.as_str(),
        Fate::Applied => "applied",
        Fate::NoSuchMemory => "no_such_memory",
        Fate::Deleted => "deleted",
    }
}

fn place(partition: Partition) -> usize {
    usize::try_from(partition.get()).expect("partitions are few")
}
