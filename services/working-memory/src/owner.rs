//! The owner of one partition: reads, lets actors fold, logs what came of it.
//!
//! Another process may have become the owner while this one was paused, or this one may be the new owner while the old
//! one still writes. Both fold the same log, so they write the same windows, and the second record of one is a repeat.
//! Under other rules they may close windows elsewhere; then the windows overlap, and the consolidator takes of each what
//! was not covered before. What remains is `working`, which is compacted: an older row over a newer one is written over
//! again by the owner. `deploy/decisions/009-two-writers.md` has the reasons.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr};
use event_log::dead_letter::{Coordinates, DeadLetter};
use event_log::envelope::{self, Anchors, OpenFrom, Working};
use event_log::{Limits, Offset, Partition, Timestamp, Topic, anchor, now};
use memory_core::working_memory::Closed;
use memory_core::{Handle, Recorded, WorkingMemory};
use memory_store::Replica;
use tokio::sync::watch;

use crate::actor::{Apply, Folded, LastEvent, LastOfWindow, Passivate, SubjectActor};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::restore::{self, Logged};
use crate::roster::Roster;
use crate::{Context, NAME};

/// How often idle subjects are looked for, and the position of open windows is written.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// How long those that are being taken over go first: most takeovers are over by then.
const TAKE_OVER_SHARE: Duration = Duration::from_secs(5);
/// How long the log gets to drain a full queue before the next try.
const FULL_WAIT: Duration = Duration::from_millis(5);

mod writing;

/// Why an owner is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetGo {
    /// Another process will own the partition next.
    Revoked,
    /// Another process owns it already.
    Lost,
}

pub(crate) struct Owner {
    parts: Context,
    replica: Replica,
    metrics: Metrics,
    partition: Partition,
    /// The partition is to be given up.
    let_go: watch::Receiver<Option<LetGo>>,
    /// Where to read on in `interactions`.
    next: Offset,
    roster: Roster,
    /// Windows that stood on the log at the takeover, while they are folded again.
    logged: Logged,
    /// Where `interactions` ended at the takeover: none of [`Owner::logged`] ends above it.
    logged_below: Offset,
    marker: OpenFrom,
    /// The newest records that were read or written, for the next marker.
    read: Anchors,
    kept_house: Instant,
}

/// Who is to own a partition.
pub(crate) struct TakesOver {
    pub(crate) partition: Partition,
    pub(crate) assigned: Instant,
    /// Whether the partition is worked on.
    pub(crate) done: Rc<Cell<bool>>,
}

impl TakesOver {
    /// Takes the partition over, and works on it until it is to be given up or the process stops.
    pub(crate) async fn run(
        self,
        parts: Context,
        metrics: Metrics,
        let_go: watch::Receiver<Option<LetGo>>,
        news: watch::Receiver<u64>,
    ) -> Result<(), Error> {
        let Self { partition, assigned, done } = self;
        let Some(owner) = Owner::take_over(parts, metrics.clone(), partition, let_go).await? else { return Ok(()) };
        let took = assigned.elapsed().as_secs_f64();
        metrics.takeovers.inc();
        metrics.takeover_seconds.observe(took);
        tracing::info!(%partition, seconds = took, "partition taken over");
        done.set(true);
        owner.run(news).await
    }
}

impl Owner {
    /// Reads what others have written. `None` when it is to end before that is done.
    async fn take_over(
        parts: Context,
        metrics: Metrics,
        partition: Partition,
        let_go: watch::Receiver<Option<LetGo>>,
    ) -> Result<Option<Self>, Error> {
        let replica = Replica::new(Arc::clone(&parts.log), Arc::clone(&parts.store), parts.batch());
        let ends = || parts.stop.is_stopped() || let_go.borrow().is_some();
        let restored = restore::restore(&replica, partition, parts.batch(), ends).await?;
        let Some((marker, logged)) = restored else { return Ok(None) };
        parts.store.forget_spilled(partition, parts.log.partitions())?;
        let next = marker.interactions;
        let logged_below = parts.log.watermarks(&Topic::Interactions, partition)?.high;
        let (roster, read, kept_house) = (Roster::default(), marker.read, Instant::now());
        Ok(Some(Self {
            parts,
            replica,
            metrics,
            partition,
            let_go,
            next,
            roster,
            logged,
            logged_below,
            marker,
            read,
            kept_house,
        }))
    }

    /// Works until the partition is to be given up or the process stops. Nothing is in flight then.
    async fn run(mut self, mut news: watch::Receiver<u64>) -> Result<(), Error> {
        self.write_again().await?;
        let mut worked = Instant::now();
        loop {
            let told = *self.let_go.borrow();
            if self.parts.stop.is_stopped() || told.is_some() {
                self.leave(told).await?;
                return Ok(());
            }
            news.borrow_and_update();
            let others_first = self.parts.taking_over.get() && worked.elapsed() < TAKE_OVER_SHARE;
            let busy = !others_first && self.turn().await?;
            if !others_first {
                worked = Instant::now();
            }
            if self.kept_house.elapsed() >= HOUSEKEEPING {
                self.keep_house().await?;
            }
            if !busy {
                // News comes at least every 100 ms, with or without a record; a closed channel means a stop.
                drop(news.changed().await);
            }
        }
    }

    /// Leaves the partition to whoever comes next, with as little to read again as there can be.
    async fn leave(&mut self, told: Option<LetGo>) -> Result<(), Error> {
        match told {
            Some(LetGo::Revoked) => self.mark().await?,
            // Another process owns it already, or the process is told to stop: nothing more is written than must be.
            Some(LetGo::Lost) | None => {}
        }
        self.metrics.forget(self.partition);
        self.parts.store.forget_spilled(self.partition, self.parts.log.partitions())?;
        Ok(())
    }

    /// Folds one batch; `false` when there was nothing to read.
    async fn turn(&mut self) -> Result<bool, Error> {
        let batch = self.parts.log.read(&Topic::Interactions, self.partition, self.next, self.parts.batch())?;
        if batch.next == self.next {
            self.metrics.lag.with_label_values(&[&self.partition.to_string()]).set(0);
            return Ok(false);
        }
        let started = Instant::now();
        let mut order = Vec::new();
        let mut events: HashMap<Handle, Vec<Recorded>> = HashMap::new();
        for stored in &batch.records {
            let Some((subject, recorded)) = self.parts.interactions.read(self.parts.ring(), self.partition, stored)?
            else {
                continue;
            };
            let of_subject = events.entry(subject).or_default();
            if of_subject.is_empty() {
                order.push(subject);
            }
            of_subject.push(recorded);
        }
        let subjects =
            order.into_iter().map(|subject| (subject, events.remove(&subject).unwrap_or_default())).collect();
        let closed = self.fold(subjects).await?;
        self.log_windows(closed).await?;
        self.next = batch.next;
        let newest = batch.records.last().map(|stored| anchor::of(stored.offset, &stored.record));
        self.read.interactions = self.read.interactions.max(newest);
        self.metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
        let high = self.parts.log.watermarks(&Topic::Interactions, self.partition)?.high;
        let lag = i64::try_from(high.get().saturating_sub(self.next.get())).unwrap_or(i64::MAX);
        self.metrics.lag.with_label_values(&[&self.partition.to_string()]).set(lag);
        Ok(true)
    }

    /// Hands every subject its events; all subjects of a batch fold side by side.
    async fn fold(&mut self, subjects: Vec<(Handle, Vec<Recorded>)>) -> Result<Vec<Closed>, Error> {
        let mut closed = Vec::new();
        // Never more in flight than may be in RAM, or making room would take actors that are at work.
        for chunk in subjects.chunks(self.parts.settings.active_max.max(1)) {
            let mut asked = Vec::with_capacity(chunk.len());
            for (subject, events) in chunk {
                let actor = self.activate(*subject).await?;
                asked.push((subject, events, actor.send(Apply(events.clone()))));
            }
            for (subject, events, answer) in asked {
                let folded = match answer.await {
                    Ok(folded) => folded,
                    Err(_) => self.rebuild(*subject, events).await?,
                };
                let arrived = events.last().map_or(Timestamp::EPOCH, |event| event.arrived);
                self.roster.folded(*subject, folded.open_since, arrived);
                self.count(&folded);
                closed.extend(folded.closed);
            }
        }
        Ok(closed)
    }

    fn count(&self, folded: &Folded) {
        self.metrics.events.with_label_values(&["accepted"]).inc_by(folded.accepted);
        self.metrics.events.with_label_values(&["duplicate"]).inc_by(folded.duplicates);
        self.metrics.events.with_label_values(&["forgotten"]).inc_by(folded.forgotten);
        self.metrics.events.with_label_values(&["stale"]).inc_by(folded.stale);
        self.metrics
            .actors
            .with_label_values(&[&self.partition.to_string()])
            .set(i64::try_from(self.roster.active()).unwrap_or(i64::MAX));
    }

    /// The actor of a subject: the one in RAM, or one from the spilled state, the last boundary, or nothing at all.
    async fn activate(&mut self, subject: Handle) -> Result<Addr<SubjectActor>, Error> {
        if let Some(actor) = self.roster.get(subject).and_then(|entry| entry.actor.clone()) {
            self.roster.activate(subject, actor.clone());
            return Ok(actor);
        }
        while self.roster.active() >= self.parts.settings.active_max.max(1) {
            let Some(oldest) = self.roster.least_recent() else { break };
            self.passivate(oldest, "full").await?;
        }
        let open_since = self.roster.get(subject).and_then(|entry| entry.open_since);
        let memory = match open_since {
            Some(since) => match self.parts.store.unspill(subject)? {
                Some(memory) => memory,
                None => self.reread(subject, since)?,
            },
            None => self.load(subject)?,
        };
        let actor = self.start(memory, open_since);
        self.roster.activate(subject, actor.clone());
        Ok(actor)
    }

    /// An open window that is neither in RAM nor spilled is read from the log again.
    fn reread(&mut self, subject: Handle, since: Offset) -> Result<WorkingMemory, Error> {
        let mut memory = self.load(subject)?;
        for recorded in
            restore::events_of(&*self.parts.log, self.parts.ring(), self.partition, subject, since, self.next)?
        {
            memory.apply(self.parts.rules.tenant(&recorded.tenant), &recorded);
        }
        Ok(memory)
    }

    fn start(&self, memory: WorkingMemory, open_since: Option<Offset>) -> Addr<SubjectActor> {
        SubjectActor::new(memory, open_since, Arc::clone(&self.parts.rules), self.parts.fold).start()
    }

    fn load(&mut self, subject: Handle) -> Result<WorkingMemory, Error> {
        let boundary = self.parts.store.boundary(self.parts.log.id(), subject)?;
        let mut memory = match boundary {
            Some(boundary) => WorkingMemory::resume(boundary),
            None => WorkingMemory::unknown(subject),
        };
        // They end where they ended, whatever the rules say now.
        for window in self.logged.get(&subject).into_iter().flatten() {
            restore::rest(*window, memory.window_from()).into_iter().for_each(|window| memory.expect_window(window));
        }
        Ok(memory)
    }

    /// Builds an actor again that panicked: from the last boundary and the log, one event at a time, without those that
    /// break it. An event that broke it for the first time goes to `dead-letters`.
    async fn rebuild(&mut self, subject: Handle, events: &[Recorded]) -> Result<Folded, Error> {
        let batch_from = events[0].offset;
        let since = self.roster.get(subject).and_then(|entry| entry.open_since).unwrap_or(batch_from);
        let mut all =
            restore::events_of(&*self.parts.log, self.parts.ring(), self.partition, subject, since, batch_from)?;
        all.extend_from_slice(events);
        let mut poison: Vec<Offset> = Vec::new();
        'fresh: loop {
            self.metrics.panics.inc();
            tracing::warn!(%subject, partition = %self.partition, "an actor panicked and is built again");
            let memory = self.load(subject)?;
            let actor = self.start(memory, None);
            let mut total = Folded::default();
            for recorded in all.iter().filter(|recorded| !poison.contains(&recorded.offset)) {
                match actor.send(Apply(vec![recorded.clone()])).await {
                    Ok(folded) => add(&mut total, folded),
                    Err(_) => {
                        poison.push(recorded.offset);
                        if recorded.offset >= batch_from {
                            self.bury(recorded.offset).await?;
                        }
                        continue 'fresh;
                    }
                }
            }
            self.roster.activate(subject, actor);
            return Ok(total);
        }
    }

    async fn bury(&self, offset: Offset) -> Result<(), Error> {
        let one = Limits { records: 1, bytes: 1 };
        let batch = self.parts.log.read(&Topic::Interactions, self.partition, offset, one)?;
        let Some(stored) = batch.records.into_iter().next() else { return Ok(()) };
        let Some((_, event)) = self.parts.interactions.read(self.parts.ring(), self.partition, &stored)? else {
            return Ok(());
        };
        let tenant = self.parts.store.tag(&event.tenant);
        let found =
            Coordinates { log: self.parts.log.id(), topic: Topic::Interactions, partition: self.partition, offset };
        let message = "folding this event panics: a defect of memos; replay it once the defect is repaired".to_owned();
        let letter = DeadLetter::new("panicked", message, found, stored.record, now());
        self.metrics.events.with_label_values(&["poison"]).inc();
        let key = self.epoch(tenant).await?;
        self.append(&Topic::DeadLetters, vec![letter.to_record(self.parts.ring(), key, tenant)?]).await?;
        Ok(())
    }

    async fn passivate(&mut self, subject: Handle, reason: &str) -> Result<(), Error> {
        let Some(actor) = self.roster.get(subject).and_then(|entry| entry.actor.clone()) else { return Ok(()) };
        if let Ok(memory) = actor.send(Passivate).await
            && !memory.window().is_empty()
        {
            let of = (subject, memory.state().key_since);
            // Without a key it is read from the log again when it is wanted.
            if let Some(key) = self.key_of(of).await? {
                self.parts.store.spill(&memory, key)?;
            }
        }
        self.roster.passivate(subject);
        self.metrics.passivations.with_label_values(&[reason]).inc();
        Ok(())
    }

    async fn keep_house(&mut self) -> Result<(), Error> {
        self.kept_house = Instant::now();
        let now = now();
        let ago = |seconds: u64| now.plus_seconds(-i64::try_from(seconds).unwrap_or(i64::MAX));
        if self.parts.settings.idle_tick_seconds > 0 {
            for subject in self.roster.due_for_a_tick(ago(self.parts.settings.idle_tick_seconds)) {
                self.tick(subject, now).await?;
            }
        }
        for subject in self.roster.idle_since(ago(self.parts.settings.passivate_after_seconds)) {
            self.passivate(subject, "idle").await?;
        }
        self.mark().await?;
        self.write_again().await
    }

    /// Appends a tick for a subject: it closes the window unless something comes first.
    async fn tick(&mut self, subject: Handle, now: Timestamp) -> Result<(), Error> {
        let actor = match self.roster.get(subject).and_then(|entry| entry.actor.clone()) {
            Some(actor) => actor,
            None => match self.parts.store.unspill(subject)? {
                Some(memory) => {
                    let open_since = self.roster.get(subject).and_then(|entry| entry.open_since);
                    let actor = self.start(memory, open_since);
                    self.roster.activate(subject, actor.clone());
                    actor
                }
                None => return Ok(()),
            },
        };
        if let Ok(Some(LastEvent { tenant, event })) = actor.send(LastOfWindow).await {
            let tag = self.parts.store.tag(&tenant);
            let (key, ring) = (self.epoch(tag).await?, self.parts.ring());
            let tick = envelope::tick(ring, key, tag, subject, &tenant, &event, now)?;
            self.append(&Topic::Interactions, vec![tick]).await?;
            self.metrics.ticks.inc();
        }
        self.roster.ticked(subject);
        Ok(())
    }

    /// Notes from where this partition must be read after a restart, and lets the log trim what lies before.
    async fn mark(&mut self) -> Result<(), Error> {
        let folded_again = self.next >= self.logged_below;
        if folded_again {
            self.logged.clear();
        }
        let consolidations = if folded_again {
            self.parts.log.watermarks(&Topic::Consolidations, self.partition)?.high
        } else {
            // Some of them lack their boundaries: after another crash they must be found again.
            self.marker.consolidations
        };
        let interactions = self.roster.oldest_open().unwrap_or(self.next);
        let marker = OpenFrom { interactions, consolidations, read: self.read };
        if (interactions, consolidations) == (self.marker.interactions, self.marker.consolidations) {
            return Ok(());
        }
        let row = Working::Open { log: self.parts.log.id(), partition: self.partition, marker };
        self.append(&Topic::Working, vec![envelope::working(self.parts.ring(), None, row, now())?]).await?;
        self.replica.catch_up_working(self.partition)?;
        self.marker = marker;
        self.parts.log.release(NAME, &Topic::Interactions, self.partition, marker.interactions)?;
        self.parts.log.release(NAME, &Topic::Consolidations, self.partition, marker.consolidations)?;
        Ok(())
    }
}

fn add(total: &mut Folded, folded: Folded) {
    total.closed.extend(folded.closed);
    total.accepted += folded.accepted;
    total.duplicates += folded.duplicates;
    total.forgotten += folded.forgotten;
    total.stale += folded.stale;
    total.open_since = folded.open_since;
}
