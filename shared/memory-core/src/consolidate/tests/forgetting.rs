//! Forgetting, from the event to the rows that are left.

use super::*;
use crate::forget::{Matching, Scope};
use crate::ids::{Generation, Seq};
use crate::working_memory::{Boundary, Outcome};

impl Person {
    fn forget(&mut self, body: &Value) -> EventId {
        self.say(json!({"type": "forget", "body": body}))
    }

    fn json(&self) -> String {
        serde_json::to_string(&self.rows.iter().collect::<Vec<_>>()).expect("plain data")
    }
}

/// The rows that decide what is known: everything but fates and the subject row.
fn known(rows: &Rows) -> Vec<Row> {
    let known = rows.iter().filter(|row| !matches!(row, Row::Fate(_) | Row::Subject(_)));
    known.cloned().collect()
}

// law: L09
#[test]
fn a_subject_that_is_forgotten_leaves_a_skeleton() {
    let mut person = lively();
    let before = person.working.state().clone();
    person.say(json!({"content": "This is still open when the forget comes, in Berlin."}));
    let late = person.working.window()[0].clone();
    person.forget(&json!({"everything": true}));
    let rows: Vec<&Row> = person.rows.iter().collect();
    let [Row::Subject(subject)] = rows.as_slice() else { panic!("{} rows are left", rows.len()) };
    assert_eq!((subject.owner.as_ref(), subject.generation), (None, Generation::FIRST.next()));
    assert_eq!(subject.next.get(), before.next.get() + 2, "sequence numbers go on");
    let state = person.working.state();
    let (skeleton, words) = state.split();
    assert_eq!((words, state.key_since, state.next), (None, subject.next, subject.next));
    let clear = serde_json::to_string(&skeleton).expect("plain data");
    assert!(state.seen.contains(late.event.id.fingerprint()) && !clear.contains("\"u\""), "{clear}");
    assert_eq!(Boundary::join(state.subject, skeleton, None), *state);
    let [.., step] = person.steps.as_slice() else { panic!("a forget is a step") };
    let erased = step.erased().expect("it says so");
    assert_eq!((erased.floor, erased.accepted), (subject.next, subject.forgotten.expect("a time")));
    assert!(step.is_bare() && erased.memories > 30 && erased.sources > erased.memories);
}

// law: L09
#[test]
fn a_forgotten_user_comes_back_as_somebody_new() {
    let mut person = Person::new();
    person.tell(BERLIN);
    person.forget(&json!({"everything": true}));
    let forgotten = person.working.state().forgotten.expect("a time");
    person.tell(HIKING);
    person.end();
    assert_eq!(person.texts(), [HIKING]);
    let subject = person.rows.subject().expect("a row");
    assert_eq!((subject.generation, subject.forgotten), (Generation::FIRST.next(), Some(forgotten)));
    assert!(subject.owner.is_some(), "whose it is is known again");
}

// law: L09
#[test]
fn what_arrived_before_the_forget_stays_forgotten_whenever_it_turns_up() {
    let mut person = Person::new();
    person.tell(BERLIN);
    person.forget(&json!({"everything": true}));
    let forgotten = person.working.state().forgotten.expect("a time");
    let state = person.working.clone();
    let object = json!({"id": "from a dead letter", "user_id": "u", "content": BERLIN});
    let object = object.as_object().expect("an object");
    let event = Event::parse(object, UnknownFields::Refuse, None, Timestamp::EPOCH).expect("good");
    let tenant = TenantId::try_new("t").expect("a tenant");
    let at =
        |arrived| Recorded { tenant: tenant.clone(), arrived, offset: Offset::new(50), event: event.clone().into() };
    let effects = person.working.apply(&Rules::default(), &at(Timestamp::from_micros(forgotten.micros() - 1)));
    assert_eq!((effects.outcome, &person.working), (Outcome::Forgotten, &state));
    let effects = person.working.apply(&Rules::default(), &at(forgotten));
    assert!(matches!(effects.outcome, Outcome::Accepted(_)), "sent together with the forget, behind it");
}

#[test]
fn a_forget_is_alone_in_its_window_and_what_follows_has_other_keys() {
    let mut person = Person::new();
    person.say(json!({"content": "ok"}));
    let object = json!({"id": "f", "user_id": "u", "type": "forget", "body": {"session_id": "s"}});
    let object = object.as_object().expect("an object");
    let event = Event::parse(object, UnknownFields::Refuse, None, Timestamp::EPOCH).expect("good");
    let tenant = TenantId::try_new("t").expect("a tenant");
    let recorded = Recorded { tenant, arrived: Timestamp::EPOCH, offset: Offset::new(9), event: event.into() };
    let closed = person.working.apply(&Rules::default(), &recorded).closed;
    let windows: Vec<(u64, u64, u64, bool)> = closed
        .iter()
        .map(|closed| &closed.consolidation)
        .map(|window| (window.from.get(), window.to.get(), window.key_since.get(), window.forget().is_some()))
        .collect();
    assert_eq!(windows, [(0, 1, 0, false), (1, 2, 0, true)], "it dies with what it forgets");
    let since: Vec<Seq> = closed.iter().map(|closed| closed.boundary.key_since).collect();
    assert_eq!(since, [Seq::FIRST, Seq::new(2)]);
    assert!(closed[1].boundary.recent.is_empty() && closed[1].boundary.owner.is_some());
}

/// Every scope that takes a part, over a history with repeats, corrections and feedback.
// law: L09
#[test]
fn what_is_left_is_what_folding_the_kept_sources_without_it_gives() {
    let subject = Person::new().working.state().subject;
    let probe = lively();
    let some: Vec<MemoryId> = probe.rows.bank().memories().map(|memory| memory.id).step_by(5).collect();
    let sources = |person: &Person| -> Vec<Turn> {
        let of = |row: &Row| if let Row::Source(turn) = row { Some(turn.clone()) } else { None };
        person.rows.iter().filter_map(of).collect()
    };
    let one = sources(&probe)[3].event.id.clone();
    let time = |turn: &Turn| turn.event.time;
    let middle = time(&sources(&probe)[20]);
    let rfc = |at: Timestamp| jiff::Timestamp::from_microsecond(at.micros()).expect("a time").to_string();
    let cases = [
        json!({"memory_ids": some, "event_ids": []}),
        json!({"event_ids": [one.as_str()]}),
        json!({"origin": "user"}),
        json!({"origin": "tool"}),
        json!({"to": rfc(middle)}),
        json!({"from": rfc(middle), "origin": "user"}),
    ];
    for body in cases {
        let mut person = lively();
        let before = person.rows.clone();
        person.forget(&body);
        let forget = person.steps.last().expect("a step").erased().expect("it erases").clone();
        let object = json!({"id": "x", "user_id": "u", "type": "forget", "body": body});
        let object = object.as_object().expect("an object");
        let event = Event::parse(object, UnknownFields::Refuse, None, Timestamp::EPOCH).expect("good");
        let scope = event.control.as_deref().and_then(Control::forgets).expect("a forget").clone();
        // The oracle: which sources go is decided turn by turn, and the rest is folded from nothing.
        let named = |id: &EventId| match &scope {
            Scope::These { memories, .. } => before.bank().memories().any(|memory| {
                memories.contains(&memory.id) && memory.sources.iter().any(|source| source.event_id == *id)
            }),
            Scope::Everything | Scope::Matching(_) => false,
        };
        let gone: BTreeSet<EventId> = before
            .iter()
            .filter_map(|row| if let Row::Source(turn) = row { Some(turn) } else { None })
            .filter(|turn| scope.takes(subject, turn) || named(&turn.event.id))
            .map(|turn| turn.event.id.clone())
            .collect();
        assert_eq!(known(&person.rows), known(&refold(subject, &before, &gone)), "{body}");
        let expected = u64::try_from(sources_of(&before) - sources_of(&person.rows)).expect("few");
        assert_eq!(forget.sources, expected, "{body}");
        for id in &gone {
            assert_eq!(person.fate(id), Some(Fate::Deleted), "{body}");
        }
        assert_eq!(person.rows.subject().expect("a row").generation, Generation::FIRST, "{body}");
    }
}

fn sources_of(rows: &Rows) -> usize {
    rows.iter().filter(|row| matches!(row, Row::Source(_))).count()
}

// law: L09
#[test]
fn a_memory_with_another_source_stays_and_tells_of_that_one_only() {
    let mut person = Person::new();
    person.say(json!({"content": BERLIN, "session_id": "one"}));
    let second = person.say(json!({"content": BERLIN, "session_id": "two"}));
    person.end();
    assert_eq!(person.texts().len(), 1, "it was said twice");
    person.forget(&json!({"session_id": "one"}));
    let bank = person.rows.bank();
    let left: BTreeSet<_> =
        bank.memories().map(|memory| (memory.sources.len(), memory.sources[0].event_id.clone())).collect();
    assert_eq!(left, BTreeSet::from([(1, second)]));
    assert!(!person.json().contains("\"one\""));
}

#[test]
fn a_forget_of_several_parts_counts_once_it_is_complete() {
    let mut person = Person::new();
    let text = |number: u32| format!("{number} {}", "I moved to Berlin and love every street of it. ".repeat(600));
    for number in 0..60 {
        person.say(json!({"content": text(number), "session_id": if number == 7 { "gone" } else { "kept" }}));
        person.end();
    }
    person.forget(&json!({"session_id": "gone"}));
    let parts: Vec<&Step> = person.steps.iter().filter(|step| matches!(step.body, Body::Snapshot { .. })).collect();
    assert!(parts.len() > 1 && parts[0].erased().is_none(), "{} parts", parts.len());
    assert_eq!(parts.last().and_then(|part| part.erased()).map(|erased| erased.memories), Some(1));
    assert!(!person.json().contains("\"gone\"") && person.texts().len() > 50);
}

#[test]
fn scopes_hide_what_they_take() {
    let mut person = Person::new();
    person.say(json!({"content": BERLIN, "session_id": "one", "origin": "tool"}));
    person.end();
    let bank = person.rows.bank();
    let memory = bank.memories().next().expect("a memory");
    let hides = |scope: Scope| scope.hides(memory);
    let matching = |matching: Matching| hides(Scope::Matching(matching));
    assert!(hides(Scope::Everything));
    assert!(hides(Scope::These { memories: vec![memory.id], events: Vec::new() }));
    assert!(hides(Scope::These { memories: Vec::new(), events: vec![memory.sources[0].event_id.clone()] }));
    assert!(!hides(Scope::These { memories: Vec::new(), events: Vec::new() }));
    let session = |id: &str| Matching { session_id: Some(id.to_owned()), ..Matching::default() };
    assert!(matching(session("one")) && !matching(session("two")));
    let origin = |origin| Matching { origin: Some(origin), ..Matching::default() };
    assert!(matching(origin(crate::event::Origin::Tool)) && !matching(origin(crate::event::Origin::User)));
    let (at, later) = (memory.event_time, memory.event_time.plus_seconds(1));
    assert!(matching(Matching { from: Some(at), to: Some(later), ..Matching::default() }));
    assert!(!matching(Matching { to: Some(at), ..Matching::default() }));
    assert!(!matching(Matching { from: Some(later), ..Matching::default() }));
}
