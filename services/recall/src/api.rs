//! The answers, as the port that the gateway calls.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use embedding::BuiltIn;
use event_log::{Offset, Topic, now};
use memory_core::forget::Scope;
use memory_core::subject::TenantTag;
use memory_core::{
    Bank, EventId, Handle, MemoryId, ReceiptId, Seq, Step, Subject, TenantId, Timestamp, Turn, WorkingMemory,
};
use memory_store::Store;
use memos_client::port::{Answer, ListRequest, Owned, Reach, RecallApi, ReplicaApi, Unavailable};
use memos_client::{
    EventStatusView, ForgetPreview, MemoryView, Page, Position, ProfileView, RecallRequest, RecallResponse,
    ReceiptView, RevisionView, TurnView, WorkingMemoryView,
};
use tokio::sync::watch;

use crate::answer;
use crate::conversation::shown_from;
use crate::metrics::Metrics;
use crate::partition::{Ends, Partition, Phase, View};
use crate::{PartitionState, Parts};

mod ids;

use ids::owned;

/// Banks lighter than this are read anew for every question: some forty memories are there in a fraction of a
/// millisecond, and most subjects have fewer. What is kept warm is what takes long to read.
const WARM_FROM: usize = 32 << 10;
/// When to ask again for a partition that is being restored: that takes seconds at least.
const RETRY_RESTORING_SECONDS: u32 = 2;
/// When to ask again for a partition that is not here: whoever asks here must look at its settings.
const RETRY_ELSEWHERE_SECONDS: u32 = 5;

/// Recall in this process. Clones are the same recall.
#[derive(Clone)]
pub struct Recall(Arc<Inner>);

struct Inner {
    parts: Parts,
    metrics: Metrics,
    partitions: Vec<Mutex<Partition>>,
    /// Counts the batches that were folded; its watchers look at the positions.
    published: watch::Sender<u64>,
}

impl fmt::Debug for Recall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recall({} partitions)", self.0.partitions.len())
    }
}

impl Recall {
    pub(crate) fn new(parts: Parts) -> Self {
        let budget = parts.settings.bank_bytes / parts.served.len().max(1);
        let phase = |partition| {
            if parts.served.contains(&partition) { Phase::Restoring(None) } else { Phase::Elsewhere }
        };
        let all = event_log::Partition::all(parts.log.partitions());
        let partitions = all.map(|partition| Mutex::new(Partition::new(budget, phase(partition)))).collect();
        let metrics = Metrics::new(&parts.metrics);
        Self(Arc::new(Inner { parts, metrics, partitions, published: watch::Sender::new(0) }))
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The state of a partition. A panic while it was held ends the process elsewhere; readers may still look.
    pub(crate) fn lock(&self, partition: event_log::Partition) -> MutexGuard<'_, Partition> {
        let place = usize::try_from(partition.get()).expect("partitions are few");
        self.0.partitions[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tag(&self, tenant: &TenantId) -> TenantTag {
        tenant.tag(&self.0.parts.secret)
    }

    /// Tells whoever waits for a position that there is a new one.
    pub(crate) fn publish(&self) {
        self.0.published.send_modify(|count| *count += 1);
    }

    /// Hears of an applied step.
    pub(crate) fn step(&self, step: &Step) {
        let tag = step.owner().map(|owner| self.tag(&owner.tenant));
        self.lock(self.partition_of(step.subject)).step(step, tag);
    }

    /// How each of the served partitions is.
    #[must_use]
    pub fn partitions(&self) -> Vec<(event_log::Partition, PartitionState)> {
        let state = |partition: &event_log::Partition| {
            let phase = self.lock(*partition).phase;
            let state = match phase {
                Phase::Serving => PartitionState::Serving,
                Phase::Restoring(ends) => PartitionState::Restoring { behind: self.behind(*partition, ends) },
                Phase::Elsewhere => return None,
            };
            Some((*partition, state))
        };
        self.0.parts.served.iter().filter_map(state).collect()
    }

    /// Whether the store has read `memories` and `working` up to where they ended when recall started. Where recall
    /// follows them itself, its follower says so; otherwise the positions do.
    pub(crate) fn tables_are_read(
        &self,
        partition: event_log::Partition,
        ends: &Ends,
    ) -> Result<bool, memory_store::Error> {
        if self.lock(partition).tables_read {
            return Ok(true);
        }
        let (log, store) = (self.0.parts.log.id(), &self.0.parts.store);
        Ok(store.position(log, &Topic::Memories, partition)? >= ends.memories
            && store.position(log, &Topic::Working, partition)? >= ends.working)
    }

    /// How many records of a restoring partition are not read yet; `None` while nobody knows.
    fn behind(&self, partition: event_log::Partition, ends: Option<Ends>) -> Option<u64> {
        let ends = ends?;
        let (log, store) = (self.0.parts.log.id(), &self.0.parts.store);
        let (folded, windows) = {
            let state = self.lock(partition);
            (state.folded, state.windows)
        };
        let folded = folded.max(store.open_from(log, partition).ok()?.interactions);
        let windows = windows.max(store.position(log, &Topic::Consolidations, partition).ok()?);
        let places = [
            (ends.memories, store.position(log, &Topic::Memories, partition).ok()?),
            (ends.working, store.position(log, &Topic::Working, partition).ok()?),
            (ends.interactions, folded),
            (ends.consolidations, windows),
        ];
        Some(places.into_iter().map(|(end, read)| end.get().saturating_sub(read.get())).sum())
    }

    /// Refuses to answer from a partition that is not here, or not yet.
    pub(crate) fn check_serves(&self, partition: event_log::Partition) -> Result<(), Unavailable> {
        // The number may come from outside.
        let count = self.0.parts.log.partitions();
        let phase = if partition.get() < count { self.lock(partition).phase } else { Phase::Elsewhere };
        match phase {
            Phase::Serving if !self.knows_keys(partition) => {
                let message = "what was forgotten lately cannot be known right now, so nothing is told";
                Err(Unavailable::later("restoring", message, 1))
            }
            Phase::Serving => Ok(()),
            Phase::Elsewhere => {
                let message = format!("partition {partition} is served by other instances of recall");
                Err(Unavailable::later(Unavailable::NOT_SERVED_HERE, message, RETRY_ELSEWHERE_SECONDS))
            }
            Phase::Restoring(ends) => {
                let behind = match self.behind(partition, ends) {
                    Some(behind) => format!("{behind} records behind"),
                    None => "just started".to_owned(),
                };
                let message = format!("partition {partition} is being restored: {behind}");
                Err(Unavailable::later("restoring", message, RETRY_RESTORING_SECONDS))
            }
        }
    }

    /// Whether this process knows which keys of a partition are dead: else it must tell nothing of anybody in it.
    fn knows_keys(&self, partition: event_log::Partition) -> bool {
        // Keys are kept by partition, and this handle is of that one.
        let any = Handle::from_bytes(u128::from(partition.get()).to_be_bytes());
        self.0.parts.store.ring().is_fresh(keyring::Owner::Subject(any))
    }

    fn handle(&self, subject: &Subject) -> Handle {
        subject.handle(&self.0.parts.secret)
    }

    fn partition_of(&self, subject: Handle) -> event_log::Partition {
        subject.partition(self.0.parts.log.partitions())
    }

    /// The bank of a subject and the turns that it does not cover, to look something up in.
    fn view(&self, subject: Handle) -> Result<View, Unavailable> {
        match self.warm(subject) {
            Some(view) => Ok(view),
            None => self.cold(subject, Store::bank, |_, _| {}),
        }
    }

    /// The same to be ranked. A bank that is asked about is kept warm, since to make it ready costs more than the answer.
    fn ranked(&self, subject: Handle) -> Result<View, Unavailable> {
        if let Some(view) = self.warm(subject) {
            self.0.metrics.banks.with_label_values(&["warm"]).inc();
            return Ok(view);
        }
        self.0.metrics.banks.with_label_values(&["cold"]).inc();
        let floor = self.floor(subject);
        self.cold(
            subject,
            |store, subject| store.ranked_bank(subject, &BuiltIn),
            |state, bank| {
                if bank.weight() >= WARM_FROM {
                    state.insert_warm(subject, floor, Arc::clone(bank));
                }
            },
        )
    }

    fn warm(&self, subject: Handle) -> Option<View> {
        let floor = self.floor(subject);
        let mut state = self.lock(self.partition_of(subject));
        let bank = state.warm(subject, floor)?;
        Some(state.view(subject, floor, bank))
    }

    fn cold(
        &self,
        subject: Handle,
        load: impl Fn(&Store, Handle) -> Result<Bank, memory_store::Error>,
        keep: impl Fn(&mut Partition, &Arc<Bank>),
    ) -> Result<View, Unavailable> {
        let floor = self.floor(subject);
        loop {
            let bank = Arc::new(load(&self.0.parts.store, subject).map_err(broken)?);
            let mut state = self.lock(self.partition_of(subject));
            // A step may have been applied between reading the bank and taking the lock.
            if self.0.parts.store.next_step(subject).map_err(broken)? == bank.next_step() {
                keep(&mut state, &bank);
                return Ok(state.view(subject, floor, bank));
            }
        }
    }

    /// Keys of a subject that seal from below it are dead: whatever of that is in RAM is not shown, also where the step is
    /// still to be read that takes it away.
    fn floor(&self, subject: Handle) -> Seq {
        self.0.parts.store.ring().floor(subject)
    }

    fn answer(&self, tenant: &TenantId, request: &RecallRequest) -> Result<RecallResponse, Unavailable> {
        let started = Instant::now();
        let subject = request.subject(tenant).ok_or_else(|| {
            Unavailable::invalid("invalid_query", "name whose memory is asked: user_id, agent_id or session_id")
        })?;
        let query = answer::query(request, &subject)?;
        let handle = self.handle(&subject);
        self.check_serves(self.partition_of(handle))?;
        let view = self.ranked(handle)?;
        let position = self.position_at(self.partition_of(handle), view.folded);
        if let Some(wanted) = &request.at_least {
            self.check(wanted)?;
        }
        self.0
            .metrics
            .candidates
            .observe(f64::from(u32::try_from(view.bank.len() + view.turns.len()).unwrap_or(u32::MAX)));
        let view = match request.as_of {
            Some(at) => self.as_of(handle, view, at)?,
            None => view,
        };
        let response = answer::answer(request, &subject, &query, &view, position);
        self.0.metrics.rank_seconds.observe(started.elapsed().as_secs_f64());
        Ok(response)
    }

    /// What was known at a time: of the bank, and of the turns that it does not cover.
    fn as_of(&self, subject: Handle, view: View, at: Timestamp) -> Result<View, Unavailable> {
        let rows = self.0.parts.store.rows(subject).map_err(broken)?;
        let mut turns = view.turns;
        // What is to be forgotten is hidden whenever that was said.
        let forgets = |turn: &Turn| turn.event.control.as_deref().is_some_and(|control| control.forgets().is_some());
        turns.retain(|turn| turn.arrived <= at || forgets(turn));
        Ok(View { bank: Arc::new(rows.as_of(subject, at, now()).ranked_bank(&BuiltIn)), turns, ..view })
    }

    fn position_at(&self, partition: event_log::Partition, folded: Offset) -> Position {
        let mut position = Position::new(self.0.parts.log.id().uuid());
        position.cover(partition, folded);
        position
    }

    /// Whether a position is one of this log.
    fn check_log(&self, position: &Position) -> Result<(), Unavailable> {
        if position.log != self.0.parts.log.id().uuid() {
            return Err(Unavailable::invalid(
                "wrong_log",
                "the position is one of another log; publish again or leave it out",
            ));
        }
        if position.next.keys().any(|partition| partition.get() >= self.0.parts.log.partitions()) {
            return Err(Unavailable::invalid(
                "wrong_log",
                "the position names a partition that this log does not have",
            ));
        }
        Ok(())
    }

    /// Whether every partition of a position can be asked here, whatever it has folded.
    pub(crate) fn check_position(&self, position: &Position) -> Result<(), Unavailable> {
        self.check_log(position)?;
        // What is not here will not come, so it is said before what is only late.
        let elsewhere = |partition: &&event_log::Partition| self.lock(**partition).phase == Phase::Elsewhere;
        if let Some(partition) = position.next.keys().find(elsewhere) {
            return self.check_serves(*partition);
        }
        position.next.keys().try_for_each(|partition| self.check_serves(*partition))
    }

    /// Whether all of a position is folded.
    fn check(&self, position: &Position) -> Result<(), Unavailable> {
        self.check_position(position)?;
        for (partition, next) in &position.next {
            let folded = self.lock(*partition).folded;
            if folded < *next {
                let message = format!("partition {partition} is recallable up to {folded}, not yet up to {next}");
                return Err(Unavailable::later("position_not_reached", message, 1));
            }
        }
        Ok(())
    }

    async fn wait_for(&self, position: &Position, timeout: Duration) -> Result<(), Unavailable> {
        let mut published = self.0.published.subscribe();
        let reached = async {
            loop {
                match self.check(position) {
                    // No waiting brings a partition here.
                    Err(error) if !error.invalid && error.code != Unavailable::NOT_SERVED_HERE => {}
                    decided => return decided,
                }
                if published.changed().await.is_err() {
                    return Err(Unavailable::later("restoring", "recall is stopping", 1));
                }
            }
        };
        let late = |_| {
            self.check_position(position)?;
            Err(Unavailable::later("timeout", "the events are durable, but not recallable yet", 1))
        };
        tokio::time::timeout(timeout, reached).await.unwrap_or_else(late)
    }

    /// The conversation in RAM, else the last boundary. Questions load no conversation: only the fold knows when it may
    /// leave again.
    fn working(&self, subject: &Subject) -> Result<WorkingMemoryView, Unavailable> {
        let handle = self.handle(subject);
        let partition = self.partition_of(handle);
        self.check_serves(partition)?;
        let state = self.lock(partition);
        if let Some(conversation) = state.conversation(handle) {
            return Ok(working_view(subject, self.floor(handle), conversation.memory()));
        }
        let boundary = self.0.parts.store.boundary(self.0.parts.log.id(), handle).map_err(broken)?;
        drop(state);
        let memory = boundary.map(WorkingMemory::resume);
        let memory = memory.unwrap_or_else(|| WorkingMemory::new(handle, subject.clone()));
        Ok(working_view(subject, self.floor(handle), &memory))
    }
}

fn working_view(subject: &Subject, floor: Seq, memory: &WorkingMemory) -> WorkingMemoryView {
    let from = shown_from(memory.state(), floor);
    let shown = |turn: &&Turn| turn.event.is_turn() && turn.seq >= from;
    let turns = memory.recent().iter().chain(memory.window()).filter(shown).map(TurnView::of);
    WorkingMemoryView::of(subject, turns.collect(), memory.window_from(), memory.state())
}

/// A store that cannot be read is not the client's fault, and nothing a retry repairs; the process will end.
fn broken(error: memory_store::Error) -> Unavailable {
    tracing::error!(error = &error as &dyn std::error::Error, "read the store");
    Unavailable::later("restoring", "the store cannot be read", 5)
}

impl RecallApi for Recall {
    fn recall(&self, tenant: &TenantId, request: RecallRequest) -> Answer<'_, RecallResponse> {
        let answer = self.answer(tenant, &request);
        Box::pin(std::future::ready(answer))
    }

    fn memory(&self, tenant: &TenantId, id: MemoryId) -> Answer<'_, Option<Owned<MemoryView>>> {
        self.memory_within(tenant, id, &self.everywhere())
    }

    fn history(&self, tenant: &TenantId, id: MemoryId) -> Answer<'_, Option<Vec<RevisionView>>> {
        self.history_within(tenant, id, &self.everywhere())
    }

    fn memories(&self, subject: &Subject, request: ListRequest) -> Answer<'_, Page<MemoryView>> {
        let handle = self.handle(subject);
        let served = self.check_serves(self.partition_of(handle));
        let view = served.and_then(|()| self.view(handle));
        Box::pin(std::future::ready(view.and_then(|view| answer::page(&request, subject, &view))))
    }

    fn working_memory(&self, subject: &Subject) -> Answer<'_, WorkingMemoryView> {
        Box::pin(std::future::ready(self.working(subject)))
    }

    fn profile(&self, subject: &Subject, now: Option<Timestamp>) -> Answer<'_, ProfileView> {
        let handle = self.handle(subject);
        let served = self.check_serves(self.partition_of(handle));
        let view = served.and_then(|()| self.view(handle));
        Box::pin(std::future::ready(view.map(|view| answer::profile(subject, &view, now))))
    }

    fn event(&self, tenant: &TenantId, id: &EventId) -> Answer<'_, Option<EventStatusView>> {
        self.event_within(tenant, id, &self.everywhere())
    }

    fn receipt(&self, tenant: &TenantId, id: ReceiptId) -> Answer<'_, Option<ReceiptView>> {
        self.receipt_within(tenant, id, &self.everywhere())
    }

    fn preview(&self, subject: &Subject, scope: &Scope) -> Answer<'_, ForgetPreview> {
        let handle = self.handle(subject);
        let served = self.check_serves(self.partition_of(handle));
        let view = served.and_then(|()| self.view(handle));
        Box::pin(std::future::ready(view.map(|view| answer::preview(&view, handle, scope))))
    }

    fn reached(&self, position: &Position, _reach: Reach, timeout: Duration) -> Answer<'_, ()> {
        let position = position.clone();
        Box::pin(async move { self.wait_for(&position, timeout).await })
    }
}

impl ReplicaApi for Recall {
    fn memory_within(
        &self,
        tenant: &TenantId,
        id: MemoryId,
        within: &[event_log::Partition],
    ) -> Answer<'_, Option<Owned<MemoryView>>> {
        let found = self.find(tenant, id, within).map(|found| found.and_then(|found| owned(found, id)));
        Box::pin(std::future::ready(found))
    }

    fn history_within(
        &self,
        tenant: &TenantId,
        id: MemoryId,
        within: &[event_log::Partition],
    ) -> Answer<'_, Option<Vec<RevisionView>>> {
        Box::pin(std::future::ready(self.revisions(tenant, id, within)))
    }

    fn receipt_within(
        &self,
        tenant: &TenantId,
        id: ReceiptId,
        within: &[event_log::Partition],
    ) -> Answer<'_, Option<ReceiptView>> {
        Box::pin(std::future::ready(self.receipt_here(tenant, id, within)))
    }

    fn event_within(
        &self,
        tenant: &TenantId,
        id: &EventId,
        within: &[event_log::Partition],
    ) -> Answer<'_, Option<EventStatusView>> {
        Box::pin(std::future::ready(self.status(tenant, id, within)))
    }
}
