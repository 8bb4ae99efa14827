//! Two consolidators on one log: the log decides between them.

use std::sync::Arc;

use event_log::{EventLog, Partition, Topic};
use memory_core::Step;
use testkit::{
    BrittleLog, Person, Scripted, StoppableLog, events, fold, lively_history, seal, wait_until, without_forgets,
};

use crate::forgetting::{all, assert_forgotten, finish};
use crate::kit::{
    DEADLINE, PARTITIONS, Service, home, in_turns, log, publish, publish_one, rebuilt, settings, start, start_owning,
    steps,
};

// law: L05
#[test]
fn of_two_writers_the_first_decides_and_the_other_buries_what_it_wrote() {
    let folded = fold(&without_forgets(lively_history(61, 6, 600)));
    let log = log();
    let (one, other) = (home(&log), home(&log));
    publish(&log, &folded);
    // Both decide the first batch of every partition before either can read what the other wrote.
    log.inner().hold();
    let services = [start(&log, &one, settings(8)), start(&log, &other, settings(8))];
    wait_until(DEADLINE, "both have decided", || log.appends(&Topic::Memories) >= 2);
    log.inner().resume();
    services.iter().for_each(Service::drain);
    // Whoever was behind may find the last records of the other only now; a start reads everything first.
    for service in services {
        service.stop().expect("a rival is no error");
    }
    for home in [&one, &other] {
        let again = start(&log, home, settings(8));
        again.drain();
        again.stop().expect("it was told to");
    }
    assert_eq!(one.hash(), folded.hash());
    assert_eq!(other.hash(), folded.hash());
    let steps = steps(&log);
    let contested = steps.values().filter(|records| records.len() > 1).count();
    assert!(contested >= usize::try_from(PARTITIONS).expect("few"), "only {contested} steps were contested");
    for ((subject, number), records) in &steps {
        let wanted: Vec<bool> = (0..records.len()).map(|place| place > 0).collect();
        assert_eq!(*records, wanted, "the records of step {number} of {subject}, in the order of the log");
    }
    assert_eq!(rebuilt(&log), folded.hash());
}

/// Both carry every forget out, or find it carried out, in the middle of what they decide.
// law: L05, L09
#[test]
fn two_writers_carry_a_forget_out_once() {
    let folded = fold(&lively_history(62, 6, 700));
    assert!(folded.steps.iter().filter(|step| step.erased().is_some()).count() > 8, "hardly any forgets");
    let log = log();
    let homes = [home(&log), home(&log)];
    let services: Vec<Service> = homes.iter().map(|home| start(&log, home, settings(4))).collect();
    for windows in in_turns(&folded).chunks(12) {
        windows.iter().for_each(|window| publish_one(&log, window));
        services.iter().for_each(Service::drain);
    }
    for service in services {
        service.stop().expect("a rival is no error");
    }
    for home in homes.iter().chain(&homes) {
        let again = start(&log, home, settings(4));
        finish(&again, home);
        again.stop().expect("it was told to");
    }
    homes.iter().for_each(|home| assert_forgotten(&log, home, &folded));
}

/// A process that stands still anywhere while another one carries a forget out, and then goes on.
fn a_paused_writer(calls: u64) {
    let mut person = Person::new("t", "canary-user");
    for town in ["Berlin", "Lisbon", "Kyoto"] {
        person.tell(&format!("I moved to canary-{town} with my sister Anna in March."));
        person.end();
    }
    let (log, windows) = (log(), person.consolidations.len());
    let (paused, other) = (home(&log), home(&log));
    person.consolidations[..2].iter().for_each(|window| publish_one(&log, window));
    let handle = Arc::new(StoppableLog::new(Arc::<BrittleLog>::clone(&log)));
    let (ownership, hand) = Scripted::new();
    let port: Arc<dyn EventLog> = Arc::<StoppableLog>::clone(&handle);
    let zombie = start_owning(port, &paused, settings(16), Box::new(ownership), None);
    hand.give(&Partition::all(PARTITIONS).collect::<Vec<_>>());
    zombie.drain();
    handle.stop_after(calls);
    // Once it stands still, it has not read what follows; it may have been anywhere between two calls.
    wait_until(DEADLINE, "it stands still", || handle.stands_still());
    person.say(events::forget_everything());
    person.consolidations[2..].iter().for_each(|window| publish_one(&log, window));
    assert!(person.consolidations.len() > windows);
    let heir = start(&log, &other, settings(16));
    finish(&heir, &other);
    heir.stop().expect("it was told to");
    // A key of the old life that somebody made who has heard of nothing.
    let floor = person.steps.iter().find_map(Step::erased).expect("one forget").floor;
    let late = log.ring().of_subjects(&[(person.handle(), memory_core::Seq::FIRST)], event_log::now());
    assert_eq!(late.expect("an answer"), [None], "it is born dead");
    handle.go_on();
    person.tell("We met in Oslo with my manager Tom in May.");
    person.end();
    publish_one(&log, person.consolidations.last().expect("a window"));
    finish(&zombie, &paused);
    zombie.stop().expect("a rival is no error");
    for home in [&other, &paused] {
        let again = start(&log, home, settings(16));
        finish(&again, home);
        again.stop().expect("it was told to");
        assert_eq!(home.store.rows(person.handle()).expect("rows"), person.rows, "after {calls} calls");
    }
    assert!(log.ring().of_subject(person.handle()).iter().all(|key| key.since() >= floor));
    for stored in all(&log, &Topic::Memories) {
        let value = stored.record.value.unwrap_or_default();
        let shows = |text: &str| value.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!shows("canary"), "a step at offset {} stands in the clear, after {calls} calls", stored.offset);
    }
}

// law: L09, L05
#[test]
fn a_paused_writer_brings_nothing_back_and_writes_nothing_in_the_clear() {
    (0..12).for_each(a_paused_writer);
}

/// Somebody else has carried the forget out, and this one meets the windows of before without having read of it.
// law: L09
#[test]
fn a_window_whose_key_is_dead_is_not_written_in_the_clear() {
    let mut person = Person::new("t", "canary-user");
    person.tell("I moved to canary-town with my sister Anna in March.");
    person.end();
    person.tell("I am allergic to the dust in Lisbon, says Doctor Ruiz.");
    person.end();
    person.say(events::forget_everything());
    let log = log();
    let home = home(&log);
    publish_one(&log, &person.consolidations[0]);
    let service = start(&log, &home, settings(16));
    service.drain();
    let partition = person.handle().partition(PARTITIONS);
    let windows: Vec<_> = person.consolidations[1..].iter().map(|window| seal::window(log.ring(), window)).collect();
    let put = |topic, records: Vec<event_log::Record>| {
        log.inner().append(topic, partition, records).expect("there is room").wait().expect("it is durable");
    };
    let (erasing, erased) = person.steps.iter().find_map(|step| Some((step, step.erased()?))).expect("one forget");
    let chain = home.store.step_numbers(person.handle()).expect("numbers").chain;
    let step = Step { number: chain.next, ..erasing.clone() };
    put(&Topic::Memories, vec![seal::step(log.ring(), erased.floor, &step, uuid::Uuid::from_u128(9), chain.after())]);
    log.ring().destroy(person.handle(), erased.floor).expect("it is destroyed");
    put(&Topic::Consolidations, windows);
    finish(&service, &home);
    wait_until(DEADLINE, "it has read of it", || {
        home.store
            .rows(person.handle())
            .expect("rows")
            .subject()
            .is_some_and(|row| row.next == erased.floor && row.forgotten.is_some())
    });
    service.stop().expect("it was told to");
    assert!(home.store.bank(person.handle()).expect("a bank").is_empty());
    for stored in all(&log, &Topic::Memories) {
        let value = stored.record.value.unwrap_or_default();
        assert!(!value.windows(6).any(|window| window == b"canary"), "offset {} stands in the clear", stored.offset);
    }
}
