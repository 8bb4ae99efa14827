//! That a record comes back as it was, and how much comes back at once.

use std::time::{Duration, Instant};

use super::{Bench, QUEUE_BYTES, put, read_all, record, tombstone};
use crate::{Error, Limits, Offset, Partition, Record, Timestamp, Topic};

const ZERO: Partition = Partition::new(0);

pub(super) fn every_part_comes_back(log: &Bench<'_>) {
    let headers = vec![
        ("traceparent".to_owned(), Some(b"00-1".to_vec())),
        ("null".to_owned(), None),
        ("empty".to_owned(), Some(Vec::new())),
        ("null".to_owned(), Some(vec![0, 255])),
        (String::new(), None),
    ];
    let records = vec![
        tombstone("k"),
        Record { value: Some(Vec::new()), ..tombstone("k") },
        Record { headers, timestamp: Timestamp::from_micros(-1), ..record("", "no key") },
        Record { timestamp: Timestamp::from_micros(i64::MAX), ..Record::default() },
        Record { key: (0..=255).collect(), value: Some((0..=255).rev().collect()), ..Record::default() },
    ];
    put(log, &Topic::Memories, ZERO, records.clone());
    let read = read_all(log, &Topic::Memories, ZERO, Offset::FIRST, 10);
    let expected: Vec<Record> = records.into_iter().map(|record| log.comparable(record)).collect();
    assert_eq!(read.into_iter().map(|stored| stored.record).collect::<Vec<_>>(), expected);
}

pub(super) fn large_records_pass(log: &Bench<'_>) {
    let large = record("k", &"x".repeat(2 << 20));
    let mut next = log.end(&Topic::Interactions, ZERO);
    put(log, &Topic::Interactions, ZERO, vec![record("k", "before"), large.clone(), record("k", "after")]);
    let limits = Limits { records: 10, bytes: 1000 };
    let mut read = Vec::new();
    for _ in 0..3 {
        let batch = log.read(&Topic::Interactions, ZERO, next, limits).expect("it can be read");
        assert_eq!(batch.records.len(), 1, "a large record comes alone");
        next = batch.next;
        read.extend(batch.records);
    }
    assert_eq!(log.comparable(read.remove(1).record), large);
    assert_eq!(log.comparable(read.remove(1).record), record("k", "after"));
}

pub(super) fn an_append_beyond_the_queue_is_refused(log: &Bench<'_>) {
    let before = log.end(&Topic::Interactions, ZERO);
    let refused = log.append(&Topic::Interactions, ZERO, vec![record("k", &"x".repeat(QUEUE_BYTES))]);
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    assert_eq!(log.end(&Topic::Interactions, ZERO), before);
}

pub(super) fn limits_bound_a_read(log: &Bench<'_>) {
    let one = record("k", &"x".repeat(100));
    let second = log.end(&Topic::Interactions, ZERO).next();
    put(log, &Topic::Interactions, ZERO, vec![one.clone(); 20]);
    let read = |records, bytes| {
        let limits = Limits { records, bytes };
        log.read(&Topic::Interactions, ZERO, second, limits).expect("it can be read").records.len()
    };
    // What comes from far comes in pieces.
    let deadline = Instant::now() + Duration::from_secs(30);
    while log.brokers && read(usize::MAX, usize::MAX) < 19 {
        assert!(Instant::now() < deadline, "the rest did not come");
    }
    assert_eq!(read(0, 0), 1, "progress is always possible");
    assert_eq!(read(5, usize::MAX), 5);
    assert_eq!(read(usize::MAX, usize::MAX), 19);
    assert_eq!(read(100, one.weight() * 3), 3);
    assert_eq!(read(100, one.weight() * 4 - 1), 3);
}
