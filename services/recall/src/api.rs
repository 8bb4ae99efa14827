//! The answers, as the port that the gateway calls.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_log::Offset;
use memory_core::subject::TenantTag;
use memory_core::{Bank, EventId, Handle, MemoryId, Step, Subject, TenantId, step::Fate};
use memos_client::port::{Answer, ListRequest, Owned, RecallApi, Unavailable};
use memos_client::{
    EventStatus, EventStatusView, MemoryView, Page, Position, RecallRequest, RecallResponse, RevisionView, TurnView,
    WorkingMemoryView,
};
use tokio::sync::watch;

use crate::Parts;
use crate::answer;
use crate::metrics::Metrics;
use crate::partition::{Partition, View};

/// Banks lighter than this are read anew for every question: some forty memories are there in a fraction of a
/// millisecond, and most subjects have fewer. What is kept warm is what takes long to read.
const WARM_FROM: usize = 32 << 10;

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
        let count = parts.log.partitions();
        let budget = parts.settings.bank_bytes / usize::try_from(count.max(1)).expect("partitions are few");
        let partitions = (0..count).map(|_| Mutex::new(Partition::new(budget))).collect();
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

    fn handle(&self, subject: &Subject) -> Handle {
        subject.handle(&self.0.parts.secret)
    }

    fn partition_of(&self, subject: Handle) -> event_log::Partition {
        subject.partition(self.0.parts.log.partitions())
    }

    /// The bank of a subject and the turns that it does not cover.
    fn view(&self, subject: Handle) -> Result<View, Unavailable> {
        let partition = self.partition_of(subject);
        {
            let mut state = self.lock(partition);
            if let Some(bank) = state.warm(subject) {
                self.0.metrics.banks.with_label_values(&["warm"]).inc();
                return Ok(state.view(subject, bank));
            }
        }
        self.0.metrics.banks.with_label_values(&["cold"]).inc();
        loop {
            let bank = Arc::new(self.0.parts.store.bank(subject).map_err(broken)?);
            let mut state = self.lock(partition);
            // A step may have been applied between reading the bank and taking the lock.
            if self.0.parts.store.next_step(subject).map_err(broken)? == bank.next_step() {
                if bank.weight() >= WARM_FROM {
                    state.insert_warm(subject, Arc::clone(&bank));
                }
                return Ok(state.view(subject, bank));
            }
        }
    }

    fn answer(&self, tenant: &TenantId, request: &RecallRequest) -> Result<RecallResponse, Unavailable> {
        let started = Instant::now();
        let subject = request.subject(tenant).ok_or_else(|| {
            Unavailable::invalid("invalid_query", "name whose memory is asked: user_id, agent_id or session_id")
        })?;
        let query = answer::query(request, &subject)?;
        let handle = self.handle(&subject);
        let view = self.view(handle)?;
        let position = self.position_at(self.partition_of(handle), view.folded);
        if let Some(wanted) = &request.at_least {
            self.check(wanted)?;
        }
        self.0
            .metrics
            .candidates
            .observe(f64::from(u32::try_from(view.bank.len() + view.turns.len()).unwrap_or(u32::MAX)));
        let response = answer::answer(request, &subject, &query, &view, position);
        self.0.metrics.rank_seconds.observe(started.elapsed().as_secs_f64());
        Ok(response)
    }

    fn position_at(&self, partition: event_log::Partition, folded: Offset) -> Position {
        let mut position = Position::new(self.0.parts.log.id().uuid());
        position.cover(partition, folded);
        position
    }

    /// Whether all of a position is folded.
    fn check(&self, position: &Position) -> Result<(), Unavailable> {
        if position.log != self.0.parts.log.id().uuid() {
            return Err(Unavailable::invalid(
                "wrong_log",
                "the position is one of another log; publish again or leave it out",
            ));
        }
        for (partition, next) in &position.next {
            if partition.get() >= self.0.parts.log.partitions() {
                return Err(Unavailable::invalid(
                    "wrong_log",
                    "the position names a partition that this log does not have",
                ));
            }
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
                    Err(error) if !error.invalid => {}
                    decided => return decided,
                }
                if published.changed().await.is_err() {
                    return Err(Unavailable::later("restoring", "recall is stopping", 1));
                }
            }
        };
        tokio::time::timeout(timeout, reached)
            .await
            .unwrap_or_else(|_| Err(Unavailable::later("timeout", "the events are durable, but not recallable yet", 1)))
    }

    /// A tenant's memory with its owner; `None` when it is missing, deleted, or somebody else's (law L08).
    fn find(&self, tenant: &TenantId, id: MemoryId) -> Result<Option<(Subject, Handle, Arc<Bank>)>, Unavailable> {
        let Some(handle) = self.0.parts.store.subject_of_memory(self.tag(tenant), id).map_err(broken)? else {
            return Ok(None);
        };
        let view = self.view(handle)?;
        if memory_core::rank::masked(&view.turns).contains(&id) && is_deleted(&view, id) {
            return Ok(None);
        }
        let Some(owner) = view.bank.owner().filter(|owner| owner.tenant == *tenant).cloned() else { return Ok(None) };
        Ok(view.bank.get(id).is_some().then_some((owner, handle, view.bank)))
    }

    fn status(&self, tenant: &TenantId, id: &EventId) -> Result<Option<EventStatusView>, Unavailable> {
        let tag = self.tag(tenant);
        for subject in self.0.parts.store.subjects_of_event(tag, id).map_err(broken)? {
            if let Some(fate) = self.0.parts.store.fate(subject, id).map_err(broken)? {
                return Ok(Some(status_of(id, fate)));
            }
        }
        let open = event_log::Partition::all(self.0.parts.log.partitions())
            .any(|partition| self.lock(partition).subject_of_event(tag, id).is_some());
        let recallable = || EventStatusView {
            id: id.as_str().to_owned(),
            status: EventStatus::Recallable,
            reason: None,
            memory_id: None,
            position: None,
        };
        Ok(open.then(recallable))
    }

    fn working(&self, subject: &Subject) -> Result<WorkingMemoryView, Unavailable> {
        let handle = self.handle(subject);
        let mut state = self.lock(self.partition_of(handle));
        let owner = || Some(subject.clone());
        let loaded = state.load(self.0.parts.log.id(), &self.0.parts.store, handle, owner).map_err(broken)?;
        let Some(conversation) = loaded else {
            return Ok(WorkingMemoryView::of(
                subject,
                Vec::new(),
                memory_core::Seq::FIRST,
                memory_core::Seq::FIRST,
                true,
            ));
        };
        let memory = conversation.memory();
        let turns = memory.recent().iter().chain(memory.window()).filter(|turn| turn.event.is_turn()).map(TurnView::of);
        let remember = memory.state().remember;
        Ok(WorkingMemoryView::of(subject, turns.collect(), memory.window_from(), memory.state().next, remember))
    }
}

fn is_deleted(view: &View, id: MemoryId) -> bool {
    use memory_core::Control;
    view.turns
        .iter()
        .any(|turn| matches!(turn.event.control.as_deref(), Some(Control::Delete { memory_id }) if *memory_id == id))
}

fn status_of(id: &EventId, fate: Fate) -> EventStatusView {
    let (status, reason, memory_id) = match fate {
        Fate::Kept(memory) => (EventStatus::Kept, None, Some(memory)),
        Fate::Merged(memory) => (EventStatus::Merged, None, Some(memory)),
        Fate::NotKept(reason) => (EventStatus::NotKept, Some(reason.as_str()), None),
        Fate::Applied => (EventStatus::Kept, Some("applied"), None),
        Fate::NoSuchMemory => (EventStatus::NotKept, Some("no_such_memory"), None),
        Fate::Deleted => (EventStatus::Forgotten, Some("memory_deleted"), None),
    };
    EventStatusView {
        id: id.as_str().to_owned(),
        status,
        reason: reason.map(str::to_owned),
        memory_id: memory_id.map(|id| id.as_uuid()),
        position: None,
    }
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
        let found = self.find(tenant, id).map(|found| {
            let (subject, _, bank) = found?;
            let value = MemoryView::of(bank.get(id)?, &subject);
            Some(Owned { subject, value })
        });
        Box::pin(std::future::ready(found))
    }

    fn history(&self, tenant: &TenantId, id: MemoryId) -> Answer<'_, Option<Vec<RevisionView>>> {
        let found = self.find(tenant, id).and_then(|found| {
            let Some((_, handle, bank)) = found else { return Ok(None) };
            let revisions = self.0.parts.store.revisions(handle, id).map_err(broken)?;
            let mut views: Vec<RevisionView> = revisions.iter().map(RevisionView::of).collect();
            views.extend(bank.get(id).map(RevisionView::current));
            Ok(Some(views))
        });
        Box::pin(std::future::ready(found))
    }

    fn memories(&self, subject: &Subject, request: ListRequest) -> Answer<'_, Page<MemoryView>> {
        let page = self.view(self.handle(subject)).and_then(|view| answer::page(&request, subject, &view));
        Box::pin(std::future::ready(page))
    }

    fn working_memory(&self, subject: &Subject) -> Answer<'_, WorkingMemoryView> {
        Box::pin(std::future::ready(self.working(subject)))
    }

    fn event(&self, tenant: &TenantId, id: &EventId) -> Answer<'_, Option<EventStatusView>> {
        Box::pin(std::future::ready(self.status(tenant, id)))
    }

    fn reached(&self, position: &Position, timeout: Duration) -> Answer<'_, ()> {
        let position = position.clone();
        Box::pin(async move { self.wait_for(&position, timeout).await })
    }
}
