//! What changes more than once, is said again, comes late or is corrected.

use super::derived::{active, superseded};
use super::*;
use crate::lists::Listed;
use crate::memory::Memory;

const DAY: i64 = 24 * 3_600;

fn time(day: i64) -> String {
    jiff::Timestamp::from_second(1_700_000_000 + day * DAY).expect("a time").to_string()
}

#[test]
fn what_was_said_again_counts_from_then() {
    let mut person = Person::new();
    for (day, text) in [(0, "I live in Paris."), (300, "I live in Paris."), (100, "I live in Rome.")] {
        person.on(day, text);
        person.end_of(day);
    }
    assert_eq!(person.values("home_city"), [active("Paris"), superseded("Rome")]);
    person.folds_again();
}

#[test]
fn a_wish_of_the_same_value_is_not_ended_by_it() {
    let mut person = Person::new();
    person.on(100, "I live in Berlin.");
    person.end_of(100);
    let wish = json!({"kind": "fact", "text": "Home is Berlin.", "valid_from": time(0), "pinned": true});
    person.say(json!({"type": "remember", "body": {"kind": "fact", "text": "I live in Berlin.", "valid_from": time(0), "pinned": true}}));
    person.say(json!({"type": "remember", "body": wish}));
    person.end();
    let values = person.values("home_city");
    assert!(values.len() > 1 && values.iter().all(|value| *value == active("Berlin")), "{values:?}");
}

#[test]
fn moving_back_is_remembered_anew() {
    let mut person = Person::new();
    for (day, text) in [(0, "I live in Lisbon."), (90, "I moved to Berlin."), (180, "I live in Lisbon.")] {
        person.on(day, text);
        person.end_of(day);
    }
    let bank = person.rows.bank();
    let said = |text: &str| bank.memories().filter(|known| known.part_of.is_none() && known.text == text).collect();
    let lisbon: Vec<&Memory> = said("I live in Lisbon.");
    let ended: Vec<bool> = lisbon.iter().map(|known| known.valid_to.is_some()).collect();
    assert_eq!(ended.iter().filter(|ended| !**ended).count(), 1, "{ended:?}");
    let berlin: Vec<&Memory> = said("I moved to Berlin.");
    let heir = berlin[0].superseded_by.expect("it has ended");
    assert!(bank.get(heir).is_some_and(|heir| heir.valid_to.is_none()));
    person.folds_again();
}

#[test]
fn what_ended_names_a_memory_that_is_there() {
    // The third turn has no memory of its own: it repeats the first, which told of more than the home.
    let lisbon = "It rains a lot in this town. I live in Lisbon.";
    let mut person = Person::new();
    for (day, text) in [(0, lisbon), (90, "I moved to Berlin."), (180, lisbon)] {
        person.on(day, text);
        person.end_of(day);
    }
    assert_eq!(person.values("home_city"), [superseded("Lisbon"), superseded("Berlin"), active("Lisbon")]);
    let bank = person.rows.bank();
    let heirs: Vec<MemoryId> = bank.memories().filter_map(|known| known.superseded_by).collect();
    assert!(heirs.len() > 2 && heirs.iter().all(|heir| bank.get(*heir).is_some()), "{heirs:?}");
}

#[test]
fn a_repeat_may_be_critical_where_the_first_was_not() {
    let text = "I take two spoons of the syrup every morning.";
    let mut person = Person::new();
    person.on(0, text);
    person.end_of(0);
    assert!(!person.rows.bank().memories().any(|known| known.critical));
    person.rules.safety_topics = vec!["syrup".to_owned()];
    person.on(1, text);
    person.end_of(1);
    let bank = person.rows.bank();
    assert!(bank.memories().any(|known| known.critical && known.reinforced == 1 && known.part_of.is_none()));
}

#[test]
fn of_two_moves_the_last_is_told_first() {
    let mut person = Person::new();
    for (day, text) in [(0, "I live in Lisbon."), (90, "I moved to Berlin."), (180, "We relocated to Oslo.")] {
        person.on(day, text);
        person.end_of(day);
    }
    assert_eq!(person.values("home_city"), [superseded("Lisbon"), superseded("Berlin"), active("Oslo")]);
    assert_eq!(person.recall("Where do I live?", |_| {})[0], "We relocated to Oslo.");
    assert_eq!(person.recall("Do I live in Lisbon or in Berlin?", |_| {})[0], "We relocated to Oslo.");
}

#[test]
fn at_any_time_one_value_holds_whichever_arrived_last() {
    let said = [(0, "I live in Lisbon."), (90, "I moved to Berlin."), (180, "We relocated to Oslo.")];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut person = Person::new();
        for (day, text) in order.map(|place: usize| said[place]) {
            person.on(day, text);
            person.end_of(day);
        }
        let bank = person.rows.bank();
        // The facts, and the memories of the turns, which say nothing else.
        for kind in [Kind::Fact, Kind::Episode] {
            let mut homes: Vec<&Memory> = bank.memories().filter(|known| known.kind == kind).collect();
            homes.sort_unstable_by_key(|known| known.valid_from);
            let texts: Vec<&str> = homes.iter().map(|known| known.text.as_str()).collect();
            assert_eq!(texts, said.map(|(_, text)| text), "{order:?}");
            let next = homes.iter().skip(1).map(|known| Some(known.valid_from)).chain([None]);
            let ends: Vec<Option<Timestamp>> = homes.iter().map(|known| known.valid_to).collect();
            assert_eq!(ends, next.collect::<Vec<_>>(), "{order:?} {kind:?}");
        }
        person.folds_again();
    }
}

#[test]
fn what_has_ended_ends_nothing_that_came_later() {
    let mut person = Person::new();
    person.on(50, "I live in Berlin.");
    person.end_of(50);
    let wish = json!({"kind": "fact", "text": "I live in Lisbon.", "valid_from": time(0)});
    person.say(json!({"type": "remember", "time": time(100), "body": wish}));
    person.end();
    person.on(70, "I moved to Rome.");
    person.end_of(70);
    assert_eq!(person.values("home_city"), [superseded("Lisbon"), superseded("Berlin"), active("Rome")]);
    person.folds_again();
}

#[test]
fn a_value_told_late_ends_where_the_next_began_though_that_was_said_again() {
    let mut person = Person::new();
    for (day, text) in [(90, "I live in Berlin."), (300, "I live in Berlin."), (0, "I live in Lisbon.")] {
        person.on(day, text);
        person.end_of(day);
    }
    let bank = person.rows.bank();
    let homes: Vec<&Memory> = bank.listed(Listed::attribute("home_city")).collect();
    let of = |value: &str| {
        homes.iter().find(|known| known.attribute.as_ref().is_some_and(|own| own.value == value)).expect("it is there")
    };
    assert_eq!(of("Lisbon").valid_to, Some(of("Berlin").valid_from));
    person.folds_again();
}

#[test]
fn what_was_read_out_of_corrected_words_never_held_though_it_had_ended() {
    let mut person = Person::new();
    person.on(0, "I live in Lisbon.");
    person.end_of(0);
    person.on(100, "I moved to Berlin.");
    person.end_of(100);
    let of_turn = |known: &&Memory| known.kind == Kind::Episode && known.text.contains("Lisbon");
    let turn = person.rows.bank().memories().find(of_turn).expect("it was kept").id;
    let body = json!({"memory_id": turn, "text": "I live in the country."});
    person.say(json!({"type": "correct", "body": body}));
    person.end();
    let bank = person.rows.bank();
    let lisbon = bank.memories().find(|known| known.kind == Kind::Fact && known.text.contains("Lisbon"));
    let lisbon = lisbon.expect("it stays, as what was once thought");
    assert_eq!((lisbon.status, lisbon.valid_to), (Status::Superseded, Some(lisbon.valid_from)));
    person.folds_again();
}

#[test]
fn a_corrected_fact_states_its_new_words() {
    let mut person = Person::new();
    person.on(0, "I live in Lisbon.");
    person.end_of(0);
    let fact = person.of_kind(Kind::Fact)[0].id;
    person.say(json!({"type": "correct", "body": {"memory_id": fact, "text": "I live in Porto."}}));
    person.end();
    assert_eq!(person.values("home_city"), [active("Porto")]);
    let entities = person.rows.bank().get(fact).expect("it stays").entities.clone();
    assert_eq!(entities, ["Porto"]);
    person.folds_again();
}

#[test]
fn what_was_read_out_of_corrected_words_holds_no_longer() {
    let mut person = Person::new();
    let turn = person.on(0, "I live in Lisbon.");
    person.end_of(0);
    let id = MemoryId::of_event(person.working.state().subject, &turn);
    person.say(json!({"type": "correct", "body": {"memory_id": id, "text": "I am allergic to penicillin."}}));
    person.end();
    assert_eq!(person.values("home_city"), [superseded("Lisbon")]);
    assert!(person.rows.bank().get(id).expect("it stays").critical);
    person.folds_again();
}

#[test]
fn what_is_to_be_gone_is_in_no_summary() {
    let mut person = Person::new();
    for text in [
        "I bought a house in Porto.",
        "My sister Anna studies law in Madrid.",
        "I start a job at Siemens in May.",
        "We adopted a dog called Rex.",
    ] {
        person.on(0, text);
    }
    let wish = json!({"kind": "episode", "text": "The alarm code is 4711", "expires_at": time(900)});
    person.say_on(0, json!({"type": "remember", "body": wish}));
    person.end_of(0);
    let summaries = person.of_kind(Kind::Summary);
    assert_eq!(summaries.len(), 1);
    assert!(!summaries[0].text.contains("4711"), "{}", summaries[0].text);
}

#[test]
fn a_lesson_is_of_one_conversation() {
    let mut person = Person::new();
    person.say(json!({"content": "Which clinic sees me about my test?", "session_id": "a"}));
    person.say(json!({"content": "Turn off the VPN and try again.", "session_id": "b", "role": "assistant"}));
    person.say(json!({"content": "That worked!", "session_id": "b"}));
    person.end();
    assert!(person.of_kind(Kind::Lesson).is_empty());
}

#[test]
fn what_is_said_every_day_stays_a_source_when_there_are_too_many() {
    let mut person = Person::new();
    for day in 0..70 {
        person.on(day, HIKING);
        person.end_of(day);
    }
    let bank = person.rows.bank();
    let memory = bank.memories().find(|known| known.text == HIKING && known.part_of.is_none()).expect("kept");
    let newest = memory.sources.iter().map(|source| source.time).max().expect("it has sources");
    assert_eq!((memory.sources.len(), memory.reinforced), (SOURCES_MAX, 69));
    assert_eq!(newest, Timestamp::from_seconds(1_700_000_000 + 69 * DAY));
    let sources: BTreeSet<Seq> = bank.memories().flat_map(|known| &known.sources).map(|source| source.seq).collect();
    let kept = person.rows.iter().filter(|row| matches!(row, Row::Source(_))).count();
    assert_eq!(kept, sources.len(), "what no memory has as a source any more is gone");
}

#[test]
fn what_has_expired_was_not_known_then_either() {
    let mut person = Person::new();
    person.on(0, BERLIN);
    person.end_of(0);
    let wish = json!({"kind": "episode", "text": "The alarm code is 4711", "expires_at": time(900)});
    person.say_on(0, json!({"type": "remember", "body": wish}));
    person.end_of(0);
    let subject = person.working.state().subject;
    let known = |now: i64| {
        let now = Timestamp::from_seconds(1_700_000_000 + now * DAY);
        let known = person.rows.as_of(subject, Timestamp::from_seconds(2_000_000), now).bank();
        known.memories().any(|memory| memory.text.contains("4711"))
    };
    assert!(known(800) && !known(900));
}

#[test]
fn one_window_removes_no_more_than_fits_into_its_step() {
    let mut person = Person::new();
    person.on(0, BERLIN);
    person.end_of(0);
    let told = person.rows.bank().memories().next().expect("kept").clone();
    let many = (0..2 * REMOVED_MAX + 10).map(|number| {
        let id = MemoryId::of_part(person.working.state().subject, "many", &number.to_string());
        let text = format!("{BERLIN} {number}");
        Row::Memory(Memory { id, text, expires_at: Some(Timestamp::from_seconds(1)), ..told.clone() })
    });
    let bank = Bank::load(person.rows.next_step(), person.rows.iter().cloned().chain(many));
    let rules = Rules { bank_max: 10, ..Rules::default() };
    let mut working = person.working;
    let value = json!({"id": "one", "user_id": "u", "content": HIKING});
    let arrived = Timestamp::from_seconds(2_000_000_000);
    let event = Event::parse(value.as_object().expect("an object"), UnknownFields::Refuse, None, arrived);
    let tenant = TenantId::try_new("t").expect("a tenant");
    let event = event.expect("a good event").into();
    let end = json!({"id": "end", "user_id": "u", "type": "session_end"});
    let end = Event::parse(end.as_object().expect("an object"), UnknownFields::Refuse, None, arrived);
    let recorded = |event, offset| Recorded { tenant: tenant.clone(), arrived, offset: Offset::new(offset), event };
    working.apply(&rules, &recorded(event, 100));
    let closed = working.apply(&rules, &recorded(end.expect("a good event").into(), 101)).closed;
    let step = consolidate(&bank, &closed[0].consolidation, None);
    let Body::Changes { changes, .. } = &step.body else { unreachable!("it is no forget") };
    let removed = changes.iter().filter(|change| matches!(change, Change::Delete(RowKey::Memory(_)))).count();
    assert_eq!(removed, REMOVED_MAX);
}

#[test]
fn a_forget_hides_what_else_was_made_of_what_it_names() {
    let mut person = Person::new();
    let turn = person.on(0, "I live in Lisbon.");
    person.end_of(0);
    let bank = person.rows.bank();
    let id = MemoryId::of_event(person.working.state().subject, &turn);
    let fact = bank.listed(Listed::attribute("home_city")).next().expect("a fact");
    let named = crate::forget::Scope::These { memories: vec![id], events: Vec::new() };
    assert!(named.with_sources(&bank).hides(fact));
}
