//! What compaction may take away, and what it may not.

use std::collections::BTreeMap;

use super::{Bench, later, put, read_all, record, tombstone};
use crate::{Limits, Offset, Partition, Record, Stored, Topic};

const ZERO: Partition = Partition::new(0);
const KEYS: u64 = 10;

/// Writes every key many times, and answers everything written.
fn churn(log: &Bench<'_>, topic: &Topic, rounds: u64) -> Vec<Stored> {
    let mut written = Vec::new();
    for round in 0..rounds {
        let records: Vec<Record> =
            (0..KEYS).map(|key| record(&format!("key {key}"), &format!("{round:0100}"))).collect();
        let offsets = put(log, topic, ZERO, records.clone());
        written.extend(offsets.into_iter().zip(records).map(|(offset, record)| Stored { offset, record }));
    }
    written
}

fn newest(records: &[Stored]) -> BTreeMap<Vec<u8>, &Stored> {
    records.iter().map(|stored| (stored.record.key.clone(), stored)).collect()
}

fn has_tombstone(log: &Bench<'_>, topic: &Topic, key: &str) -> bool {
    let all = read_all(log, topic, ZERO, Offset::FIRST, 100);
    all.iter().any(|stored| stored.record.key == key.as_bytes() && stored.record.value.is_none())
}

pub(super) fn the_newest_of_each_key_stays(log: &Bench<'_>) {
    let topic = Topic::Memories;
    let mut written = churn(log, &topic, 3);
    // A key that is never written again must survive every pass, in the middle of what goes.
    let alone = put(log, &topic, ZERO, vec![record("alone", "still here")]);
    written.push(Stored { offset: alone[0], record: record("alone", "still here") });
    written.extend(churn(log, &topic, 20));
    let low = log.watermarks(&topic, ZERO).expect("it exists").low;
    log.age(0, "something was replaced", || {
        if log.brokers {
            // Brokers close a segment when the next record comes, and compact only closed ones.
            written.extend(churn(log, &topic, 1));
        }
        read_all(log, &topic, ZERO, Offset::FIRST, 100).len() < written.len()
    });
    for _ in 0..3 {
        let removed = log.maintain(later(0)).expect("nothing is broken").compacted_records;
        let kept = read_all(log, &topic, ZERO, Offset::FIRST, 7);
        assert!(kept.len() < written.len(), "something was replaced");
        assert_eq!(newest(&kept), newest(&written), "the newest of each key stays");
        assert!(kept.iter().all(|stored| written.contains(stored)), "what stays keeps its offset");
        if removed == 0 {
            break;
        }
    }
    let kept = log.settled(&topic, ZERO);
    let marks = log.watermarks(&topic, ZERO).expect("it exists");
    assert_eq!(marks.low, low, "compaction loses nothing, so it does not move the low watermark");
    for from in (0..marks.high.get()).map(Offset::new) {
        let mut batch = crate::ReadBatch { next: from, ..crate::ReadBatch::default() };
        while batch.records.is_empty() && batch.next < marks.high {
            let at = batch.next;
            batch = log.read(&topic, ZERO, at, Limits { records: 1, bytes: 1 }).expect("every offset can be read from");
            assert!(batch.next > at);
            assert!(log.brokers || !batch.records.is_empty(), "a record is found at once");
        }
        let first = batch.records.pop().map(|stored| Stored { record: log.comparable(stored.record), ..stored });
        assert_eq!(first.as_ref(), kept.iter().find(|stored| stored.offset >= from));
    }
    assert_eq!(put(log, &topic, ZERO, vec![record("k", "v")]), [marks.high], "offsets go on rising");
}

pub(super) fn tombstones_go_when_their_time_is_over(log: &Bench<'_>) {
    let topic = Topic::Working;
    churn(log, &topic, 3);
    put(log, &topic, ZERO, vec![record("gone", "a value")]);
    churn(log, &topic, 3);
    put(log, &topic, ZERO, vec![tombstone("gone")]);
    churn(log, &topic, 6);
    if !log.brokers {
        log.maintain(later(0)).expect("nothing is broken");
        assert!(has_tombstone(log, &topic, "gone"), "a reader may still need it");
    }
    let of_it = |all: Vec<Stored>| all.into_iter().filter(|s| s.record.key == b"gone").collect::<Vec<_>>();
    log.age(2, "the tombstone went", || {
        if log.brokers {
            churn(log, &topic, 1);
        }
        let kept = of_it(read_all(log, &topic, ZERO, Offset::FIRST, 100));
        let value_alone = kept.iter().any(|s| s.record.value.is_some()) && kept.len() == 1;
        assert!(!value_alone, "the value goes before its tombstone does");
        kept.is_empty()
    });
    assert_eq!(of_it(read_all(log, &topic, ZERO, Offset::FIRST, 100)), [], "and nothing comes back");
}

pub(super) fn a_tombstone_waits_for_a_slow_reader(log: &Bench<'_>) {
    let topic = Topic::Memories;
    churn(log, &topic, 2);
    put(log, &topic, ZERO, vec![tombstone("gone")]);
    churn(log, &topic, 8);
    log.release("replica", &topic, ZERO, Offset::new(5)).expect("it is noted");
    log.maintain(later(2)).expect("nothing is broken");
    assert!(has_tombstone(log, &topic, "gone"), "the replica has not read it");
    let high = log.watermarks(&topic, ZERO).expect("it exists").high;
    log.release("replica", &topic, ZERO, high).expect("it is noted");
    log.maintain(later(2)).expect("nothing is broken");
    assert!(!has_tombstone(log, &topic, "gone"));
}
