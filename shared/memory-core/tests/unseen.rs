//! How well statements and feelings are read in sentences that were written apart from the rules, by somebody who had not
//! seen them: `testdata/extract-more.jsonl` (750, on which the rules were then widened), `extract-unseen.jsonl` (750, which
//! nobody looked at) and `emotion-unseen.jsonl` (400).

use std::collections::BTreeMap;

use memory_core::emotion::{self, Tone};
use memory_core::extract::{self, Act, Statement};
use serde_json::Value;

const MORE: &str = include_str!("../testdata/extract-more.jsonl");
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

/// Found and all cases of each category, and right and all statements.
fn measured(cases: &str, mut miss: impl FnMut(&Value, &[Statement])) -> (BTreeMap<String, (u32, u32)>, usize, usize) {
    let mut recall: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let (mut right, mut all) = (0, 0);
    for case in lines(cases) {
        let found = extract::statements(case["say"].as_str().expect("words"), case["before"].as_str());
        let good = found.iter().filter(|statement| is_right(statement, &case)).count();
        right += good;
        all += found.len();
        let none = case["category"] == "none";
        if good < found.len() || good == 0 && !none {
            miss(&case, &found);
        }
        let (hits, cases) = recall.entry(case["category"].as_str().expect("a category").to_owned()).or_default();
        *hits += u32::from(if none { found.is_empty() } else { good > 0 });
        *cases += 1;
    }
    (recall, right, all)
}

#[test]
fn statements_are_found_in_more_sentences() {
    let show = std::env::var_os("MORE").is_some();
    let (recall, right, all) = measured(MORE, |case, found| {
        if show {
            let said: Vec<String> =
                found.iter().map(|one| format!("{}/{}/{}", name(one.act), one.attribute, one.value)).collect();
            println!(
                "{} [{}] {} <{}> :: {}",
                case["category"].as_str().unwrap(),
                case["value"].as_str().unwrap_or(""),
                case["say"].as_str().unwrap(),
                case["before"].as_str().unwrap_or(""),
                said.join(" ; ")
            );
        }
    });
    println!("MORE {recall:?} precision {right}/{all}");
}

#[test]
fn statements_are_found_in_unseen_sentences() {
    let (recall, right, all) = measured(STATEMENTS, |_, _| ());
    println!("UNSEEN {recall:?} precision {right}/{all}");
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
    println!("{counts:?}");
    // F1 is twice what was right over what was found and what was there.
    let f1: u32 = counts.values().map(|[right, found, there]| 2_000 * right / (found + there)).sum::<u32>() / 3;
    assert!(f1 >= 750, "macro-F1 {f1}/1000 {counts:?}");
}
