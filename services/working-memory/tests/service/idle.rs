//! Silence is an event: a tick closes the window of somebody who has gone.

use event_log::{Offset, Timestamp, Topic, envelope, now};
use memory_core::{Control, Handle, Recorded, TenantId, Trigger};
use serde_json::json;
use testkit::{BrittleLog, Person, events, wait_until};
use working_memory::Settings;

use crate::kit::{DEADLINE, home, log, publish, records, start, windows};

/// A turn of somebody that arrived an hour ago.
fn said(user: &str) -> (Handle, Recorded) {
    let tenant = TenantId::try_new("t").expect("a tenant");
    let value = json!({"id": format!("said-by-{user}"), "user_id": user, "content": "I moved to Lisbon in May."});
    let recorded = events::recorded(&tenant, now().plus_seconds(-3_600), Offset::FIRST, &value);
    (Person::new("t", user).handle(), recorded)
}

fn ticks(log: &BrittleLog, of: Handle) -> usize {
    let events = records(log, &Topic::Interactions);
    let read =
        events.iter().filter_map(|(_, stored)| envelope::read_interaction(log.ring(), stored).expect("an event"));
    read.filter(|(subject, recorded)| {
        *subject == of && matches!(recorded.event.control.as_deref(), Some(Control::IdleTick { .. }))
    })
    .count()
}

// law: L03
#[test]
fn a_tick_comes_once_and_closes_the_window() {
    let log = log();
    let home = home(&log);
    let settings = Settings { idle_tick_seconds: 60, ..Settings::default() };
    let people: Vec<(Handle, Recorded)> = ["alice", "bob", "carol"].into_iter().map(said).collect();
    let service = start(&log, &home, settings.clone());
    // Each of them makes the service keep house once more, with everybody before in it.
    for (handle, recorded) in &people {
        publish(&log, &[(*handle, recorded.clone())]);
        wait_until(DEADLINE, "the silence is noticed", || windows(&log).contains_key(handle));
    }
    service.stop().expect("it was told to");
    // Who reads everything again sees the same ticks and makes no others.
    let again = start(&log, &crate::kit::home(&log), settings);
    publish(&log, &[said("dora")]);
    wait_until(DEADLINE, "the silence is noticed", || windows(&log).contains_key(&said("dora").0));
    again.stop().expect("it was told to");
    for (handle, recorded) in people {
        let closed = &windows(&log)[&handle];
        assert_eq!((closed.len(), closed[0].trigger), (1, Trigger::Tick));
        let ids: Vec<&str> = closed[0].turns.iter().map(|turn| turn.event.id.as_str()).collect();
        assert_eq!((ids.len(), ids[0]), (2, recorded.event.id.as_str()));
        assert_eq!(ticks(&log, handle), 1);
    }
}

#[test]
fn nobody_is_ticked_who_has_just_spoken() {
    let log = log();
    let home = home(&log);
    let (alice, mut fresh) = said("alice");
    fresh.arrived = Timestamp::from_seconds(now().micros() / 1_000_000);
    publish(&log, &[(alice, fresh), said("bob")]);
    let service = start(&log, &home, Settings { idle_tick_seconds: 60, ..Settings::default() });
    wait_until(DEADLINE, "the silence of the other is noticed", || windows(&log).contains_key(&said("bob").0));
    assert_eq!(ticks(&log, alice), 0);
    service.stop().expect("it was told to");
}
