//! A crash at every moment that the log can tell apart, and what must stand after it.

use std::collections::BTreeMap;

use event_log::{EventLog, MemLogSettings, Offset, Retention, RetentionByTopic, Timestamp, Topic, envelope};
use memory_core::{Handle, Rules, WorkingMemory};
use testkit::{BrittleLog, lively_history, wait_until};
use working_memory::Error;

use crate::kit::{
    DEADLINE, Home, Windows, assert_same, expected, home, log, log_with, publish, records, settings, start, start_with,
    windows,
};

/// Between two crashes: a few calls of the log, or with MEMOS_TEST_LONG every one.
fn stride() -> usize {
    if std::env::var_os("MEMOS_TEST_LONG").is_some() { 1 } else { 3 }
}

/// Runs the service until the log breaks, again and again, each time a little further; `run` says which rules hold and
/// which store is used.
pub(crate) fn crash_everywhere(
    log: &std::sync::Arc<BrittleLog>,
    mut run: impl FnMut(usize) -> (Rules, Option<Home>),
) -> usize {
    let kept = home(log);
    for (number, calls) in (1_u64..).step_by(stride()).enumerate() {
        let (rules, fresh) = run(number);
        let store = fresh.as_ref().unwrap_or(&kept);
        log.break_after(calls);
        let service = start_with(log, store, settings(16), rules, WorkingMemory::apply);
        service.drain();
        // Whoever is idle still looks for news, so it may also break now.
        log.mend();
        match service.stop() {
            Ok(()) => return number,
            Err(error) => assert!(matches!(error, Error::Log(_) | Error::Store(_)), "{error:?}"),
        }
    }
    unreachable!("the numbers do not end")
}

/// One of each window: a second record of one must be equal to the first.
pub(crate) fn once(windows: Windows) -> Windows {
    let once = |all: Vec<memory_core::Consolidation>| {
        let mut by_from = BTreeMap::new();
        for window in all {
            if let Some(first) = by_from.insert(window.from, window.clone()) {
                assert_eq!(first, window, "two records of one window");
            }
        }
        by_from.into_values().collect()
    };
    windows.into_iter().map(|(subject, all)| (subject, once(all))).collect()
}

// law: L02, L06
#[test]
fn a_crash_at_any_moment_leaves_the_windows_of_a_straight_line() {
    let history = lively_history(41, 5, 400);
    let log = log();
    publish(&log, &history);
    // Every second start finds its store gone.
    let crashes = crash_everywhere(&log, |number| (Rules::default(), (number % 2 == 1).then(|| home(&log))));
    assert!(crashes >= 8, "only {crashes} crashes");
    assert_same(&once(windows(&log)), &expected(&testkit::fold(&history)));
}

// law: L04
#[test]
fn windows_that_were_logged_stand_when_the_rules_change() {
    let history = lively_history(42, 5, 400);
    let log = log();
    publish(&log, &history);
    let crashes = crash_everywhere(&log, |number| {
        let window_turns_max = [4, 7, 3][number % 3];
        (Rules { window_turns_max, ..Rules::default() }, (number % 2 == 1).then(|| home(&log)))
    });
    assert!(crashes >= 8, "only {crashes} crashes");
    let mut sizes = std::collections::BTreeSet::new();
    let folded = testkit::fold(&history);
    for (subject, all) in once(windows(&log)) {
        let mut next = memory_core::Seq::FIRST;
        let mut events = Vec::new();
        for window in &all {
            assert_eq!(window.from, next, "windows of {subject} overlap or leave something out");
            next = window.to;
            sizes.insert(window.rules.window_turns_max);
            events.extend(window.turns.iter().map(|turn| turn.event.id.clone()));
        }
        let accepted = accepted(&folded, subject);
        assert!(accepted.starts_with(&events), "the events of {subject} are those that were accepted, in order");
        assert!(accepted.len() - events.len() <= 7, "an open window of {subject} is longer than any rule allows");
    }
    assert!(sizes.len() > 1, "windows of several rules stand side by side");
}

/// Every event of a subject that a straight line accepts.
pub(crate) fn accepted(folded: &testkit::Folded, subject: Handle) -> Vec<memory_core::EventId> {
    let person = &folded.people[&subject];
    let closed = person.consolidations.iter().flat_map(|window| &window.turns);
    closed.chain(person.working.window()).map(|turn| turn.event.id.clone()).collect()
}

#[test]
fn the_second_half_continues_the_first_after_a_restart() {
    let history = lively_history(43, 6, 600);
    let log = log();
    let kept = home(&log);
    for half in history.chunks(300) {
        publish(&log, half);
        let service = start(&log, &kept, settings(64));
        service.drain();
        service.stop().expect("it was told to");
    }
    assert_same(&windows(&log), &expected(&testkit::fold(&history)));
}

// law: L12
#[test]
fn events_of_an_open_window_that_were_removed_stop_the_service() {
    let retention =
        RetentionByTopic { interactions: Retention::by_age(std::time::Duration::ZERO), ..RetentionByTopic::default() };
    let log = log_with(MemLogSettings { retention, ..MemLogSettings::default() });
    let kept = home(&log);
    let history = lively_history(44, 6, 300);
    publish(&log, &history);
    let service = start(&log, &kept, settings(64));
    service.drain();
    let marked = |log: &BrittleLog| {
        let open = records(log, &Topic::Working).into_iter().filter_map(|(_, stored)| {
            match envelope::read_working(log.ring(), &stored).expect("a row")? {
                envelope::Working::Open { partition, marker, .. } => Some((partition, marker.interactions)),
                envelope::Working::Boundary { .. } => None,
            }
        });
        open.collect::<BTreeMap<_, _>>()
    };
    wait_until(DEADLINE, "a position was noted", || !marked(&log).is_empty());
    service.stop().expect("it was told to");
    let marked = marked(&log);
    log.maintain(Timestamp::from_seconds(i64::from(u32::MAX))).expect("it trims");
    let error = start(&log, &kept, settings(64)).join().expect_err("it must not go on");
    let Error::Lost { partition, position, low } = error else { panic!("another error: {error:?}") };
    assert_eq!(position, marked.get(&partition).copied().unwrap_or(Offset::FIRST));
    assert!(low > position);
    assert!(error.to_string().contains(&format!("begins at offset {low}")), "{error}");
}
