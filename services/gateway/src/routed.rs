//! Recall as several instances in other processes, each of which holds some partitions.
//!
//! Who holds a subject is arithmetic ([`Topology`]): its partition is its handle modulo the partitions of the log. The
//! instances that hold it are asked in turn, beginning with another one each time, until one has an answer. Reading
//! twice harms nobody, so any failure but one is a reason to ask the next: a question that is itself at fault is so
//! everywhere.
//!
//! What nobody can answer right now is a 503 with the reason and a time; never a 404, because somebody's memory is not
//! missing when the instance that holds it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use event_log::EventLog;
use memory_core::forget::Scope;
use memory_core::{EventId, HashSecret, MemoryId, Partition, ReceiptId, Subject, TenantId, Timestamp};
use memos_client::{
    Answer, EventStatusView, ForgetPreview, ListRequest, MemoryView, Owned, Page, Position, ProfileView, Reach,
    RecallApi, RecallRequest, RecallResponse, ReceiptView, RemoteRecall, RemoteSettings, ReplicaApi, RevisionView,
    Topology, Unavailable, WorkingMemoryView,
};
use service_runtime::Metrics;
use uuid::Uuid;

use crate::StartError;
use crate::metrics::RoutedMetrics;
use crate::settings::RecallSettings;

mod instance;
mod reached;
mod search;

use instance::Instance;

/// What the routing is made of.
#[derive(Debug)]
pub struct RoutedParts<'a> {
    /// It tells how many partitions there are, and which log a position must be of.
    pub log: &'a dyn EventLog,
    pub secret: HashSecret,
    pub settings: &'a RecallSettings,
    pub metrics: &'a Metrics,
}

/// Recall in other processes. Clones are the same.
#[derive(Clone, Debug)]
pub struct Routed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    log: Uuid,
    partitions: u32,
    secret: HashSecret,
    topology: Topology,
    /// By ordinal.
    instances: Vec<Instance>,
    /// Counts questions, so that each begins with another instance.
    turn: AtomicUsize,
    metrics: RoutedMetrics,
}

impl Routed {
    /// Checks the settings; to be called once for a registry of metrics. No instance need be there yet.
    ///
    /// # Errors
    /// [`StartError::Recall`], [`StartError::RecallAddress`], [`StartError::RecallKey`].
    pub fn new(parts: &RoutedParts<'_>) -> Result<Self, StartError> {
        let RoutedParts { log, secret, settings, metrics } = parts;
        let count = u32::try_from(settings.urls.len()).unwrap_or(u32::MAX);
        let topology = Topology::try_new(count, settings.replication_factor).ok_or_else(|| {
            let reason = format!("of {count} instances {} cannot hold each partition", settings.replication_factor);
            StartError::Recall { reason }
        })?;
        let key = settings.internal_key.resolve(&settings.internal_key_file).map_err(StartError::RecallKey)?;
        let remote = RemoteSettings {
            key,
            connect_timeout: Duration::from_millis(settings.connect_timeout_ms),
            timeout: Duration::from_millis(settings.attempt_timeout_ms),
        };
        let skip = Duration::from_millis(settings.skip_ms);
        let instance = |url: &String| RemoteRecall::new(url, &remote).map(|api| Instance::new(api, skip));
        let instances: Result<Vec<Instance>, _> = settings.urls.iter().map(instance).collect();
        Ok(Self(Arc::new(Inner {
            log: log.id().uuid(),
            partitions: log.partitions(),
            secret: secret.clone(),
            topology,
            instances: instances.map_err(StartError::RecallAddress)?,
            turn: AtomicUsize::new(0),
            metrics: RoutedMetrics::new(metrics),
        })))
    }
}

impl Inner {
    fn partition_of(&self, subject: &Subject) -> Partition {
        subject.handle(&self.secret).partition(self.partitions)
    }

    fn instance(&self, ordinal: u32) -> &Instance {
        &self.instances[usize::try_from(ordinal).expect("ordinals are few")]
    }

    /// The instances with these ordinals in the order in which to ask them: each question begins with another one, and
    /// those that have just failed come last.
    fn in_turn(&self, mut ordinals: Vec<u32>) -> Vec<u32> {
        if !ordinals.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % ordinals.len();
            ordinals.rotate_left(turn);
        }
        // Stable: those with the same answer keep their turn.
        ordinals.sort_by_key(|ordinal| self.instance(*ordinal).skipped_until());
        ordinals
    }

    /// Notes what an instance answered, or that it did not.
    fn note<T>(&self, ordinal: u32, answer: &Result<T, Unavailable>) {
        let outcome = match answer {
            Ok(_) => "answered",
            Err(error) if error.invalid => "refused",
            Err(error) => error.code,
        };
        self.metrics.asked.with_label_values(&[ordinal.to_string().as_str(), outcome]).inc();
        self.instance(ordinal).note(ordinal, answer.as_ref().err());
    }

    /// Asks the instances that hold a partition, one after the other.
    async fn ask<'s, T>(
        &'s self,
        partition: Partition,
        question: impl Fn(&'s RemoteRecall) -> Answer<'s, T>,
    ) -> Result<T, Unavailable> {
        let mut failures = Vec::new();
        for ordinal in self.in_turn(self.topology.instances_of(partition).collect()) {
            if !failures.is_empty() {
                if self.instance(ordinal).is_skipped() && failures.iter().any(is_an_answer) {
                    continue;
                }
                self.metrics.retries.inc();
            }
            let answer = question(self.instance(ordinal).api()).await;
            self.note(ordinal, &answer);
            match answer {
                Err(error) if !error.invalid => failures.push(error),
                decided => return decided,
            }
        }
        Err(reason(partition, failures))
    }
}

/// Whether an instance said why it has no answer, instead of not answering.
fn is_an_answer(failure: &Unavailable) -> bool {
    failure.code != Unavailable::UNREACHABLE && failure.code != Unavailable::UNAUTHORIZED
}

/// What to say to a client when every instance of a partition failed: the reason that passes by itself, where there is
/// one. Addresses and the wiring between processes are for our log and not for clients.
fn reason(partition: Partition, failures: Vec<Unavailable>) -> Unavailable {
    let rank = |failure: &Unavailable| match failure.code {
        "position_not_reached" => 0,
        "timeout" => 1,
        "restoring" => 2,
        Unavailable::BUSY => 3,
        _ => 4,
    };
    match failures.into_iter().min_by_key(rank) {
        Some(failure) if rank(&failure) < 3 => failure,
        Some(failure) if failure.code == Unavailable::BUSY => Unavailable::later(
            "unavailable",
            "recall works on as many questions as it may",
            failure.retry_after_seconds,
        ),
        Some(_) | None => {
            let message = format!("no instance of recall that serves partition {partition} answers");
            Unavailable::later("unavailable", message, 1)
        }
    }
}

impl RecallApi for Routed {
    fn recall(&self, tenant: &TenantId, request: RecallRequest) -> Answer<'_, RecallResponse> {
        let tenant = tenant.clone();
        Box::pin(async move {
            let subject = request.subject(&tenant).ok_or_else(|| {
                Unavailable::invalid("invalid_query", "name whose memory is asked: user_id, agent_id or session_id")
            })?;
            let partition = self.0.partition_of(&subject);
            let mut request = request;
            if let Some(position) = &request.at_least {
                self.0.check(position)?;
            }
            // An instance vouches for what it holds; the other partitions say nothing about this subject.
            request.at_least = request.at_least.and_then(|position| part(&position, [partition]));
            self.0.ask(partition, |instance| instance.recall(&tenant, request.clone())).await
        })
    }

    fn memory(&self, tenant: &TenantId, id: MemoryId) -> Answer<'_, Option<Owned<MemoryView>>> {
        let tenant = tenant.clone();
        Box::pin(self.search(move |api, within| {
            let tenant = tenant.clone();
            async move { api.memory_within(&tenant, id, &within).await }
        }))
    }

    fn history(&self, tenant: &TenantId, id: MemoryId) -> Answer<'_, Option<Vec<RevisionView>>> {
        let tenant = tenant.clone();
        Box::pin(self.search(move |api, within| {
            let tenant = tenant.clone();
            async move { api.history_within(&tenant, id, &within).await }
        }))
    }

    fn memories(&self, subject: &Subject, request: ListRequest) -> Answer<'_, Page<MemoryView>> {
        let subject = subject.clone();
        Box::pin(async move {
            let partition = self.0.partition_of(&subject);
            self.0.ask(partition, |instance| instance.memories(&subject, request.clone())).await
        })
    }

    fn working_memory(&self, subject: &Subject) -> Answer<'_, WorkingMemoryView> {
        let subject = subject.clone();
        Box::pin(async move {
            let partition = self.0.partition_of(&subject);
            self.0.ask(partition, |instance| instance.working_memory(&subject)).await
        })
    }

    fn profile(&self, subject: &Subject, now: Option<Timestamp>) -> Answer<'_, ProfileView> {
        let subject = subject.clone();
        Box::pin(async move {
            let partition = self.0.partition_of(&subject);
            self.0.ask(partition, |instance| instance.profile(&subject, now)).await
        })
    }

    fn event(&self, tenant: &TenantId, id: &EventId) -> Answer<'_, Option<EventStatusView>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        Box::pin(self.search(move |api, within| {
            let (tenant, id) = (tenant.clone(), id.clone());
            async move { api.event_within(&tenant, &id, &within).await }
        }))
    }

    fn receipt(&self, tenant: &TenantId, id: ReceiptId) -> Answer<'_, Option<ReceiptView>> {
        let tenant = tenant.clone();
        Box::pin(self.search(move |api, within| {
            let tenant = tenant.clone();
            async move { api.receipt_within(&tenant, id, &within).await }
        }))
    }

    fn preview(&self, subject: &Subject, scope: &Scope) -> Answer<'_, ForgetPreview> {
        let (subject, scope) = (subject.clone(), scope.clone());
        Box::pin(async move {
            let partition = self.0.partition_of(&subject);
            self.0.ask(partition, |instance| instance.preview(&subject, &scope)).await
        })
    }

    fn reached(&self, position: &Position, reach: Reach, timeout: Duration) -> Answer<'_, ()> {
        let position = position.clone();
        Box::pin(async move { self.wait_for(&position, reach, timeout).await })
    }
}

/// What a position says of some partitions; `None` when it says nothing of them.
fn part(position: &Position, partitions: impl IntoIterator<Item = Partition>) -> Option<Position> {
    let mut part = Position::new(position.log);
    for partition in partitions {
        if let Some(next) = position.next.get(&partition) {
            part.cover(partition, *next);
        }
    }
    (!part.next.is_empty()).then_some(part)
}
