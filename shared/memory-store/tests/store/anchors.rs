//! A store knows the topics again that it was built from.

use std::sync::Arc;

use event_log::envelope::{Anchors, OpenFrom, Working};
use event_log::{EventLog, Limits, MemLog, Offset, Record, Timestamp, Topic, anchor};
use memory_core::step::Consumed;
use memory_core::{Anchor, Step};
use memory_store::{Error, Replica, Store};
use testkit::{fold, lively_history};

use crate::kit::{ONE, WRITER, append, bury, log_of, open, read_all, replica};

fn steps(seed: u64) -> Vec<Step> {
    fold(&lively_history(seed, 3, 200)).steps
}

fn begin(log: &Arc<MemLog>, store: &Arc<Store>) -> Result<(), Error> {
    let log: Arc<dyn EventLog> = log.clone();
    Replica::new(log, Arc::clone(store), Limits::default()).begin(ONE)
}

fn replaced(error: &Error, wanted: &Topic) -> bool {
    matches!(error, Error::Log(event_log::Error::Replaced { topic, partition: ONE, .. }) if topic == wanted)
}

// law: L02
#[test]
fn memories_that_were_made_anew_and_have_grown_past_the_position_are_found_out() {
    let (old, new) = (steps(11), steps(12));
    for batch in [1, 7, 4_096] {
        let log = log_of(&old[..20]);
        let dir = tempfile::tempdir().expect("a directory");
        let store = {
            let replica = replica(&log, dir.path(), batch);
            replica.begin(ONE).expect("nothing was read");
            replica.catch_up(ONE).expect("it applies");
            Arc::clone(replica.store())
        };
        begin(&log, &store).expect("it is the same topic");
        append(&log, WRITER, &old[20..]);
        begin(&log, &store).expect("it is the same topic, and longer");
        log.recreate(&Topic::Memories, ONE);
        append(&log, WRITER, &new);
        let error = begin(&log, &store).expect_err("other steps are there");
        assert!(replaced(&error, &Topic::Memories), "{error:?}");
        let text = std::error::Error::source(&error).expect("the log says what").to_string();
        assert!(text.contains("memories/0") && text.contains("offset 19") && text.contains("decision 008"), "{text}");
    }
}

#[test]
fn an_anchor_that_compaction_took_proves_nothing() {
    let old = steps(13);
    let log = log_of(&old[..20]);
    let dir = tempfile::tempdir().expect("a directory");
    let replica = replica(&log, dir.path(), 7);
    replica.catch_up(ONE).expect("it applies");
    let known = replica.store().anchor(log.id(), &Topic::Memories, ONE).expect("it reads").expect("it was noted");
    assert_eq!(known.offset, Offset::new(19));
    let last = read_all(&log, ONE).pop().expect("a step").record;
    bury(&log, ONE, last.key);
    log.maintain(Timestamp::EPOCH).expect("it compacts");
    let left = read_all(&log, ONE);
    assert!(left.iter().all(|stored| stored.offset != known.offset), "it is still there");
    replica.begin(ONE).expect("it may be the same topic");
}

#[test]
fn anchors_of_another_log_are_ignored() {
    let (log, other) = (log_of(&steps(14)), log_of(&steps(15)));
    let dir = tempfile::tempdir().expect("a directory");
    let replica = replica(&log, dir.path(), 7);
    replica.catch_up(ONE).expect("it applies");
    assert_eq!(replica.store().anchor(other.id(), &Topic::Memories, ONE).expect("it reads"), None);
    begin(&other, replica.store()).expect("nothing is known of that log");
}

/// Steps tell what of `consolidations` was read when they were decided, so that a store which never read it knows.
// law: L02
#[test]
fn consolidations_that_were_made_anew_are_found_out_by_what_steps_tell() {
    let window = |text: String| Record { key: vec![1; 16], value: Some(text.into_bytes()), ..Record::default() };
    let windows = |log: &MemLog, name: &str, count: u64| {
        let records: Vec<Record> = (0..count).map(|number| window(format!("{name} {number}"))).collect();
        let appended = log.append(&Topic::Consolidations, ONE, records.clone()).expect("there is room");
        let offsets = appended.wait().expect("it is durable");
        offsets.iter().zip(&records).map(|(offset, record)| anchor::of(*offset, record)).collect::<Vec<Anchor>>()
    };
    let all = steps(16);
    let log = Arc::new(MemLog::new(1));
    let known = windows(&log, "old", 9);
    let tell = |next: u64, newest: usize, anchor: bool| {
        let anchor = anchor.then(|| known[newest]);
        Some(Consumed { log: log.id().uuid(), partition: ONE, next: Offset::new(next), anchor })
    };
    // The third is of a writer that is behind, the last of an older memos.
    let told = [tell(1, 3, true), tell(6, 7, true), tell(4, 3, true), tell(7, 7, false)];
    for (step, consumed) in all.iter().zip(told) {
        append(&log, WRITER, &[Step { consumed, ..step.clone() }]);
    }
    let dir = tempfile::tempdir().expect("a directory");
    let replica = replica(&log, dir.path(), 4_096);
    replica.catch_up(ONE).expect("it applies");
    let store = replica.store();
    let noted = store.anchor(log.id(), &Topic::Consolidations, ONE).expect("it reads");
    assert_eq!(noted, Some(known[7]));
    replica.begin(ONE).expect("it is the same topic");
    log.recreate(&Topic::Consolidations, ONE);
    windows(&log, "new", 7);
    let error = replica.begin(ONE).expect_err("the record that was read is not there");
    assert!(matches!(error, Error::Log(event_log::Error::Beyond { .. })), "{error:?}");
    windows(&log, "new", 20);
    let error = replica.begin(ONE).expect_err("other windows are there");
    assert!(replaced(&error, &Topic::Consolidations), "{error:?}");
}

#[test]
fn of_two_markers_the_newer_anchors_stand() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, log) = (open(dir.path()), MemLog::new(1).id());
    let anchor = |offset: u64| Some(Anchor { offset: Offset::new(offset), hash: offset + 1 });
    let marker = |interactions, consolidations| OpenFrom {
        interactions: Offset::new(5),
        consolidations: Offset::new(2),
        read: Anchors { interactions, consolidations },
    };
    let rows = [marker(anchor(7), None), marker(anchor(6), anchor(3)), marker(None, None)];
    for row in rows {
        let row = Working::Open { log, partition: ONE, marker: row };
        store.apply_working(log, ONE, &[row], Offset::new(1)).expect("it applies");
    }
    assert_eq!(store.open_from(log, ONE).expect("it reads"), marker(anchor(7), anchor(3)));
    assert!(store.overwritten(ONE).expect("it reads").marker, "an older one is the newest record");
}
