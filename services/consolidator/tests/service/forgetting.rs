//! Forgets, from the window that asks for one to the receipt that says it is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use consolidator::{Error, Settings};
use event_log::{EventLog, Limits, Partition, Stored, Timestamp, Topic, envelope};
use memory_core::forget::{Receipt, Stage};
use memory_core::{Handle, ReceiptId, Step};
use testkit::{BrittleLog, Folded, Person, events, fold, lively_history, wait_until};

use crate::kit::{
    DEADLINE, Home, PARTITIONS, Service, home, in_turns, log, publish, publish_one, rebuild, settings, start,
};

/// All receipts on the log, in its order.
fn receipts(log: &BrittleLog) -> Vec<Receipt> {
    let stored = all(log, &Topic::Receipts);
    stored.iter().filter_map(|stored| envelope::read_receipt(stored).expect("a receipt")).collect()
}

pub(crate) fn all(log: &BrittleLog, topic: &Topic) -> Vec<Stored> {
    let everything = Limits { records: usize::MAX, bytes: usize::MAX };
    let of = |partition| {
        let low = log.inner().watermarks(topic, partition).expect("it exists").low;
        log.inner().read(topic, partition, low, everything).expect("it is readable").records
    };
    Partition::all(PARTITIONS).flat_map(of).collect()
}

/// The forgets of a straight line, and of each the subject.
fn forgets(folded: &Folded) -> BTreeMap<ReceiptId, Handle> {
    let erased = folded.steps.iter().filter_map(|step| step.erased().map(|erased| (erased.receipt, step.subject)));
    erased.collect()
}

/// What must be so when every forget of a straight line is done, whatever happened on the way.
pub(crate) fn assert_forgotten(log: &Arc<BrittleLog>, home: &Home, folded: &Folded) {
    assert_eq!(home.hash(), folded.hash());
    let rebuilt = rebuild(log);
    assert_eq!(rebuilt.hash(), folded.hash(), "from the log, with the keys that are left");
    let mut stages: BTreeMap<ReceiptId, Vec<Stage>> = BTreeMap::new();
    for receipt in receipts(log) {
        stages.entry(receipt.erased.receipt).or_default().push(receipt.stage);
    }
    let wanted = forgets(folded);
    assert_eq!(stages.keys().collect::<BTreeSet<_>>(), wanted.keys().collect::<BTreeSet<_>>());
    for (receipt, stages) in stages {
        // A stage that was reached before a crash may be told once more.
        let mut once = stages.clone();
        once.dedup();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once, [Stage::KeyDestroyed, Stage::Erased, Stage::Verified], "{receipt}: {stages:?}");
        assert_eq!(stages.first(), Some(&Stage::KeyDestroyed), "keys die first");
        assert_eq!(stages.last(), Some(&Stage::Verified), "nothing is told after that");
    }
    for partition in Partition::all(PARTITIONS) {
        assert_eq!(home.store.pending(partition, PARTITIONS).expect("it reads"), []);
    }
    for (subject, person) in &folded.people {
        let floor = person.steps.iter().filter_map(Step::erased).map(|erased| erased.floor).max();
        let Some(floor) = floor else { continue };
        assert_eq!(log.ring().floor(*subject), floor);
        assert!(log.ring().of_subject(*subject).iter().all(|key| key.since() >= floor), "a key of {subject} lives");
        assert_eq!(home.store.rows_sealed_below(*subject, floor).expect("it reads"), 0);
    }
}

/// After compaction no step is left that a dead key has sealed.
fn assert_compacted(log: &BrittleLog) {
    log.maintain(Timestamp::from_seconds(i64::from(u32::MAX))).expect("it compacts");
    let of = |stored: &Stored| Some((envelope::subject_of(&stored.record)?, envelope::sealed_with(&stored.record)?));
    for (subject, key) in all(log, &Topic::Memories).iter().filter_map(of) {
        assert!(key.since() >= log.ring().floor(subject), "a step of {subject} from before a forget is left");
    }
}

fn run(log: &Arc<BrittleLog>, home: &Home, settings: Settings) {
    let service = start(log, home, settings);
    finish(&service, home);
    service.stop().expect("it was told to");
}

/// Waits until every window is consolidated, and every forget carried out to its end.
pub(crate) fn finish(service: &Service, home: &Home) {
    service.drain();
    let done = || Partition::all(PARTITIONS).all(|of| home.store.pending(of, PARTITIONS).expect("it reads").is_empty());
    wait_until(DEADLINE, "every forget is done", || service.ended() || done());
}

// law: L09, L06
#[test]
fn what_forgets_leave_is_what_a_straight_line_leaves_in_batches_of_any_size() {
    let folded = fold(&lively_history(101, 9, 1_500));
    let scopes: BTreeSet<&str> =
        folded.steps.iter().filter_map(|step| step.erased().map(|erased| erased.scope.as_str())).collect();
    assert_eq!(scopes.len(), 3, "forgets of all kinds: {scopes:?}");
    for (batch_records, snapshot_every) in [(1, u64::MAX), (7, 3), (4_096, 512)] {
        let log = log();
        let home = home(&log);
        publish(&log, &folded);
        run(&log, &home, Settings { batch_records, snapshot_every, ..Settings::default() });
        assert_forgotten(&log, &home, &folded);
        assert_compacted(&log);
        assert_eq!(rebuild(&log).hash(), folded.hash(), "from what compaction left");
    }
}

// law: L06, L09
#[test]
fn a_new_owner_goes_on_from_snapshots_of_after_a_forget() {
    let folded = fold(&lively_history(103, 9, 1_500));
    let (log, windows) = (log(), in_turns(&folded));
    let settings = || Settings { snapshot_every: 3, ..settings(7) };
    for some in windows.chunks(windows.len() / 5) {
        some.iter().for_each(|window| publish_one(&log, window));
        // It knows of the forgets before only what compaction has left: later snapshots, which erase nothing.
        let home = home(&log);
        run(&log, &home, settings());
        log.maintain(Timestamp::from_seconds(i64::from(u32::MAX))).expect("it compacts");
    }
    assert_eq!(rebuild(&log).hash(), folded.hash());
}

// law: L09
#[test]
fn of_somebody_who_is_forgotten_a_skeleton_is_left_and_no_key() {
    let (mut person, other) = (Person::new("t", "canary-user"), {
        let mut other = Person::new("t", "other");
        other.tell("I moved to Oslo in May with Priya.");
        other.end();
        other
    });
    person.tell("I moved to canary-town with my sister Anna in March.");
    person.end();
    let log = log();
    let home = home(&log);
    publish_one(&log, &other.consolidations[0]);
    publish_one(&log, &person.consolidations[0]);
    run(&log, &home, settings(16));
    let others = home.store.rows(other.handle()).expect("rows");
    assert!(!home.store.bank(person.handle()).expect("a bank").is_empty());
    let old = log.ring().of_subject(person.handle());
    let before = person.consolidations.len();
    person.say(events::forget_everything());
    person.consolidations[before..].iter().for_each(|window| publish_one(&log, window));
    run(&log, &home, settings(16));

    assert_eq!(home.store.rows(person.handle()).expect("rows"), person.rows);
    assert!(
        person.rows.iter().all(memory_core::step::Row::is_bare)
            && person.rows.subject().expect("one row").generation.get() == 1
    );
    assert!(!old.is_empty() && old.iter().all(|key| !log.ring().is_held(*key)), "a key lives");
    let stages: Vec<(Stage, u64)> = receipts(&log).iter().map(|receipt| (receipt.stage, receipt.keys)).collect();
    assert_eq!(stages, [(Stage::KeyDestroyed, 1), (Stage::Erased, 0), (Stage::Verified, 0)]);
    // The steps before it are marked for removal, and what is left of them on the log is noise.
    let left: Vec<bool> = crate::kit::steps(&log)
        .into_iter()
        .filter(|((of, _), _)| *of == person.handle())
        .flat_map(|(_, buried)| buried)
        .collect();
    assert_eq!(left, [true, false], "only the skeleton stays");
    for topic in [Topic::Memories, Topic::Receipts, Topic::Consolidations] {
        for stored in all(&log, &topic) {
            let value = stored.record.value.unwrap_or_default();
            let shows = |text: &str| value.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!shows("canary"), "{topic} at {} shows it", stored.offset);
        }
    }
    assert_eq!(home.store.rows(other.handle()).expect("rows"), others, "nobody else is touched");
}

/// The dump's lines of everybody else are the same bytes as before.
// law: L09
#[test]
fn forgetting_one_subject_leaves_every_other_as_it_was() {
    let folded = fold(&testkit::without_forgets(lively_history(102, 7, 900)));
    let log = log();
    let home = home(&log);
    publish(&log, &folded);
    run(&log, &home, settings(32));
    let before = lines(&home);
    let mut people = folded.people.clone();
    for (forgotten, subject) in folded.people.keys().enumerate() {
        let person = people.get_mut(subject).expect("it is there");
        let known = person.consolidations.len();
        person.say(serde_json::json!({"type": "forget", "id": "last", "body": {"everything": true}}));
        person.consolidations[known..].iter().for_each(|window| publish_one(&log, window));
        run(&log, &home, settings(32));
        let after = lines(&home);
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
        let changed: Vec<&Handle> =
            after.iter().filter(|(other, lines)| **lines != before[*other]).map(|(of, _)| of).collect();
        assert_eq!(changed, folded.people.keys().take(forgotten + 1).collect::<Vec<_>>(), "after {subject}");
        assert_eq!(after[subject].len(), 1, "a skeleton is left of {subject}");
    }
}

/// The canonical dump, by subject.
fn lines(home: &Home) -> BTreeMap<Handle, Vec<String>> {
    let mut lines: BTreeMap<Handle, Vec<String>> = BTreeMap::new();
    for subject in home.store.subjects() {
        let subject = subject.expect("a readable store");
        let rows = home.store.rows(subject).expect("rows");
        let of = lines.entry(subject).or_default();
        memory_core::dump::Dump::default().subject(subject, rows.iter(), |line| of.push(line.to_owned()));
    }
    lines
}

/// A crash at every call of the log while forgets are carried out, with the same store or without one.
// law: L09, L02
#[test]
fn a_crash_at_any_moment_of_a_forget_leaves_it_done_after_the_next_start() {
    for keeps_store in [true, false] {
        let (mut anna, mut ben) = (Person::new("t", "anna"), Person::new("t", "ben"));
        for person in [&mut anna, &mut ben] {
            let first = person.tell("I moved to Berlin with my sister Anna in March.");
            person.tell("I am allergic to the dust in Lisbon, says Doctor Ruiz.");
            person.end();
            person.say(events::delete(first));
        }
        anna.say(events::forget_everything());
        for person in [&mut anna, &mut ben] {
            person.tell("We met in Kyoto with my manager Tom in May.");
            person.end();
        }
        let mut folded = Folded::default();
        for person in [anna, ben] {
            folded.steps.extend(person.steps.iter().cloned());
            folded.people.insert(person.handle(), person);
        }
        let mut crashes = 0;
        for calls in 1_u64.. {
            // Each time from the beginning: one crash, then one run.
            let log = log();
            let kept = home(&log);
            publish(&log, &folded);
            log.break_after(calls);
            let service = start(&log, &kept, settings(2));
            finish(&service, &kept);
            let ended = service.ended();
            log.mend();
            match service.stop() {
                Ok(()) => {}
                Err(error) => assert!(matches!(error, Error::Log(_) | Error::Store(_)), "{error:?}"),
            }
            let fresh = home(&log);
            let again = if keeps_store { &kept } else { &fresh };
            run(&log, again, settings(2));
            assert_forgotten(&log, again, &folded);
            if !ended {
                break;
            }
            crashes += 1;
        }
        assert!(crashes > 40, "only {crashes} crashes");
    }
}
