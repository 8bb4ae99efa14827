//! Nothing is decided on windows of a topic that is not the one any more that was read.

use consolidator::Settings;
use event_log::EventLog;
use event_log::{Limits, Offset, Partition, Record, Timestamp, Topic};
use testkit::{fold, lively_history};

use crate::kit::{PARTITIONS, home, in_turns, log, publish_one, rebuilt, settings, start, steps};

/// The store that has consumed the topic knows it, and an empty one learns it from the steps; also from snapshots, when
/// compaction has left nothing else.
// law: L02
#[test]
fn consolidations_that_were_made_anew_and_have_grown_past_the_position_are_named() {
    for snapshot_every in [4, 1 << 40] {
        let log = log();
        let known = home(&log);
        let folded = fold(&lively_history(93, 6, 900));
        for windows in in_turns(&folded).chunks(15) {
            windows.iter().for_each(|window| publish_one(&log, window));
            let service = start(&log, &known, Settings { snapshot_every, ..settings(4) });
            service.drain();
            service.stop().expect("it is the topic that it was");
        }
        assert_eq!(known.hash(), folded.hash());
        let topic = Topic::Consolidations;
        let all = |partition| log.inner().read(&topic, partition, Offset::FIRST, Limits::default()).expect("it reads");
        let old: Vec<_> = Partition::all(PARTITIONS).map(|partition| (partition, all(partition).records)).collect();
        log.maintain(Timestamp::from_seconds(i64::from(u32::MAX))).expect("it compacts");
        assert_eq!(rebuilt(&log), folded.hash());
        for (partition, records) in old {
            log.inner().recreate(&topic, partition);
            for stored in records.iter().chain(&records) {
                let record = Record { headers: Vec::new(), ..stored.record.clone() };
                let appended = log.inner().append(&topic, partition, vec![record]).expect("there is room");
                appended.wait().expect("it is durable");
            }
        }
        let before = steps(&log).len();
        for home in [known, home(&log)] {
            let error = start(&log, &home, settings(16)).join().expect_err("other windows are there");
            let text = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
            let text: Vec<String> = text.map(ToString::to_string).collect();
            let named = "consolidations/0 holds another record at offset";
            assert!(text.iter().any(|line| line.starts_with(named)), "{text:?}");
        }
        assert_eq!(steps(&log).len(), before, "something was decided");
    }
}
