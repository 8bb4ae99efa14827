//! A tutor that repeats what failed and skips what is mastered.
//!
//! ```text
//! memos up --set domain=education
//! make scenario NAME=education ARGS=http://127.0.0.1:8888
//! ```
//!
//! The tutor marks every turn with its topic (`metadata`), and memos hands that on to what it makes of the turn. How an
//! explanation was taken becomes a lesson: it `worked`, it `failed`, or the learner `corrected` the tutor. The last one of
//! a topic says whether to repeat it, and the failed ones say how not to explain it again.

#![cfg_attr(not(test), expect(dead_code, reason = "a test includes this file and looks at what it shows"))]

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result, ensure};
use memory_core::Kind;
use memos_client::{Client, FeedbackRequest, ForgetBody, MemoryView, ScoredView};
use uuid::Uuid;

#[path = "parts/scenario.rs"]
mod scenario;

const DATA: &str = include_str!("data/education.jsonl");
/// The lesson of today, in which the topic that had failed is repeated.
const TODAY: &str = include_str!("data/education-today.jsonl");
const LEARNER: &str = "example-lina";
/// Like a task in which the learner had to correct the tutor.
const TASK: &str = "Please make me four exercises about equations for the weekend.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    run(&scenario::client()?, &mut std::io::stdout()).await.map(drop)
}

/// What the next lesson is made of; lessons stand by their topics.
#[derive(Default)]
pub(crate) struct Plan {
    /// What failed last, with every explanation that did.
    pub(crate) repeat: BTreeMap<String, Vec<MemoryView>>,
    /// What worked last, which is skipped.
    pub(crate) mastered: BTreeMap<String, MemoryView>,
    /// What the learner had to put right.
    pub(crate) corrections: Vec<MemoryView>,
}

/// Everything that was shown.
pub(crate) struct Shown {
    pub(crate) before: Plan,
    /// What is recalled for a task like one that was corrected, before and after the learner found it useful.
    pub(crate) recalled: Vec<ScoredView>,
    pub(crate) recalled_after: Vec<ScoredView>,
    /// After the lesson of today.
    pub(crate) after: Plan,
    /// After one topic was forgotten.
    pub(crate) without: Plan,
    pub(crate) receipts: Vec<Uuid>,
}

/// Runs the scenario.
pub(crate) async fn run(client: &Client, out: &mut impl Write) -> Result<Shown> {
    scenario::begin(client, &[LEARNER], out).await?;
    scenario::tell(client, DATA).await?;
    let before = plan(client, "before today's lesson", out).await?;
    let recalled = prepare(client, out).await?;
    let lesson = recalled.iter().filter_map(|result| result.memory.as_ref()).find(|memory| memory.kind == Kind::Lesson);
    found_useful(client, lesson.context("memos recalls no lesson")?.id).await?;
    let recalled_after = prepare(client, out).await?;
    scenario::tell(client, TODAY).await?;
    let after = plan(client, "after today's lesson", out).await?;
    let (topic, lesson) = after.mastered.first_key_value().context("nothing is mastered")?;
    let body = ForgetBody { session_id: lesson.session_id.clone(), ..ForgetBody::default() };
    let mut receipts = vec![scenario::forget(client, LEARNER, &format!("the lesson on {topic}"), &body, out).await?];
    let without = plan(client, "without that", out).await?;
    receipts.push(scenario::forget_all(client, LEARNER, out).await?);
    Ok(Shown { before, recalled, recalled_after, after, without, receipts })
}

async fn plan(client: &Client, when: &str, out: &mut impl Write) -> Result<Plan> {
    let mut plan = Plan::default();
    // Oldest first: what comes later decides.
    for lesson in scenario::memories(client, LEARNER, &[Kind::Lesson]).await? {
        let topic = lesson.metadata.get("topic").and_then(|topic| topic.as_str()).unwrap_or("other").to_owned();
        match lesson.attribute.as_ref().map(|attribute| attribute.value.as_str()) {
            Some("failed") => {
                plan.mastered.remove(&topic);
                plan.repeat.entry(topic).or_default().push(lesson);
            }
            Some("worked") => {
                plan.mastered.insert(topic, lesson);
            }
            Some(_) | None => plan.corrections.push(lesson),
        }
    }
    plan.repeat.retain(|topic, _| !plan.mastered.contains_key(topic));
    writeln!(out, "\nPlan {when}:")?;
    for (topic, failed) in &plan.repeat {
        writeln!(out, "  repeat {topic}, explained otherwise than so:")?;
        failed.iter().try_for_each(|lesson| writeln!(out, "    {}", lesson.text))?;
    }
    for (topic, worked) in &plan.mastered {
        writeln!(out, "  skip {topic}; it was understood so:\n    {}", worked.text)?;
    }
    plan.corrections.iter().try_for_each(|lesson| writeln!(out, "  mind: {}", lesson.text))?;
    Ok(plan)
}

/// What the tutor looks up before it does a task.
async fn prepare(client: &Client, out: &mut impl Write) -> Result<Vec<ScoredView>> {
    let mut question = scenario::question(LEARNER, TASK);
    question.limit = 3;
    let results = scenario::ask(client, &question).await?.results;
    writeln!(out, "\nBefore the task “{TASK}”:")?;
    for result in &results {
        if let Some(memory) = &result.memory {
            writeln!(out, "  {:.3} {}: {}", result.score, memory.kind.as_str(), memory.text)?;
        }
    }
    Ok(results)
}

/// Tells memos that a memory was of use, which raises it above its equals, and waits until it has heard.
async fn found_useful(client: &Client, memory: Uuid) -> Result<()> {
    let request = FeedbackRequest {
        user_id: Some(LEARNER.to_owned()),
        memory_ids: vec![memory.to_string()],
        useful: Some(true),
        ..FeedbackRequest::default()
    };
    let heard = client.feedback(&request).await.context("report that a memory was useful")?;
    for event in &heard.results {
        let view = client.decided(&event.id, scenario::WITHIN).await?;
        ensure!(view.status.is_final(), "memos has not heard of the feedback in time");
    }
    Ok(())
}
