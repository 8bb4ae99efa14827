//! A log, stores, and the service between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use event_log::ownership::{All, Ownership};
use event_log::{EventLog, Limits, MemLog, MemLogSettings, Partition, Stored, Topic, envelope};
use memory_core::{Consolidation, Handle, Recorded, Rules, RulesOf, WorkingMemory};
use memory_store::Store;
use service_runtime::{Health, Metrics, Stop};
use tempfile::TempDir;
use testkit::{BrittleLog, Folded, wait_until};
use working_memory::{Error, Fold, Parts, Settings};

pub(crate) const PARTITIONS: u32 = 2;
/// No test takes this long unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) type History = [(Handle, Recorded)];
pub(crate) type Windows = BTreeMap<Handle, Vec<Consolidation>>;

pub(crate) fn log() -> Arc<BrittleLog> {
    log_with(MemLogSettings::default())
}

pub(crate) fn log_with(settings: MemLogSettings) -> Arc<BrittleLog> {
    Arc::new(BrittleLog::new(MemLog::with_settings(MemLogSettings { partitions: PARTITIONS, ..settings })))
}

/// A store in a directory of its own.
pub(crate) struct Home {
    pub(crate) store: Arc<Store>,
    pub(crate) dir: TempDir,
}

pub(crate) fn home(log: &BrittleLog) -> Home {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path(), testkit::secret(), log.ring().clone(), &memory_store::Settings::default())
        .expect("a new store");
    Home { store: Arc::new(store), dir }
}

/// The events of these histories are years old; nothing is to happen because of that.
pub(crate) fn settings(batch_records: usize) -> Settings {
    Settings { batch_records, idle_tick_seconds: 0, passivate_after_seconds: 1 << 40, ..Settings::default() }
}

pub(crate) fn publish(log: &BrittleLog, history: &History) {
    for (subject, recorded) in history {
        let record = testkit::seal::interaction(log.ring(), *subject, recorded);
        let appended = log.inner().append(&Topic::Interactions, subject.partition(PARTITIONS), vec![record]);
        appended.expect("there is room").wait().expect("it is durable");
    }
}

/// Everything that a topic holds.
pub(crate) fn records(log: &BrittleLog, topic: &Topic) -> Vec<(Partition, Stored)> {
    let everything = Limits { records: usize::MAX, bytes: usize::MAX };
    let of = |partition| {
        let low = log.inner().watermarks(topic, partition).expect("it exists").low;
        let batch = log.inner().read(topic, partition, low, everything).expect("it is readable");
        batch.records.into_iter().map(move |stored| (partition, stored))
    };
    Partition::all(PARTITIONS).flat_map(of).collect()
}

/// The windows on the log, by subject, in its order.
pub(crate) fn windows(log: &BrittleLog) -> Windows {
    let mut windows = Windows::new();
    for (_, stored) in records(log, &Topic::Consolidations) {
        let window = envelope::read_consolidation(log.ring(), &stored).expect("it is one").expect("it is no tombstone");
        windows.entry(window.subject).or_default().push(window);
    }
    windows
}

/// The windows of a straight line.
pub(crate) fn expected(folded: &Folded) -> Windows {
    let closed = folded.people.iter().filter(|(_, person)| !person.consolidations.is_empty());
    closed.map(|(subject, person)| (*subject, person.consolidations.clone())).collect()
}

/// Windows that differ say more by their ends than by their whole content.
pub(crate) fn assert_same(found: &Windows, wanted: &Windows) {
    let ends = |windows: &Windows| -> BTreeMap<Handle, Vec<(u64, u64)>> {
        let ends = |all: &[Consolidation]| all.iter().map(|window| (window.from.get(), window.to.get())).collect();
        windows.iter().map(|(subject, all)| (*subject, ends(all))).collect()
    };
    assert_eq!(ends(found), ends(wanted));
    assert!(found == wanted, "the windows have the same ends and other content");
}

/// A running service.
pub(crate) struct Service {
    stop: Stop,
    metrics: Metrics,
    pub(crate) health: Health,
    thread: JoinHandle<Result<(), Error>>,
}

pub(crate) fn start(log: &Arc<BrittleLog>, home: &Home, settings: Settings) -> Service {
    start_with(log, home, settings, Rules::default(), WorkingMemory::apply)
}

pub(crate) fn start_with(
    log: &Arc<BrittleLog>,
    home: &Home,
    settings: Settings,
    rules: impl Into<RulesOf>,
    fold: Fold,
) -> Service {
    let port: Arc<dyn EventLog> = Arc::<BrittleLog>::clone(log);
    let ownership = Box::new(All::of(&*port));
    start_owning(port, home, settings, rules, fold, ownership)
}

pub(crate) fn start_owning(
    log: Arc<dyn EventLog>,
    home: &Home,
    settings: Settings,
    rules: impl Into<RulesOf>,
    fold: Fold,
    ownership: Box<dyn Ownership>,
) -> Service {
    let (stop, metrics, health) = (Stop::new(), Metrics::new(), Health::new());
    let parts = Parts {
        log,
        store: Arc::clone(&home.store),
        ownership,
        interactions: Arc::default(),
        rules: Arc::new(rules.into()),
        settings,
        fold,
        metrics: metrics.clone(),
        health: health.clone(),
        stop: stop.clone(),
    };
    let thread = working_memory::spawn(parts).expect("a thread");
    Service { stop, metrics, health, thread }
}

impl Service {
    /// Waits until everything was folded and what came of it is logged.
    pub(crate) fn drain(&self) {
        wait_until(DEADLINE, "everything is folded", || self.ended() || self.is_idle());
    }

    pub(crate) fn ended(&self) -> bool {
        self.thread.is_finished()
    }

    fn is_idle(&self) -> bool {
        let text = self.metrics.render();
        let idle = |partition: Partition| {
            text.contains(&format!("memos_working_memory_lag_records{{partition=\"{partition}\"}} 0\n"))
        };
        Partition::all(PARTITIONS).all(idle)
    }

    /// The value of a metric, named with its labels; 0 when it was never touched.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().expect("a whole number"))
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
