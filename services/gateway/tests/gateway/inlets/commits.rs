//! Positions that the log does not take: what is repeated after a crash stays bounded all the same.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use event_log::{Appended, Error, EventLog, Limits, Offset, ReadBatch, Record, Topic};
use gateway::{Gateway, InletReader, Parts};
use memory_core::Partition;
use serde_json::json;
use service_runtime::{Health, Metrics};

use super::record;
use crate::support::{FakeRecall, TestLog, inlet_topic, log, secret, settings};

const ZERO: Partition = Partition::new(0);

/// A log that drops commits as a broker's client does whose group is being divided anew: the caller hears nothing.
#[derive(Debug)]
struct Forgetful {
    inner: Commits,
}

#[derive(Debug)]
struct Commits {
    log: Arc<TestLog>,
    /// How many of the next commits are dropped.
    dropped: AtomicU32,
}

impl Deref for Commits {
    type Target = TestLog;

    fn deref(&self) -> &TestLog {
        &self.log
    }
}

impl Commits {
    fn commit(&self, group: &str, topic: &Topic, partition: Partition, next: Offset) -> Result<(), Error> {
        let one_less = |left: u32| left.checked_sub(1);
        match self.dropped.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => Ok(()),
            Err(_) => self.log.commit(group, topic, partition, next),
        }
    }
}

impl EventLog for Forgetful {
    testkit::rest_of_the_log!(inner);

    fn append(&self, topic: &Topic, partition: Partition, records: Vec<Record>) -> Result<Appended, Error> {
        self.inner.append(topic, partition, records)
    }

    fn read(&self, topic: &Topic, partition: Partition, from: Offset, limits: Limits) -> Result<ReadBatch, Error> {
        self.inner.read(topic, partition, from, limits)
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.inner.wait(seen, timeout)
    }
}

/// A log with these records in a partition of the inlet, and a reader of it.
fn reading(records: Vec<Record>) -> (Arc<Forgetful>, InletReader) {
    let log = log(64 << 20);
    for chunk in records.chunks(1_000) {
        let appended = log.inner.append(&inlet_topic(), ZERO, chunk.to_vec()).expect("there is room");
        assert!(!appended.wait().expect("is durable").is_empty());
    }
    let ring = log.ring.clone();
    let log = Arc::new(Forgetful { inner: Commits { log, dropped: AtomicU32::new(0) } });
    let port: Arc<dyn EventLog> = Arc::<Forgetful>::clone(&log);
    let parts = Parts {
        log: port,
        recall: Arc::new(FakeRecall::default()),
        secret: secret(),
        ring,
        seal_inlets: false,
        settings: settings(),
        health: Health::new(),
        metrics: Metrics::new(),
        writable: Arc::new(AtomicBool::new(true)),
    };
    let gateway = Gateway::new(&parts).expect("the settings are good");
    let mut reader = gateway.inlet_reader(gateway.all_inlets()).expect("all are owned");
    reader.follow().expect("the log works");
    (log, reader)
}

fn turn(id: &str, user: &str) -> Record {
    record(&json!({ "id": id, "user_id": user, "content": id }), &[])
}

fn committed(log: &Forgetful) -> Option<Offset> {
    log.committed("gateway", &inlet_topic(), ZERO).expect("a topic")
}

fn accepted(reader: &mut InletReader) -> usize {
    reader.take().expect("the log works").accepted
}

#[test]
fn a_subject_waits_while_its_position_is_not_noted() {
    for dropped in [1, 3] {
        let (log, mut reader) = reading((0..1_200).map(|number| turn(&format!("{number:04}"), "loud")).collect());
        assert_eq!(accepted(&mut reader), 500);
        log.inner.dropped.store(dropped, Ordering::Relaxed);
        for again in 0..dropped {
            reader.commit().expect("the log works");
            assert_eq!(committed(&log), Some(Offset::FIRST), "it was dropped");
            assert_eq!(accepted(&mut reader), 0, "{again} of {dropped}: a crash would repeat more than 500");
        }
        reader.commit().expect("the log works");
        assert_eq!(committed(&log), Some(Offset::new(500)), "it was tried again");
        assert_eq!(accepted(&mut reader), 500);
        reader.commit().expect("the log works");
        assert_eq!(accepted(&mut reader), 200);
        reader.commit().expect("the log works");
        assert_eq!(committed(&log), Some(Offset::new(1_200)));
        assert_eq!(log.inner.events().len(), 1_200, "nothing twice");
    }
}

#[test]
fn others_go_on_while_one_subject_waits() {
    let (log, mut reader) = reading((0..600).map(|number| turn(&format!("{number:04}"), "loud")).collect());
    let quiet = log.inner.inner.append(&inlet_topic(), Partition::new(1), vec![turn("quiet", "quiet")]);
    assert_eq!(quiet.expect("there is room").wait().expect("is durable"), [Offset::FIRST]);
    assert_eq!(accepted(&mut reader), 501);
    log.inner.dropped.store(u32::MAX, Ordering::Relaxed);
    reader.commit().expect("the log works");
    let quiet = log.inner.inner.append(&inlet_topic(), Partition::new(1), vec![turn("later", "quiet")]);
    assert_eq!(quiet.expect("there is room").wait().expect("is durable"), [Offset::new(1)]);
    assert_eq!(accepted(&mut reader), 1, "only who has had a share waits");
}

#[test]
fn a_position_of_another_gateway_that_is_further_is_as_good_as_ones_own() {
    let (log, mut reader) = reading((0..600).map(|number| turn(&format!("{number:04}"), "loud")).collect());
    assert_eq!(accepted(&mut reader), 500);
    log.inner.log.commit("gateway", &inlet_topic(), ZERO, Offset::new(550)).expect("a topic");
    log.inner.dropped.store(1, Ordering::Relaxed);
    reader.commit().expect("the log works");
    assert_eq!(accepted(&mut reader), 100, "nobody begins before 550");
}

#[test]
fn what_is_counted_stays_bounded_while_no_position_is_noted() {
    let (log, mut reader) = reading((0..20_100).map(|number| turn("1", &format!("u{number}"))).collect());
    log.inner.dropped.store(u32::MAX, Ordering::Relaxed);
    let mut all = 0;
    loop {
        let accepted = accepted(&mut reader);
        reader.commit().expect("the log works");
        all += accepted;
        if accepted == 0 {
            break;
        }
    }
    assert_eq!(all, 20_000, "those are all that are remembered at once");
    log.inner.dropped.store(0, Ordering::Relaxed);
    reader.commit().expect("the log works");
    assert_eq!(accepted(&mut reader), 100);
}
