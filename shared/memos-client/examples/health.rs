//! The history of a patient, in which the allergy is never lost.
//!
//! ```text
//! memos up --set domain=health --set rules.bank_max=12
//! make scenario NAME=health ARGS=http://127.0.0.1:8888
//! ```
//!
//! Ten years of visits, a doctor's letter of several pages, and room for twelve memories: nearly all has to make room, and
//! what is said at every visit is worth more than what was said once. What is `critical` never goes. A practice must not rely on the question to find it, either: the ones who
//! ask for a painkiller do not name the medicine that the patient cannot take. So the prompt gets two blocks: all that is
//! critical, by a filter, and whatever else belongs to the question.

#![cfg_attr(not(test), expect(dead_code, reason = "a test includes this file and looks at what it shows"))]

use std::io::Write;

use anyhow::{Context, Result};
use memos_client::{Client, ForgetBody};
use serde_json::json;
use uuid::Uuid;

#[path = "parts/scenario.rs"]
mod scenario;

const DATA: &str = include_str!("data/health.jsonl");
const PATIENT: &str = "example-ines";
const QUESTIONS: [&str; 2] =
    ["Which antibiotic may I prescribe for the abscess at the molar?", "Which painkiller can she take for the tooth?"];
/// What the patient wants to be forgotten.
const PRIVATE: &str = "the choir on Sunday evenings";
/// How long the block for the question may be, and that of all that is critical, of which nothing may fall off.
const TOKENS: usize = 400;
const CRITICAL_TOKENS: usize = 4_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    run(&scenario::client()?, &mut std::io::stdout()).await.map(drop)
}

/// What stands in the prompt when a medicine is to be prescribed.
pub(crate) struct Prompt {
    pub(crate) critical: String,
    pub(crate) context: String,
}

/// Everything that was shown.
pub(crate) struct Shown {
    pub(crate) told: usize,
    /// What is kept of it at the end of the ten years.
    pub(crate) kept: Vec<String>,
    pub(crate) prompts: Vec<Prompt>,
    /// What the patient wanted to be forgotten, and what is kept after that.
    pub(crate) private: String,
    pub(crate) kept_after: Vec<String>,
    pub(crate) after: Prompt,
    pub(crate) receipts: Vec<Uuid>,
}

/// Runs the scenario.
pub(crate) async fn run(client: &Client, out: &mut impl Write) -> Result<Shown> {
    scenario::begin(client, &[PATIENT], out).await?;
    let told = scenario::tell(client, DATA).await?;
    let kept = texts(client).await?;
    writeln!(out, "Told: {told} events of ten years, of which {} memories are kept.", kept.len())?;
    let mut prompts = Vec::new();
    for question in QUESTIONS {
        prompts.push(prescribe(client, question, out).await?);
    }
    let found = scenario::ask(client, &scenario::question(PATIENT, PRIVATE)).await?;
    let private = found.results.into_iter().find_map(|result| result.memory).context("memos knows nothing of that")?;
    let what = format!("“{}”", private.text);
    let receipt = scenario::forget(client, PATIENT, &what, &ForgetBody::memories(&[private.id]), out).await?;
    let kept_after = texts(client).await?;
    let after = prescribe(client, QUESTIONS[0], out).await?;
    let receipts = vec![receipt, scenario::forget_all(client, PATIENT, out).await?];
    Ok(Shown { told, kept, prompts, private: private.text, kept_after, after, receipts })
}

async fn texts(client: &Client) -> Result<Vec<String>> {
    let kept = scenario::memories(client, PATIENT, &[]).await?;
    Ok(kept.into_iter().map(|memory| memory.text).collect())
}

async fn prescribe(client: &Client, text: &str, out: &mut impl Write) -> Result<Prompt> {
    let mut question = scenario::question(PATIENT, text);
    question.token_budget = TOKENS;
    let context = scenario::ask(client, &question).await?.context.text;
    question.filters = Some(json!({"critical": true}));
    question.token_budget = CRITICAL_TOKENS;
    let critical = scenario::ask(client, &question).await?.context.text;
    writeln!(out, "\nThe doctor asks: {text}\nCritical, whatever the question:\n{critical}")?;
    writeln!(out, "For the question:\n{context}\n")?;
    Ok(Prompt { critical, context })
}
