//! An event whose folding panics: a defect that memos does not have, so the test plants it.

use std::collections::BTreeSet;
use std::sync::Arc;

use event_log::Topic;
use event_log::dead_letter::DeadLetter;
use memory_core::working_memory::Effects;
use memory_core::{EventId, Handle, Recorded, Rules, WorkingMemory};
use testkit::lively_history;

use crate::kit::{assert_same, expected, home, log, publish, records, settings, start_with, windows};

const POISON: &str = "poison";

fn fold(memory: &mut WorkingMemory, rules: &Rules, recorded: &Recorded) -> Effects {
    // Half of the work is done when it breaks: whoever keeps what is left keeps nonsense.
    let effects = memory.apply(rules, recorded);
    assert!(!recorded.event.id.as_str().starts_with(POISON), "a planted defect");
    effects
}

/// The history with poison in it, every so many events, of subjects that speak there.
fn poisoned(history: &[(Handle, Recorded)], every: usize) -> (Vec<(Handle, Recorded)>, BTreeSet<String>) {
    let (mut all, mut planted) = (Vec::new(), BTreeSet::new());
    for (number, (subject, recorded)) in history.iter().enumerate() {
        if number % every == 0 {
            let mut bad = recorded.clone();
            let id = format!("{POISON}-{number}");
            Arc::make_mut(&mut bad.event).id = EventId::try_new(&id).expect("an id");
            all.push((*subject, bad));
            planted.insert(id);
        }
        all.push((*subject, recorded.clone()));
    }
    (all, planted)
}

/// The events that lie in `dead-letters`, by the id of their letter and of the event.
fn buried(log: &testkit::BrittleLog) -> BTreeSet<(String, String)> {
    let letters = records(log, &Topic::DeadLetters).into_iter().map(|(_, stored)| {
        let letter = DeadLetter::from_record(log.ring(), &stored.record).expect("a dead letter");
        assert_eq!((letter.reason.as_str(), &letter.found.topic), ("panicked", &Topic::Interactions));
        let event = letter.original.header("ce_id").map(|id| String::from_utf8_lossy(id).into_owned());
        (letter.id.to_string(), event.expect("every interaction names its event"))
    });
    letters.collect()
}

// law: L11
#[test]
fn a_poison_is_buried_alone_and_nobody_else_notices() {
    let history = lively_history(21, 6, 600);
    let (with_poison, planted) = poisoned(&history, 40);
    let wanted = expected(&testkit::fold(&history));
    for batch in [1, 16, 4_096] {
        let log = log();
        let home = home(&log);
        publish(&log, &with_poison);
        let service = start_with(&log, &home, settings(batch), Rules::default(), fold);
        service.drain();
        let count = planted.len() as u64;
        assert_eq!(
            service.metric("memos_working_memory_events_total{outcome=\"poison\"}"),
            count,
            "batches of {batch}"
        );
        assert!(service.metric("memos_working_memory_panics_total") >= count);
        assert_same(&windows(&log), &wanted);
        let buried: Vec<_> = buried(&log).into_iter().collect();
        assert_eq!(buried.len(), planted.len(), "each is one letter");
        assert_eq!(buried.into_iter().map(|(_, event)| event).collect::<BTreeSet<_>>(), planted);
        service.stop().expect("a poison ends nothing");
    }
}

// law: L11
#[test]
fn a_poison_that_is_met_again_after_a_restart_makes_the_same_letter() {
    let history = lively_history(22, 6, 300);
    let (with_poison, planted) = poisoned(&history, 25);
    let log = log();
    publish(&log, &with_poison);
    for _ in 0..3 {
        let service = start_with(&log, &home(&log), settings(16), Rules::default(), fold);
        service.drain();
        service.stop().expect("a poison ends nothing");
    }
    assert_eq!(buried(&log).len(), planted.len(), "letters that are repeated have the same id");
    assert_same(&windows(&log), &expected(&testkit::fold(&history)));
}
