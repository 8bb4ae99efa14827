//! A log of windows, stores, and the service between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use consolidator::{Error, Parts, Settings};
use event_log::ownership::{All, Ownership};
use event_log::{EventLog, Limits, MemLog, Partition, Stored, Topic, envelope};
use memory_core::dump::{Dump, DumpHash};
use memory_core::{Consolidation, Handle, StepNumber};
use memory_store::{Listener, Replica, Store};
use service_runtime::{Health, Metrics, Stop};
use tempfile::TempDir;
use testkit::{BrittleLog, Folded, wait_until};

pub(crate) const PARTITIONS: u32 = 2;
/// No test takes this long unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) fn log() -> Arc<BrittleLog> {
    Arc::new(BrittleLog::new(MemLog::new(PARTITIONS)))
}

/// A store in a directory of its own.
pub(crate) struct Home {
    pub(crate) store: Arc<Store>,
    _dir: TempDir,
}

pub(crate) fn home(log: &BrittleLog) -> Home {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path(), testkit::secret(), log.ring().clone(), &memory_store::Settings::default())
        .expect("a new store");
    Home { store: Arc::new(store), _dir: dir }
}

impl Home {
    pub(crate) fn hash(&self) -> DumpHash {
        let mut dump = Dump::default();
        for subject in self.store.subjects() {
            let subject = subject.expect("a readable store");
            dump.subject(subject, self.store.rows(subject).expect("readable rows").iter(), |_| {});
        }
        dump.hash()
    }
}

/// The hash of a store that reads the whole log now, from nothing.
pub(crate) fn rebuilt(log: &Arc<BrittleLog>) -> DumpHash {
    rebuild(log).hash()
}

/// A store that has read the whole log, from nothing.
pub(crate) fn rebuild(log: &Arc<BrittleLog>) -> Home {
    let home = home(log);
    let port: Arc<dyn EventLog> = Arc::<BrittleLog>::clone(log);
    let replica = Replica::new(port, Arc::clone(&home.store), Limits::default());
    for partition in Partition::all(PARTITIONS) {
        replica.catch_up(partition).expect("every step follows");
    }
    home
}

/// The windows of a straight line, subject by subject in turns, as working memory would log them.
pub(crate) fn in_turns(folded: &Folded) -> Vec<&Consolidation> {
    let mut left: Vec<_> = folded.people.values().map(|person| person.consolidations.iter()).collect();
    let mut windows = Vec::new();
    loop {
        let before = windows.len();
        windows.extend(left.iter_mut().filter_map(Iterator::next));
        if windows.len() == before {
            return windows;
        }
    }
}

/// Logs the windows of a straight line.
pub(crate) fn publish(log: &BrittleLog, folded: &Folded) -> usize {
    let windows = in_turns(folded);
    windows.iter().for_each(|window| publish_one(log, window));
    windows.len()
}

pub(crate) fn publish_one(log: &BrittleLog, window: &Consolidation) {
    let record = testkit::seal::window(log.ring(), window);
    let partition = window.subject.partition(PARTITIONS);
    let appended = log.inner().append(&Topic::Consolidations, partition, vec![record]).expect("there is room");
    appended.wait().expect("it is durable");
}

fn records(log: &BrittleLog, topic: &Topic) -> Vec<Stored> {
    let everything = Limits { records: usize::MAX, bytes: usize::MAX };
    let of = |partition| {
        let low = log.inner().watermarks(topic, partition).expect("it exists").low;
        log.inner().read(topic, partition, low, everything).expect("it is readable").records
    };
    Partition::all(PARTITIONS).flat_map(of).collect()
}

/// Of every record of every step, in the order of the log, whether it was buried.
pub(crate) fn steps(log: &BrittleLog) -> BTreeMap<(Handle, StepNumber), Vec<bool>> {
    let records = records(log, &Topic::Memories);
    let mut steps: BTreeMap<_, Vec<bool>> = BTreeMap::new();
    for stored in &records {
        let key = &stored.record.key;
        if let Some(step) = envelope::read_step(log.ring(), stored).expect("a step") {
            let later = |other: &&Stored| other.offset > stored.offset && other.record.key == *key;
            let buried = records.iter().filter(later).any(|other| other.record.value.is_none());
            steps.entry((step.subject, step.number)).or_default().push(buried);
        }
    }
    steps
}

/// A running service.
pub(crate) struct Service {
    stop: Stop,
    metrics: Metrics,
    pub(crate) health: Health,
    thread: JoinHandle<Result<(), Error>>,
}

pub(crate) fn settings(batch_records: usize) -> Settings {
    Settings { batch_records, ..Settings::default() }
}

pub(crate) fn start(log: &Arc<BrittleLog>, home: &Home, settings: Settings) -> Service {
    start_with(log, home, settings, None)
}

pub(crate) fn start_with(
    log: &Arc<BrittleLog>,
    home: &Home,
    settings: Settings,
    listener: Option<Listener>,
) -> Service {
    let port: Arc<dyn EventLog> = Arc::<BrittleLog>::clone(log);
    let ownership = Box::new(All::of(&*port));
    start_owning(port, home, settings, ownership, listener)
}

pub(crate) fn start_owning(
    port: Arc<dyn EventLog>,
    home: &Home,
    settings: Settings,
    ownership: Box<dyn Ownership>,
    listener: Option<Listener>,
) -> Service {
    // Whatever it reads takes many batches.
    let limits = Limits { records: 7, ..Limits::default() };
    let mut replica = Replica::new(port, Arc::clone(&home.store), limits);
    listener.into_iter().for_each(|listener| replica.listen(listener));
    let (stop, metrics, health) = (Stop::new(), Metrics::new(), Health::new());
    let parts =
        Parts { replica, ownership, settings, metrics: metrics.clone(), health: health.clone(), stop: stop.clone() };
    let thread = consolidator::spawn(parts).expect("a thread");
    Service { stop, metrics, health, thread }
}

impl Service {
    /// Waits until every window is consolidated.
    pub(crate) fn drain(&self) {
        wait_until(DEADLINE, "everything is consolidated", || self.ended() || self.is_idle());
    }

    pub(crate) fn ended(&self) -> bool {
        self.thread.is_finished()
    }

    fn is_idle(&self) -> bool {
        Partition::all(PARTITIONS).all(|partition| self.lag(partition) == Some(0))
    }

    /// Windows of a partition that are not consolidated; `None` before the first look.
    pub(crate) fn lag(&self, partition: Partition) -> Option<u64> {
        self.value(&format!("memos_consolidator_lag_records{{partition=\"{partition}\"}}"))
    }

    /// The value of a metric, named with its labels; 0 when it was never touched.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.value(name).unwrap_or(0)
    }

    fn value(&self, name: &str) -> Option<u64> {
        let text = self.metrics.render();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map(|value| value.parse().expect("a whole number"))
    }

    pub(crate) fn stop(self) -> Result<(), Error> {
        self.tell_to_stop();
        self.join()
    }

    pub(crate) fn tell_to_stop(&self) {
        self.stop.stop();
    }

    /// Waits for an end that nobody asked for.
    pub(crate) fn join(self) -> Result<(), Error> {
        wait_until(DEADLINE, "the service ends", || self.thread.is_finished());
        self.thread.join().expect("it does not panic")
    }
}
