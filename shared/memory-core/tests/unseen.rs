//! How well statements and feelings are read in sentences that were written apart from the rules, by people who had not
//! seen them.
//!
//! | file | written by | seen by |
//! |---|---|---|
//! | `extract-more.jsonl` (748) | somebody apart | the rules were widened on it, the classifier is fitted on it |
//! | `extract-paraphrases.jsonl` (1,500) | two apart, who put the cases of `extract-dev.jsonl` in other words | nobody |
//! | `extract-unseen.jsonl` (747) | somebody apart, freely | nobody |
//! | `emotion-unseen.jsonl` (400) | somebody apart | nobody |
//!
//! Seen by nobody: no rule was written and no weight fitted on it, only the totals were run. So the figures of these files are
//! what strangers may expect. The floors stand just below what was reached.

use std::collections::BTreeMap;

use memory_core::emotion::{self, Tone};
use memory_core::extract::{self, Act, Statement};
use serde_json::Value;

const MORE: &str = include_str!("../testdata/extract-more.jsonl");
const PARAPHRASES: &str = include_str!("../testdata/extract-paraphrases.jsonl");
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

/// Words with which a value says what is not; where the statement itself says so, its value need not.
const DENYING: [&str; 16] = [
    "not", "never", "no", "don't", "doesn't", "didn't", "can't", "cannot", "won't", "isn't", "aren't", "wasn't",
    "haven't", "hasn't", "ain't", "anymore",
];

/// Whether a statement is of an accepted category and its value has the words that any right reading has; "daughter's"
/// has the word "daughter".
fn is_right(statement: &Statement, case: &Value) -> bool {
    let also = case["also"].as_array().into_iter().flatten();
    let accepted = std::iter::once(&case["category"]).chain(also).any(|category| category == name(statement.act));
    let words = |text: &str| {
        let words = memory_core::text::words(text).collect::<Vec<_>>();
        words.into_iter().map(|word| word.trim_end_matches("'s").to_owned()).collect::<Vec<_>>()
    };
    let (mut wanted, found) = (words(case["value"].as_str().unwrap_or("")), words(&statement.value));
    wanted.retain(|word| !statement.negated || !DENYING.contains(&word.as_str()));
    accepted && !wanted.is_empty() && wanted.iter().all(|word| found.contains(word))
}

/// What was found in the cases of a file.
#[derive(Debug, Default)]
struct Figures {
    /// Found and all cases of each category.
    recall: BTreeMap<String, (u32, u32)>,
    /// Right and all statements.
    right: u32,
    all: u32,
}

impl Figures {
    fn of(cases: &str) -> Self {
        let mut figures = Self::default();
        for case in lines(cases) {
            let found = extract::statements(case["say"].as_str().expect("words"), case["before"].as_str());
            let right = found.iter().filter(|statement| is_right(statement, &case)).count();
            figures.right += u32::try_from(right).expect("few");
            figures.all += u32::try_from(found.len()).expect("few");
            let category = case["category"].as_str().expect("a category");
            let hit = if category == "none" { found.is_empty() } else { right > 0 };
            let (hits, cases) = figures.recall.entry(category.to_owned()).or_default();
            *hits += u32::from(hit);
            *cases += 1;
        }
        figures
    }

    #[expect(clippy::print_stdout, reason = "the figures are what these tests are run for")]
    fn show(&self, what: &str) {
        println!("{what}: {self:?}");
    }

    /// Percent of a category that must be found, and percent of all statements that must be right.
    fn reach(&self, floors: &[(&str, u32)], precision: u32) {
        for (category, floor) in floors {
            let (found, all) = self.recall[*category];
            assert!(found * 100 >= all * floor, "{category} {self:?}");
        }
        assert!(self.right * 100 >= self.all * precision, "{self:?}");
    }
}

#[test]
fn statements_are_found_in_sentences_the_classifier_was_fitted_on() {
    let figures = Figures::of(MORE);
    figures.show("fitted on");
    let floors = [
        ("preference", 95),
        ("fact", 92),
        ("change", 92),
        ("negation", 88),
        ("commitment", 94),
        ("correction", 86),
        ("none", 95),
    ];
    figures.reach(&floors, 88);
}

#[test]
fn statements_are_found_in_unseen_paraphrases() {
    let figures = Figures::of(PARAPHRASES);
    figures.show("paraphrases");
    let floors = [
        ("preference", 92),
        ("fact", 87),
        ("change", 97),
        ("negation", 94),
        ("commitment", 92),
        ("correction", 88),
        ("none", 88),
    ];
    figures.reach(&floors, 90);
}

#[test]
fn statements_are_found_in_unseen_sentences() {
    let figures = Figures::of(STATEMENTS);
    figures.show("unseen");
    let floors = [
        ("preference", 80),
        ("fact", 89),
        ("change", 90),
        ("negation", 86),
        ("commitment", 97),
        ("correction", 82),
        ("none", 89),
    ];
    figures.reach(&floors, 83);
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
