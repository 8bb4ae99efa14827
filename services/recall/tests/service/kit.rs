//! A stage: events are published, windows close, boundaries and steps are logged, each when the test says so.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use event_log::envelope::{Anchors, OpenFrom, Working};
use event_log::{EventLog, Limits, MemLog, Offset, Partition, Record, Topic, anchor, envelope, now};
use keyring::Keyring;
use memory_core::refold::Rows;
use memory_core::step::Consumed;
use memory_core::working_memory::Closed;
use memory_core::{Anchor, Handle, Recorded, RulesOf, Subject, TenantId, WorkingMemory};
use memory_store::{Replica, Store};
use memos_client::port::{Answer, Reach, RecallApi};
use memos_client::{FoundType, Position, RecallRequest, RecallResponse};
use recall::{Alone, Copies, Error, Parts, Recall, Settings};
use serde_json::{Value, json};
use service_runtime::{Health, Metrics, Stop};
use tempfile::TempDir;
use testkit::{events, seal, wait_until};

pub(crate) const PARTITIONS: u32 = 2;
/// No test takes this long unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::try_new(name).expect("a tenant's name")
}

pub(crate) fn user(tenant_name: &str, id: &str) -> Subject {
    Subject::owner(&tenant(tenant_name), Some(id), None, None).expect("a user was named")
}

/// A store of recall's own.
pub(crate) fn own_store(dir: &TempDir, ring: &Keyring) -> Arc<Store> {
    Arc::new(
        Store::open(dir.path(), testkit::secret(), ring.clone(), &memory_store::Settings::default()).expect("a store"),
    )
}

/// Everything but recall.
pub(crate) struct Stage {
    pub(crate) log: Arc<MemLog>,
    pub(crate) ring: Keyring,
    pub(crate) store: Arc<Store>,
    pub(crate) rules: Arc<RulesOf>,
    people: BTreeMap<Handle, Someone>,
    /// Windows on the log without a step, oldest first, by partition.
    undecided: BTreeMap<Partition, VecDeque<(Handle, usize, Offset)>>,
    count: u64,
    _dir: TempDir,
}

/// What working memory and the consolidator know of a subject.
struct Someone {
    tenant: TenantId,
    working: WorkingMemory,
    rows: Rows,
    closed: Vec<Closed>,
    offsets: Vec<Offset>,
    /// How many of `closed` are on the log, and how many of them have their boundary in `working`.
    logged: usize,
    bounded: usize,
}

impl Stage {
    pub(crate) fn new(rules: impl Into<RulesOf>) -> Self {
        Self::with_ring(rules, testkit::ring())
    }

    /// With keys that are kept by somebody else.
    pub(crate) fn with_ring(rules: impl Into<RulesOf>, ring: Keyring) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = own_store(&dir, &ring);
        Self {
            log: Arc::new(MemLog::new(PARTITIONS)),
            ring,
            store,
            rules: Arc::new(rules.into()),
            people: BTreeMap::new(),
            undecided: BTreeMap::new(),
            count: 0,
            _dir: dir,
        }
    }

    /// Recall in one process with everything else, at the end of everything.
    pub(crate) fn recall(&self, settings: Settings) -> Running {
        let parts = self.parts(Arc::clone(&self.store), settings, Partition::all(PARTITIONS).collect());
        let (stop, health) = (parts.stop.clone(), parts.health.clone());
        let (recall, listener) = recall::prepare(parts);
        let port: Arc<dyn EventLog> = Arc::<MemLog>::clone(&self.log);
        let mut replica = Replica::new(port, Arc::clone(&self.store), Limits::default());
        replica.listen(listener);
        let running = recall::start(recall).expect("a thread");
        wait_until(DEADLINE, "recall is ready", || running.fold.is_finished() || health.is_ready());
        let store = Arc::clone(&self.store);
        Running { recall: running.recall, store, replica: Some(replica), stop, health, threads: vec![running.fold] }
    }

    /// Recall in a process of its own, with this store, at the end of everything.
    pub(crate) fn recall_alone(&self, store: Arc<Store>, settings: Settings) -> Running {
        let running = self.restoring(self.parts(store, settings, Partition::all(PARTITIONS).collect()));
        let ready = || running.is_finished() || running.health.is_ready();
        wait_until(DEADLINE, "recall is ready", ready);
        running
    }

    /// The same, of these parts, and not waited for.
    pub(crate) fn restoring(&self, parts: Parts) -> Running {
        let (stop, health, store) = (parts.stop.clone(), parts.health.clone(), Arc::clone(&parts.store));
        let Alone { recall, fold, follower } = recall::start_alone(parts).expect("threads");
        Running { recall, store, replica: None, stop, health, threads: vec![fold, follower] }
    }

    pub(crate) fn parts(&self, store: Arc<Store>, settings: Settings, served: Vec<Partition>) -> Parts {
        Parts {
            log: Arc::<MemLog>::clone(&self.log),
            store,
            interactions: Arc::default(),
            secret: testkit::secret(),
            rules: Arc::clone(&self.rules),
            served,
            settings,
            copies: Copies::default(),
            metrics: Metrics::new(),
            health: Health::new(),
            stop: Stop::new(),
        }
    }

    fn append(&self, topic: &Topic, partition: Partition, record: Record) -> Offset {
        let appended = self.log.append(topic, partition, vec![record]).expect("there is room");
        std::thread::scope(|scope| scope.spawn(|| appended.wait()).join().expect("no panic")).expect("it is durable")[0]
    }

    /// Publishes an event of a subject, in the outside form ([`testkit::events`]), without an id unless it matters.
    pub(crate) fn say(&mut self, owner: &Subject, mut value: Value) -> Position {
        let object = value.as_object_mut().expect("an event is an object");
        object.entry("id").or_insert_with(|| json!(format!("e{}", self.count)));
        object.insert(format!("{}_id", owner.kind.as_str()), json!(owner.id));
        self.count += 1;
        let recorded = events::recorded(&owner.tenant, now(), Offset::FIRST, &value);
        self.hear(&recorded)
    }

    /// Publishes an event that exists already.
    pub(crate) fn hear(&mut self, recorded: &Recorded) -> Position {
        let owner = recorded.event.subject(&recorded.tenant).expect("somebody owns it");
        let handle = owner.handle(&testkit::secret());
        let partition = handle.partition(PARTITIONS);
        let record = seal::interaction(&self.ring, handle, recorded);
        let offset = self.append(&Topic::Interactions, partition, record);
        let someone = self.people.entry(handle).or_insert_with(|| Someone {
            tenant: owner.tenant.clone(),
            working: WorkingMemory::new(handle, owner),
            rows: Rows::default(),
            closed: Vec::new(),
            offsets: Vec::new(),
            logged: 0,
            bounded: 0,
        });
        someone.offsets.push(offset);
        let recorded = Recorded { offset, ..recorded.clone() };
        someone.closed.extend(someone.working.apply(self.rules.tenant(&recorded.tenant), &recorded).closed);
        let mut position = Position::new(self.log.id().uuid());
        position.cover(partition, offset.next());
        position
    }

    /// The end of `interactions`.
    pub(crate) fn end(&self) -> Position {
        let mut position = Position::new(self.log.id().uuid());
        for partition in Partition::all(PARTITIONS) {
            let high = self.log.watermarks(&Topic::Interactions, partition).expect("it exists").high;
            position.cover(partition, high);
        }
        position
    }

    pub(crate) fn handles(&self) -> Vec<Handle> {
        self.people.keys().copied().collect()
    }

    /// Logs the next window of a subject; `false` when none is closed that is not logged.
    pub(crate) fn log_window(&mut self, subject: Handle) -> bool {
        let someone = &self.people[&subject];
        let place = someone.logged;
        let Some(closed) = someone.closed.get(place) else { return false };
        let partition = subject.partition(PARTITIONS);
        let record = seal::window(&self.ring, &closed.consolidation);
        let offset = self.append(&Topic::Consolidations, partition, record);
        self.people.get_mut(&subject).expect("it is there").logged += 1;
        self.undecided.entry(partition).or_default().push_back((subject, place, offset));
        true
    }

    /// Logs the state at the end of the last logged window of a subject, and where its partition is to be read from.
    pub(crate) fn log_boundary(&mut self, subject: Handle) -> bool {
        let someone = self.people.get_mut(&subject).expect("it has spoken");
        if someone.logged == someone.bounded {
            return false;
        }
        someone.bounded = someone.logged;
        let boundary = Box::new(someone.closed[someone.bounded - 1].boundary.clone());
        let partition = subject.partition(PARTITIONS);
        let in_partition = self.people.iter().filter(|(handle, _)| handle.partition(PARTITIONS) == partition);
        let open = in_partition.filter_map(|(_, someone)| someone.open_since()).min();
        let high = self.log.watermarks(&Topic::Interactions, partition).expect("it exists").high;
        let marker = OpenFrom {
            interactions: open.unwrap_or(high),
            consolidations: Offset::FIRST,
            read: Anchors {
                interactions: self.newest(&Topic::Interactions, partition),
                consolidations: self.newest(&Topic::Consolidations, partition),
            },
        };
        let log = self.log.id();
        let rows = [Working::Boundary { log, boundary }, Working::Open { log, partition, marker }];
        for row in &rows {
            let key = match row {
                Working::Boundary { boundary, .. } if boundary.has_words() => {
                    Some(seal::key(&self.ring, subject, boundary.key_since))
                }
                Working::Boundary { .. } | Working::Open { .. } => None,
            };
            let record = envelope::working(&self.ring, key, row.clone(), now()).expect("its key is alive");
            self.append(&Topic::Working, partition, record);
        }
        let next = self.log.watermarks(&Topic::Working, partition).expect("it exists").high;
        self.store.apply_working(log, partition, &rows, next).expect("the store takes them");
        true
    }

    /// What the newest record of a partition is known by again.
    fn newest(&self, topic: &Topic, partition: Partition) -> Option<Anchor> {
        let marks = self.log.watermarks(topic, partition).expect("it exists");
        let last = Offset::new(marks.high.get().checked_sub(1)?);
        let found = self.log.read(topic, partition, last.max(marks.low), Limits::default()).expect("it is readable");
        found.records.first().map(|stored| anchor::of(stored.offset, &stored.record))
    }

    /// Decides on the oldest undecided window of a partition, and lets the replica of `running` apply the step.
    pub(crate) fn log_step(&mut self, partition: Partition, running: &Running) -> bool {
        let Some((subject, place, offset)) = self.undecided.entry(partition).or_default().pop_front() else {
            return false;
        };
        let anchor = self.newest(&Topic::Consolidations, partition);
        let consumed = Consumed { log: self.log.id().uuid(), partition, next: offset.next(), anchor };
        let someone = self.people.get_mut(&subject).expect("it has spoken");
        let window = &someone.closed[place].consolidation;
        let steps = someone.rows.decide(window, someone.tenant.tag(&testkit::secret()), Some(consumed));
        let since = if window.forget().is_some() { window.to } else { window.key_since };
        for step in &steps {
            someone.rows.apply(step).expect("the rows gave the number of this step");
        }
        for step in &steps {
            self.append(&Topic::Memories, partition, seal::step(&self.ring, since, step, uuid::Uuid::nil(), None));
        }
        if let Some(replica) = &running.replica {
            assert_eq!(replica.catch_up(partition).expect("the step follows"), Vec::<Vec<u8>>::new());
        }
        true
    }

    /// Lets everything that is closed become long-term memory.
    pub(crate) fn settle(&mut self, running: &Running) {
        for subject in self.handles() {
            while self.log_window(subject) {}
            self.log_boundary(subject);
        }
        for partition in Partition::all(PARTITIONS) {
            while self.log_step(partition, running) {}
        }
        wait_until(DEADLINE, "the store has read everything", || self.is_read_by(running));
    }

    /// Whether the store of a recall holds everything that is on `memories` and `working`.
    fn is_read_by(&self, running: &Running) -> bool {
        let read = |topic: &Topic, partition| {
            let position = running.store.position(self.log.id(), topic, partition).expect("it is readable");
            position == self.log.watermarks(topic, partition).expect("it exists").high
        };
        Partition::all(PARTITIONS).all(|partition| {
            read(&Topic::Memories, partition) && (running.replica.is_some() || read(&Topic::Working, partition))
        })
    }
}

impl Someone {
    /// The first event that no boundary covers.
    fn open_since(&self) -> Option<Offset> {
        let folded = self.bounded.checked_sub(1).map(|last| self.closed[last].boundary.folded);
        self.offsets.iter().copied().find(|offset| folded.is_none_or(|folded| *offset >= folded))
    }
}

/// A running recall.
pub(crate) struct Running {
    pub(crate) recall: Recall,
    pub(crate) store: Arc<Store>,
    /// What tells it of steps, where it does not follow them itself.
    replica: Option<Replica>,
    pub(crate) stop: Stop,
    pub(crate) health: Health,
    threads: Vec<JoinHandle<Result<(), Error>>>,
}

impl Running {
    pub(crate) fn reached(&self, position: &Position) {
        block_on(self.recall.reached(position, Reach::One, DEADLINE)).expect("the events become recallable");
    }

    pub(crate) fn ask(&self, owner: &Subject, query: &str) -> RecallResponse {
        ask(&self.recall, owner, query)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    pub(crate) fn stop(self) -> Result<(), Error> {
        self.stop.stop();
        self.threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
    }
}

pub(crate) fn question(owner: &Subject, query: &str) -> RecallRequest {
    let mut request = RecallRequest { query: query.to_owned(), limit: RecallRequest::LIMIT_MAX, ..Default::default() };
    match owner.kind {
        memory_core::SubjectKind::User => request.user_id = Some(owner.id.clone()),
        memory_core::SubjectKind::Agent => request.agent_id = Some(owner.id.clone()),
        memory_core::SubjectKind::Session => request.session_id = Some(owner.id.clone()),
    }
    request
}

pub(crate) fn ask(recall: &Recall, owner: &Subject, query: &str) -> RecallResponse {
    block_on(recall.recall(&owner.tenant, question(owner, query))).expect("an answer")
}

/// What an answer says, best first, and where each of it was found.
pub(crate) fn texts(answer: &RecallResponse) -> Vec<(FoundType, String)> {
    let of = |result: &memos_client::ScoredView| match (&result.memory, &result.turn) {
        (Some(memory), _) => memory.text.clone(),
        (None, Some(turn)) => turn_text(&json!(turn)),
        (None, None) => panic!("a result of nothing: {result:?}"),
    };
    answer.results.iter().map(|result| (result.kind, of(result))).collect()
}

fn turn_text(turn: &Value) -> String {
    turn["content"].as_str().unwrap_or_else(|| panic!("a turn without text: {turn}")).to_owned()
}

/// On a thread of its own, since some tests are asynchronous themselves.
pub(crate) fn block_on<T: Send>(answer: Answer<'_, T>) -> Result<T, memos_client::Unavailable> {
    let wait = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(answer)
    };
    std::thread::scope(|scope| scope.spawn(wait).join().expect("no panic"))
}
