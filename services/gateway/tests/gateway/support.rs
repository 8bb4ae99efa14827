//! A gateway to ask, and what it stands on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use event_log::{
    Appended, Error, EventLog, InletName, Limits, MemLog, MemLogSettings, ReadBatch, Record, Stored, Topic, envelope,
};
use gateway::{Gateway, InletReader, InletSettings, Parts, Settings};
use keyring::{KeyId, Keyring, Minted, Vault, VaultError};
use memory_core::forget::Scope;
use memory_core::{
    EventId, Handle, HashSecret, MemoryId, Offset, Partition, ReceiptId, Recorded, Seq, Subject, SubjectKind, TenantId,
    Timestamp,
};
use memos_client::{
    Answer, ContextView, EventStatusView, ForgetPreview, ListRequest, MemoryView, Owned, Page, Position, ProfileView,
    Reach, RecallApi, RecallRequest, RecallResponse, ReceiptStatus, ReceiptView, RevisionView, ScoredView, Unavailable,
    WorkingMemoryView,
};
use reqwest::Method;
use serde_json::{Value, json};
use service_runtime::{Health, Metrics};
use uuid::Uuid;

pub(crate) const INLET: &str = "support";
const PARTITIONS: u32 = 4;

/// The log in memory with the keys of what is sealed in it, and switches for what a disk can do.
#[derive(Debug)]
pub(crate) struct TestLog {
    pub(crate) inner: MemLog,
    pub(crate) ring: Keyring,
    pub(crate) keys: Arc<KeySwitches>,
    /// Every append answers as after a failed fsync.
    pub(crate) stopped: AtomicBool,
    /// What becomes of the next appends; of those behind them, what should.
    pub(crate) fates: Mutex<VecDeque<Fate>>,
}

/// What becomes of an append to a log that is far away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Durable,
    /// It is not there, and its answer says so.
    Lost,
    /// It is there, and its answer says that it may not be.
    Unknown,
}

/// What can happen to keys.
#[derive(Debug, Default)]
pub(crate) struct KeySwitches {
    /// They were not read lately.
    pub(crate) stale: AtomicBool,
    /// No new ones can be kept.
    pub(crate) broken: AtomicBool,
    /// Keeping one takes as long as this is so.
    pub(crate) held: AtomicBool,
    /// How often some were kept.
    pub(crate) kept: AtomicUsize,
}

/// A vault with those switches, which keeps keys in the ring only.
#[derive(Debug)]
struct Switched(Arc<KeySwitches>);

impl Vault for Switched {
    fn keep(&self, _: &[Minted]) -> Result<(), VaultError> {
        while self.0.held.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        if self.0.broken.load(Ordering::Relaxed) {
            return Err("the disk is gone".into());
        }
        self.0.kept.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn destroy(&self, _: Handle, _: Seq, _: &[KeyId]) -> Result<(), VaultError> {
        Ok(())
    }

    fn destroy_epochs(&self, _: &[(keyring::Owner, KeyId)]) -> Result<(), VaultError> {
        Ok(())
    }

    fn refresh(&self, _: &Keyring, _: keyring::Owner) -> Result<(), VaultError> {
        Ok(())
    }

    fn is_fresh(&self, _: keyring::Owner) -> bool {
        !self.0.stale.load(Ordering::Relaxed)
    }
}

/// Recall by script.
#[derive(Debug, Default)]
pub(crate) struct FakeRecall {
    pub(crate) memories: Mutex<BTreeMap<MemoryId, (Subject, MemoryView)>>,
    pub(crate) asked: Mutex<Vec<RecallRequest>>,
    pub(crate) listed: Mutex<Vec<ListRequest>>,
    /// What every question is answered with, if anything.
    pub(crate) refusal: Mutex<Option<Unavailable>>,
    /// No question is ever answered.
    pub(crate) hangs: AtomicBool,
    /// When everything of a subject was forgotten.
    pub(crate) forgotten: Mutex<BTreeMap<Subject, Timestamp>>,
    /// What the next looks at any receipt find; the last one stays.
    pub(crate) receipts: Mutex<VecDeque<ReceiptStatus>>,
    /// Whose receipts they are; anybody's while nobody is named.
    pub(crate) receipts_of: Mutex<Option<TenantId>>,
}

/// A gateway that is not listening.
#[derive(Debug)]
pub(crate) struct Parted {
    pub(crate) gateway: Gateway,
    pub(crate) log: Arc<TestLog>,
    pub(crate) recall: Arc<FakeRecall>,
    pub(crate) writable: Arc<AtomicBool>,
    pub(crate) metrics: Metrics,
}

/// A gateway that is listening.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) parted: Parted,
    pub(crate) address: String,
    http: reqwest::Client,
    handle: ServerHandle,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

/// Settings for a test: a free port, one worker, one inlet of the default tenant.
pub(crate) fn settings() -> Settings {
    let inlets = vec![InletSettings::bound(INLET, "default")];
    let listen = "127.0.0.1:0".parse().expect("an address");
    Settings { listen, workers: 1, inlets, ..Settings::default() }
}

pub(crate) fn inlet_topic() -> Topic {
    Topic::Inlet(InletName::try_new(INLET).expect("a name"))
}

pub(crate) fn secret() -> HashSecret {
    HashSecret::new([7; 32])
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::try_new(name).expect("a tenant")
}

pub(crate) fn user(tenant_name: &str, id: &str) -> Subject {
    Subject { tenant: tenant(tenant_name), kind: SubjectKind::User, id: id.to_owned() }
}

pub(crate) fn log(queue_bytes: usize) -> Arc<TestLog> {
    let inlets = vec![InletName::try_new(INLET).expect("a name")];
    let settings = MemLogSettings { partitions: PARTITIONS, inlets, queue_bytes, ..MemLogSettings::default() };
    let keys = Arc::new(KeySwitches::default());
    Arc::new(TestLog {
        inner: MemLog::with_settings(settings),
        ring: Keyring::new(Box::new(Switched(Arc::clone(&keys)))).expect("a ring"),
        keys,
        stopped: AtomicBool::new(false),
        fates: Mutex::default(),
    })
}

impl Parted {
    pub(crate) fn new(settings: Settings, log: Arc<TestLog>) -> Self {
        Self::with(settings, log, false)
    }

    /// With inlets on its own disk, or not.
    pub(crate) fn with(settings: Settings, log: Arc<TestLog>, seal_inlets: bool) -> Self {
        let recall = Arc::new(FakeRecall::default());
        let writable = Arc::new(AtomicBool::new(true));
        let metrics = Metrics::new();
        let parts = Parts {
            log: Arc::clone(&log) as Arc<dyn EventLog>,
            recall: Arc::clone(&recall) as Arc<dyn RecallApi>,
            secret: secret(),
            ring: log.ring.clone(),
            seal_inlets,
            settings,
            health: Health::new(),
            metrics: metrics.clone(),
            writable: Arc::clone(&writable),
        };
        let gateway = Gateway::new(&parts).expect("the settings are good");
        Self { gateway, log, recall, writable, metrics }
    }

    /// A reader of all partitions of all inlets.
    pub(crate) fn reader(&self) -> InletReader {
        self.gateway.inlet_reader(self.gateway.all_inlets()).expect("all are owned")
    }
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::with(settings(), log(1 << 20)).await
    }

    pub(crate) async fn with(settings: Settings, log: Arc<TestLog>) -> Self {
        Self::of(Parted::new(settings, log))
    }

    pub(crate) fn of(parted: Parted) -> Self {
        let bound = parted.gateway.server().expect("a free port");
        let address = format!("http://{}", bound.addresses[0]);
        let handle = bound.server.handle();
        drop(actix_web::rt::spawn(bound.server));
        Self { parted, address, http: reqwest::Client::new(), handle }
    }

    pub(crate) async fn stop(&self) {
        self.handle.stop(false).await;
    }

    pub(crate) fn log(&self) -> &TestLog {
        &self.parted.log
    }

    /// Sends JSON.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> Reply {
        self.send(method, path, &[("content-type", "application/json")], body.to_string()).await
    }

    /// Sends nothing.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], String::new()).await
    }

    pub(crate) async fn publish(&self, interactions: Value) -> Reply {
        self.call(Method::POST, "/v1/interactions", &json!({ "interactions": interactions })).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Reply {
        let mut request = self.http.request(method, format!("{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body).send().await.expect("the server answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a whole answer");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Reply { status, headers, body }
    }
}

impl Reply {
    /// The code of an error.
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or("none")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The ids of accepted events.
    pub(crate) fn ids(&self) -> Vec<&str> {
        let results = self.body["results"].as_array().expect("a list of results");
        results.iter().map(|result| result["id"].as_str().expect("an id")).collect()
    }
}

impl TestLog {
    /// Everything on a topic.
    pub(crate) fn records(&self, topic: &Topic) -> Vec<Stored> {
        let read = |partition| {
            let low = self.inner.watermarks(topic, partition).expect("a topic").low;
            self.inner
                .read(topic, partition, low, Limits { records: 1 << 20, bytes: 1 << 30 })
                .expect("readable")
                .records
        };
        Partition::all(self.partitions()).flat_map(read).collect()
    }

    /// Every event on `interactions`.
    pub(crate) fn events(&self) -> Vec<Recorded> {
        let decode = |stored: Stored| {
            let read = envelope::read_interaction(&self.ring, &stored).expect("an envelope");
            read.expect("an event has a value").1
        };
        self.records(&Topic::Interactions).into_iter().map(decode).collect()
    }

    /// The ids of [`TestLog::events`], sorted.
    pub(crate) fn event_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.events().iter().map(|recorded| recorded.event.id.to_string()).collect();
        ids.sort();
        ids
    }
}

impl EventLog for TestLog {
    testkit::rest_of_the_log!(inner);

    fn append(&self, topic: &Topic, partition: Partition, records: Vec<Record>) -> Result<Appended, Error> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Error::Stopped { reason: "fsync failed".to_owned() });
        }
        let fate = self.fates.lock().expect("no panic").pop_front().unwrap_or(Fate::Durable);
        let appended = match fate {
            Fate::Durable => return self.inner.append(topic, partition, records),
            Fate::Unknown => Some(self.inner.append(topic, partition, records)?),
            Fate::Lost => None,
        };
        let (answer, failed) = Appended::channel();
        drop(appended);
        answer.send(Err(Error::Changed { file: "far away".into() })).expect("somebody waits");
        Ok(failed)
    }

    fn read(&self, topic: &Topic, partition: Partition, from: Offset, limits: Limits) -> Result<ReadBatch, Error> {
        self.inner.read(topic, partition, from, limits)
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.inner.wait(seen, timeout)
    }
}

impl FakeRecall {
    /// Puts a memory in.
    pub(crate) fn remember(&self, subject: &Subject, id: Uuid, text: &str) {
        let time = "2026-05-08T13:56:00Z";
        let view = json!({
            "id": id, "user_id": subject.id, "agent_id": null, "app_id": null, "session_id": null, "kind": "fact",
            "text": text, "attribute": null, "event_time": time, "valid_from": time, "valid_to": null,
            "created_at": time, "updated_at": time, "expires_at": null, "status": "active", "superseded_by": null,
            "salience": 0.7, "confidence": 0.9, "emotion": null, "origin": "user", "trust": 3, "pinned": false,
            "sources": [], "reinforced": 0, "tags": [], "entities": [], "metadata": {}, "version": 1
        });
        let view = serde_json::from_value(view).expect("the shape of a memory");
        self.memories.lock().expect("no panic").insert(MemoryId::from_uuid(id), (subject.clone(), view));
    }

    pub(crate) fn refuse(&self, refusal: Option<Unavailable>) {
        *self.refusal.lock().expect("no panic") = refusal;
    }

    fn owned(&self, tenant: &TenantId, id: MemoryId) -> Option<Owned<MemoryView>> {
        let memories = self.memories.lock().expect("no panic");
        let (subject, value) = memories.get(&id).filter(|(subject, _)| subject.tenant == *tenant)?.clone();
        Some(Owned { subject, value })
    }

    fn answer<T: Send + 'static>(&self, value: T) -> Answer<'_, T> {
        if self.hangs.load(Ordering::Relaxed) {
            return Box::pin(std::future::pending());
        }
        let refusal = self.refusal.lock().expect("no panic").clone();
        Box::pin(std::future::ready(refusal.map_or(Ok(value), Err)))
    }
}

impl RecallApi for FakeRecall {
    fn recall(&self, tenant: &TenantId, request: RecallRequest) -> Answer<'_, RecallResponse> {
        let (subject, query) = (request.subject(tenant), request.query.clone());
        self.asked.lock().expect("no panic").push(request);
        let memories = self.memories.lock().expect("no panic");
        let found =
            |(owner, view): &&(Subject, MemoryView)| Some(owner) == subject.as_ref() && view.text.contains(&query);
        let results = memories.values().filter(found).map(|(_, view)| ScoredView::memory(view.clone(), 0.5, None));
        let (results, position) = (results.collect(), Position::new(Uuid::nil()));
        self.answer(RecallResponse { results, context: ContextView::default(), position })
    }

    fn memory(&self, tenant: &TenantId, id: MemoryId) -> Answer<'_, Option<Owned<MemoryView>>> {
        self.answer(self.owned(tenant, id))
    }

    fn history(&self, tenant: &TenantId, id: MemoryId) -> Answer<'_, Option<Vec<RevisionView>>> {
        let current = |owned: Owned<MemoryView>| {
            let MemoryView { version, text, .. } = owned.value;
            vec![RevisionView { version, text, until: None, changed_by: None }]
        };
        self.answer(self.owned(tenant, id).map(current))
    }

    fn memories(&self, subject: &Subject, request: ListRequest) -> Answer<'_, Page<MemoryView>> {
        self.listed.lock().expect("no panic").push(request);
        let memories = self.memories.lock().expect("no panic");
        let results = memories.values().filter(|(owner, _)| owner == subject).map(|(_, view)| view.clone()).collect();
        self.answer(Page { results, next: None })
    }

    fn working_memory(&self, subject: &Subject) -> Answer<'_, WorkingMemoryView> {
        let forgotten = self.forgotten.lock().expect("no panic").get(subject).copied();
        let named = |kind| (subject.kind == kind).then(|| subject.id.clone());
        self.answer(WorkingMemoryView {
            user_id: named(SubjectKind::User),
            agent_id: named(SubjectKind::Agent),
            session_id: named(SubjectKind::Session),
            turns: Vec::new(),
            window_from: 0,
            next_seq: 0,
            remember: true,
            forgotten_before: forgotten,
        })
    }

    /// Every memory of the subject as a fact.
    fn profile(&self, subject: &Subject, now: Option<Timestamp>) -> Answer<'_, ProfileView> {
        let named = |kind| (subject.kind == kind).then_some(&subject.id);
        let memories = self.memories.lock().expect("no panic");
        let facts: Vec<Value> = memories
            .values()
            .filter(|(owner, _)| owner == subject)
            .map(|(_, view)| {
                json!({
                    "memory_id": view.id, "attribute": null, "text": view.text, "since": "2026-05-08T13:56:00Z",
                    "confidence": 0.9, "origin": "user", "pinned": false, "sources": []
                })
            })
            .collect();
        let now = memos_client::time::to_text(now.unwrap_or(Timestamp::EPOCH));
        let view = json!({
            "user_id": named(SubjectKind::User), "agent_id": named(SubjectKind::Agent),
            "session_id": named(SubjectKind::Session), "now": now, "facts": facts, "preferences": [], "goals": [],
            "topics": [], "style": null,
            "emotion": { "baseline": null, "weeks": [], "trend": null, "goes_with_low": [], "goes_with_high": [] }
        });
        self.answer(serde_json::from_value(view).expect("the shape of a profile"))
    }

    fn event(&self, _tenant: &TenantId, _id: &EventId) -> Answer<'_, Option<EventStatusView>> {
        self.answer(None)
    }

    fn receipt(&self, tenant: &TenantId, id: ReceiptId) -> Answer<'_, Option<ReceiptView>> {
        let owner = self.receipts_of.lock().expect("no panic").clone();
        let mut stages = self.receipts.lock().expect("no panic");
        let stage = if stages.len() > 1 { stages.pop_front() } else { stages.front().copied() };
        let stage = stage.filter(|_| owner.is_none_or(|owner| owner == *tenant));
        self.answer(stage.map(|status| ReceiptView {
            id: id.as_uuid(),
            status,
            scope: "these".to_owned(),
            accepted_at: Timestamp::EPOCH,
            key_destroyed_at: None,
            erased_at: None,
            verified_at: None,
            forgotten: None,
            copies: Vec::new(),
        }))
    }

    fn preview(&self, subject: &Subject, scope: &Scope) -> Answer<'_, ForgetPreview> {
        let goes = |id: &MemoryId| match scope {
            Scope::Everything => true,
            Scope::These { memories, .. } => memories.contains(id),
            Scope::Matching(_) => false,
        };
        let memories = self.memories.lock().expect("no panic");
        let mine = memories.iter().filter(|(_, (owner, _))| owner == subject).map(|(id, _)| *id);
        let memory_ids: Vec<MemoryId> = mine.filter(goes).collect();
        self.answer(ForgetPreview { memories: memory_ids.len(), turns: 0, memory_ids, event_ids: Vec::new() })
    }

    fn reached(&self, _position: &Position, _reach: Reach, _timeout: Duration) -> Answer<'_, ()> {
        self.answer(())
    }
}
