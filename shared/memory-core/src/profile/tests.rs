use super::*;
use crate::content::Content;
use crate::control::Control;
use crate::event::{Event, EventType};
use crate::forget::Scope;
use crate::ids::{MemoryId, Seq, StepNumber};
use crate::memory::{Attribute, Emotion, Status};
use crate::step::Row;
use crate::subject::{HashSecret, Subject, TenantId};
use crate::turn::Turn;

const DAY: i64 = 24 * 3_600;

/// A Wednesday, at noon.
fn now() -> Timestamp {
    Timestamp::from_seconds(20_579 * DAY + DAY / 2)
}

/// Something that the person said so many days ago, more than once if there are more days.
fn said(number: u64, text: &str, days_ago: &[i64]) -> Memory {
    let tenant = TenantId::try_new("t").expect("a tenant");
    let subject = Subject::owner(&tenant, Some("u"), None, None).expect("an owner").handle(&HashSecret::new([1; 32]));
    let source = |(place, days): (usize, &i64)| Source {
        event_id: EventId::try_new(format!("e{number}.{place}")).expect("an id"),
        seq: Seq::new(number),
        role: Role::User,
        time: now().plus_seconds(-days * DAY),
    };
    let sources: Vec<Source> = days_ago.iter().enumerate().map(source).collect();
    let time = sources[0].time;
    Memory {
        id: MemoryId::of_event(subject, &sources[0].event_id),
        kind: Kind::Episode,
        text: text.to_owned(),
        attribute: None,
        agent_id: None,
        app_id: None,
        session_id: None,
        role: Role::User,
        speaker: None,
        event_time: time,
        valid_from: time,
        valid_to: None,
        created_at: time,
        updated_at: time,
        expires_at: None,
        retained_until: None,
        half_life_days: 30,
        status: Status::Active,
        part_of: None,
        superseded_by: None,
        salience: 500,
        salience_parts: crate::salience::Parts::default(),
        confidence: 1_000,
        emotion: None,
        origin: Origin::User,
        pinned: false,
        critical: false,
        sources,
        reinforced: 0,
        useful: 0,
        tags: Vec::new(),
        entities: Vec::new(),
        metadata: serde_json::Map::new(),
        version: 1,
    }
}

fn stated(number: u64, kind: Kind, name: &str, value: &str, days_ago: i64) -> Memory {
    let attribute = Attribute { name: name.to_owned(), value: value.to_owned(), negated: false };
    Memory { kind, attribute: Some(attribute), ..said(number, &format!("My {name} is {value}."), &[days_ago]) }
}

fn felt(number: u64, text: &str, days_ago: i64, valence: i16) -> Memory {
    Memory { emotion: Some(Emotion { valence, arousal: 400 }), ..said(number, text, &[days_ago]) }
}

fn bank(memories: impl IntoIterator<Item = Memory>) -> Bank {
    Bank::load(StepNumber::FIRST, memories.into_iter().map(Row::Memory))
}

fn profile(bank: &Bank) -> Profile<'_> {
    of(bank, &Masks::default(), now())
}

fn values(memories: &[&Memory]) -> Vec<String> {
    memories.iter().map(|memory| memory.attribute.as_ref().map_or("", |one| one.value.as_str()).to_owned()).collect()
}

fn sayings_of(texts: &[&str]) -> Bank {
    bank(texts.iter().zip(1..).map(|(text, number)| said(number, text, &[1])))
}

#[test]
fn of_nobody_nothing_is_known() {
    let empty = Bank::default();
    let profile = profile(&empty);
    assert_eq!((profile.facts.len(), profile.preferences.len(), profile.goals.len()), (0, 0, 0));
    assert_eq!((profile.topics.len(), profile.style), (0, None));
    assert_eq!((profile.mood.baseline, profile.mood.trend), (None, None));
}

#[test]
fn what_holds_now_is_shown_by_its_name() {
    let gone = Memory { valid_to: Some(now()), ..stated(2, Kind::Fact, "home_city", "Oslo", 30) };
    let superseded = Memory { status: Status::Superseded, ..stated(3, Kind::Fact, "home_city", "Bonn", 20) };
    let to_come = Memory { valid_from: now().plus_seconds(1), ..stated(4, Kind::Fact, "home_city", "Rome", 1) };
    let expired = Memory { expires_at: Some(now()), ..stated(5, Kind::Fact, "home_city", "Riga", 1) };
    let plain = Memory { kind: Kind::Fact, ..said(9, "My blood group is A.", &[1]) };
    let bank = bank([
        plain,
        stated(1, Kind::Fact, "home_city", "Berlin", 10),
        gone,
        superseded,
        to_come,
        expired,
        stated(6, Kind::Fact, "allergy", "peanuts", 40),
        stated(7, Kind::Fact, "allergy", "penicillin", 4),
        stated(8, Kind::Preference, "drink", "tea", 3),
        stated(10, Kind::Fact, "plan", "run a marathon", 9),
        stated(11, Kind::Preference, "goal", "learn Greek", 2),
    ]);
    let profile = profile(&bank);
    assert_eq!(values(&profile.facts), ["penicillin", "peanuts", "Berlin", ""]);
    assert_eq!(values(&profile.preferences), ["tea"]);
    assert_eq!(values(&profile.goals), ["learn Greek", "run a marathon"]);
    assert_eq!(sources_of(profile.facts[2])[0].as_str(), "e1.0");
}

#[test]
fn a_pinned_fact_is_not_the_one_that_falls_off() {
    let old = Memory { pinned: true, ..stated(0, Kind::Fact, "allergy", "peanuts", 900) };
    let many = (1..=100).map(|number| stated(number, Kind::Fact, "owns", &format!("book {number}"), 800));
    let bank = bank(many.chain([old]));
    let facts = profile(&bank).facts;
    assert_eq!((facts.len(), values(&facts)[0].as_str()), (STATEMENTS_MAX, "peanuts"));
}

// law: L09
#[test]
fn what_is_about_to_be_forgotten_shows_nowhere() {
    let told = Memory {
        entities: vec!["Anna".to_owned()],
        emotion: Some(Emotion { valence: -800, arousal: 0 }),
        ..said(1, "Anna is ill again.", &[9, 1])
    };
    let drawn = stated(2, Kind::Fact, "illness", "migraine", 1);
    let forget = forget(vec![told.id, drawn.id]);
    let bank = bank([told, drawn]);
    for (turns, shown) in [(Vec::new(), true), (vec![forget], false)] {
        let profile = of(&bank, &Masks::of(&turns, &bank), now());
        let found = [
            !profile.facts.is_empty(),
            !profile.topics.is_empty(),
            profile.style.is_some(),
            profile.mood.baseline.is_some(),
        ];
        assert_eq!(found, [shown; 4]);
    }
}

/// A turn that asks to forget these.
fn forget(memories: Vec<MemoryId>) -> Turn {
    let scope = Scope::These { memories, events: Vec::new() };
    let event = Event {
        id: EventId::try_new("forget").expect("an id"),
        kind: EventType::Forget,
        user_id: Some("u".to_owned()),
        agent_id: None,
        app_id: None,
        session_id: None,
        role: Role::User,
        speaker: None,
        content: Content::Text(String::new()),
        time: now(),
        origin: Origin::User,
        remember: true,
        recalled: false,
        tags: Vec::new(),
        metadata: serde_json::Map::new(),
        control: Some(Box::new(Control::Forget { scope, floor: None })),
    };
    let salience = crate::salience::Salience::default();
    Turn {
        seq: Seq::new(99),
        arrived: now(),
        event: std::sync::Arc::new(event),
        salience,
        unkept: None,
        candidates: Vec::new(),
    }
}

#[test]
fn a_topic_is_what_comes_up_on_several_days() {
    let names = |memory: Memory, names: &[&str]| Memory {
        entities: names.iter().map(|name| (*name).to_owned()).collect(),
        ..memory
    };
    let bank = bank([
        names(said(1, "a", &[20]), &["anna", "Oslo"]),
        names(said(2, "b", &[10]), &["Anna", "Oslo"]),
        names(said(3, "c", &[10, 2]), &["Anna"]),
        // Twice, but on one day; and what only the assistant speaks of.
        names(said(4, "d", &[5]), &["Bergen"]),
        names(said(5, "e", &[5]), &["Bergen"]),
        Memory { origin: Origin::Assistant, ..names(said(6, "f", &[8, 7]), &["Weather"]) },
        stated(7, Kind::Preference, "likes", "oslo", 1),
        names(said(8, "g", &[-1, -2]), &["Tomorrow"]),
        // What memos counted or concluded itself.
        Memory { kind: Kind::Pattern, ..names(stated(9, Kind::Pattern, "mood", "falling", 3), &["Oslo"]) },
        stated(10, Kind::Lesson, "outcome", "worked", 4),
        stated(11, Kind::Lesson, "outcome", "worked", 6),
        stated(12, Kind::Pattern, "mood", "falling", 5),
    ]);
    let topics = profile(&bank).topics;
    let shown: Vec<(&str, u32)> = topics.iter().map(|topic| (topic.name.as_str(), topic.days)).collect();
    assert_eq!(shown, [("oslo", 3), ("Anna", 3)]);
    let anna = &topics[1];
    assert_eq!((anna.first, anna.last), (now().plus_seconds(-20 * DAY), now().plus_seconds(-2 * DAY)));
    assert_eq!(anna.sources.last().map(EventId::as_str), Some("e3.1"));
    assert_eq!((anna.memories.len(), anna.sources.len()), (3, 4));
}

#[test]
fn the_mood_of_weeks_goes_somewhere_or_nowhere() {
    let trend = |valences: &[i16]| {
        let weeks = valences.iter().rev().zip(0_u64..);
        let weeks = weeks.map(|(valence, ago)| felt(ago, "x", 7 * i64::try_from(ago).expect("few"), *valence));
        profile(&bank(weeks)).mood.trend
    };
    assert_eq!(trend(&[-600, 600]), None);
    assert_eq!(trend(&[-600, -100, 0, 300]), Some(Trend::Rising));
    assert_eq!(trend(&[500, 300, 350, -100]), Some(Trend::Falling));
    assert_eq!(trend(&[100, 150, 50, 120]), Some(Trend::Steady));
    // One terrible week among good ones, and the last one at that, is no trend.
    assert_eq!(trend(&[400, 410, 390, 400, 405, -900]), Some(Trend::Steady));
    // Slow, but over many weeks.
    assert_eq!(trend(&[0, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200, 220]), Some(Trend::Rising));
}

#[test]
fn a_week_begins_on_monday_and_twelve_are_shown() {
    // `now` is a Wednesday: two days ago it was Monday, three days ago Sunday.
    let bank = bank([
        felt(1, "x", 0, 300),
        felt(2, "x", 2, 500),
        felt(3, "x", 3, -200),
        felt(4, "x", 11 * 7 + 2, 100),
        felt(5, "x", 11 * 7 + 3, -900),
        said(6, "Nothing is felt here.", &[1]),
        Memory { role: Role::Assistant, origin: Origin::Assistant, ..felt(7, "x", 1, -1_000) },
        Memory { kind: Kind::Fact, ..felt(8, "x", 1, -1_000) },
    ]);
    let Mood { baseline, weeks, .. } = profile(&bank).mood;
    let shown: Vec<(i16, u32)> = weeks.iter().map(|week| (week.valence, week.count)).collect();
    assert_eq!(shown, [(100, 1), (-200, 1), (400, 2)]);
    let monday = Timestamp::from_seconds((20_579 - 2) * DAY);
    assert_eq!(weeks[2].from, monday);
    assert_eq!(weeks[2].sources.iter().map(EventId::as_str).collect::<Vec<_>>(), ["e2.0", "e1.0"]);
    let baseline = baseline.expect("it was felt");
    assert_eq!((baseline.felt.valence, baseline.felt.arousal, baseline.count), (-40, 400, 5));
}

#[test]
fn what_goes_with_a_mood_is_what_comes_up_in_it_and_seldom_elsewhere() {
    let low = [
        "Sad again before the deadline at work.",
        "The deadlines make me sad, I argued with Tom.",
        "Another deadline, another sleepless night, so sad.",
        "Too many deadlines this week.",
    ];
    let high = ["A day at the lake, lovely.", "We swam in the lake all day.", "The lake was warm, we swam."];
    let plain =
        ["We met at work this week.", "I argued with Tom.", "It was a day like others at work.", "Tom came by."];
    let memories = low
        .iter()
        .map(|text| (text, -700))
        .chain(high.iter().map(|text| (text, 800)))
        .chain(plain.iter().map(|text| (text, 0)))
        .zip(1..)
        .map(|((text, valence), number)| felt(number, text, 30 - i64::try_from(number).expect("few"), valence));
    let bank = bank(memories);
    let Mood { low, high, .. } = profile(&bank).mood;
    let named = |found: &[Companion]| found.iter().map(|one| (one.word.clone(), one.count)).collect::<Vec<_>>();
    assert_eq!(named(&low), [("deadline".to_owned(), 4)]);
    assert_eq!(named(&high), [("lake".to_owned(), 3)]);
    assert_eq!(low[0].sources.iter().map(EventId::as_str).collect::<Vec<_>>(), ["e1.0", "e2.0", "e3.0", "e4.0"]);
    assert_eq!(low[0].memories.len(), 4);
}

#[test]
fn what_everything_has_in_common_explains_no_mood() {
    let memories = (1..8).map(|number| felt(number, "The deadline at work.", 9, -700));
    assert_eq!(profile(&bank(memories)).mood.low, []);
}

#[test]
fn manners_are_told_apart() {
    let casual = sayings_of(&[
        "hey, don't wanna go lol",
        "omg that's so cool!!! 😂😂",
        "nah, i'm tired",
        "yeah ok, gonna sleep",
    ]);
    let formal = sayings_of(&[
        "Could you please send me the documentation regarding my reimbursement?",
        "Thank you. I would appreciate a confirmation of the appointment.",
        "Dear Sir, I apologise for the inconvenience; the application was incomplete.",
    ]);
    let plain = sayings_of(&["I went to the shop and bought milk.", "My sister lives in Oslo."]);
    let style = |bank: &Bank| profile(bank).style.expect("something was said");
    let [casual, formal, plain] = [&casual, &formal, &plain].map(style);
    assert!(casual.formality < 250 && formal.formality > 750, "{} {}", casual.formality, formal.formality);
    assert_eq!(plain.formality, 500);
    assert_eq!((casual.emoji, formal.emoji), (250, 0));
    assert_eq!((casual.turns, plain.turns, plain.words), (4, 2, 7));
    assert_eq!(plain.sources.len(), 2);
}

#[test]
fn the_language_is_the_commonest() {
    for (texts, language) in [
        (["I live in the house.", "Ich wohne in dem Haus.", "It is on the hill."], Some("en")),
        (["Ich wohne in dem Haus.", "Wir sind nach Bonn gefahren und haben dort gegessen.", "Oslo"], Some("de")),
        (["Я живу в Москве", "Моя сестра живёт в Осло", "ok"], Some("ru")),
        (["我住在北京", "我的妹妹住在上海", "ok"], Some("zh")),
        (["私は東京に住んでいます", "妹は大阪にいます", "ok"], Some("ja")),
        (["나는 서울에서 살아요", "여동생은 부산에 있어요", "ok"], Some("ko")),
        (["أعيش في القاهرة", "أختي في دبي", "ok"], Some("ar")),
        (["clarinet", "42", "🎉"], None),
    ] {
        assert_eq!(profile(&sayings_of(&texts)).style.expect("something was said").language, language, "{texts:?}");
    }
}

#[test]
fn what_is_said_again_counts_again_and_debug_forms_are_redacted() {
    let often = Memory {
        emotion: Some(Emotion { valence: -600, arousal: 500 }),
        entities: vec!["Kanarienvogel".to_owned()],
        ..said(1, "The kanarienvogel again.", &[30, 20, 10])
    };
    let others = (2..8).map(|number| said(number, "The garden is green.", &[5]));
    let bank = bank(others.chain([often]));
    let profile = profile(&bank);
    assert_eq!(profile.mood.baseline.as_ref().map(|baseline| baseline.count), Some(3));
    assert_eq!(profile.mood.low.iter().map(|one| one.word.as_str()).collect::<Vec<_>>(), ["kanarienvogel"]);
    assert_eq!(profile.topics.len(), 1);
    assert!(!format!("{profile:?}").to_lowercase().contains("kanarienvogel"));
}
