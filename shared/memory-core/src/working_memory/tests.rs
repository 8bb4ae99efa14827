use serde_json::{Value, json};

use super::*;
use crate::event::UnknownFields;
use crate::subject::{HashSecret, TenantId};

fn tenant() -> TenantId {
    TenantId::try_new("t").expect("a tenant")
}

fn memory() -> WorkingMemory {
    let owner = Subject::owner(&tenant(), Some("u"), None, None).expect("an owner");
    WorkingMemory::new(owner.handle(&HashSecret::new([1; 32])), owner)
}

fn recorded(offset: u64, mut value: Value) -> Recorded {
    value["user_id"] = json!("u");
    let object = value.as_object().expect("an object");
    let arrived = Timestamp::from_seconds(1_000_000);
    let event = Event::parse(object, UnknownFields::Refuse, None, arrived).expect("a good event");
    Recorded { tenant: tenant(), arrived, offset: Offset::new(offset), event: Arc::new(event) }
}

fn turn(offset: u64, minute: i64) -> Recorded {
    let time = format!("2026-03-01T{:02}:{:02}:00Z", minute / 60, minute % 60);
    recorded(
        offset,
        json!({"id": format!("e{offset}"), "content": "We talked about the garden for a while.", "time": time}),
    )
}

fn tick(offset: u64, last: &str) -> Recorded {
    let mut tick = recorded(offset, json!({"id": format!("tick-{last}"), "type": "session_end"}));
    let event = Arc::make_mut(&mut tick.event);
    event.kind = crate::event::EventType::IdleTick;
    event.control = Some(Box::new(Control::IdleTick { last: EventId::try_new(last).expect("an id") }));
    tick
}

fn triggers(effects: &Effects) -> Vec<(Trigger, u64, u64)> {
    effects
        .closed
        .iter()
        .map(|c| (c.consolidation.trigger, c.consolidation.from.get(), c.consolidation.to.get()))
        .collect()
}

#[test]
fn a_gap_in_event_time_closes_the_window_before_the_event() {
    let (rules, mut memory) = (Rules::default(), memory());
    assert!(memory.apply(&rules, &turn(0, 0)).closed.is_empty());
    assert!(memory.apply(&rules, &turn(1, 5)).closed.is_empty());
    let effects = memory.apply(&rules, &turn(2, 60));
    assert_eq!(triggers(&effects), [(Trigger::Gap, 0, 2)]);
    assert_eq!(effects.closed[0].boundary.folded, Offset::new(2), "the event after the gap is not in the boundary");
    assert_eq!(memory.window().len(), 1);
}

#[test]
fn a_full_window_a_salient_turn_a_control_and_the_end_close_it() {
    let rules = Rules { window_turns_max: 3, ..Rules::default() };
    let mut memory = memory();
    for offset in 0..2 {
        memory.apply(&rules, &turn(offset, 0));
    }
    assert_eq!(triggers(&memory.apply(&rules, &turn(2, 0))), [(Trigger::Size, 0, 3)]);
    let salient = json!({"id": "s", "content": "Please remember that I am allergic to penicillin, Doctor Ruiz found it in March."});
    assert_eq!(triggers(&memory.apply(&rules, &recorded(3, salient)))[0].0, Trigger::Salient);
    let consent = json!({"id": "c", "type": "consent", "body": {"remember": false}});
    assert_eq!(triggers(&memory.apply(&rules, &recorded(4, consent))), [(Trigger::Control, 4, 5)]);
    let end = json!({"id": "end", "type": "session_end"});
    assert_eq!(triggers(&memory.apply(&rules, &recorded(5, end))), [(Trigger::SessionEnd, 5, 6)]);
}

#[test]
fn a_tick_closes_only_what_it_saw() {
    let (rules, mut memory) = (Rules::default(), memory());
    memory.apply(&rules, &turn(0, 0));
    memory.apply(&rules, &turn(1, 1));
    assert_eq!(memory.apply(&rules, &tick(2, "e0")).outcome, Outcome::Stale);
    let effects = memory.apply(&rules, &tick(3, "e1"));
    assert_eq!(triggers(&effects), [(Trigger::Tick, 0, 3)]);
    assert_eq!(memory.apply(&rules, &tick(4, "tick-e1")).outcome, Outcome::Stale, "nothing is open");
}

// law: L03
#[test]
fn a_repeat_is_recognised_among_the_newest_ids_and_changes_nothing() {
    let (rules, mut memory) = (Rules::default(), memory());
    memory.apply(&rules, &turn(0, 0));
    let before = memory.clone();
    let mut again = turn(0, 0);
    again.offset = Offset::new(7);
    assert_eq!(memory.apply(&rules, &again).outcome, Outcome::Duplicate);
    assert_eq!(memory, before);
    for offset in 8..8 + SEEN_MAX as u64 {
        memory.apply(&rules, &turn(offset, 0));
    }
    again.offset = Offset::new(5_000);
    assert!(matches!(memory.apply(&rules, &again).outcome, Outcome::Accepted(_)), "1,024 ids later it is forgotten");
}

// law: L06
#[test]
fn a_boundary_and_the_later_events_are_the_whole_state() {
    let rules = Rules { window_turns_max: 4, ..Rules::default() };
    let events: Vec<Recorded> =
        (0..50).map(|offset| turn(offset, i64::try_from(offset * offset % 200).expect("small"))).collect();
    let (mut whole, mut boundary, mut closed) = (memory(), None, Vec::new());
    for event in &events {
        for window in whole.apply(&rules, event).closed {
            boundary = Some(window.boundary);
            closed.push(window.consolidation);
        }
    }
    for restart in 0..events.len() {
        let (mut memory, mut seen, mut state) = (memory(), Vec::new(), None);
        for event in &events[..restart] {
            for window in memory.apply(&rules, event).closed {
                state = Some(window.boundary);
                seen.push(window.consolidation);
            }
        }
        let json = state.map(|state| serde_json::to_string(&state).expect("plain data"));
        let mut memory = json
            .map_or_else(self::memory, |json| WorkingMemory::resume(serde_json::from_str(&json).expect("reads back")));
        for event in &events {
            seen.extend(memory.apply(&rules, event).closed.into_iter().map(|window| window.consolidation));
        }
        assert_eq!(seen, closed, "restarted after {restart} events");
        assert_eq!(memory, whole);
    }
    assert!(boundary.is_some());
}

#[test]
fn boundaries_that_are_logged_stand_when_the_rules_change() {
    let old = Rules { window_turns_max: 2, ..Rules::default() };
    let new = Rules { window_turns_max: 5, gap_seconds: 10, ..Rules::default() };
    let mut memory = memory();
    for (from, to) in [(0, 2), (2, 4)] {
        memory.expect_window(Interval { from: Seq::new(from), to: Seq::new(to) });
    }
    let mut ends = Vec::new();
    for offset in 0..6 {
        let closed = memory
            .apply(if offset < 4 { &new } else { &old }, &turn(offset, i64::try_from(offset).expect("small")))
            .closed;
        ends.extend(closed.iter().map(|window| (window.consolidation.to.get(), window.logged)));
    }
    assert_eq!(ends, [(2, true), (4, true), (6, false)]);
}

// law: L07
#[test]
fn what_may_not_be_learnt_has_no_salience_and_no_words() {
    let (rules, mut memory) = (Rules::default(), memory());
    memory.apply(&rules, &recorded(0, json!({"id": "r", "content": "I live in Berlin.", "recalled": true})));
    memory.apply(&rules, &recorded(1, json!({"id": "n", "content": "I live in Berlin.", "remember": false})));
    memory
        .apply(&rules, &recorded(2, json!({"id": "f", "content": "<memos-context>I live in Berlin</memos-context>"})));
    let reasons: Vec<Option<NotKept>> = memory.window().iter().map(|turn| turn.unkept).collect();
    assert_eq!(reasons, [Some(NotKept::Recalled), Some(NotKept::NotWanted), Some(NotKept::NoText)]);
    memory.apply(&rules, &recorded(3, json!({"id": "c", "type": "consent", "body": {"remember": false}})));
    memory.apply(&rules, &recorded(4, json!({"id": "x", "content": "I live in Rome."})));
    let turn = &memory.window()[0];
    assert_eq!((turn.unkept, turn.event.content.bytes(), turn.salience.total), (Some(NotKept::NoConsent), 0, 0));
}

#[test]
fn a_turn_answers_the_one_before_it_in_its_session_even_of_a_closed_window() {
    let rules = Rules::default();
    let ask = json!({"id": "q", "role": "assistant", "content": "Where did you grow up?", "session_id": "s"});
    let answer = |session: &str| json!({"id": "a", "content": "On a walnut farm.", "session_id": session});
    let answered = |events: Vec<Value>| {
        let mut memory = memory();
        for (offset, event) in (0..).zip(events) {
            memory.apply(&rules, &recorded(offset, event));
        }
        memory.window().last().expect("the answer").salience.parts.answer
    };
    assert!(answered(vec![ask.clone(), answer("s")]) > 0);
    assert_eq!(answered(vec![ask.clone(), answer("other")]), 0);
    assert_eq!(answered(vec![answer("s")]), 0);
    let consent = json!({"id": "c", "type": "consent", "body": {"remember": true}});
    assert!(answered(vec![ask, consent, answer("s")]) > 0, "the control closed the window");
}
