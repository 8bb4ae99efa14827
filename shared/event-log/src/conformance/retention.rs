//! Who holds retention back, and what a reader learns when it came too late.

use super::{Bench, behind, fill, later, put, read_all, record};
use crate::{Error, Limits, Maintained, Offset, Partition, Topic};

const ZERO: Partition = Partition::new(0);
const ONE: Partition = Partition::new(1);

pub(super) fn commits_are_remembered(log: &Bench<'_>) {
    let topic = Topic::Inlet(super::inlet());
    let committed = |group: &str, partition| log.committed(group, &topic, partition).expect("it exists");
    assert_eq!(committed("gateway", ZERO), None);
    log.commit("gateway", &topic, ZERO, Offset::new(7)).expect("it is noted");
    log.commit("other", &topic, ZERO, Offset::new(1)).expect("it is noted");
    assert_eq!(committed("gateway", ZERO), Some(Offset::new(7)));
    assert_eq!(committed("gateway", ONE), None);
    log.commit("gateway", &topic, ZERO, Offset::new(3)).expect("a group may go back");
    assert_eq!(committed("gateway", ZERO), Some(Offset::new(3)));
    assert_eq!(committed("other", ZERO), Some(Offset::new(1)));
}

pub(super) fn unread_records_are_never_trimmed(log: &Bench<'_>) {
    let topic = Topic::Interactions;
    for partition in [ZERO, ONE] {
        fill(log, &topic, partition, 100);
    }
    let low = |partition| log.watermarks(&topic, partition).expect("it exists").low.get();
    let maintain = |at| log.maintain(at).expect("nothing is broken");
    assert_eq!(maintain(later(2)), Maintained::default(), "nobody has read anything");
    log.release("fast", &topic, ZERO, Offset::new(90)).expect("it is noted");
    log.release("slow", &topic, ZERO, Offset::new(50)).expect("it is noted");
    log.commit("stateless", &topic, ZERO, Offset::new(70)).expect("it is noted");
    assert_eq!(maintain(later(0)), Maintained::default(), "nothing is old");
    let trimmed = maintain(later(2));
    assert!((1..=50).contains(&low(ZERO)), "trimmed to {}", low(ZERO));
    assert_eq!(trimmed.trimmed_records, low(ZERO));
    assert!(trimmed.freed_bytes > 0);
    assert_eq!(low(ONE), 0, "the readers have not come to the other partition yet");
    log.release("slow", &topic, ZERO, Offset::new(80)).expect("it is noted");
    log.release("slow", &topic, ZERO, Offset::new(10)).expect("a release never goes back");
    maintain(later(2));
    assert!((51..=70).contains(&low(ZERO)), "trimmed to {}", low(ZERO));
    let rest = read_all(log, &topic, ZERO, Offset::new(low(ZERO)), 8);
    assert_eq!(rest.first().map(|stored| stored.offset.get()), Some(low(ZERO)));
    assert_eq!(rest.last().map(|stored| stored.offset.get()), Some(99));
}

pub(super) fn what_was_trimmed_is_an_error(log: &Bench<'_>) {
    let topic = Topic::Interactions;
    fill(log, &topic, ZERO, 100);
    for partition in [ZERO, ONE] {
        log.release("reader", &topic, partition, Offset::new(60)).expect("it is noted");
    }
    let first = log.end(&topic, ZERO).get() - 100;
    log.age(2, "old records go", || {
        let marks = log.watermarks(&topic, ZERO).expect("it exists");
        // Brokers trim until nothing is left; before that the beginning would move under this test.
        marks.low.get() > first && (!log.brokers || marks.low == marks.high)
    });
    let marks = log.watermarks(&topic, ZERO).expect("it exists");
    let before = Offset::new(marks.low.get() - 1);
    match log.read(&topic, ZERO, before, Limits::default()) {
        Err(Error::Lost { from, low, .. }) => assert_eq!((from, low), (before, marks.low)),
        other => assert!(matches!(other, Err(Error::Lost { .. })), "{other:?}"),
    }
    assert!(log.read(&topic, ZERO, marks.low, Limits::default()).is_ok());
    let at_the_end = log.read(&topic, ZERO, marks.high, Limits::default()).expect("the end can be read");
    assert_eq!((at_the_end.records.len(), at_the_end.next), (0, marks.high));
    let beyond = log.read(&topic, ZERO, marks.high.next(), Limits::default());
    assert!(matches!(beyond, Err(Error::Beyond { .. })), "{beyond:?}");
    assert_eq!(put(log, &topic, ZERO, vec![record("k", "v")]), [marks.high], "offsets go on rising");
}

pub(super) fn age_alone_trims_where_nobody_registers(log: &Bench<'_>) {
    let before = log.end(&Topic::DeadLetters, ONE);
    fill(log, &Topic::DeadLetters, ONE, 100);
    if !log.brokers {
        assert_eq!(log.maintain(later(0)).expect("nothing is broken"), Maintained::default());
    }
    let marks = || log.watermarks(&Topic::DeadLetters, ONE).expect("it exists");
    log.age(2, "old dead letters go", || marks().low > before);
    assert_eq!(marks().high, behind(before, 100));
}

pub(super) fn receipts_stay(log: &Bench<'_>) {
    fill(log, &Topic::Receipts, ZERO, 100);
    log.release("reader", &Topic::Receipts, ZERO, Offset::new(100)).expect("it is noted");
    if log.brokers {
        // Others have gone when this has: the brokers were there.
        age_alone_trims_where_nobody_registers(log);
    } else {
        assert_eq!(log.maintain(later(100_000)).expect("nothing is broken"), Maintained::default());
    }
    assert_eq!(read_all(log, &Topic::Receipts, ZERO, Offset::FIRST, 100).len(), 100);
}
