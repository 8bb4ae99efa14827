use std::collections::BTreeSet;

mod changing;
mod derived;
mod forgetting;

use serde_json::{Value, json};

use super::*;
use crate::dump;
use crate::event::{Event, Recorded, UnknownFields};
use crate::ids::{EventId, StepNumber};
use crate::position::Offset;
use crate::refold::{Rows, refold};
use crate::rules::Rules;
use crate::snapshot;
use crate::subject::{HashSecret, Subject, TenantId, TenantTag};
use crate::time::Timestamp;
use crate::working_memory::WorkingMemory;

/// A subject that is fed events and consolidates each window as it closes.
struct Person {
    working: WorkingMemory,
    rows: Rows,
    /// The same, as it is after each step.
    bank: Bank,
    steps: Vec<Step>,
    events: u64,
    rules: Rules,
    /// When its first event arrives, in seconds.
    clock: i64,
}

impl Person {
    fn new() -> Self {
        let tenant = TenantId::try_new("t").expect("a tenant");
        let owner = Subject::owner(&tenant, Some("u"), None, None).expect("an owner");
        let handle = owner.handle(&HashSecret::new([1; 32]));
        Self {
            working: WorkingMemory::new(handle, owner),
            rows: Rows::default(),
            bank: Bank::default(),
            steps: Vec::new(),
            events: 0,
            rules: Rules::default(),
            clock: 1_000_000,
        }
    }

    fn say(&mut self, mut value: Value) -> EventId {
        let id = format!("e{}", self.events);
        value["id"] = json!(id);
        value["user_id"] = json!("u");
        let arrived = Timestamp::from_seconds(self.clock + i64::try_from(self.events).expect("few"));
        let object = value.as_object().expect("an object");
        let event = Event::parse(object, UnknownFields::Refuse, None, arrived).expect("a good event");
        let tenant = TenantId::try_new("t").expect("a tenant");
        let recorded = Recorded { tenant, arrived, offset: Offset::new(self.events), event: event.into() };
        self.events += 1;
        for closed in self.working.apply(&self.rules, &recorded).closed {
            let window = closed.consolidation.with_candidates();
            for step in self.rows.decide(&window, TenantTag::from_bytes([0; 16]), None) {
                self.rows.apply(&step).expect("the next step");
                if window.forget().is_none() {
                    assert_eq!(consolidate(&self.bank, &window, None), step, "as with a bank that was loaded");
                }
                self.bank.apply(&step);
                if Bank::is_replaced_by(&step) {
                    self.bank = self.rows.bank();
                }
                self.steps.push(step);
            }
        }
        EventId::try_new(id).expect("an id")
    }

    fn tell(&mut self, text: &str) -> MemoryId {
        let event = self.say(json!({"content": text}));
        MemoryId::of_event(self.working.state().subject, &event)
    }

    fn end(&mut self) -> &mut Self {
        self.say(json!({"type": "session_end"}));
        self
    }

    /// What was kept of what was said, without what was read out of it.
    fn texts(&self) -> Vec<String> {
        let bank = self.rows.bank();
        let said = bank.memories().filter(|memory| memory.part_of.is_none());
        let mut texts: Vec<String> = said.map(|memory| memory.text.clone()).collect();
        texts.sort();
        texts
    }

    fn fate(&self, event: &EventId) -> Option<Fate> {
        self.rows.iter().find_map(|row| match row {
            Row::Fate(fate) if fate.event_id == *event => Some(fate.fate),
            Row::Subject(_)
            | Row::Memory(_)
            | Row::Revision(_)
            | Row::Source(_)
            | Row::Window(_)
            | Row::Rules(_)
            | Row::Fate(_) => None,
        })
    }

    fn hash(&self) -> dump::DumpHash {
        dump::of([(&self.working.state().subject, &self.rows)]).hash()
    }
}

const BERLIN: &str = "I moved to Berlin with my sister Anna in March.";
const HIKING: &str = "I love hiking in the mountains near Garmisch.";

#[test]
fn what_matters_is_kept_and_small_talk_is_not() {
    let mut person = Person::new();
    let hello = person.say(json!({"content": "Hi there!"}));
    let id = person.tell(BERLIN);
    person.end();
    assert_eq!(person.texts(), [BERLIN]);
    assert_eq!(person.fate(&hello), Some(Fate::NotKept(NotKept::LowSalience)));
    let bank = person.rows.bank();
    let memory = bank.get(id).expect("kept");
    assert_eq!((memory.sources.len(), memory.version, memory.kind), (1, 1, Kind::Episode));
}

#[test]
fn saying_it_again_reinforces_and_adds_a_source() {
    let mut person = Person::new();
    let id = person.tell(HIKING);
    person.end();
    person.tell("I really love hiking in the mountains near Garmisch!");
    person.tell("I love hiking in mountains near Garmisch");
    person.end();
    let bank = person.rows.bank();
    let memory = bank.get(id).expect("kept");
    assert_eq!((person.texts().len(), memory.reinforced, memory.sources.len()), (1, 2, 3));
}

#[test]
fn what_differs_in_a_number_a_name_or_a_negation_is_another_memory() {
    // So long that one word more or less is no difference by itself.
    let say = |number: &str, when: &str, whose: &str| {
        format!(
            "The kettle of my blue kitchen order {number} {when} arrived with a broken handle, a loose lid, a torn box, two \
             scratches and {whose} receipt taped inside the cover."
        )
    };
    let different = [
        say("4471", "finally", "their"),
        say("4472", "finally", "their"),
        say("4471", "never", "their"),
        say("4471", "finally", "Anna"),
    ];
    let mut person = Person::new();
    for text in &different {
        person.tell(text);
        person.end();
    }
    assert_eq!(person.texts().len(), different.len(), "{:?}", person.texts());
    person.tell(&different[0]);
    person.end();
    assert_eq!(person.texts().len(), different.len());
}

#[test]
fn what_was_corrected_is_found_by_its_new_words_only() {
    // As many words, so that only they can tell the two apart.
    let (before, after) = ("I love hiking along steep ridges", "I love pottery classes after dark");
    let mut person = Person::new();
    let id = person.tell(before);
    person.end();
    person.say(json!({"type": "correct", "body": {"memory_id": id, "text": after}}));
    person.end();
    person.tell(after);
    person.end();
    assert_eq!(person.texts(), [after], "a repeat of the new words");
    person.tell(before);
    person.end();
    assert_eq!(person.texts(), [before, after], "what was corrected is news again");
}

// law: L07
#[test]
fn an_assistant_never_reinforces_what_a_user_said() {
    let mut person = Person::new();
    let id = person.tell(HIKING);
    person.say(json!({"content": HIKING, "role": "assistant"}));
    person.end();
    assert_eq!(person.rows.bank().get(id).expect("kept").reinforced, 0);
}

#[test]
fn a_correction_keeps_what_was_said_before() {
    let mut person = Person::new();
    let id = person.tell(BERLIN);
    person.end();
    person.say(json!({"type": "correct", "body": {"memory_id": id, "text": "I moved to Bremen."}}));
    let bank = person.rows.bank();
    let memory = bank.get(id).expect("still there");
    assert_eq!((memory.text.as_str(), memory.version, memory.sources.len()), ("I moved to Bremen.", 2, 2));
    let old =
        person.rows.iter().find_map(|row| if let Row::Revision(old) = row { Some(old.text.clone()) } else { None });
    assert_eq!(old.as_deref(), Some(BERLIN));
}

#[test]
fn a_deleted_memory_leaves_no_words_behind_and_does_not_come_back() {
    let mut person = Person::new();
    let id = person.tell(BERLIN);
    person.end();
    person.say(json!({"type": "correct", "body": {"memory_id": id, "text": "I moved to Bremen with Anna."}}));
    let deletion = person.say(json!({"type": "delete", "body": {"memory_id": id}}));
    let rest = serde_json::to_string(&person.rows.iter().collect::<Vec<_>>()).expect("plain data");
    assert!(!rest.contains("Berlin") && !rest.contains("Bremen"), "{rest}");
    assert_eq!(person.fate(&deletion), Some(Fate::Applied));
    let again = person.say(json!({"type": "delete", "body": {"memory_id": id}}));
    assert_eq!(person.fate(&again), Some(Fate::NoSuchMemory));
    let new = person.tell(BERLIN);
    person.end();
    assert_eq!((person.texts().len(), new == id), (1, false));
}

#[test]
fn a_wish_is_kept_whatever_its_words_and_feedback_counts() {
    let mut person = Person::new();
    let event = person.say(json!({"type": "remember", "body": {"kind": "preference", "text": "tea", "pinned": true}}));
    let id = MemoryId::of_event(person.working.state().subject, &event);
    person.say(json!({"type": "feedback", "body": {"memory_ids": [id], "useful": false}}));
    let bank = person.rows.bank();
    let memory = bank.get(id).expect("kept");
    assert_eq!((memory.kind, memory.pinned, memory.useful), (Kind::Preference, true, -1));
}

fn lively() -> Person {
    let mut person = Person::new();
    let mut ids = Vec::new();
    for day in 0..40 {
        ids.push(person.tell(&format!("On day {day} I met Doctor Ruiz in Garmisch about my {day} allergies.")));
        person.tell(HIKING);
        person.say(json!({"content": "ok"}));
        if day % 7 == 3 {
            person.say(json!({"type": "correct", "body": {"memory_id": ids[day / 2], "text": format!("corrected {day} in Berlin")}}));
        }
        if day % 9 == 4 {
            person.say(json!({"type": "delete", "body": {"memory_id": ids[day / 3]}}));
        }
        if day % 5 == 0 {
            person.end();
        }
    }
    person.end();
    person
}

// law: L06
#[test]
fn folding_the_kept_sources_again_gives_the_same_rows() {
    let person = lively();
    let again = refold(person.working.state().subject, &person.rows, &BTreeSet::new());
    for (live, folded) in person.rows.iter().zip(again.iter()) {
        assert_eq!(live, folded);
    }
    assert_eq!(person.rows, again);
    assert!(person.rows.bank().len() > 30);
}

#[test]
fn a_refold_without_an_event_has_nothing_of_it() {
    let mut person = Person::new();
    let gone = person.say(json!({"content": BERLIN}));
    person.tell(HIKING);
    person.end();
    let without = refold(person.working.state().subject, &person.rows, &BTreeSet::from([gone]));
    let rest = serde_json::to_string(&without.iter().collect::<Vec<_>>()).expect("plain data");
    assert!(!rest.contains("Berlin") && rest.contains("Garmisch"));
}

// law: L06
#[test]
fn what_was_known_at_a_time_is_what_was_remembered_then() {
    let mut person = Person::new();
    let (mut ids, mut then) = (Vec::new(), Vec::new());
    for day in 0..30 {
        ids.push(person.tell(&format!("On day {day} I met Doctor Ruiz in Garmisch about my {day} allergies.")));
        person.tell(HIKING);
        if day % 7 == 3 {
            person.say(
                json!({"type": "correct", "body": {"memory_id": ids[day / 2], "text": format!("corrected {day}")}}),
            );
        }
        person.end();
        let bank = person.rows.bank();
        let newest = bank.memories().map(|memory| memory.updated_at).max().expect("something is kept");
        then.push((newest, bank.memories().cloned().collect::<Vec<_>>()));
    }
    let subject = person.working.state().subject;
    for (at, remembered) in then {
        let known = person.rows.as_of(subject, at, at).bank();
        assert_eq!(known.memories().cloned().collect::<Vec<_>>(), remembered, "at {at:?}");
    }
    assert_eq!(person.rows.as_of(subject, Timestamp::EPOCH, Timestamp::EPOCH).bank().len(), 0);
}

// law: L06
#[test]
fn a_snapshot_replaces_every_step_before_it() {
    let person = lively();
    let rows: Vec<Row> = person.rows.iter().cloned().collect();
    let parts = snapshot::steps(person.working.state().subject, person.rows.next_step(), rows);
    let mut restored = Rows::default();
    for step in &parts {
        let json = serde_json::to_string(step).expect("plain data");
        restored.apply(&serde_json::from_str(&json).expect("reads back")).expect("a snapshot may follow anything");
    }
    let hash = dump::of([(&person.working.state().subject, &restored)]).hash();
    assert_eq!(hash, person.hash());
    assert_eq!(restored.bank().len(), person.rows.bank().len());
}

// law: L02
#[test]
fn of_two_steps_with_one_number_the_first_counts_and_a_missing_one_is_noticed() {
    let person = lively();
    let mut rows = Rows::default();
    rows.apply(&person.steps[0]).expect("the first step");
    let before = rows.clone();
    let mut rival = person.steps[1].clone();
    rival.number = StepNumber::FIRST;
    assert_eq!(rows.apply(&rival), Ok(false));
    assert_eq!(rows, before);
    assert!(rows.apply(&person.steps[2]).is_err());
}

#[test]
fn altering_any_memory_changes_the_hash() {
    let person = lively();
    let whole = person.hash();
    let rows: Vec<Row> = person.rows.iter().cloned().collect();
    let mut altered = 0;
    for place in 0..rows.len() {
        let mut rows = rows.clone();
        if let Row::Memory(memory) = &mut rows[place] {
            memory.text.push('.');
            altered += 1;
            let changed = Rows::from_rows(StepNumber::FIRST, rows);
            assert_ne!(dump::of([(&person.working.state().subject, &changed)]).hash(), whole);
        }
    }
    assert!(altered > 30);
}

// law: L04
#[test]
fn the_bank_in_ram_after_steps_is_the_bank_loaded_from_rows() {
    let person = lively();
    let mut bank = Bank::default();
    let mut rows = Rows::default();
    let after_forgets = person.steps.iter().filter_map(|step| {
        rows.apply(step).expect("the next step");
        Bank::is_replaced_by(step).then(|| rows.bank())
    });
    let mut later = after_forgets.collect::<Vec<_>>().into_iter();
    for step in &person.steps {
        bank.apply(step);
        if Bank::is_replaced_by(step) {
            bank = later.next().expect("one for each forget");
        }
    }
    let loaded = person.rows.bank();
    let texts = |bank: &Bank| bank.memories().cloned().collect::<Vec<_>>();
    assert_eq!(texts(&bank), texts(&loaded));
    assert_eq!((bank.next(), bank.next_step(), bank.weight() > 0), (loaded.next(), loaded.next_step(), true));
}

#[test]
fn a_full_bank_says_so() {
    let mut person = Person::new();
    person.tell(BERLIN);
    person.end();
    let bank = person.rows.bank();
    let mut window = {
        let mut other = Person::new();
        let mut closed = None;
        let tenant = TenantId::try_new("t").expect("a tenant");
        for (offset, value) in [
            json!({"id": "a", "user_id": "u", "content": HIKING}),
            json!({"id": "b", "user_id": "u", "type": "session_end"}),
        ]
        .iter()
        .enumerate()
        {
            let event =
                Event::parse(value.as_object().expect("an object"), UnknownFields::Refuse, None, Timestamp::EPOCH)
                    .expect("good");
            let offset = Offset::new(offset as u64);
            let recorded = Recorded { tenant: tenant.clone(), arrived: Timestamp::EPOCH, offset, event: event.into() };
            closed = other.working.apply(&Rules::default(), &recorded).closed.pop().or(closed);
        }
        closed.expect("the session ended").consolidation
    };
    window.rules.bank_max = 1;
    let step = consolidate(&bank, &window, None);
    let json = serde_json::to_string(&step).expect("plain data");
    assert!(json.contains("bank_full"), "law L10: full is said, never silent");
}
