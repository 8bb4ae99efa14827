//! A disk that is slow, and a queue that is full: the service waits, and holds no more than a batch meanwhile.

use std::sync::Arc;

use event_log::{EventLog, MemLogSettings, Partition, Record, Topic};
use memory_core::{Rules, WorkingMemory};
use testkit::{BrittleLog, lively_history, wait_until};

use crate::kit::{
    DEADLINE, PARTITIONS, assert_same, expected, home, log, log_with, publish, settings, start, start_with, windows,
};

/// Waits until the service has looked for news this many times: it had every chance to do more.
fn let_it_look(log: &Arc<BrittleLog>, times: u64) {
    let until = log.waits() + times;
    wait_until(DEADLINE, "the service looks for news", || log.waits() >= until);
}

// law: L10
#[test]
fn nothing_is_read_ahead_of_what_is_durable() {
    let history = lively_history(31, 4, 1_000);
    let (log, batch) = (log(), 16);
    let home = home(&log);
    publish(&log, &history);
    log.inner().hold();
    // Every batch closes a window.
    let rules = Rules { window_turns_max: 2, ..Rules::default() };
    let service = start_with(&log, &home, settings(batch), rules.clone(), WorkingMemory::apply);
    wait_until(DEADLINE, "every partition has windows to log", || {
        log.appends(&Topic::Consolidations) == u64::from(PARTITIONS)
    });
    let_it_look(&log, 4);
    for partition in Partition::all(PARTITIONS) {
        let read = log.read_to(&Topic::Interactions, partition).get();
        assert_eq!(read, batch as u64, "events of partition {partition} in the house");
    }
    assert_eq!(log.appends(&Topic::Consolidations), u64::from(PARTITIONS));
    assert_eq!(log.appends(&Topic::Working), 0, "no state is logged before its windows are durable");
    log.inner().resume();
    service.drain();
    let mut people = testkit::Folded::default();
    for (handle, recorded) in &history {
        let person = people.people.entry(*handle).or_insert_with(|| {
            let owner = recorded.event.subject(&recorded.tenant).expect("everybody is somebody");
            let mut person = testkit::Person::owning(owner);
            person.rules = rules.clone();
            person
        });
        person.hear(recorded);
    }
    assert_same(&windows(&log), &expected(&people));
    service.stop().expect("it was told to");
}

// law: L10
#[test]
fn a_full_queue_is_waited_out() {
    let history = lively_history(32, 4, 200);
    let limit = 256 << 10;
    let log = log_with(MemLogSettings { queue_bytes: limit, ..MemLogSettings::default() });
    let home = home(&log);
    publish(&log, &history);
    log.inner().hold();
    let mut filler = Record { value: Some(Vec::new()), ..Record::default() };
    filler.value = Some(vec![0; limit - filler.weight()]);
    let filled = log.inner().append(&Topic::Receipts, Partition::new(0), vec![filler]).expect("it just fits");
    let service = start(&log, &home, settings(64));
    wait_until(DEADLINE, "the queue was found full again and again", || log.refusals() >= 5);
    assert!(!service.ended());
    log.inner().resume();
    filled.wait().expect("it is durable now");
    service.drain();
    assert_same(&windows(&log), &expected(&testkit::fold(&history)));
    service.stop().expect("it was told to");
}
