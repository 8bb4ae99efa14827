//! A support bot that greets a customer with the case that is open, in the manner in which the customer speaks.
//!
//! ```text
//! memos up --set domain=support
//! make scenario NAME=support ARGS=http://127.0.0.1:8888
//! ```
//!
//! A session is a case. Where a customer says that an answer helped, or that it did not, or puts it right, memos keeps a
//! lesson, whose attribute says `worked`, `failed` or `corrected`: a case whose last lesson is that it worked is closed. How somebody speaks is in
//! the profile. Both go into the prompt with the context block, before the customer has said a word.

#![cfg_attr(not(test), expect(dead_code, reason = "a test includes this file and looks at what it shows"))]

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result};
use memory_core::Kind;
use memos_client::{Client, ForgetBody, MemoryView, ProfileView};
use serde_json::json;
use uuid::Uuid;

#[path = "parts/scenario.rs"]
mod scenario;

const DATA: &str = include_str!("data/support.jsonl");
const CUSTOMERS: [&str; 2] = ["example-mika", "example-albrecht"];
/// Below it somebody is casual, and above 1 less it formal.
const CASUAL_BELOW: f64 = 0.4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    run(&scenario::client()?, &mut std::io::stdout()).await.map(drop)
}

/// What the bot has when a customer opens the chat.
pub(crate) struct Greeting {
    pub(crate) open: Vec<String>,
    pub(crate) closed: Vec<String>,
    pub(crate) manner: String,
    pub(crate) sentence: String,
    pub(crate) context: String,
}

/// Everything that was shown.
pub(crate) struct Shown {
    pub(crate) greetings: Vec<Greeting>,
    /// The first customer's after the closed case was forgotten.
    pub(crate) after: Greeting,
    pub(crate) receipts: Vec<Uuid>,
}

/// Runs the scenario.
pub(crate) async fn run(client: &Client, out: &mut impl Write) -> Result<Shown> {
    scenario::begin(client, &CUSTOMERS, out).await?;
    let told = scenario::tell(client, DATA).await?;
    writeln!(out, "Told: {told} events of {} customers.", CUSTOMERS.len())?;
    let mut greetings = Vec::new();
    for customer in CUSTOMERS {
        greetings.push(greet(client, customer, out).await?);
    }
    let mut receipts = Vec::new();
    for case in &greetings[0].closed {
        let body = ForgetBody { session_id: Some(case.clone()), ..ForgetBody::default() };
        let what = format!("case {case}, which is closed");
        receipts.push(scenario::forget(client, CUSTOMERS[0], &what, &body, out).await?);
    }
    let after = greet(client, CUSTOMERS[0], out).await?;
    for customer in CUSTOMERS {
        receipts.push(scenario::forget_all(client, customer, out).await?);
    }
    Ok(Shown { greetings, after, receipts })
}

async fn greet(client: &Client, customer: &str, out: &mut impl Write) -> Result<Greeting> {
    let lessons = scenario::memories(client, customer, &[Kind::Lesson]).await?;
    // Oldest first, so the last lesson of each case stays.
    let last: BTreeMap<&str, &MemoryView> =
        lessons.iter().filter_map(|lesson| Some((lesson.session_id.as_deref()?, lesson))).collect();
    let (closed, open): (Vec<_>, Vec<_>) = last.into_iter().partition(|(_, lesson)| outcome(lesson) == "worked");
    let names = |cases: &[(&str, &MemoryView)]| cases.iter().map(|(case, _)| (*case).to_owned()).collect();
    let style = scenario::profile(client, customer).await?;
    let (formality, manner) = manner(&style)?;
    let mut sentence = String::new();
    let mut context = String::new();
    if let Some((case, lesson)) = open.first() {
        let since = scenario::date(lesson.event_time);
        sentence = match formality {
            formality if formality < CASUAL_BELOW => format!("Hey! Case {case} is still open: {}", lesson.text),
            formality if formality > 1.0 - CASUAL_BELOW => {
                format!("Good day. We have not solved your case {case} of {since} yet: {}", lesson.text)
            }
            _ => format!("Hello. Your case {case} is still open since {since}: {}", lesson.text),
        };
        let mut question = scenario::question(customer, &lesson.text);
        question.filters = Some(json!({"session_id": case}));
        context = scenario::ask(client, &question).await?.context.text;
    }
    writeln!(out, "\n{customer} opens the chat.\n  manner:   {manner}\n  greeting: {sentence}\n{context}\n")?;
    Ok(Greeting { open: names(&open), closed: names(&closed), manner, sentence, context })
}

fn outcome(lesson: &MemoryView) -> &str {
    lesson.attribute.as_ref().map_or("", |attribute| attribute.value.as_str())
}

/// How formal a customer is, and the order to the model that comes of it.
fn manner(profile: &ProfileView) -> Result<(f64, String)> {
    let style = profile.style.as_ref().context("memos kept nothing that this customer said")?;
    let language = style.language.as_deref().unwrap_or("the customer's language");
    let tone = match style.formality {
        formality if formality < CASUAL_BELOW => "casual",
        formality if formality > 1.0 - CASUAL_BELOW => "formal",
        _ => "neutral",
    };
    let emoji = if style.emoji > 0.0 { "an emoji is welcome" } else { "no emoji" };
    Ok((style.formality, format!("{tone}, in {language}, about {} words at a time, {emoji}", style.words)))
}
