//! A mood journal, with its trend over the weeks and with what goes along with good and bad days.
//!
//! ```text
//! memos up --set domain=wellbeing
//! make scenario NAME=wellbeing ARGS=http://127.0.0.1:8888
//! ```
//!
//! memos reads the feeling of every entry from its words, by a lexicon and without a model. The profile has the mood of
//! each week, whether it rises or falls, and the words that come up in one mood more than in the other. It counts and
//! quotes; what follows from it is for people to say.

#![cfg_attr(not(test), expect(dead_code, reason = "a test includes this file and looks at what it shows"))]

use std::io::Write;

use anyhow::{Context, Result};
use memory_core::Kind;
use memos_client::{Client, CompanionView, ForgetBody, MoodView, Owner};
use uuid::Uuid;

#[path = "parts/scenario.rs"]
mod scenario;

const DATA: &str = include_str!("data/wellbeing.jsonl");
const WRITER: &str = "example-noor";
/// What the writer does not want to have in the journal any longer.
const UNWANTED: &str = "Viktor";
/// How sure memos must be that an entry is about it.
const UNWANTED_AT: f64 = 0.5;
/// How long the block of what good days were like may be.
const TOKENS: usize = 120;
/// The stars of the best week, and of the worst one.
const STARS: f64 = 20.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    run(&scenario::client()?, &mut std::io::stdout()).await.map(drop)
}

/// Everything that was shown.
pub(crate) struct Shown {
    pub(crate) mood: MoodView,
    /// What memos wrote down of the moods itself.
    pub(crate) patterns: Vec<String>,
    pub(crate) sentence: String,
    pub(crate) context: String,
    /// After what was unwanted is forgotten.
    pub(crate) after: MoodView,
    pub(crate) receipts: Vec<Uuid>,
}

/// Runs the scenario.
pub(crate) async fn run(client: &Client, out: &mut impl Write) -> Result<Shown> {
    scenario::begin(client, &[WRITER], out).await?;
    scenario::tell(client, DATA).await?;
    let mood = mood(client, out).await?;
    let sentence = sentence(&mood)?;
    let patterns = scenario::memories(client, WRITER, &[Kind::Pattern]).await?;
    let patterns: Vec<String> = patterns.into_iter().map(|pattern| pattern.text).collect();
    let helped = mood.goes_with_high.iter().map(|companion| companion.word.as_str()).collect::<Vec<_>>().join(" ");
    let mut question = scenario::question(WRITER, &helped);
    question.token_budget = TOKENS;
    let context = scenario::ask(client, &question).await?.context.text;
    writeln!(out, "{sentence}\nPatterns: {}\nOn good days:\n{context}\n", patterns.join(" "))?;
    let mut receipts = vec![forget_unwanted(client, out).await?];
    let after = self::mood(client, out).await?;
    receipts.push(scenario::forget_all(client, WRITER, out).await?);
    Ok(Shown { mood, patterns, sentence, context, after, receipts })
}

async fn mood(client: &Client, out: &mut impl Write) -> Result<MoodView> {
    let mood = scenario::profile(client, WRITER).await?.emotion;
    for week in &mood.weeks {
        let stars = |valence: f64| "*".repeat((STARS * valence).max(0.0).round() as usize);
        let (low, high) = (stars(-week.valence), stars(week.valence));
        writeln!(out, "  {} {:+.2} {low:>width$}|{high}", week.week, week.valence, width = STARS as usize)?;
    }
    Ok(mood)
}

fn sentence(mood: &MoodView) -> Result<String> {
    let trend = mood.trend.as_deref().context("too little was felt to see a trend")?;
    let words = |companions: &[CompanionView]| {
        companions.iter().map(|companion| companion.word.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (low, high) = (words(&mood.goes_with_low), words(&mood.goes_with_high));
    Ok(format!("Mood: {trend} over {} weeks. Low with: {low}. High with: {high}.", mood.weeks.len()))
}

/// Forgets whatever a question finds: first it is shown, then exactly that is taken.
async fn forget_unwanted(client: &Client, out: &mut impl Write) -> Result<Uuid> {
    let asked = ForgetBody { query: Some(UNWANTED.to_owned()), min_score: Some(UNWANTED_AT), ..ForgetBody::default() };
    let shown = client.forget_preview(Owner::User(WRITER), &asked).await.context("ask what would be forgotten")?;
    let body = ForgetBody { confirm: Some(shown.confirm), ..asked };
    let what = format!("what is about {UNWANTED}");
    scenario::forget(client, WRITER, &what, &body, out).await
}
