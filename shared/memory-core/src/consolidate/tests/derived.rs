//! Facts, preferences and lessons that are read out of turns, what they supersede, and what sessions leave behind.

use super::*;
use crate::lists::Listed;
use crate::memory::{Memory, Status};
use crate::query::Query;
use crate::rank::{Found, rank};

const DAY: i64 = 24 * 3_600;

impl Person {
    /// Says something on a day, in a session of that day.
    pub(super) fn on(&mut self, day: i64, text: &str) -> EventId {
        self.say_on(day, json!({"content": text}))
    }

    pub(super) fn say_on(&mut self, day: i64, mut value: Value) -> EventId {
        let time = jiff::Timestamp::from_second(1_700_000_000 + day * DAY).expect("a time");
        value["time"] = json!(time.to_string());
        value["session_id"] = json!(format!("s{day}"));
        self.say(value)
    }

    pub(super) fn end_of(&mut self, day: i64) -> &mut Self {
        self.say_on(day, json!({"type": "session_end"}));
        self
    }

    /// The values of an attribute, each with its standing, in the order of their validity.
    pub(super) fn values(&self, name: &str) -> Vec<(String, Status)> {
        let mut found: Vec<Memory> = self.rows.bank().listed(Listed::attribute(name)).cloned().collect();
        found.sort_by_key(|memory| (memory.valid_from, memory.text.clone()));
        let value = |memory: &Memory| memory.attribute.as_ref().map(|own| own.value.clone()).unwrap_or_default();
        found.iter().map(|memory| (value(memory), memory.status)).collect()
    }

    pub(super) fn of_kind(&self, kind: Kind) -> Vec<Memory> {
        let bank = self.rows.bank();
        let found = bank.memories().filter(|memory| memory.kind == kind && memory.status == Status::Active);
        found.cloned().collect()
    }

    /// The texts that are found, best first.
    pub(super) fn recall(&self, text: &str, change: impl Fn(&mut Query)) -> Vec<String> {
        let mut query = Query::new(text, 10);
        change(&mut query);
        let bank = self.rows.bank();
        let hits = rank(&query, &bank, &[], Timestamp::from_seconds(1_700_000_000 + 1_000 * DAY));
        let text = |found: &Found<'_>| match found {
            Found::Memory(memory) => memory.text.clone(),
            Found::Turn(_) => unreachable!("no window is open"),
        };
        hits.iter().map(|hit| text(&hit.found)).collect()
    }

    pub(super) fn folds_again(&self) {
        let again = refold(self.working.state().subject, &self.rows, &BTreeSet::new());
        for (live, folded) in self.rows.iter().zip(again.iter()) {
            assert_eq!(live, folded);
        }
        assert_eq!(self.rows, again);
    }
}

pub(super) fn active(value: &str) -> (String, Status) {
    (value.to_owned(), Status::Active)
}

pub(super) fn superseded(value: &str) -> (String, Status) {
    (value.to_owned(), Status::Superseded)
}

#[test]
fn what_changed_supersedes_and_both_keep_their_validity() {
    let mut person = Person::new();
    person.on(0, "I live in Lisbon.");
    person.end_of(0);
    person.on(90, "I moved to Berlin.");
    person.end_of(90);
    assert_eq!(person.values("home_city"), [superseded("Lisbon"), active("Berlin")]);
    let bank = person.rows.bank();
    let (old, new) = {
        let mut both: Vec<&Memory> = bank.listed(Listed::attribute("home_city")).collect();
        both.sort_by_key(|memory| memory.valid_from);
        (both[0], both[1])
    };
    assert_eq!((old.valid_to, old.superseded_by, old.version), (Some(new.valid_from), Some(new.id), 2));
    assert_eq!((new.valid_to, new.superseded_by), (None, None));
    let facts = |at: i64| {
        person.recall("home", |query| {
            query.kinds = vec![Kind::Fact];
            query.valid_at = Some(Timestamp::from_seconds(1_700_000_000 + at * DAY));
        })
    };
    assert_eq!(facts(10), ["I live in Lisbon."]);
    assert_eq!(facts(100), ["I moved to Berlin."]);
    assert_eq!(person.recall("Where do I live?", |_| {})[0], "I moved to Berlin.", "what holds no longer is behind");
    person.folds_again();
}

#[test]
fn the_later_event_wins_whichever_arrived_first() {
    let mut person = Person::new();
    person.on(90, "I moved to Berlin.");
    person.end_of(90);
    person.on(0, "I live in Lisbon.");
    person.end_of(0);
    assert_eq!(person.values("home_city"), [superseded("Lisbon"), active("Berlin")]);
    person.folds_again();
}

#[test]
fn what_is_no_longer_so_ends_what_was() {
    let mut person = Person::new();
    person.on(0, "I eat meat every day.");
    person.end_of(0);
    person.on(5, "I no longer eat meat.");
    person.end_of(5);
    let live: Vec<Memory> = person.of_kind(Kind::Fact).into_iter().chain(person.of_kind(Kind::Preference)).collect();
    let negated: Vec<bool> = live.iter().filter_map(|memory| Some(memory.attribute.as_ref()?.negated)).collect();
    assert_eq!(negated, [true], "{:?}", live.iter().map(|memory| &memory.text).collect::<Vec<_>>());
    person.folds_again();
}

#[test]
fn a_longer_value_ends_a_shorter_one_that_it_is_about() {
    let mut person = Person::new();
    person.on(0, "I don't drink coffee.");
    person.end_of(0);
    person.on(5, "I drink strong coffee.");
    person.end_of(5);
    let live: Vec<Memory> = person.of_kind(Kind::Fact).into_iter().chain(person.of_kind(Kind::Preference)).collect();
    let said: Vec<&str> = live.iter().map(|memory| memory.text.as_str()).collect();
    assert_eq!(said, ["I drink strong coffee."]);
}

#[test]
fn what_is_taken_back_brings_back_what_it_had_superseded() {
    let mut person = Person::new();
    person.on(0, "I live in Lisbon.");
    person.end_of(0);
    let moved = person.on(90, "I moved to Berlin.");
    person.end_of(90);
    person.say(json!({"type": "forget", "body": {"event_ids": [moved.as_str()]}}));
    assert_eq!(person.values("home_city"), [active("Lisbon")]);
    let rest = serde_json::to_string(&person.rows.iter().collect::<Vec<_>>()).expect("plain data");
    assert!(!rest.contains("Berlin"));
}

#[test]
fn saying_it_again_reinforces_the_fact() {
    let mut person = Person::new();
    for day in 0..3 {
        person.on(day, ["I work at Siemens.", "As I said, I work at Siemens!", "I work at siemens"][day as usize]);
        person.end_of(day);
    }
    let facts: Vec<Memory> = person.rows.bank().listed(Listed::attribute("employer")).cloned().collect();
    assert_eq!((facts.len(), facts[0].reinforced, facts[0].sources.len()), (1, 2, 3));
    person.folds_again();
}

#[test]
fn two_people_in_one_conversation_do_not_contradict_each_other() {
    let mut person = Person::new();
    person.say_on(0, json!({"content": "I live in Lisbon.", "speaker": "Ana"}));
    person.say_on(0, json!({"content": "I live in Oslo.", "speaker": "Kari"}));
    person.end_of(0);
    assert_eq!(person.values("home_city"), [active("Lisbon"), active("Oslo")]);
}

// law: L07
#[test]
fn nothing_is_read_out_of_what_an_assistant_says_or_memos_supplied() {
    let mut person = Person::new();
    person.say_on(0, json!({"content": "I live in Lisbon.", "role": "assistant"}));
    person.say_on(0, json!({"content": "I live in Oslo.", "recalled": true}));
    person.say_on(0, json!({"content": "I live in Rome.", "origin": "third_party"}));
    person.end_of(0);
    assert_eq!(person.values("home_city"), []);
}

#[test]
fn a_correction_teaches_and_a_similar_task_recalls_the_lesson() {
    let mut person = Person::new();
    for day in 1..20 {
        person.on(day, &format!("Please book the usual table for {day} people at the Thai place near the office."));
        person.end_of(day);
    }
    person.on(30, "Book me a flight to Rome for the spring conference.");
    person.say_on(30, json!({"role": "assistant", "content": "Booked: Berlin to Rome, Italy, on 3 May."}));
    person.on(30, "No, I meant Rome in Georgia, not Italy.");
    person.end_of(30);
    let lessons = person.of_kind(Kind::Lesson);
    assert_eq!(lessons.len(), 1, "{lessons:?}");
    let lesson = &lessons[0];
    assert!(lesson.text.contains("flight to Rome") && lesson.text.contains("Georgia"), "{}", lesson.text);
    assert_eq!(lesson.sources.len(), 2, "it names the task and the correction");
    let found = person.recall("I need a flight to Rome in autumn", |_| {});
    assert!(found[..3].contains(&lesson.text), "{found:?}");
    person.folds_again();
}

/// A conversation in which the assistant's answer was taken so.
fn answered_with(said: &str) -> Person {
    let mut person = Person::new();
    person.on(0, "The boat was 360 euros for four adults and two children, who owes what?");
    person.say_on(0, json!({"role": "assistant", "content": "Six people, so it is 60 euros each."}));
    person.on(0, said);
    person.end_of(0);
    person
}

/// Each lesson names the outcome and quotes what it is about.
#[test]
fn how_an_answer_was_taken_is_the_outcome_of_the_lesson() {
    const ANSWER: &str = "60 euros each";
    for (said, outcome, quoted) in [
        // In words that no rule takes apart.
        ("You counted the children like adults, and with us they count half.", "corrected", "they count half"),
        // What failed in plain words has failed, whatever else is put right, and both are told.
        ("That didn't work, you counted the children like adults.", "failed", ANSWER),
        ("That's wrong, you counted the children double.", "failed", "children double"),
        ("It worked for Bo, but not for us: it didn't work with the children.", "failed", "it worked for Bo"),
        ("Your tip has never worked. That did nothing.", "failed", ANSWER),
        // As a phone types it, and without any.
        ("That didn\u{2019}t work.", "failed", ANSWER),
        ("didnt work", "failed", ANSWER),
        // What is wrong, and not what would be right.
        ("No, that's wrong.", "failed", ANSWER),
        // Something else worked, and not what was answered.
        ("Asking Maria solved it, she counts children half.", "corrected", "Asking Maria solved it"),
        ("The only thing that helped was Maria's old spreadsheet.", "corrected", "Maria's old spreadsheet"),
        ("We asked Maria instead, which fixed it.", "corrected", "We asked Maria"),
        ("What helped us in the end was her spreadsheet.", "corrected", "her spreadsheet"),
        ("That finally solved it.", "worked", ANSWER),
        ("Fixed it, thanks!", "worked", ANSWER),
        ("That's what did the trick!", "worked", ANSWER),
        ("Your suggestion really helped.", "worked", ANSWER),
    ] {
        let person = answered_with(said);
        let lessons = person.of_kind(Kind::Lesson);
        let told: Vec<String> = lessons.iter().map(|lesson| lesson.text.to_lowercase()).collect();
        let is_told = |what: &str| told.len() == 1 && told[0].contains(&what.to_lowercase());
        assert!(is_told(&format!("{outcome}:")) && is_told(quoted), "{said}: {told:?}");
        person.folds_again();
    }
}

#[test]
fn what_is_said_beside_an_answer_teaches_nothing() {
    for said in [
        "What did it cost last year?",
        "What worked for the others?",
        "It makes no difference to me, you choose.",
        "Coffee has no effect on me.",
        "If the folder doesn't exist, should I create it?",
        "My dad is still not talking to me.",
    ] {
        let person = answered_with(said);
        let lessons = person.of_kind(Kind::Lesson);
        assert!(lessons.is_empty(), "{said}: {:?}", lessons[0].text);
    }
}

#[test]
fn a_lesson_goes_with_any_turn_that_it_quotes() {
    let mut person = Person::new();
    let task = person.on(0, "My printer shows error 49 whenever I print a PDF.");
    person.say_on(0, json!({"role": "assistant", "content": "Please turn off Advanced Printing Features."}));
    person.on(0, "Great, that worked!");
    person.end_of(0);
    let lesson = &person.of_kind(Kind::Lesson)[0];
    assert!(lesson.text.contains("error 49") && lesson.text.contains("Advanced Printing"), "{}", lesson.text);
    assert_eq!(lesson.origin, crate::event::Origin::Assistant, "it is trusted no more than the answer that it quotes");
    person.folds_again();
    person.say(json!({"type": "forget", "body": {"event_ids": [task.as_str()]}}));
    assert_eq!(person.of_kind(Kind::Lesson), []);
    let rest = serde_json::to_string(&person.rows.iter().collect::<Vec<_>>()).expect("plain data");
    assert!(!rest.contains("error 49"));
}

// law: L09
#[test]
fn a_short_answer_goes_with_the_question_that_it_has_its_words_from() {
    let mut person = Person::new();
    let question = json!({"role": "assistant", "content": "So you live in Porto, is that right?"});
    let asked = person.say_on(0, question);
    person.on(0, "Yes, I do.");
    person.end_of(0);
    person.folds_again();
    person.say(json!({"type": "forget", "body": {"event_ids": [asked.as_str()]}}));
    let rest = serde_json::to_string(&person.rows.iter().collect::<Vec<_>>()).expect("plain data");
    assert!(!rest.contains("Porto"), "{rest}");
}

#[test]
fn a_session_leaves_a_summary_and_topics_that_recur_a_pattern() {
    let mut person = Person::new();
    for day in 0..4 {
        person.on(day, &format!("I visited Marta in hospital {day} today and we talked about her surgery in Porto."));
        person.on(day, &format!("My boss at Siemens moved the deadline to the {day}th of March."));
        person.on(day, &format!("I bought {day} tickets for the concert in Garmisch on Saturday."));
        person.on(day, &format!("My brother Tom has started his job number {day} as a nurse."));
        person.end_of(day);
    }
    let summaries = person.of_kind(Kind::Summary);
    assert_eq!(summaries.len(), 4);
    assert!(summaries.iter().all(|summary| summary.sources.len() == 4 && summary.text.matches(" · ").count() == 2));
    let topics = person.of_kind(Kind::Pattern);
    let marta = topics.iter().find(|topic| topic.attribute.as_ref().is_some_and(|own| own.value == "Marta"));
    let marta = marta.expect("she came up in three sessions");
    assert!(marta.text.contains("3 conversations"), "{}", marta.text);
    assert!(!person.recall("What happened with Marta?", |_| {})[..3].iter().any(|text| text.contains(" · ")));
    assert!(person.recall("Marta", |query| query.kinds = vec![Kind::Summary])[0].contains("Marta"));
    person.folds_again();
}

#[test]
fn a_full_bank_makes_room_but_never_of_what_is_pinned_or_critical() {
    let mut person = Person::new();
    person.rules.bank_max = 40;
    person.on(0, "I am allergic to penicillin, it put me in hospital.");
    let pinned = json!({"type": "remember", "body": {"kind": "fact", "text": "the gate code is 4471", "pinned": true}});
    person.say(pinned);
    let first = person.on(1, "Doctor Ruiz in Garmisch looked at the knee for an hour.");
    for day in 2..120 {
        person.on(day, &format!("Doctor Ruiz was in Garmisch on day {day}, room {}.", day * 31));
        person.end_of(day);
    }
    let texts = person.texts();
    assert!(texts.len() <= 40, "{}", texts.len());
    assert!(texts.iter().any(|text| text.contains("penicillin")) && texts.iter().any(|text| text.contains("4471")));
    assert!(texts.iter().any(|text| text.contains("day 119")), "what is new finds room");
    assert_eq!(person.fate(&first), Some(Fate::NotKept(NotKept::Evicted)));
    let sources: BTreeSet<_> =
        person.rows.iter().filter_map(|row| if let Row::Source(turn) = row { Some(turn.seq) } else { None }).collect();
    let bank = person.rows.bank();
    let named: BTreeSet<_> = bank.memories().flat_map(|memory| &memory.sources).map(|source| source.seq).collect();
    assert!(named.is_subset(&sources), "INV-03");
    assert!(sources.len() < 2 * texts.len() + 8, "sources of what was evicted are gone: {}", sources.len());
}

#[test]
fn what_the_rules_keep_for_a_time_goes_when_it_is_over() {
    let mut person = Person::new();
    person.rules.retention_days.episode = 30;
    person.rules.half_life_days.episode = 7;
    let arrives = |person: &mut Person, day: i64| person.clock = 1_700_000_000 + day * DAY;
    arrives(&mut person, 0);
    let lunch = person.on(0, "The train to Garmisch smelled of trout and almonds.");
    person.on(0, "I am allergic to penicillin.");
    person.end_of(0);
    arrives(&mut person, 20);
    person.on(20, "The train to Garmisch smelled of trout and almonds.");
    person.on(20, "I live in Lisbon.");
    person.end_of(20);
    let lives_until = |person: &Person| {
        let bank = person.rows.bank();
        let trout = bank.memories().find(|memory| memory.text.contains("trout"));
        trout.map(|trout| (trout.expiry().expect("rules end it"), trout.half_life_days))
    };
    let end = Timestamp::from_seconds(1_700_000_000 + 50 * DAY);
    assert_eq!(lives_until(&person), Some((end, 7)), "to say it again keeps it longer");
    arrives(&mut person, 49);
    person.on(49, "Anna brought the blue kayak to Garmisch.");
    person.end_of(49);
    assert!(lives_until(&person).is_some());
    arrives(&mut person, 51);
    person.on(51, "Anna took the blue kayak back to Munich.");
    person.end_of(51);
    assert_eq!(lives_until(&person), None);
    assert_eq!(person.fate(&lunch), Some(Fate::NotKept(NotKept::Expired)));
    let rows = format!("{:?}", person.rows.iter().map(serde_json::to_string).collect::<Vec<_>>());
    assert!(!rows.contains("trout"), "its sources go with it");
    let texts = person.texts();
    assert!(texts.iter().any(|text| text.contains("penicillin")), "what is critical stays");
    assert!(!texts.iter().any(|text| text.contains("Lisbon")));
    assert_eq!(person.values("home_city"), [active("Lisbon")], "facts are kept for good");
    person.folds_again();
}

#[test]
fn what_has_expired_is_not_shown_as_what_was_valid_then() {
    let mut person = Person::new();
    person.rules.retention_days.fact = 100;
    person.on(0, "I live in Lisbon.");
    person.on(10, "I moved to Berlin.");
    person.end_of(10);
    let then = |query: &mut Query| {
        query.kinds = vec![Kind::Fact];
        query.valid_at = Some(Timestamp::from_seconds(1_700_000_000 + 5 * DAY));
    };
    assert_eq!(person.recall("Where does she live?", then), Vec::<String>::new());
    let mut keeps = Person::new();
    keeps.on(0, "I live in Lisbon.");
    keeps.on(10, "I moved to Berlin.");
    keeps.end_of(10);
    assert_eq!(keeps.recall("Where does she live?", then).len(), 1);
}

#[test]
fn a_long_note_is_remembered_in_pieces_that_go_together() {
    let mut person = Person::new();
    let findings =
        |knee: &str| format!("The patient reports pain in the {knee} knee when climbing stairs. ").repeat(20);
    let allergy = "Allergic to penicillin: anaphylaxis in 2019.";
    let note = format!("{}\n\n{allergy}\n\n{}", findings("left"), findings("right"));
    let id = person.say(json!({"type": "note", "content": note, "role": "system"}));
    person.end();
    assert!(person.rows.bank().len() >= 3);
    let found = person.recall("Which allergy is known?", |_| {});
    assert!(found[0].contains("penicillin") && found[0].len() <= 1_000, "{found:?}");
    let bank = person.rows.bank();
    let critical: Vec<&Memory> = bank.memories().filter(|memory| memory.critical).collect();
    assert!(
        critical.len() == 1 && critical[0].text.contains("penicillin"),
        "only the page that names it: {critical:?}"
    );
    person.folds_again();
    person.say(json!({"type": "forget", "body": {"event_ids": [id.as_str()]}}));
    assert_eq!(person.rows.bank().len(), 0);
}
