//! The loop: read, decide, append, apply.
//!
//! A partition is worked on only while it is owned, and changes hands between two batches. A new owner reads `memories` to
//! the end before it decides anything, one batch at a time: meanwhile the others are worked on, and it may be taken away
//! again. That another process has taken a partition over may be news to this one for a
//! while, if it was paused: what it still appends counts only where nobody else has written since, because every step
//! names the one it was decided on. Where it lost, this run of it is over: it goes on under a new name, so that nothing it
//! wrote before can be taken for what it writes now, and a tombstone for a record that lost names only that record.
//!
//! How forgets are carried out and old keys die is in `forgetting`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_log::anchor::{self, Anchor};
use event_log::envelope::{self, After};
use event_log::ownership::{Change as Hand, Ownership, Revoked};
use event_log::{EventLog, Limits, Offset, Partition, Record, Stored, Timestamp, Topic, now};
use keyring::KeyId;
use memory_core::consolidation::Rest;
use memory_core::step::{Body, Change, Consumed, Fate, Row, Step};
use memory_core::{Consolidation, Handle, Invariant, consolidate, rules, snapshot};
use memory_store::{Loser, Replica, StepNumbers, Store};
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

/// How long partitions are taken over before one that is worked on has a turn: most takeovers are over by then, and a
/// long one does not hold up the others.
const TAKE_OVER_SHARE: Duration = Duration::from_secs(5);

/// How often an idle owner looks whether somebody else wrote to its partitions.
const LOOK_ROUND: Duration = Duration::from_secs(1);

mod forgetting;

pub(crate) struct Worker {
    log: Arc<dyn EventLog>,
    replica: Replica,
    store: Arc<Store>,
    ownership: Box<dyn Ownership>,
    settings: Settings,
    metrics: Metrics,
    health: Health,
    stop: Stop,
    banks: Banks,
    /// This run of this process, until a step of it loses: it is in the key of every record it writes.
    writer: Uuid,
    /// What is owned and not read to the end yet.
    taking_over: BTreeMap<Partition, TakeOver>,
    /// What is owned and worked on, and where to read on in `consolidations`.
    next: BTreeMap<Partition, Offset>,
    /// The newest records of `consolidations` that were read, for the steps to tell.
    read: BTreeMap<Partition, Anchor>,
    looked_round: Instant,
    looked_at_epochs: Instant,
}

/// The reading of `memories` by a new owner.
struct TakeOver {
    assigned: Instant,
    begun: bool,
}

/// A decision: a step, and what it was decided on.
struct Decided {
    step: Step,
    after: Option<After>,
    /// What the window was sealed with; the step is as well.
    key: Option<KeyId>,
}

/// What is decided of a batch.
struct Batch {
    decided: Vec<Decided>,
    /// The forget that comes next; the batch ends before it.
    forget: Option<Forgetting>,
}

/// A forget that is to be carried out.
struct Forgetting {
    window: Consolidation,
    offset: Offset,
    consumed: Consumed,
}

impl Worker {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { replica, ownership, settings, metrics, health, stop } = parts;
        Self {
            log: Arc::clone(replica.log()),
            store: Arc::clone(replica.store()),
            replica,
            ownership,
            metrics: Metrics::new(&metrics),
            health,
            stop,
            banks: Banks::new(settings.bank_bytes),
            settings,
            writer: Uuid::now_v7(),
            taking_over: BTreeMap::new(),
            next: BTreeMap::new(),
            read: BTreeMap::new(),
            looked_round: Instant::now(),
            looked_at_epochs: Instant::now(),
        }
    }

    pub(crate) fn run(mut self) -> Result<(), Error> {
        self.health.set(NAME, State::Starting);
        tracing::info!(writer = %self.writer, "consolidator runs");
        let mut seen = 0;
        while !self.stop.is_stopped() {
            let mut busy = self.take_over_for(TAKE_OVER_SHARE)?;
            for partition in self.next.keys().copied().collect::<Vec<_>>() {
                busy |= self.turn(partition)?;
                busy |= self.take_over_for(TAKE_OVER_SHARE)?;
            }
            self.look_round()?;
            if !busy {
                seen = self.log.wait(seen, IDLE_WAIT);
            }
        }
        Ok(())
    }

    /// Takes what was assigned and lets go of what was revoked. Nothing is in flight.
    fn change_hands(&mut self) -> Result<(), Error> {
        while let Some(change) = self.ownership.next(Duration::ZERO)? {
            match change {
                Hand::Assigned(partitions) => {
                    let assigned = Instant::now();
                    let begins = |partition| (partition, TakeOver { assigned, begun: false });
                    self.taking_over.extend(partitions.into_iter().map(begins));
                }
                Hand::Revoked(revoked) => self.let_go(&revoked),
            }
        }
        Ok(())
    }

    /// Takes over what was assigned, for about so long; `false` when there is nothing to take over.
    fn take_over_for(&mut self, share: Duration) -> Result<bool, Error> {
        let began = Instant::now();
        loop {
            self.change_hands()?;
            self.show_hands();
            if !self.take_over()? {
                return Ok(false);
            }
            if self.stop.is_stopped() || began.elapsed() >= share {
                return Ok(true);
            }
        }
    }

    fn show_hands(&self) {
        self.metrics.partitions.set(i64::try_from(self.next.len()).unwrap_or(i64::MAX));
        // Who owns nothing is ready as well: it is there for when another one is not.
        self.health.set(NAME, if self.taking_over.is_empty() { State::Ready } else { State::Starting });
    }

    /// Reads a batch of `memories` of a partition that was assigned. At the end, when nothing can be decided twice, goes
    /// on from where the steps say. `false` when there is nothing to take over.
    fn take_over(&mut self) -> Result<bool, Error> {
        let Some(mut entry) = self.taking_over.first_entry() else { return Ok(false) };
        let partition = *entry.key();
        if !std::mem::replace(&mut entry.get_mut().begun, true) {
            self.replica.begin(partition)?;
        }
        if self.replica.advance(partition)?.is_some() {
            return Ok(true);
        }
        let took = entry.remove().assigned.elapsed();
        // The steps that were just read may tell of more of it than the store knew.
        self.store.check_anchor(&*self.log, &Topic::Consolidations, partition)?;
        let next = self.store.position(self.log.id(), &Topic::Consolidations, partition)?;
        self.next.insert(partition, next);
        let read = self.store.anchor(self.log.id(), &Topic::Consolidations, partition)?;
        self.read.extend(read.map(|anchor| (partition, anchor)));
        self.bury_losers(partition)?;
        // What a former owner began is completed before anything else is decided.
        self.log.watermarks(&Topic::Receipts, partition)?;
        self.complete_forgets(partition)?;
        self.metrics.takeovers.inc();
        self.metrics.takeover_seconds.observe(took.as_secs_f64());
        tracing::info!(%partition, %next, seconds = took.as_secs_f64(), "partition taken over");
        Ok(true)
    }

    fn let_go(&mut self, revoked: &Revoked) {
        let partitions = self.log.partitions();
        for partition in &revoked.partitions {
            self.taking_over.remove(partition);
            self.next.remove(partition);
            self.read.remove(partition);
            self.metrics.forget(*partition);
        }
        if revoked.lost {
            tracing::warn!(partitions = ?revoked.partitions, "partitions were lost: another process has them already");
            self.banks.clear();
        } else {
            tracing::info!(partitions = ?revoked.partitions, "partitions were given up");
            self.banks.forget(|subject| revoked.partitions.contains(&subject.partition(partitions)));
        }
    }

    /// One batch of a partition; `false` when there was nothing to do, or it is not owned any more.
    fn turn(&mut self, partition: Partition) -> Result<bool, Error> {
        let Some(from) = self.next.get(&partition).copied() else { return Ok(false) };
        let limits = Limits { records: self.settings.batch_records, bytes: self.settings.batch_bytes };
        let batch = self.log.read(&Topic::Consolidations, partition, from, limits)?;
        if batch.next == from {
            self.metrics.lag.with_label_values(&[&partition.to_string()]).set(0);
            return Ok(false);
        }
        let started = Instant::now();
        let newest = batch.records.last().map(|stored| anchor::of(stored.offset, &stored.record));
        self.read.extend(newest.map(|anchor| (partition, anchor)));
        let Batch { decided, forget } = self.decide(partition, &batch.records)?;
        let next = forget.as_ref().map_or(batch.next, |forget| forget.offset);
        // What lost is decided again: this batch is read once more, and what counted of it is known then.
        if self.append_and_apply(partition, &decided)? {
            self.next.insert(partition, next);
            self.bury_losers(partition)?;
            self.snapshot_where_due(partition, &decided)?;
            if let Some(forget) = forget {
                self.forget(partition, &forget)?;
            }
            // No further than the steps tell: a restart reads on from there.
            let told = self.store.position(self.log.id(), &Topic::Consolidations, partition)?;
            self.log.release(NAME, &Topic::Consolidations, partition, told)?;
        }
        self.banks.shrink();
        self.report(partition, started)?;
        Ok(true)
    }

    /// Decides on windows up to a forget, which is decided on what is stored when all before it is.
    fn decide(&mut self, partition: Partition, records: &[Stored]) -> Result<Batch, Error> {
        let mut decided = Vec::with_capacity(records.len());
        let mut read_back: HashMap<Handle, Option<After>> = HashMap::new();
        for stored in records {
            let Some(window) = envelope::read_consolidation(self.store.ring(), stored)? else { continue };
            if window.rules.version > rules::FOLD_VERSION {
                return Err(Error::FoldVersion { known: rules::FOLD_VERSION, found: window.rules.version });
            }
            let subject = window.subject;
            let after = match read_back.get(&subject) {
                Some(after) => *after,
                None => {
                    let chain = self.store.step_numbers(subject)?.chain;
                    if self.banks.get(&self.store, subject)?.next_step() != chain.next {
                        // Another writer's steps were read since.
                        self.banks.forget(|of| of == subject);
                    }
                    *read_back.entry(subject).or_insert_with(|| chain.after())
                }
            };
            let bank = self.banks.get(&self.store, subject)?;
            match window.rest(bank.next()) {
                Rest::Known => self.metrics.windows.with_label_values(&["repeat"]).inc(),
                Rest::Gap(window) => {
                    return Err(Error::Gap {
                        invariant: Invariant::WindowsAreContiguous,
                        subject,
                        partition,
                        offset: stored.offset,
                        expected: bank.next(),
                        from: window.from,
                        to: window.to,
                    });
                }
                Rest::News(window) => {
                    let (log, anchor) = (self.log.id().uuid(), self.read.get(&partition).copied());
                    let consumed = Consumed { log, partition, next: stored.offset.next(), anchor };
                    if window.forget().is_some() {
                        let forget = Some(Forgetting { window, offset: stored.offset, consumed });
                        return Ok(Batch { decided, forget });
                    }
                    let step = consolidate(bank, &window, Some(consumed));
                    bank.apply(&step);
                    self.metrics.windows.with_label_values(&["new"]).inc();
                    count_fates(&self.metrics, &step);
                    decided.push(Decided { step, after, key: envelope::sealed_with(&stored.record) });
                }
            }
        }
        Ok(Batch { decided, forget: None })
    }

    /// Appends the steps and applies what the log then holds. `false` when some of them lost against another writer: then
    /// nothing is known that was decided with them.
    fn append_and_apply(&mut self, partition: Partition, decided: &[Decided]) -> Result<bool, Error> {
        if decided.is_empty() {
            return Ok(true);
        }
        let now = now();
        let mut records = Vec::with_capacity(decided.len());
        for decided in decided {
            match self.record(decided, now) {
                Ok(record) => records.push(record),
                // Another consolidator has carried a forget out that is still to be read here.
                Err(Error::Keys(keyring::Error::Gone { .. })) => {
                    self.log.watermarks(&Topic::Memories, partition)?;
                    self.replica.catch_up(partition)?;
                    self.start_again();
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        append(&*self.log, &Topic::Memories, partition, records)?;
        let losers = self.replica.catch_up(partition)?;
        let own = losers.iter().filter(|key| envelope::writer_of(key) == Some(self.writer)).count();
        if own == 0 {
            return Ok(true);
        }
        tracing::warn!(%partition, count = own, writer = %self.writer, "another consolidator was first; deciding again on its steps");
        self.metrics.lost.inc_by(u64::try_from(own).unwrap_or(u64::MAX));
        self.start_again();
        Ok(false)
    }

    /// Nothing is known any more of what was decided, and nothing it wrote can be taken for what it writes from now on.
    fn start_again(&mut self) {
        self.banks.clear();
        self.writer = Uuid::now_v7();
    }

    /// The record of a step, sealed as its window was; a skeleton tells of nobody and needs no key. Where nobody may read it
    /// any more it says nothing, and is never written in the clear: another consolidator has carried a forget out that is
    /// still to be read here, and this step loses to it.
    fn record(&self, decided: &Decided, now: Timestamp) -> Result<Record, Error> {
        let (ring, step) = (self.store.ring(), &decided.step);
        let key = match decided.key {
            _ if step.is_bare() => None,
            Some(key) if ring.is_held(key) => Some(key),
            // The window is gone with its key; what is left to say of it is sealed with what came after.
            Some(_) | None => {
                let since = self.store.step_numbers(step.subject)?.key_since;
                ring.of_subjects(&[(step.subject, since)], now)?.pop().flatten()
            }
        };
        Ok(envelope::step_after(ring, key, step, self.writer, decided.after, now)?)
    }

    /// Tombstones for the records that lost, once the windows they told of are settled.
    fn bury_losers(&self, partition: Partition) -> Result<(), Error> {
        let losers = self.settled_losers(partition, None)?;
        self.bury(partition, losers)
    }

    fn settled_losers(&self, partition: Partition, of: Option<Handle>) -> Result<Vec<Vec<u8>>, Error> {
        let losers = self.store.losers(of)?.into_iter();
        let here = losers.filter(|loser| self.replica.partition_of(loser.subject) == partition);
        Ok(here.filter(|loser| self.is_settled(loser)).map(|loser| loser.key).collect())
    }

    fn is_settled(&self, loser: &Loser) -> bool {
        let told = loser.consumed.as_ref().filter(|consumed| consumed.log == self.log.id().uuid());
        told.is_none_or(|told| self.next.get(&told.partition).is_some_and(|next| told.next <= *next))
    }

    /// Tombstones for records that lost, or that a snapshot replaced.
    fn bury(&self, partition: Partition, keys: Vec<Vec<u8>>) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let now = now();
        let tombstones = keys.into_iter().map(|key| envelope::step_tombstone(key, now)).collect();
        append(&*self.log, &Topic::Memories, partition, tombstones)?;
        // Whoever else has lost meanwhile is in the store now, too.
        self.replica.catch_up(partition)?;
        Ok(())
    }

    fn snapshot_where_due(&mut self, partition: Partition, decided: &[Decided]) -> Result<(), Error> {
        let subjects: BTreeSet<Handle> = decided.iter().map(|decided| decided.step.subject).collect();
        for subject in subjects {
            let numbers = self.store.step_numbers(subject)?;
            if numbers.chain.next.get() - numbers.after_snapshot.get() >= self.settings.snapshot_every {
                self.snapshot(partition, subject)?;
            }
        }
        Ok(())
    }

    /// Restates a subject in a snapshot and buries the steps before it, after those that lost to them.
    fn snapshot(&mut self, partition: Partition, subject: Handle) -> Result<(), Error> {
        let rows = self.store.rows(subject)?;
        let StepNumbers { chain, key_since, .. } = self.store.step_numbers(subject)?;
        let steps = snapshot::steps(subject, chain.next, rows.iter().cloned().collect());
        let key = if steps.iter().all(Step::is_bare) {
            None
        } else {
            let key = self.store.ring().of_subjects(&[(subject, key_since)], now())?.pop().flatten();
            // A forget that is still to be read here has taken all of it: a snapshot would say that nothing is left.
            if key.is_none() {
                return Ok(());
            }
            key
        };
        // Compaction may leave nothing but snapshots, so they tell as well how far `consolidations` was consumed.
        let next = self.next.get(&partition).copied().unwrap_or_default();
        let anchor = self.read.get(&partition).copied();
        let consumed = Consumed { log: self.log.id().uuid(), partition, next, anchor };
        let decided: Vec<Decided> = steps
            .into_iter()
            .map(|step| Decided { step: Step { consumed: Some(consumed.clone()), ..step }, after: chain.after(), key })
            .collect();
        let replaced = self.store.step_records(subject, chain.next)?;
        if !self.append_and_apply(partition, &decided)? {
            return Ok(());
        }
        let bank = self.banks.get(&self.store, subject)?;
        if bank.next_step() == chain.next {
            decided.iter().for_each(|decided| bank.apply(&decided.step));
        }
        self.metrics.snapshots.inc();
        let mut buried = self.settled_losers(partition, Some(subject))?;
        if self.store.losers(Some(subject))?.len() > buried.len() {
            // The next snapshot buries the steps that this one replaced.
            return self.bury(partition, buried);
        }
        buried.extend(replaced);
        self.bury(partition, buried)
    }

    /// Reads what others may have written to its partitions, buries what lost, completes what is not done.
    fn look_round(&mut self) -> Result<(), Error> {
        if self.looked_round.elapsed() < LOOK_ROUND {
            return Ok(());
        }
        self.looked_round = Instant::now();
        for partition in self.next.keys().copied().collect::<Vec<_>>() {
            self.log.watermarks(&Topic::Memories, partition)?;
            self.replica.catch_up(partition)?;
            self.bury_losers(partition)?;
            self.complete_forgets(partition)?;
            self.bury_late_keys(partition)?;
        }
        self.destroy_old_epochs()
    }

    fn report(&self, partition: Partition, started: Instant) -> Result<(), Error> {
        self.metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
        self.metrics.bank_bytes.set(i64::try_from(self.banks.bytes()).unwrap_or(i64::MAX));
        let high = self.log.watermarks(&Topic::Consolidations, partition)?.high;
        let next = self.next.get(&partition).copied().unwrap_or_default();
        let lag = high.get().saturating_sub(next.get());
        self.metrics.lag.with_label_values(&[&partition.to_string()]).set(i64::try_from(lag).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// Appends and waits for durability; waits as well while the log's queue is full.
fn append(log: &dyn EventLog, topic: &Topic, partition: Partition, records: Vec<Record>) -> Result<(), Error> {
    loop {
        match log.append(topic, partition, records.clone()) {
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
