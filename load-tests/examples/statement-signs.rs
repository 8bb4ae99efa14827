//! What the classifier of statements is fitted on: the signs of every sentence of labelled cases, and what is said of them.
//!
//!     cargo run --release -p load-tests --example statement-signs -- CASES.jsonl… > signs.jsonl
//!     python3 load-tests/fit-statements.py signs.jsonl --write

use std::io::{BufWriter, Write, stdout};

use anyhow::Context;
use memory_core::{extract, text};
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let mut out = BufWriter::new(stdout().lock());
    for file in std::env::args().skip(1) {
        let cases = std::fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
        for line in cases.lines() {
            let case: Value = serde_json::from_str(line).with_context(|| format!("read a case of {file}"))?;
            let say = case["say"].as_str().context("a case says something")?;
            let signs = extract::signs(say, case["before"].as_str());
            let sentences: Vec<Value> = signs
                .into_iter()
                .map(|one| {
                    let (said, whole) = (words(&say[one.sentence]), words(&one.whole));
                    json!({"said": said, "signs": one.signs, "words": one.words, "whole": whole})
                })
                .collect();
            let wanted = words(case["value"].as_str().unwrap_or(""));
            writeln!(out, "{}", json!({"file": file, "case": case, "wanted": wanted, "sentences": sentences}))?;
        }
    }
    out.flush().context("write the signs")
}

fn words(said: &str) -> Vec<String> {
    text::words(said).collect()
}
