//! An owner folds nothing of topics that are not the ones any more that were read.

use std::sync::Arc;

use event_log::envelope::{self, Anchors, OpenFrom, Working};
use event_log::{EventLog, LogId, Offset, Partition, Record, Timestamp, Topic};
use memory_core::{Anchor, Rules, WorkingMemory};
use testkit::{BrittleLog, Scripted, fold, lively_history};

use crate::kit::{
    DEADLINE, Home, PARTITIONS, assert_same, expected, home, log, publish, records, settings, start, start_owning,
    windows,
};

/// Folds what there is and leaves every partition to the next owner, with a marker.
fn run(log: &Arc<BrittleLog>, home: &Home) {
    let port: Arc<dyn EventLog> = Arc::<BrittleLog>::clone(log);
    let (ownership, hand) = Scripted::new();
    let service = start_owning(port, home, settings(16), Rules::default(), WorkingMemory::apply, Box::new(ownership));
    let all: Vec<Partition> = Partition::all(PARTITIONS).collect();
    hand.give(&all);
    service.drain();
    hand.take_and_wait(&all, DEADLINE);
    service.stop().expect("it is the topic that it was");
}

/// The newest marker of a partition.
fn marker(log: &BrittleLog, wanted: Partition) -> OpenFrom {
    let rows = records(log, &Topic::Working).into_iter().filter(|(partition, _)| *partition == wanted);
    let mut markers =
        rows.filter_map(|(_, stored)| match envelope::read_working(log.ring(), &stored).expect("a row") {
            Some(Working::Open { marker, .. }) => Some(marker),
            Some(Working::Boundary { .. }) | None => None,
        });
    markers.next_back().expect("one was written")
}

/// Deletes a topic, creates it again, and lets it grow past where it ended.
fn make_anew(log: &BrittleLog, topic: &Topic) {
    let old = records(log, topic);
    Partition::all(PARTITIONS).for_each(|partition| log.inner().recreate(topic, partition));
    for (partition, stored) in old.iter().chain(&old).skip(1) {
        let record = Record { headers: vec![("again".to_owned(), None)], ..stored.record.clone() };
        let appended = log.inner().append(topic, *partition, vec![record]).expect("there is room");
        appended.wait().expect("it is durable");
    }
}

// law: L02
#[test]
fn a_topic_that_was_made_anew_and_has_grown_past_the_position_is_named() {
    for topic in [Topic::Interactions, Topic::Consolidations] {
        let log = log();
        let known = home(&log);
        let history = lively_history(91, 6, 900);
        for chunk in history.chunks(300) {
            publish(&log, chunk);
            run(&log, &known);
        }
        assert_same(&windows(&log), &expected(&fold(&history)));
        for partition in Partition::all(PARTITIONS) {
            let last = |topic| Some(log.watermarks(topic, partition).expect("it exists").high.get() - 1);
            let read = marker(&log, partition).read;
            let found = [read.interactions, read.consolidations].map(|anchor| anchor.map(|anchor| anchor.offset.get()));
            assert_eq!(found, [last(&Topic::Interactions), last(&Topic::Consolidations)]);
        }
        make_anew(&log, &topic);
        let before = records(&log, &Topic::Working).len();
        for home in [known, home(&log)] {
            let error = start(&log, &home, settings(16)).join().expect_err("other records are there");
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            assert!(source.starts_with(&format!("{topic}/0 holds another record at offset")), "{error}: {source}");
        }
        assert_eq!(records(&log, &Topic::Working).len(), before, "something was folded");
    }
}

/// As after an import: the rows of the old log are there, with its name.
#[test]
fn anchors_of_another_log_are_ignored() {
    let (log, history) = (log(), lively_history(92, 4, 300));
    let nonsense = Some(Anchor { offset: Offset::FIRST, hash: 7 });
    let read = Anchors { interactions: nonsense, consolidations: nonsense };
    let marker = OpenFrom { interactions: Offset::new(5), consolidations: Offset::new(5), read };
    for partition in Partition::all(PARTITIONS) {
        let row = Working::Open { log: LogId::random(), partition, marker };
        let record = envelope::working(log.ring(), None, row, Timestamp::EPOCH).expect("it needs no key");
        log.inner().append(&Topic::Working, partition, vec![record]).expect("room").wait().expect("it is durable");
    }
    publish(&log, &history);
    run(&log, &home(&log));
    assert_same(&windows(&log), &expected(&fold(&history)));
}
