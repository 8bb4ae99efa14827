//! What the classifier of statements is fitted on: the signs of every sentence of labelled cases, and what is said of them.
//!
//!     cargo run --release -p load-tests --example statement-signs -- CASES.jsonl… > signs.jsonl
//!     python3 load-tests/fit-statements.py signs.jsonl --write
//!
//! A case that nobody spoke before, and that corrects nothing, comes a second time behind what was said before another case of
//! its file: in a conversation somebody always spoke before, and most people then say something else.

use std::io::{BufWriter, Write, stdout};

use anyhow::Context;
use memory_core::{extract, text};
use serde_json::{Value, json};

/// Steps through what was said before other cases; coprime to any likely count of them.
const STRIDE: usize = 7_919;

fn main() -> anyhow::Result<()> {
    let mut out = BufWriter::new(stdout().lock());
    for file in std::env::args().skip(1) {
        let lines = std::fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
        let cases: Vec<Value> = lines
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .with_context(|| format!("read {file}"))?;
        let befores: Vec<&str> = cases.iter().filter_map(|case| case["before"].as_str()).collect();
        for (place, case) in cases.iter().enumerate() {
            let before = case["before"].as_str();
            write(&mut out, &file, case, before)?;
            let borrowed = befores.get(place * STRIDE % befores.len().max(1));
            if before.is_none() && case["category"] != "correction" && borrowed.is_some() {
                write(&mut out, &file, case, borrowed.copied())?;
            }
        }
    }
    out.flush().context("write the signs")
}

fn write(out: &mut impl Write, file: &str, case: &Value, before: Option<&str>) -> anyhow::Result<()> {
    let say = case["say"].as_str().context("a case says something")?;
    let sentences: Vec<Value> = extract::signs(say, before)
        .into_iter()
        .map(|one| {
            let (said, whole) = (words(&say[one.sentence]), words(&one.whole));
            json!({"said": said, "signs": one.signs, "words": one.words, "whole": whole})
        })
        .collect();
    let wanted = words(case["value"].as_str().unwrap_or(""));
    writeln!(out, "{}", json!({"file": file, "case": case, "wanted": wanted, "sentences": sentences}))
        .context("write the signs")
}

fn words(said: &str) -> Vec<String> {
    text::words(said).collect()
}
