//! Forgets in the short term: new generations, new keys, and what comes too late.

use std::collections::BTreeSet;
use std::sync::Arc;

use event_log::{EventLog, Partition, Topic, envelope};
use memory_core::{Consolidation, Handle, Offset, Recorded, Rules, Seq, TenantId, Timestamp, WorkingMemory};
use serde_json::{Value, json};
use testkit::{BrittleLog, Person, Scripted, StoppableLog, events, fold, lively_history, wait_until};
use working_memory::Settings;

use crate::crash::{crash_everywhere, once};
use crate::kit::{
    DEADLINE, PARTITIONS, assert_same, expected, home, log, publish, records, settings, start, start_owning, windows,
};

const CANARY: &str = "canary";

/// An event of one user, that arrived at this second.
fn event(arrived: i64, id: &str, mut value: Value) -> (Handle, Recorded) {
    let tenant = TenantId::try_new("canary-tenant").expect("a tenant");
    value["id"] = json!(id);
    value["user_id"] = json!("canary-user");
    let recorded = events::recorded(&tenant, Timestamp::from_seconds(1_000_000 + arrived), Offset::FIRST, &value);
    (Person::new("canary-tenant", "canary-user").handle(), recorded)
}

/// Somebody who talks, forgets everything, and talks again, while what was said before turns up once more.
fn returning() -> Vec<(Handle, Recorded)> {
    let said = |arrived, id: &str, text: &str| event(arrived, id, events::turn(text));
    vec![
        said(1, "old-1", "I moved to canary-town with my sister Anna in March."),
        event(2, "old-end", events::session_end()),
        said(3, "old-2", "I love hiking near canary-hill with Priya."),
        event(4, "forget", events::forget_everything()),
        // A producer that heard no answer, and a dead letter that is replayed: it keeps the time at which it arrived.
        said(1, "old-1", "I moved to canary-town with my sister Anna in March."),
        said(3, "old-3", "This was in the dead letters all the time, in canary-town."),
        said(5, "new-1", "We met in Oslo with my manager Tom in May."),
        event(6, "new-end", events::session_end()),
    ]
}

fn ids(window: &Consolidation) -> Vec<&str> {
    window.turns.iter().map(|turn| turn.event.id.as_str()).collect()
}

// law: L09, L03
#[test]
fn who_returns_has_a_new_generation_and_a_new_key_and_what_comes_late_stays_forgotten() {
    let history = returning();
    for batch in [1, 3, 64] {
        let log = log();
        let home = home(&log);
        publish(&log, &history);
        let service = start(&log, &home, settings(batch));
        service.drain();
        let count =
            |outcome: &str| service.metric(&format!("memos_working_memory_events_total{{outcome=\"{outcome}\"}}"));
        assert_eq!((count("duplicate"), count("forgotten"), count("accepted")), (1, 1, 6), "batches of {batch}");
        let all = windows(&log).remove(&history[0].0).expect("windows");
        let found: Vec<(u32, u64, Vec<&str>)> =
            all.iter().map(|window| (window.generation.get(), window.key_since.get(), ids(window))).collect();
        let wanted = [
            (0, 0, vec!["old-1", "old-end"]),
            (0, 0, vec!["old-2"]),
            (0, 0, vec!["forget"]),
            (1, 4, vec!["new-1", "new-end"]),
        ];
        assert_eq!(found, wanted, "batches of {batch}");
        let sealed: Vec<_> = records(&log, &Topic::Consolidations)
            .iter()
            .map(|(_, stored)| envelope::sealed_with(&stored.record).expect("every window is sealed"))
            .collect();
        assert!(sealed[..3].iter().all(|key| *key == sealed[0]) && sealed[3] != sealed[0]);
        assert_eq!(sealed[3].since(), Seq::new(4));
        // What the forget leaves of the old life dies with its key.
        log.ring().destroy(history[0].0, Seq::new(4)).expect("it is destroyed");
        let all = windows(&log).remove(&history[0].0).expect("windows");
        let left: Vec<usize> = all.iter().map(|window| window.turns.len()).collect();
        assert_eq!(left, [0, 0, 0, 2]);
        assert!(all[..3].iter().all(|window| window.owner.is_none()) && all[3].owner.is_some());
        let boundary = home.store.boundary(log.id(), history[0].0).expect("it reads").expect("it is there");
        assert_eq!((boundary.generation.get(), boundary.key_since, boundary.next), (1, Seq::new(4), Seq::new(6)));
        assert!(boundary.forgotten.is_some());
        service.stop().expect("it was told to");
    }
}

/// The ends of keys that a consolidator would have brought about by now: of every forget that is on the log.
fn destroy_what_is_due(log: &BrittleLog) -> usize {
    let due: Vec<(Handle, Seq)> = windows(log)
        .into_values()
        .flatten()
        .filter(|window| window.forget().is_some())
        .map(|window| (window.subject, window.to))
        .collect();
    due.iter().map(|(subject, floor)| log.ring().destroy(*subject, *floor).expect("it is destroyed")).sum()
}

/// Crashes at every moment that the log can tell apart, and keys that die in between: a window that is logged once more has
/// no key any more, and is left out; every other one is what it was.
// law: L09, L02
#[test]
fn a_crash_at_any_moment_of_a_forget_leaves_the_windows_of_a_straight_line() {
    for destroys in [false, true] {
        let history = lively_history(45, 5, 400);
        let log = log();
        publish(&log, &history);
        let mut died = 0;
        let crashes = crash_everywhere(&log, |number| {
            if destroys {
                died += destroy_what_is_due(&log);
            }
            (Rules::default(), (number % 2 == 1).then(|| home(&log)))
        });
        assert!(crashes >= 8, "only {crashes} crashes");
        assert!(!destroys || died > 4, "only {died} keys died");
        let wanted = expected(&fold(&history));
        let forgets = wanted.values().flatten().filter(|window| window.forget().is_some()).count();
        assert!(forgets > 8, "only {forgets} forgets");
        if !destroys {
            assert_same(&once(windows(&log)), &wanted);
            continue;
        }
        let mut alive = 0;
        for (subject, all) in &wanted {
            let found = &windows(&log)[subject];
            for window in all {
                let mut same = found.iter().filter(|found| (found.from, found.to) == (window.from, window.to));
                let first = same.next().unwrap_or_else(|| panic!("{subject} lacks [{}, {})", window.from, window.to));
                if window.key_since >= log.ring().floor(*subject) {
                    assert!(first == window && same.all(|again| again == window));
                    alive += 1;
                } else {
                    assert!(first.turns.is_empty() && same.all(|again| again.turns.is_empty()));
                }
            }
            let ends: BTreeSet<_> = all.iter().map(|window| (window.from, window.to)).collect();
            assert!(
                found.iter().all(|window| ends.contains(&(window.from, window.to))),
                "{subject} has another window"
            );
        }
        assert!(alive > 10, "only {alive} windows can be read");
    }
}

/// A former owner that was paused while another one folded a forget, and the old key died.
fn a_paused_owner(calls: u64) {
    let history = returning();
    let (subject, log) = (history[0].0, log());
    let (paused, other) = (home(&log), home(&log));
    let handle = Arc::new(StoppableLog::new(Arc::<BrittleLog>::clone(&log)));
    let (ownership, hand) = Scripted::new();
    let port: Arc<dyn EventLog> = Arc::<StoppableLog>::clone(&handle);
    let zombie = start_owning(port, &paused, settings(4), Rules::default(), WorkingMemory::apply, Box::new(ownership));
    hand.give(&Partition::all(PARTITIONS).collect::<Vec<_>>());
    zombie.drain();
    handle.stop_after(calls);
    publish(&log, &history);
    wait_until(DEADLINE, "it stands still", || handle.stands_still());
    let heir = start(&log, &other, settings(64));
    heir.drain();
    heir.stop().expect("it was told to");
    log.ring().destroy(subject, Seq::new(4)).expect("it is destroyed");
    let before = [Topic::Consolidations, Topic::Working].map(|topic| records(&log, &topic).len());
    handle.go_on();
    zombie.drain();
    zombie.stop().expect("a forget that another one has carried out is no error");
    for (topic, before) in [Topic::Consolidations, Topic::Working].into_iter().zip(before) {
        let all = records(&log, &topic);
        let of_subject = all.iter().filter(|(_, stored)| envelope::subject_of(&stored.record) == Some(subject));
        for (_, stored) in of_subject.skip(before.saturating_sub(2)) {
            let dead = envelope::sealed_with(&stored.record).filter(|key| key.since() < Seq::new(4));
            // One append may have been on its way while it stood still.
            assert!(dead.is_none_or(|key| !log.ring().is_held(key)), "{topic} at {}", stored.offset);
        }
        for (_, stored) in &all {
            assert!(
                !shows(stored.record.value.as_deref().unwrap_or_default()),
                "{topic} at {} shows it",
                stored.offset
            );
        }
    }
    // Who comes next has the state of who was not paused.
    let again = start(&log, &paused, settings(64));
    again.drain();
    again.stop().expect("it was told to");
    let state = |of: &crate::kit::Home| of.store.boundary(log.id(), subject).expect("it reads").expect("it is there");
    assert_eq!((state(&paused).generation.get(), state(&paused).next), (1, Seq::new(6)), "after {calls} calls");
    assert!(
        log.ring().of_subject(subject).iter().all(|key| key.since() >= Seq::new(4)),
        "a key of the old life is back"
    );
}

fn shows(bytes: &[u8]) -> bool {
    bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
}

// law: L09, L05
#[test]
fn what_a_paused_owner_seals_with_a_dead_key_is_left_out() {
    (0..10).for_each(a_paused_owner);
}

/// Windows that wait on disk for their next event.
// law: L09
#[test]
fn spilled_windows_are_sealed() {
    let log = log();
    let home = home(&log);
    let mut history = Vec::new();
    for number in 0..40 {
        let mut other = event(number, &format!("e{number}"), events::turn("I moved to canary-town in March."));
        let user = format!("canary-{}", number % 20);
        let tenant = other.1.tenant.clone();
        let value = json!({"id": format!("e{number}"), "user_id": user, "content": "I moved to canary-town in March."});
        other.1 = events::recorded(&tenant, other.1.arrived, Offset::FIRST, &value);
        history.push((Person::new("canary-tenant", &user).handle(), other.1));
    }
    publish(&log, &history);
    let service = start(&log, &home, Settings { active_max: 1, ..settings(1) });
    service.drain();
    let spilled = service.metric("memos_working_memory_passivations_total{reason=\"full\"}");
    assert!(spilled > 10, "only {spilled} were put aside");
    home.store.flush().expect("it flushes");
    let mut files = 0;
    for entry in std::fs::read_dir(home.dir.path()).expect("a directory") {
        let path = entry.expect("an entry").path();
        assert!(!shows(&std::fs::read(&path).expect("it reads")), "{} shows it", path.display());
        files += 1;
    }
    assert!(files > 3, "{files} files");
    service.stop().expect("it was told to");
}
