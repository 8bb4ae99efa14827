//! The cases of `testdata/extract-dev.jsonl`, which were written before the rules, and what every input must give.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Act, Statement, entities, statements};

const CASES: &str = include_str!("../../testdata/extract-dev.jsonl");
const CATEGORIES: [&str; 6] = ["preference", "fact", "change", "negation", "commitment", "correction"];

fn name(act: Act) -> &'static str {
    match act {
        Act::Preference => "preference",
        Act::Fact => "fact",
        Act::Change => "change",
        Act::Negation => "negation",
        Act::Commitment => "commitment",
        Act::Correction => "correction",
    }
}

/// Whether a statement is what a case asks for.
fn is_right(case: &Value, statement: &Statement) -> bool {
    let act = name(statement.act);
    let also = case["also"].as_array().into_iter().flatten();
    let right_act = case["category"] == act || also.into_iter().any(|also| also == act);
    let value = statement.value.to_lowercase();
    right_act && case["value"].as_str().unwrap_or_default().to_lowercase().split(' ').all(|word| value.contains(word))
}

/// Found and all cases of each category.
type Recall = BTreeMap<String, (u32, u32)>;

/// The recall, right and all statements, and what went wrong.
fn measured() -> (Recall, (u32, u32), Vec<String>) {
    let mut recall = Recall::new();
    let mut precision = (0, 0);
    let mut wrong = Vec::new();
    for (place, line) in CASES.lines().enumerate() {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        let say = case["say"].as_str().expect("a case says something");
        let found = statements(say, case["before"].as_str());
        let right = found.iter().filter(|statement| is_right(&case, statement)).count();
        precision.0 += u32::try_from(right).expect("few");
        precision.1 += u32::try_from(found.len()).expect("few");
        let category = case["category"].as_str().expect("a case has a category").to_owned();
        let is_none = category == "none";
        let figures = recall.entry(category).or_default();
        figures.1 += 1;
        figures.0 += u32::from(right > 0 || is_none && found.is_empty());
        if right != found.len() || right == 0 && !is_none {
            wrong.push(format!("{place} {line}\n    {found:?}"));
        }
    }
    (recall, precision, wrong)
}

#[test]
fn the_cases_written_before_the_rules_are_found() {
    let (recall, precision, wrong) = measured();
    let enough = CATEGORIES.iter().all(|category| {
        let (found, all) = recall[*category];
        all >= 60 && found * 10 >= all * 9
    });
    assert!(enough && precision.0 * 100 >= precision.1 * 93, "{recall:?} {precision:?}\n{}", wrong.join("\n"));
}

#[test]
fn what_tells_nothing_of_the_speaker_gives_nothing() {
    let (recall, _, wrong) = measured();
    let (silent, all) = recall["none"];
    assert!(all >= 120 && silent * 100 >= all * 97, "{silent} of {all}\n{}", wrong.join("\n"));
}

fn only(text: &str) -> Statement {
    let mut found = statements(text, None);
    assert_eq!(found.len(), 1, "{text} {found:?}");
    found.remove(0)
}

fn brief(text: &str, before: Option<&str>) -> Vec<(Act, String, String)> {
    statements(text, before).into_iter().map(|found| (found.act, found.attribute, found.value)).collect()
}

#[test]
fn a_statement_has_its_attribute_its_value_and_what_it_replaces() {
    let moved = only("Hi! We moved from Lisbon to Porto in May. Nice weather here.");
    assert_eq!((moved.act, moved.attribute.as_str(), moved.single), (Act::Change, "home_city", true));
    assert_eq!((moved.value.as_str(), moved.old.as_deref()), ("Porto", Some("Lisbon")));
    assert_eq!(moved.sentence, 4..41);
    let meat = only("I don't eat meat");
    assert_eq!(
        (meat.act, meat.attribute.as_str(), meat.value.as_str(), meat.negated),
        (Act::Negation, "eat", "meat", true)
    );
    let home = only("I live in Berlin since 2019");
    assert_eq!((home.attribute.as_str(), home.value.as_str(), home.single), ("home_city", "Berlin", true));
    let child = only("my daughter Ines is six");
    assert_eq!((child.attribute.as_str(), child.value.as_str(), child.single), ("child", "Ines is six", false));
    let form = only("I'll send the form by Friday");
    assert_eq!((form.act, form.value.as_str()), (Act::Commitment, "send the form by Friday"));
    let pork = only("I can't stand olives");
    assert_eq!((pork.act, pork.attribute.as_str(), pork.negated), (Act::Preference, "dislikes", false));
    assert_eq!(only("I used to live in Rome").attribute, "former_home_city");
}

#[test]
fn a_value_is_what_is_stated_and_nothing_around_it() {
    for (text, attribute, value) in [
        ("I moved to Porto on Monday", "home_city", "Porto"),
        ("We moved to Utrecht over the holidays", "home_city", "Utrecht"),
        ("I moved to the US", "home_city", "US"),
        ("I'm not a student any more", "job", "student"),
        ("I'm a student in Pune", "job", "student in Pune"),
        ("Call me Liz please, nobody calls me Elizabeth.", "preferred_name", "Liz"),
        ("My daughter hasn't spoken to me in months", "child", "daughter hasn't spoken to me in months"),
        ("My anniversary is the first Sunday in May", "anniversary", "first Sunday in May"),
    ] {
        let found = only(text);
        assert_eq!((found.attribute.as_str(), found.value.as_str()), (attribute, value), "{text}");
    }
    let brother = only("My brother, who's autistic, likes his routine kept to the minute.");
    assert!(brother.value.contains("routine"), "{brother:?}");
    let flat = only("I don't own it.");
    assert!(flat.value != "it", "{flat:?}");
}

#[test]
fn contractions_and_their_typos_are_the_same() {
    for (one, other) in [
        ("I'm allergic to nuts", "im allergic to nuts"),
        ("I don't eat meat", "i dont eat meat"),
        ("I\u{2019}ve got a cat", "ive got a cat"),
        ("I'll call Anna on Monday", "ill call Anna on Monday"),
        ("I can't swim", "I cannot swim"),
    ] {
        assert_eq!(brief(one, None), brief(other, None));
        assert_eq!(brief(one, None).len(), 1, "{one}");
    }
    assert_eq!(brief("I was ill", None), Vec::new());
}

#[test]
fn a_short_answer_takes_its_meaning_from_the_question() {
    let asked = |before: &str, text: &str| brief(text, Some(before)).pop();
    let said = |act: Act, attribute: &str, value: &str| Some((act, attribute.to_owned(), value.to_owned()));
    assert_eq!(asked("Nice to meet you. Where do you live?", "Berlin"), said(Act::Fact, "home_city", "Berlin"));
    assert_eq!(asked("What's your name?", "Anna Kowalska."), said(Act::Fact, "name", "Anna Kowalska"));
    assert_eq!(
        asked("Do you have any allergies?", "penicillin and nuts"),
        said(Act::Fact, "allergy", "penicillin and nuts")
    );
    for (before, text) in [
        ("Where do you live?", "ok"),
        ("Are you hungry?", "very"),
        ("You live in Bonn.", "nice"),
        ("Where do you live?", "why?"),
    ] {
        assert_eq!(asked(before, text), None, "{before} {text}");
    }
}

#[test]
fn what_was_denied_is_what_is_replaced() {
    let found = statements("No, I don't live in Rome, I live in Milan", Some("You live in Rome."));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].act, found[0].value.as_str(), found[0].old.as_deref()),
        (Act::Correction, "Milan", Some("Rome"))
    );
    assert_eq!(found[0].attribute, "home_city");
}

#[test]
fn other_languages_give_nothing() {
    for text in [
        "Ich wohne seit 2019 in Berlin und arbeite bei Siemens. Mein Hund heißt Rex.",
        "Ich mag keinen Kaffee. Nein, das ist falsch, ich bin Anna.",
        "Vivo en Madrid y trabajo de enfermera. No como carne. Mi hermana es Ana.",
        "Je m'appelle Luc, j'habite à Lyon et je n'aime pas le fromage.",
        "Io sono Marco, vivo a Roma e amo il calcio.",
        "我住在北京，我对花生过敏。我明天会给你打电话。",
        "私は東京に住んでいます。コーヒーが好きです。",
        "Я живу в Москве и люблю чай.",
        "أعيش في القاهرة وأحب القهوة.",
        "मैं दिल्ली में रहता हूँ",
    ] {
        assert_eq!(brief(text, None), Vec::new(), "{text}");
    }
}

#[test]
fn names_are_found_wherever_they_stand() {
    let text = "Yesterday Anna Kowalska from the University of Leeds sent order A-4471 to kim@example.org. Berlin was cold. I met Anna's friend in Berlin.";
    assert_eq!(entities(text), ["Anna Kowalska", "University of Leeds", "A-4471", "kim@example.org", "Berlin", "Anna"]);
    assert_eq!(entities("The weather is nice. I live here. What a day!"), Vec::<String>::new());
    let many: String = (0..40).map(|number| format!("we saw N{number}x, ")).collect();
    assert_eq!(entities(&many).len(), 16);
}

/// What has a meaning to the rules, and what has none.
const PARTS: &[&str] = &[
    "I",
    "i'm",
    "my",
    "My wife's",
    "not",
    "no",
    ",",
    ".",
    "?",
    "\"",
    "“",
    "”",
    "(",
    "but",
    "and",
    "if",
    "that",
    "to",
    "'s",
    "n't",
    "'",
    "-",
    "don't",
    "is",
    "have",
    "moved",
    "from",
    "will",
    "call me",
    "Actually",
    "Dr.",
    "7",
    "é",
    "e\u{301}",
    "\u{301}",
    "👩‍👩‍👧",
    "مرحبا",
    "我住",
    "\u{202e}",
    "\n",
    "\t",
    "İ",
    "ß",
    "what I like most",
    "Berlin",
    "the",
    "it",
    "instead of",
    "\u{0}",
    "…",
    "nothing",
    "none of my",
    "rather than",
    "allergic to",
    "let me",
    "\u{feff}",
];

/// Texts put together at random, from a fixed seed, of what has a meaning to the rules and what has none.
#[test]
fn odd_input_never_breaks_a_range() {
    let mut seed: u64 = 0x2545_f491_4f6c_dd1d;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).expect("31 bits") % below
    };
    for _ in 0..8_000 {
        let length = next(14);
        let words: Vec<&str> = (0..length).map(|_| PARTS[next(PARTS.len())]).collect();
        let text = words.join(if next(4) == 0 { "" } else { " " });
        let before = (next(2) == 0).then(|| words.iter().rev().copied().collect::<Vec<_>>().join(" "));
        let found = statements(&text, before.as_deref());
        assert_eq!(found, statements(&text, before.as_deref()));
        for statement in found {
            assert!(text.get(statement.sentence.clone()).is_some_and(|said| !said.is_empty()), "{text} {statement:?}");
            assert!(!statement.value.is_empty() && statement.confidence <= 1_000, "{text} {statement:?}");
        }
        assert!(entities(&text).iter().all(|name| text.contains(name.as_str())), "{text}");
    }
}

#[test]
fn long_input_is_read_up_to_its_limit() {
    for part in ["I", "I like ", "é", "a, ", "\"", "no ", "not but ", "👩‍👩‍👧", "my my ", "I think that I ", "'"]
    {
        let text = part.repeat(70_000 / part.len());
        let found = statements(&text, Some(&text));
        assert!(found.iter().all(|statement| statement.sentence.end <= super::TEXT_MAX), "{part}");
        assert!(entities(&text).len() <= 16);
    }
    assert_eq!(statements("", Some("")), Vec::new());
}

#[test]
fn no_rule_stands_behind_one_that_fits_everything() {
    let rules = include_str!("verbs.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut closed: Vec<&str> = Vec::new();
    for line in rules {
        let (pattern, says) = line.split_once(" > ").expect("a rule");
        let (head, rest) = pattern.split_once(' ').unwrap_or((pattern, ""));
        for head in head.split('|') {
            assert!(!closed.contains(&head), "never reached: {line}");
            if rest.is_empty() && !says.contains('{') {
                closed.push(head);
            }
        }
    }
}

#[test]
fn what_no_rule_takes_apart_is_told_whole() {
    for (text, before, act, value) in [
        ("Raisins in a cake ruin it for me, you know.", None, Act::Preference, "Raisins in a cake ruin it for me"),
        ("Brown, please read it again.", Some("So you have blue eyes."), Act::Correction, "Brown"),
        ("Facebook? I'm not on it.", None, Act::Negation, "Facebook"),
    ] {
        let found = statements(text, before);
        assert!(found.iter().any(|one| one.act == act && one.value.contains(value)), "{text} {found:?}");
    }
}

#[test]
fn other_languages_are_silent_to_the_classifier_too() {
    for text in [
        "No como carne ni pescado, soy alérgica.",
        "Ab morgen trinke ich keinen Alkohol mehr.",
        "Mijn dochter heeft een hond en een kat.",
        "Eu prefiro o café sem açúcar.",
        "Ich liebe Schokolade.",
        "Merci beaucoup, à demain.",
    ] {
        assert_eq!(brief(text, None), Vec::new(), "{text}");
    }
}

#[test]
fn what_the_attribute_says_is_not_in_the_value() {
    let found = statements("I am allergic to penicillin.", None);
    let found: Vec<(&str, &str)> = found.iter().map(|one| (one.attribute.as_str(), one.value.as_str())).collect();
    assert_eq!(found, [("allergy", "penicillin")]);
}
