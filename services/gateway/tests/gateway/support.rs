//! A gateway to ask, and what it stands on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use event_log::{
    Appended, Error, EventLog, InletName, Limits, MemLog, MemLogSettings, ReadBatch, Record, Stored, Topic, envelope,
};
use gateway::{Gateway, InletReader, InletSettings, Parts, Settings};
use memory_core::{EventId, HashSecret, MemoryId, Offset, Partition, Recorded, Subject, SubjectKind, TenantId};
use memos_client::{
    Answer, ContextView, EventStatusView, ListRequest, MemoryView, Owned, Page, Position, Reach, RecallApi,
    RecallRequest, RecallResponse, RevisionView, Unavailable, WorkingMemoryView,
};
use reqwest::Method;
use serde_json::{Value, json};
use service_runtime::{Health, Metrics};
use uuid::Uuid;

pub(crate) const INLET: &str = "support";
const PARTITIONS: u32 = 4;

/// The log in memory, and switches for what a disk can do.
#[derive(Debug)]
pub(crate) struct TestLog {
    pub(crate) inner: MemLog,
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
    Arc::new(TestLog {
        inner: MemLog::with_settings(settings),
        stopped: AtomicBool::new(false),
        fates: Mutex::default(),
    })
}

impl Parted {
    pub(crate) fn new(settings: Settings, log: Arc<TestLog>) -> Self {
        let recall = Arc::new(FakeRecall::default());
        let writable = Arc::new(AtomicBool::new(true));
        let metrics = Metrics::new();
        let parts = Parts {
            log: Arc::clone(&log) as Arc<dyn EventLog>,
            recall: Arc::clone(&recall) as Arc<dyn RecallApi>,
            secret: secret(),
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
        let parted = Parted::new(settings, log);
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
            let read = envelope::read_interaction(&stored).expect("an envelope");
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
    fn recall(&self, _tenant: &TenantId, request: RecallRequest) -> Answer<'_, RecallResponse> {
        self.asked.lock().expect("no panic").push(request);
        let position = Position::new(Uuid::nil());
        self.answer(RecallResponse { results: Vec::new(), context: ContextView::default(), position })
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
        let zero = memory_core::Seq::FIRST;
        self.answer(WorkingMemoryView::of(subject, Vec::new(), zero, zero, true))
    }

    fn event(&self, _tenant: &TenantId, _id: &EventId) -> Answer<'_, Option<EventStatusView>> {
        self.answer(None)
    }

    fn reached(&self, _position: &Position, _reach: Reach, _timeout: Duration) -> Answer<'_, ()> {
        self.answer(())
    }
}
