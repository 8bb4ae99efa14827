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

/// Found and all cases of each category, right and all statements, and what went wrong.
fn measured(take: impl Fn(usize) -> bool) -> (BTreeMap<String, (u32, u32)>, (u32, u32), Vec<String>) {
    let mut recall: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let mut precision = (0, 0);
    let mut wrong = Vec::new();
    for (place, line) in CASES.lines().enumerate().filter(|(place, _)| take(*place)) {
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
    let (recall, precision, wrong) = measured(|_| true);
    let enough = CATEGORIES.iter().all(|category| {
        let (found, all) = recall[*category];
        all >= 60 && found * 10 >= all * 9
    });
    assert!(enough && precision.0 * 100 >= precision.1 * 93, "{recall:?} {precision:?}\n{}", wrong.join("\n"));
}

#[test]
fn what_tells_nothing_of_the_speaker_gives_nothing() {
    let (recall, _, wrong) = measured(|_| true);
    let (silent, all) = recall["none"];
    assert!(all >= 120 && silent * 100 >= all * 97, "{silent} of {all}\n{}", wrong.join("\n"));
}
