//! Windows in, memories out: the same whatever the batches, the snapshots and the bytes of RAM.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use consolidator::{Error, Settings};
use event_log::{EventLog, Partition, Timestamp};
use memory_core::Step;
use testkit::{fold, lively_history, wait_until};

use crate::kit::{DEADLINE, PARTITIONS, home, log, publish, publish_one, rebuilt, settings, start, start_with};

// law: L06
#[test]
fn memories_are_those_of_a_straight_line_in_batches_of_any_size() {
    let folded = fold(&lively_history(51, 9, 1_500));
    for (batch_records, bank_bytes) in [(1, 0), (7, 20_000), (4_096, 32 << 20)] {
        let log = log();
        let home = home(&log);
        let windows = publish(&log, &folded);
        assert!(windows > 200, "only {windows} windows");
        let service = start(&log, &home, Settings { batch_records, bank_bytes, ..Settings::default() });
        service.drain();
        assert_eq!(service.metric("memos_consolidator_windows_total{outcome=\"new\"}"), windows as u64);
        service.stop().expect("it was told to");
        assert_eq!(home.hash(), folded.hash(), "batches of {batch_records}");
        assert_eq!(rebuilt(&log), folded.hash());
    }
}

// law: L06
#[test]
fn snapshots_replace_the_steps_before_them_and_change_nothing() {
    let folded = fold(&lively_history(52, 5, 1_000));
    let log = log();
    let home = home(&log);
    publish(&log, &folded);
    let before = |log: &testkit::BrittleLog| crate::kit::steps(log).len();
    let service = start(&log, &home, Settings { snapshot_every: 3, batch_records: 10, ..Settings::default() });
    service.drain();
    assert!(service.metric("memos_consolidator_snapshots_total") > 20);
    service.stop().expect("it was told to");
    assert_eq!(home.hash(), folded.hash());
    assert_eq!(rebuilt(&log), folded.hash(), "with the replaced steps still there");
    let all = before(&log);
    let removed = log.maintain(Timestamp::from_seconds(i64::from(u32::MAX))).expect("it compacts").compacted_records;
    let left = crate::kit::steps(&log).len();
    assert!(removed > 0 && left < all / 2, "{left} of {all} steps are left");
    assert_eq!(rebuilt(&log), folded.hash(), "from what compaction left");
}

#[test]
fn repeated_windows_are_known() {
    let folded = fold(&lively_history(53, 5, 300));
    let log = log();
    let home = home(&log);
    let once = publish(&log, &folded);
    publish(&log, &folded);
    let service = start(&log, &home, settings(16));
    service.drain();
    assert_eq!(service.metric("memos_consolidator_windows_total{outcome=\"new\"}"), once as u64);
    assert_eq!(service.metric("memos_consolidator_windows_total{outcome=\"repeat\"}"), once as u64);
    service.stop().expect("it was told to");
    assert_eq!(home.hash(), folded.hash());
}

// law: L12
#[test]
fn a_missing_window_stops_it_before_anything_is_decided() {
    let folded = fold(&lively_history(54, 1, 300));
    let person = folded.people.values().next().expect("there is one");
    let windows = &person.consolidations;
    assert!(windows.len() > 10);
    let log = log();
    let home = home(&log);
    let (good, missing) = (&windows[..5], &windows[5]);
    good.iter().for_each(|window| publish_one(&log, window));
    publish_one(&log, &windows[6]);
    let service = start(&log, &home, settings(1));
    let Err(Error::Gap { subject, expected, from, to, .. }) = service.join() else { panic!("it must not go on") };
    assert_eq!((subject, expected), (person.handle(), missing.from));
    assert_eq!((from, to), (windows[6].from, windows[6].to));
    assert_eq!(home.store.consolidated(subject).expect("readable"), expected, "the windows before it stand");
    // A start says the same again.
    assert!(matches!(start(&log, &home, settings(64)).join(), Err(Error::Gap { .. })));
}

/// A former owner closed a window elsewhere: what it covers already is a repeat, the rest is taken.
// law: L05
#[test]
fn of_a_window_that_begins_below_the_position_the_rest_is_taken() {
    let folded = fold(&lively_history(54, 1, 300));
    let windows = &folded.people.values().next().expect("there is one").consolidations;
    let joined = |first: usize, last: usize| {
        let mut window = windows[last].clone();
        window.from = windows[first].from;
        window.turns = windows[first..=last].iter().flat_map(|window| window.turns.clone()).collect();
        window
    };
    for batch in [1, 4_096] {
        let log = log();
        let home = home(&log);
        for (number, window) in windows.iter().enumerate() {
            // Each comes with up to three before it, and some come late as well.
            publish_one(&log, &joined(number.saturating_sub(number % 4), number));
            publish_one(&log, &windows[number.saturating_sub(2)]);
            publish_one(&log, &joined(number / 2, number));
            assert!(window.to == joined(0, number).to);
        }
        let service = start(&log, &home, settings(batch));
        service.drain();
        assert_eq!(service.metric("memos_consolidator_windows_total{outcome=\"new\"}"), windows.len() as u64);
        service.stop().expect("it was told to");
        assert_eq!(home.hash(), folded.hash(), "batches of {batch}");
    }
}

#[test]
fn the_lag_is_what_is_left_to_do() {
    let folded = fold(&lively_history(55, 1, 200));
    let person = folded.people.values().next().expect("there is one");
    let windows = person.consolidations.len() as u64;
    let partition: Partition = person.handle().partition(PARTITIONS);
    let log = log();
    let home = home(&log);
    publish(&log, &folded);
    let (applied, hears) = sync_channel(0);
    let (goes_on, waits) = sync_channel::<()>(0);
    let waits = std::sync::Mutex::new(waits);
    let listener = Arc::new(move |_: &Step| {
        // A test that failed hears nothing any more, and the service is to end all the same.
        if applied.send(()).is_ok() {
            waits.lock().expect("one thread").recv().ok();
        }
    });
    let service = start_with(&log, &home, settings(1), Some(listener));
    for done in 0..3 {
        hears.recv_timeout(DEADLINE).expect("a step is applied");
        // What is being applied is not done; before the first there was nothing to report.
        let expected = (done > 0).then(|| windows - done);
        assert_eq!(service.lag(partition), expected, "after {done} windows");
        goes_on.send(()).expect("it waits");
    }
    drop((hears, goes_on));
    wait_until(DEADLINE, "all is done", || service.lag(partition) == Some(0));
    service.stop().expect("it was told to");
    assert_eq!(home.hash(), folded.hash());
}
