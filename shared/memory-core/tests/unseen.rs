//! How well statements and feelings are read in sentences that were written apart from the rules, by somebody who had not
//! seen them: `testdata/extract-unseen.jsonl` (750) and `emotion-unseen.jsonl` (400).

use std::collections::BTreeMap;

use memory_core::emotion::{self, Tone};
use memory_core::extract::{self, Act, Statement};
use serde_json::Value;

const STATEMENTS: &str = include_str!("../testdata/extract-unseen.jsonl");
const FEELINGS: &str = include_str!("../testdata/emotion-unseen.jsonl");

fn lines(text: &str) -> impl Iterator<Item = Value> + '_ {
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"))
}

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

/// Whether a statement is of an accepted category and its value has the words that any right reading has.
fn is_right(statement: &Statement, case: &Value) -> bool {
    let also = case["also"].as_array().into_iter().flatten();
    let accepted = std::iter::once(&case["category"]).chain(also).any(|category| category == name(statement.act));
    let words = |text: &str| memory_core::text::words(text).collect::<Vec<_>>();
    let (wanted, found) = (words(case["value"].as_str().unwrap_or("")), words(&statement.value));
    accepted && !wanted.is_empty() && wanted.iter().all(|word| found.contains(word))
}

/// What is found of each category at least, in percent. Wanted are 80, and a precision of 90: the rules do not know enough
/// ways to say things yet.
const FLOORS: [(&str, u32); 7] = [
    ("preference", 34),
    ("fact", 54),
    ("change", 38),
    ("negation", 48),
    ("commitment", 72),
    ("correction", 40),
    ("none", 96),
];
const PRECISION: u32 = 76;

#[test]
fn statements_are_found_in_unseen_sentences() {
    let mut recall: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let (mut right, mut all) = (0, 0);
    for case in lines(STATEMENTS) {
        let found = extract::statements(case["say"].as_str().expect("words"), case["before"].as_str());
        let good = found.iter().filter(|statement| is_right(statement, &case)).count();
        right += u32::try_from(good).expect("few");
        all += u32::try_from(found.len()).expect("few");
        let (hits, cases) = recall.entry(case["category"].as_str().expect("a category").to_owned()).or_default();
        *hits += u32::from(if case["category"] == "none" { found.is_empty() } else { good > 0 });
        *cases += 1;
    }
    for (category, floor) in FLOORS {
        let (hits, cases) = recall[category];
        assert!(hits * 100 >= cases * floor, "{category}: {hits} of {cases}; {recall:?}, {right} of {all} right");
    }
    assert!(right * 100 >= all * PRECISION, "{right} of {all} statements are right");
}

#[test]
fn feelings_are_told_in_unseen_sentences() {
    let tone = |name: &str| match name {
        "positive" => Tone::Positive,
        "negative" => Tone::Negative,
        _ => Tone::None,
    };
    // Per tone: found rightly, found, there.
    let mut counts: BTreeMap<Tone, [u32; 3]> = BTreeMap::new();
    for case in lines(FEELINGS) {
        let (wanted, found) =
            (tone(case["emotion"].as_str().expect("a tone")), emotion::of(case["say"].as_str().expect("words")).tone());
        counts.entry(wanted).or_default()[2] += 1;
        counts.entry(found).or_default()[1] += 1;
        counts.entry(found).or_default()[0] += u32::from(found == wanted);
    }
    // F1 is twice what was right over what was found and what was there.
    let f1: u32 = counts.values().map(|[right, found, there]| 2_000 * right / (found + there)).sum::<u32>() / 3;
    assert!(f1 >= 750, "macro-F1 {f1}/1000 {counts:?}");
}
