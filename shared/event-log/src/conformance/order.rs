//! Order, positions and waking up.

use std::thread;
use std::time::Duration;

use super::{Bench, PARTITIONS, behind, fill, inlet, put, read_all, record};
use crate::{Error, InletName, Limits, Offset, Partition, Topic, Watermarks};

const ZERO: Partition = Partition::new(0);
const ONE: Partition = Partition::new(1);

pub(super) fn an_empty_log(log: &Bench<'_>) {
    assert_eq!(log.partitions(), PARTITIONS);
    assert_eq!(log.topics().len(), Topic::FIXED.len() + 1);
    assert_eq!(log.topics().last(), Some(&Topic::Inlet(inlet())));
    assert_eq!(log.failure(), None);
    for topic in log.topics() {
        for partition in [ZERO, ONE] {
            let marks = log.watermarks(&topic, partition).expect("it exists");
            assert!(log.brokers || marks == Watermarks::default());
            assert_eq!(read_all(log, &topic, partition, marks.low, 100), [], "nothing is no error");
            let batch = log.read(&topic, partition, marks.high, Limits::default()).expect("the end can be read");
            assert_eq!((batch.records.len(), batch.next), (0, marks.high));
        }
    }
    let beyond = log.read(&Topic::Memories, ZERO, log.end(&Topic::Memories, ZERO).next(), Limits::default());
    assert!(matches!(beyond, Err(Error::Beyond { .. })), "{beyond:?}");
    assert_eq!(put(log, &Topic::Memories, ZERO, Vec::new()), []);
}

pub(super) fn batches_are_contiguous(log: &Bench<'_>) {
    let mut expected = Vec::new();
    let before = [ZERO, ONE].map(|partition| log.end(&Topic::Interactions, partition));
    for batch in 0..20 {
        let records: Vec<_> = (0..7).map(|i| record("k", &format!("{batch}.{i}"))).collect();
        let offsets = put(log, &Topic::Interactions, ONE, records.clone());
        expected.extend(offsets.into_iter().zip(records));
    }
    for ((offset, _), place) in expected.iter().zip(0..) {
        assert_eq!(*offset, behind(before[1], place), "offsets are dense");
    }
    for at_once in [1, 7, 1000] {
        let read = read_all(log, &Topic::Interactions, ONE, Offset::FIRST, at_once);
        let read: Vec<_> = read.into_iter().map(|stored| (stored.offset, stored.record)).collect();
        assert_eq!(read, expected);
    }
    assert_eq!(log.end(&Topic::Interactions, ZERO), before[0], "the other partition is not touched");
}

pub(super) fn reading_resumes_in_the_middle_of_a_batch(log: &Bench<'_>) {
    let topic = Topic::Inlet(inlet());
    put(log, &topic, ZERO, (0..10).map(|i| record("k", &i.to_string())).collect());
    for from in 0..10 {
        let read = read_all(log, &topic, ZERO, Offset::new(from), 3);
        let offsets: Vec<u64> = read.iter().map(|stored| stored.offset.get()).collect();
        assert_eq!(offsets, (from..10).collect::<Vec<_>>());
    }
}

pub(super) fn concurrent_callers_keep_their_order(log: &Bench<'_>) {
    const CALLS: usize = 100;
    let caller = |name: usize| {
        let call = |i: usize| {
            let records = (0..3).map(|part| record(&name.to_string(), &format!("{i}.{part}"))).collect();
            log.append(&Topic::Consolidations, ZERO, records).expect("there is room")
        };
        // All calls are made before the first is waited for.
        let appended: Vec<_> = (0..CALLS).map(call).collect();
        let offsets: Vec<_> = appended.into_iter().map(|a| a.wait().expect("it becomes durable")).collect();
        for call in &offsets {
            assert_eq!((call[1], call[2]), (call[0].next(), call[1].next()), "a call is contiguous");
        }
        assert!(offsets.windows(2).all(|two| two[0][2] < two[1][0]), "calls keep their order");
        offsets
    };
    let before = log.end(&Topic::Consolidations, ZERO);
    let offsets: Vec<Vec<Vec<Offset>>> = thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|name| scope.spawn(move || caller(name))).collect();
        callers.into_iter().map(|caller| caller.join().expect("no caller panics")).collect()
    });
    let read = read_all(log, &Topic::Consolidations, ZERO, Offset::FIRST, 64);
    assert_eq!(read.len(), 4 * CALLS * 3);
    for (name, calls) in offsets.iter().enumerate() {
        for (i, call) in calls.iter().enumerate() {
            for (part, offset) in call.iter().enumerate() {
                let place = usize::try_from(offset.get() - before.get()).expect("a small number");
                assert_eq!(read[place].record, record(&name.to_string(), &format!("{i}.{part}")));
            }
        }
    }
}

pub(super) fn two_readers_do_not_disturb_each_other(log: &Bench<'_>) {
    let before = log.end(&Topic::Interactions, ZERO);
    fill(log, &Topic::Interactions, ZERO, 60);
    let (mut slow, mut fast) = (before, before);
    let mut read = (Vec::new(), Vec::new());
    let batch = |from, records| {
        log.read(&Topic::Interactions, ZERO, from, Limits { records, bytes: 1 << 20 }).expect("it can be read")
    };
    while slow < behind(before, 60) {
        let few = batch(slow, 2);
        slow = few.next;
        read.0.extend(few.records);
        let many = batch(fast, 9);
        fast = many.next;
        read.1.extend(many.records);
    }
    assert_eq!(read.0, read.1);
    assert_eq!(read.0.len(), 60);
}

pub(super) fn waiting_ends_when_something_is_durable(log: &Bench<'_>) {
    let patient = Duration::from_secs(30);
    let end = log.end(&Topic::Receipts, ONE);
    let before = log.wait(0, Duration::ZERO);
    assert_eq!(log.wait(before, Duration::from_millis(1)), before, "nothing happened");
    let after = thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait(before, patient));
        put(log, &Topic::Receipts, ONE, vec![record("k", "v")]);
        waiting.join().expect("no panic")
    });
    assert!(after > before, "an append wakes who waits");
    assert!(log.wait(before, patient) > before, "what happened before is not waited for");
    assert_eq!(log.end(&Topic::Receipts, ONE), end.next());
}

pub(super) fn unknown_coordinates_are_refused(log: &Bench<'_>) {
    let nowhere = Topic::Inlet(InletName::try_new("nowhere").expect("letters"));
    let far = Partition::new(PARTITIONS);
    assert!(matches!(log.watermarks(&nowhere, ZERO), Err(Error::UnknownTopic { .. })));
    assert!(matches!(log.watermarks(&Topic::Memories, far), Err(Error::UnknownPartition { .. })));
    assert!(log.append(&nowhere, ZERO, vec![record("k", "v")]).is_err());
    assert!(log.append(&Topic::Memories, far, vec![record("k", "v")]).is_err());
    assert!(log.read(&Topic::Memories, far, Offset::FIRST, Limits::default()).is_err());
    assert!(log.commit("group", &nowhere, ZERO, Offset::FIRST).is_err());
    assert!(log.committed("group", &Topic::Memories, far).is_err());
    assert!(log.release("reader", &nowhere, ZERO, Offset::FIRST).is_err());
}
