//! An assistant that follows what has changed: what somebody eats, where they live, how they are reached.
//!
//! ```text
//! memos up --set domain=assistant
//! make scenario NAME=assistant ARGS=http://127.0.0.1:8888
//! ```
//!
//! What is said later supersedes what was said before. Both stay, each with the time for which it held: a question is
//! answered with what holds now, and with `valid_at` with what held then.

#![cfg_attr(not(test), expect(dead_code, reason = "a test includes this file and looks at what it shows"))]

use std::io::Write;

use anyhow::{Context, Result};
use memos_client::{Client, ForgetBody, MemoryView, ScoredView, StatementView};
use uuid::Uuid;

#[path = "parts/scenario.rs"]
mod scenario;

const DATA: &str = include_str!("data/assistant.jsonl");
const PERSON: &str = "example-tomas";
const QUESTIONS: [&str; 3] =
    ["What does he eat? Does he eat fish?", "Where does he live?", "What is his phone number?"];
/// A day before anything changed.
const BEFORE: i64 = -200;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    run(&scenario::client()?, &mut std::io::stdout()).await.map(drop)
}

/// One question, asked of two times.
pub(crate) struct Answer {
    /// Best first.
    pub(crate) now: Vec<MemoryView>,
    pub(crate) then: Vec<MemoryView>,
    /// What the prompt gets.
    pub(crate) context: String,
}

/// Everything that was shown.
pub(crate) struct Shown {
    pub(crate) answers: Vec<Answer>,
    pub(crate) facts: Vec<StatementView>,
    /// The last question again, after the former number was forgotten.
    pub(crate) after: Answer,
    pub(crate) receipts: Vec<Uuid>,
}

/// Runs the scenario.
pub(crate) async fn run(client: &Client, out: &mut impl Write) -> Result<Shown> {
    scenario::begin(client, &[PERSON], out).await?;
    scenario::tell(client, DATA).await?;
    let mut answers = Vec::new();
    for question in QUESTIONS {
        answers.push(answer(client, question, out).await?);
    }
    let facts = scenario::profile(client, PERSON).await?.facts;
    writeln!(out, "\nWhat holds now:")?;
    for fact in &facts {
        if let Some(attribute) = &fact.attribute {
            let not = if attribute.negated { "not " } else { "" };
            writeln!(out, "  {}: {not}{} (since {})", attribute.name, attribute.value, scenario::date(fact.since))?;
        }
    }
    let former = answers.last().and_then(|answer| answer.then.first()).context("no former number is known")?;
    let (what, body) = (format!("“{}”", former.text), ForgetBody::memories(&[former.id]));
    let receipt = scenario::forget(client, PERSON, &what, &body, out).await?;
    let after = answer(client, QUESTIONS[2], out).await?;
    let receipts = vec![receipt, scenario::forget_all(client, PERSON, out).await?];
    Ok(Shown { answers, facts, after, receipts })
}

async fn answer(client: &Client, text: &str, out: &mut impl Write) -> Result<Answer> {
    let mut question = scenario::question(PERSON, text);
    // A short block, with room for what answers.
    question.token_budget = 120;
    let response = scenario::ask(client, &question).await?;
    let (now, context) = (memories(response.results), response.context.text);
    question.valid_at = Some(scenario::noon(BEFORE));
    let then = memories(scenario::ask(client, &question).await?.results);
    let first = |memories: &[MemoryView]| memories.first().map_or_else(String::new, |memory| memory.text.clone());
    writeln!(out, "\n{text}\n  now:  {}\n  then: {}\n{context}", first(&now), first(&then))?;
    Ok(Answer { now, then, context })
}

/// The memories among some results, best first.
fn memories(results: Vec<ScoredView>) -> Vec<MemoryView> {
    results.into_iter().filter_map(|result| result.memory.map(|memory| *memory)).collect()
}
