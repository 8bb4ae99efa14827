//! What every implementation of [`EventLog`] must do, as a suite.
//!
//! A fold does not care which log it folds; this suite is the reason why it need not. An implementation passes when
//! [`run`] returns. Each case gets a log of its own with [`PARTITIONS`] partitions, [`inlet`] as its only inlet,
//! [`RETENTION`] for what was read in `interactions` and for everything in `dead-letters`, the same for tombstones, and
//! segments small enough that a hundred records fill several.
//!
//! Where brokers keep the records, three things differ, and only these ([`run_kept_by_brokers`]): time passes by itself
//! instead of being told, so that such a log is opened with a retention of moments where a case is about ageing; readers
//! do not hold retention back; and records carry the broker's time. A log may also begin with holes.

mod compaction;
mod order;
mod records;
mod retention;

use std::ops::Deref;
use std::thread;
use std::time::{Duration, Instant};

use crate::{
    EventLog, InletName, Limits, Offset, Partition, Record, Retention, RetentionByTopic, Stored, Timestamp, Topic,
};

/// Partitions of the logs the suite runs on.
pub const PARTITIONS: u32 = 2;
/// How long those logs keep what was read, dead letters, and tombstones.
pub const RETENTION: Duration = Duration::from_secs(3600);
/// Bytes that may be queued in those logs.
pub const QUEUE_BYTES: usize = 8 << 20;
/// Bytes of a segment in those logs, if they have segments.
pub const SEGMENT_BYTES: u64 = 2048;

/// The inlet those logs have.
#[must_use]
pub fn inlet() -> InletName {
    InletName::try_new("conformance").expect("letters only")
}

/// The retention those logs have.
#[must_use]
pub fn retention() -> RetentionByTopic {
    RetentionByTopic {
        interactions: Retention::once_read(RETENTION),
        dead_letters: Retention::by_age(RETENTION),
        ..RetentionByTopic::default()
    }
}

type Case = fn(&Bench<'_>);

/// Which logs a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    All,
    /// All; records must age, where time is not told.
    AllAgeing,
    /// Those whose readers hold retention back.
    HeldByReaders,
}

const CASES: &[(&str, For, Case)] = &[
    ("an empty log", For::All, order::an_empty_log),
    ("order and contiguous batches", For::All, order::batches_are_contiguous),
    ("resume in the middle of a batch", For::All, order::reading_resumes_in_the_middle_of_a_batch),
    ("concurrent callers", For::All, order::concurrent_callers_keep_their_order),
    ("two readers", For::All, order::two_readers_do_not_disturb_each_other),
    ("waiting", For::All, order::waiting_ends_when_something_is_durable),
    ("unknown coordinates", For::All, order::unknown_coordinates_are_refused),
    ("every part of a record", For::All, records::every_part_comes_back),
    ("large records", For::All, records::large_records_pass),
    ("too large an append", For::All, records::an_append_beyond_the_queue_is_refused),
    ("read limits", For::All, records::limits_bound_a_read),
    ("commits", For::All, retention::commits_are_remembered),
    ("unread records", For::HeldByReaders, retention::unread_records_are_never_trimmed),
    ("lost records", For::AllAgeing, retention::what_was_trimmed_is_an_error),
    ("dead letters", For::AllAgeing, retention::age_alone_trims_where_nobody_registers),
    ("kept for good", For::AllAgeing, retention::receipts_stay),
    ("compaction", For::AllAgeing, compaction::the_newest_of_each_key_stays),
    ("tombstones", For::AllAgeing, compaction::tombstones_go_when_their_time_is_over),
    ("tombstones and slow readers", For::HeldByReaders, compaction::a_tombstone_waits_for_a_slow_reader),
];

/// Runs every case on a log that `open` makes for it, and that ages when [`EventLog::maintain`] is told a time.
///
/// # Panics
/// When the implementation does not conform; the thread's name says in which case.
pub fn run(open: &(dyn Fn() -> Box<dyn EventLog> + Sync)) {
    for (name, _, case) in CASES {
        run_case(name, *case, false, open);
    }
}

/// Runs every case that is about a log kept by brokers. `open` is told whether the records of the log must age: then
/// their retention and that of tombstones is a few seconds, segments are closed as soon as possible, and brokers look
/// often. Otherwise nothing may age.
///
/// # Panics
/// When the implementation does not conform; the thread's name says in which case.
pub fn run_kept_by_brokers(open: &(dyn Fn(bool) -> Box<dyn EventLog> + Sync)) {
    for (name, about, case) in CASES {
        if *about != For::HeldByReaders {
            run_case(name, *case, true, &|| open(*about == For::AllAgeing));
        }
    }
}

fn run_case(name: &str, case: Case, brokers: bool, open: &(dyn Fn() -> Box<dyn EventLog> + Sync)) {
    thread::scope(|scope| {
        let body = || case(&Bench { log: open().as_ref(), brokers });
        let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, body);
        let ended = thread.expect("the system has a thread to spare").join();
        assert!(ended.is_ok(), "the log does not conform: {name}");
    });
}

/// A log in a case.
struct Bench<'a> {
    log: &'a dyn EventLog,
    /// Whether brokers keep it.
    brokers: bool,
}

impl<'a> Deref for Bench<'a> {
    type Target = dyn EventLog + 'a;

    fn deref(&self) -> &Self::Target {
        self.log
    }
}

impl Bench<'_> {
    /// Lets records age until `done`: tells the time where it is told, and waits for the brokers elsewhere.
    fn age(&self, times: u32, what: &str, mut done: impl FnMut() -> bool) {
        if !self.brokers {
            self.maintain(later(times)).expect("nothing is broken");
            assert!(done(), "{what}");
            return;
        }
        let deadline = Instant::now() + Duration::from_secs(120);
        while !done() {
            assert!(Instant::now() < deadline, "the brokers did not do it in time: {what}");
            thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// Where the partition ends now: what a case appends begins there.
    fn end(&self, topic: &Topic, partition: Partition) -> Offset {
        self.watermarks(topic, partition).expect("it exists").high
    }

    /// The record as it can be compared: without its time where the broker sets that.
    fn comparable(&self, record: Record) -> Record {
        if self.brokers { Record { timestamp: Timestamp::default(), ..record } } else { record }
    }

    /// Everything kept of a partition, once the brokers are done with it.
    fn settled(&self, topic: &Topic, partition: Partition) -> Vec<Stored> {
        let mut kept = read_all(self, topic, partition, Offset::FIRST, 100);
        let mut since = Instant::now();
        while self.brokers && since.elapsed() < Duration::from_secs(3) {
            thread::park_timeout(Duration::from_millis(200));
            let now = read_all(self, topic, partition, Offset::FIRST, 100);
            if now != kept {
                (kept, since) = (now, Instant::now());
            }
        }
        kept
    }
}

/// The offset this far behind another.
fn behind(offset: Offset, by: u64) -> Offset {
    Offset::new(offset.get() + by)
}

/// Appends until the log answers that it is full, and then sees that it takes more once the queue is shorter. For a
/// log whose appends wait: `go_on` ends that, if somebody has to.
///
/// # Panics
/// When the log takes hundreds of times what its queue may hold, or none after that.
pub fn back_pressure(log: &dyn EventLog, go_on: impl FnOnce()) {
    const CALLERS: usize = 4;
    const TRIES: usize = 512;
    let record = || vec![record("k", &"v".repeat(QUEUE_BYTES / 8))];
    let refusals = thread::scope(|scope| {
        let caller = || (0..TRIES).find_map(|_| log.append(&Topic::Interactions, Partition::new(0), record()).err());
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(caller)).collect();
        callers.into_iter().filter_map(|caller| caller.join().expect("no caller panics")).collect::<Vec<_>>()
    });
    assert!(!refusals.is_empty(), "the queue has no bound");
    for refusal in refusals {
        assert_eq!(refusal.kind(), crate::ErrorKind::Full, "{refusal}");
    }
    go_on();
    let mut generation = 0;
    loop {
        match log.append(&Topic::Interactions, Partition::new(0), record()) {
            Ok(appended) => {
                appended.wait().expect("room was made");
                return;
            }
            Err(error) => assert_eq!(error.kind(), crate::ErrorKind::Full, "{error}"),
        }
        let risen = log.wait(generation, Duration::from_secs(30));
        assert!(risen > generation, "the queue never became shorter");
        generation = risen;
    }
}

/// A record of the time 0.
fn record(key: &str, value: &str) -> Record {
    Record { key: key.as_bytes().to_vec(), value: Some(value.as_bytes().to_vec()), ..Record::default() }
}

fn tombstone(key: &str) -> Record {
    Record { key: key.as_bytes().to_vec(), ..Record::default() }
}

fn put(log: &Bench<'_>, topic: &Topic, partition: Partition, records: Vec<Record>) -> Vec<Offset> {
    log.append(topic, partition, records).expect("there is room").wait().expect("it becomes durable")
}

/// Appends `count` numbered records of the time 0, a few at a time, so that they spread over segments.
fn fill(log: &Bench<'_>, topic: &Topic, partition: Partition, count: usize) {
    let records: Vec<Record> = (0..count).map(|i| record(&format!("k{i}"), &format!("{i:0100}"))).collect();
    for few in records.chunks(5) {
        put(log, topic, partition, few.to_vec());
    }
}

/// Everything from `from` on, in batches of at most `at_once` records.
fn read_all(log: &Bench<'_>, topic: &Topic, partition: Partition, from: Offset, at_once: usize) -> Vec<Stored> {
    let mut all = Vec::new();
    let mut next = from;
    let limits = Limits { records: at_once, ..Limits::default() };
    loop {
        let batch = log.read(topic, partition, next, limits).expect("what is kept can be read");
        assert!(batch.records.len() <= at_once.max(1));
        assert!(batch.records.iter().all(|stored| stored.offset >= next && stored.offset < batch.next));
        if batch.records.is_empty() && batch.next > next {
            // A hole.
            next = batch.next;
            continue;
        }
        if batch.records.is_empty() {
            let high = log.watermarks(topic, partition).expect("the partition exists").high;
            assert_eq!(batch.next, high, "a read without records has reached the end");
            return all;
        }
        next = batch.next;
        all.extend(batch.records.into_iter().map(|s| Stored { record: log.comparable(s.record), ..s }));
    }
}

/// A point in time `times` retentions after the records were made.
fn later(times: u32) -> Timestamp {
    let seconds = RETENTION.as_secs() * u64::from(times) + 1;
    Timestamp::from_micros(i64::try_from(seconds * 1_000_000).expect("a few hours"))
}
