//! Whether the conversations of this repository are what they are said to be: enough of them, of several kinds, with
//! evidence that is there, and hard enough that words alone do not find it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use load_tests::quality::baseline;
use load_tests::quality::data::{self, Conversation};
use load_tests::quality::score::{self, Scored, Summary, UNANSWERABLE};
use serde_json::Value;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

fn read(name: &str) -> Vec<Conversation> {
    data::read(&path(name)).expect("the data of this repository")
}

fn turns(all: &[Conversation]) -> usize {
    all.iter().map(|one| one.turns.len()).sum()
}

fn categories(all: &[Conversation]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for question in all.iter().flat_map(|one| &one.questions) {
        *counts.entry(question.category.as_str()).or_default() += 1;
    }
    counts
}

/// Reading drops ids that are not there, so this looks at the file itself.
fn assert_exact_evidence(name: &str) {
    let text = std::fs::read_to_string(path(name)).expect("the data of this repository");
    let file: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    for (raw, read) in file.iter().zip(read(name)) {
        let said: BTreeSet<&str> = read.turns.iter().map(|turn| turn.id.as_str()).collect();
        let questions = raw["qa"].as_array().expect("questions");
        for (raw, question) in questions.iter().zip(&read.questions) {
            let named: Vec<&str> =
                raw["evidence"].as_array().expect("evidence").iter().filter_map(Value::as_str).collect();
            assert_eq!(named, question.evidence, "{}: {}", read.id, question.text);
            assert!(named.iter().all(|id| said.contains(id)), "{}: {}", read.id, question.text);
            let answerable = question.category != UNANSWERABLE;
            assert_eq!(!named.is_empty(), answerable, "{}: {}", read.id, question.text);
            assert_eq!(!question.answer.is_empty(), answerable, "{}: {}", read.id, question.text);
        }
    }
}

fn assert_good_turns(all: &[Conversation]) {
    for one in all {
        assert!(one.turns.is_sorted_by(|turn, next| turn.time < next.time), "{}: time goes on", one.id);
        for turn in &one.turns {
            assert!(!turn.content().trim().is_empty(), "{} {}", one.id, turn.id);
            assert!(matches!(turn.role.as_deref(), None | Some("user" | "assistant")), "{} {}", one.id, turn.id);
            assert!(turn.id.starts_with(&format!("D{}:", turn.session)), "{} {}", one.id, turn.id);
        }
        let questions: BTreeSet<&str> = one.questions.iter().map(|question| question.text.as_str()).collect();
        assert_eq!(questions.len(), one.questions.len(), "{}: a question is asked twice", one.id);
    }
}

#[test]
fn the_conversations_are_many_and_of_several_kinds() {
    let all = read("quality.json");
    assert!(turns(&all) >= 300, "{} turns", turns(&all));
    let questions = categories(&all);
    assert!(questions.values().sum::<usize>() >= 150, "{questions:?}");
    for (category, least) in [("1", 30), ("2", 30), ("3", 15), ("4", 60), (UNANSWERABLE, 20)] {
        assert!(questions.get(category).is_some_and(|count| *count >= least), "category {category} of {questions:?}");
    }
    let assisted = all.iter().filter(|one| one.turns.iter().any(|turn| turn.role.is_some())).count();
    assert!(assisted >= 5 && all.len() - assisted >= 2, "{assisted} of {} with an assistant", all.len());
    let is_long = |role: &Option<String>, text: &str| role.as_deref() == Some("assistant") && text.len() > 500;
    let long = all.iter().flat_map(|one| &one.turns).filter(|turn| is_long(&turn.role, &turn.text)).count();
    assert!(long >= 10, "{long} long answers");
    for one in &all {
        let months = one.turns[one.turns.len() - 1].time.duration_since(one.turns[0].time).as_hours() / 24 / 30;
        assert!(months >= 2, "{} lasts {months} months", one.id);
    }
}

#[test]
fn several_questions_need_several_sessions() {
    let session = |id: &str| id.split(':').next().map(str::to_owned);
    let sessions = |evidence: &Vec<String>| evidence.iter().map(|id| session(id)).collect::<BTreeSet<_>>().len();
    let all = read("quality.json");
    let questions = || all.iter().flat_map(|one| &one.questions);
    let over = questions().filter(|question| sessions(&question.evidence) >= 2).count();
    assert!(over >= 30, "{over} questions over several sessions");
}

#[test]
fn every_turn_and_every_evidence_is_good() {
    for name in ["quality.json", "languages.json"] {
        assert_good_turns(&read(name));
        assert_exact_evidence(name);
    }
}

#[test]
fn other_languages_are_of_several_scripts() {
    let all = read("languages.json");
    assert!(turns(&all) >= 60 && all.iter().map(|one| one.questions.len()).sum::<usize>() >= 30);
    let scripts = [
        ("Latin", 'a'..='z'),
        ("Cyrillic", 'а'..='я'),
        ("Greek", 'α'..='ω'),
        ("Arabic", 'ا'..='ي'),
        ("Devanagari", 'क'..='ह'),
        ("Han", '一'..='龥'),
        ("Hiragana", 'ぁ'..='ん'),
        ("Hangul", '가'..='힣'),
    ];
    for (script, letters) in scripts {
        let has = |text: &str| text.chars().any(|letter| letters.contains(&letter));
        assert!(all.iter().any(|one| one.turns.iter().any(|turn| has(&turn.text))), "{script}");
    }
}

#[test]
fn words_alone_do_not_answer_everything() {
    let scored: Vec<Scored> =
        read("quality.json").iter().flat_map(|one| score::score(one, &baseline::bm25(one))).collect();
    let found = Summary::overall(&scored).recall_at_10;
    assert!((55.0..80.0).contains(&found), "the baseline finds {found:.1} % in the first ten");
}
