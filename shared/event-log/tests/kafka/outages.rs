//! Brokers that go away, stand still and come back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::{Error, EventLog, Limits, Offset, Partition, Topic};
use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use testkit::kafka::Broker;
use testkit::wait_until;

use crate::kit::{BROKER, admin, blocking, new_log, open, read_to_end, record, settings, values};

const ZERO: Partition = Partition::new(0);
const PATIENT: Duration = Duration::from_secs(60);

/// Appends numbers until it is told to stop, a few at once, with several calls on their way. Answers how many.
fn write_numbers(
    log: &KafkaLog,
    topic: &Topic,
    partition: Partition,
    acknowledged: &AtomicUsize,
    stop: &AtomicBool,
) -> usize {
    let (mut number, mut waiting) = (0, std::collections::VecDeque::new());
    while !stop.load(Ordering::Acquire) || !waiting.is_empty() {
        if !stop.load(Ordering::Acquire) && waiting.len() < 20 {
            let records = (number..number + 3).map(|n| record("k", &n.to_string())).collect();
            waiting.push_back(log.append(topic, partition, records).expect("there is room"));
            number += 3;
            continue;
        }
        let offsets = waiting.pop_front().expect("it was looked").wait().expect("the broker comes back");
        assert_eq!(offsets[2].get(), offsets[0].get() + 2, "a call is contiguous");
        let before = acknowledged.fetch_add(3, Ordering::AcqRel);
        assert_eq!(
            offsets[0].get(),
            u64::try_from(before).expect("few") + 1,
            "nothing is doubled and nothing left out"
        );
    }
    number
}

/// Reads until it has seen as many as were written.
fn read_numbers(
    log: &KafkaLog,
    topic: &Topic,
    partition: Partition,
    stop: &AtomicBool,
    written: &AtomicUsize,
) -> Vec<String> {
    let (mut next, mut generation, mut read) = (Offset::FIRST, 0, Vec::new());
    loop {
        let batch = log.read(topic, partition, next, Limits::default()).expect("the broker comes back");
        next = batch.next;
        read.extend(values(&batch.records));
        if stop.load(Ordering::Acquire) && read.len() >= written.load(Ordering::Acquire) {
            return read;
        }
        generation = log.wait(generation, Duration::from_millis(100));
    }
}

#[test]
fn a_broker_that_stops_is_killed_or_stands_still_costs_nothing_but_time() {
    let broker = Broker::start();
    let settings = settings(broker.bootstrap());
    let (log, other) = (new_log(&settings), open(&settings));
    let (stop, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let acknowledged = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let topic = Topic::Interactions;
    thread::scope(|scope| {
        let (stop, done, acknowledged, topic) = (&stop, &done, &acknowledged, &topic);
        let partitions = [ZERO, Partition::new(1)];
        let log = &log;
        let writers =
            [0, 1].map(|i| scope.spawn(move || write_numbers(log, topic, partitions[i], &acknowledged[i], stop)));
        // One reader beside the writer, one in another process.
        let other = &other;
        let readers = [0, 1].map(|i| {
            let from = if i == 0 { log } else { other };
            scope.spawn(move || read_numbers(from, topic, partitions[i], done, &acknowledged[i]))
        });
        let goes_on = |what: &str| {
            let before = acknowledged[0].load(Ordering::Acquire);
            wait_until(PATIENT, what, || acknowledged[0].load(Ordering::Acquire) > before + 300);
        };
        goes_on("records are taken");
        broker.restart();
        goes_on("records are taken after a restart");
        broker.kill();
        broker.restart();
        goes_on("records are taken after a kill");
        broker.pause();
        thread::park_timeout(Duration::from_secs(3));
        broker.resume();
        goes_on("records are taken after a pause");
        stop.store(true, Ordering::Release);
        let written = writers.map(|writer| writer.join().expect("the writer saw nothing wrong"));
        done.store(true, Ordering::Release);
        let read = readers.map(|reader| reader.join().expect("the reader saw nothing wrong"));
        for (read, written) in read.iter().zip(written) {
            assert_eq!(*read, (0..written).map(|n| n.to_string()).collect::<Vec<_>>());
        }
    });
    assert_eq!(log.failure(), None);
}

#[test]
fn what_the_brokers_do_not_take_in_time_stops_the_log_and_nothing_follows_it() {
    let broker = Broker::start();
    let settings =
        KafkaSettings { delivery_timeout_ms: 2000, request_timeout_ms: 1000, ..settings(broker.bootstrap()) };
    let log = new_log(&settings);
    let topic = Topic::Consolidations;
    log.append(&topic, ZERO, vec![record("k", "before")]).expect("there is room").wait().expect("it is durable");
    broker.pause();
    let appended: Vec<_> =
        (0..50).map(|i| log.append(&topic, ZERO, vec![record("k", &i.to_string())]).expect("there is room")).collect();
    let unread = log.watermarks(&topic, Partition::new(1));
    assert!(matches!(unread, Err(Error::Away { seconds: 2, .. })), "{unread:?}");
    for one in appended {
        let error = one.wait().expect_err("nobody took it");
        assert!(matches!(error, Error::Undelivered { partition, .. } if partition == ZERO), "{error}");
    }
    assert!(log.failure().is_some_and(|reason| reason.contains("2 seconds")), "{:?}", log.failure());
    let stopped = log.append(&topic, ZERO, vec![record("k", "behind")]);
    assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
    broker.resume();
    drop(log);
    let read = values(&read_to_end(&open(&settings), &topic, ZERO, Offset::FIRST));
    assert_eq!(read[0], "before");
    let expected: Vec<String> = (0..read.len() - 1).map(|i| i.to_string()).collect();
    assert_eq!(read[1..], expected, "what is stored is a beginning of what was asked for");
}

#[test]
fn a_record_that_the_broker_refuses_stops_the_log_and_nothing_follows_it() {
    let settings = settings(BROKER.bootstrap());
    let log = new_log(&settings);
    let topic = Topic::Memories;
    let name = log.name_of(&topic).expect("it is known").to_owned();
    let alter = AlterConfig::new(ResourceSpecifier::Topic(&name)).set("max.message.bytes", "2000");
    blocking(admin(BROKER.bootstrap()).alter_configs([&alter], &AdminOptions::new())).expect("it is set");
    // Text that does not become smaller by compression.
    let noise: Vec<u8> =
        (0..200_u32).flat_map(|i| event_log::LogId::random().uuid().as_u128().rotate_left(i).to_le_bytes()).collect();
    let large = event_log::Record { value: Some(noise), ..record("k", "") };
    log.append(&topic, ZERO, vec![record("k", "small")]).expect("there is room").wait().expect("it is durable");
    let refused = log.append(&topic, ZERO, vec![large]).expect("there is room");
    let behind: Vec<_> = (0..100).map_while(|_| log.append(&topic, ZERO, vec![record("k", "behind")]).ok()).collect();
    let error = refused.wait().expect_err("it is too large");
    assert!(matches!(error, Error::Undelivered { .. }), "{error}");
    for one in behind {
        assert!(one.wait().is_err(), "nothing is stored behind a failure");
    }
    assert!(log.failure().is_some());
    drop(log);
    assert_eq!(values(&read_to_end(&open(&settings), &topic, ZERO, Offset::FIRST)), ["small"]);
}

#[test]
fn a_read_waits_for_a_broker_that_is_away_but_not_for_ever() {
    let broker = Broker::start();
    let settings =
        KafkaSettings { delivery_timeout_ms: 3000, request_timeout_ms: 1000, ..settings(broker.bootstrap()) };
    let log = new_log(&settings);
    let topic = Topic::Working;
    log.append(&topic, ZERO, vec![record("k", "v")]).expect("there is room").wait().expect("it is durable");
    broker.pause();
    let away = log.read(&topic, ZERO, Offset::FIRST, Limits::default());
    assert!(matches!(away, Err(Error::Away { seconds: 3, .. })), "{away:?}");
    thread::scope(|scope| {
        let reading = scope.spawn(|| read_to_end(&log, &topic, ZERO, Offset::FIRST));
        thread::park_timeout(Duration::from_secs(1));
        broker.resume();
        assert_eq!(values(&reading.join().expect("the broker came back in time")), ["v"]);
    });
    broker.kill();
    let refused = KafkaLog::open(&settings);
    assert!(matches!(refused, Err(Error::Away { .. })), "{refused:?}");
}
