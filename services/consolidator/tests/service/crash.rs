//! A crash at every moment that the log can tell apart: also after an append, and before it is applied.

use consolidator::{Error, Settings};
use testkit::{fold, lively_history};

use crate::kit::{home, log, publish, rebuilt, start, steps};

/// Between two crashes: a few calls of the log, or with MEMOS_TEST_LONG every one.
fn stride() -> usize {
    if std::env::var_os("MEMOS_TEST_LONG").is_some() { 1 } else { 3 }
}

/// Starts again and again, each time for a few calls more; answers how many crashes there were.
fn crash_everywhere(snapshot_every: u64, one_record_of_each: bool) -> usize {
    let folded = fold(&lively_history(71, 5, 500));
    let log = log();
    let kept = home(&log);
    publish(&log, &folded);
    let mut crashes = 0;
    for calls in (1_u64..).step_by(stride()) {
        let fresh = home(&log);
        // Every third start finds its store gone.
        let store = if crashes % 3 == 2 { &fresh } else { &kept };
        log.break_after(calls);
        let service = start(&log, store, Settings { batch_records: 6, snapshot_every, ..Settings::default() });
        service.drain();
        // Whoever is idle still looks for news, so it may also break now.
        log.mend();
        match service.stop() {
            Ok(()) => {
                assert_eq!(store.hash(), folded.hash());
                break;
            }
            Err(error) => assert!(matches!(error, Error::Log(_) | Error::Store(_)), "{error:?}"),
        }
        crashes += 1;
    }
    assert_eq!(rebuilt(&log), folded.hash());
    if one_record_of_each {
        for ((subject, number), records) in steps(&log) {
            assert_eq!(records.len(), 1, "step {number} of {subject} was decided again after it was appended");
        }
    }
    crashes
}

// law: L02
#[test]
fn what_was_appended_before_a_crash_is_applied_and_not_decided_again() {
    let crashes = crash_everywhere(u64::MAX, true);
    assert!(crashes >= 5, "only {crashes} crashes");
}

// law: L02, L06
#[test]
fn a_crash_in_the_middle_of_a_snapshot_changes_nothing() {
    let crashes = crash_everywhere(4, false);
    assert!(crashes >= 5, "only {crashes} crashes");
}
