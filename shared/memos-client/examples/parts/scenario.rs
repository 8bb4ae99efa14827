//! What the five worked scenarios share: telling memos a conversation, asking, and forgetting.
//!
//! The conversations lie in `data/*.jsonl`, one event a line, each as `POST /v1/interactions` takes it. Only the time is
//! relative: `day` counts from today, which is always the same day here, and `at` is a time of that day in UTC. So what a
//! scenario prints is the same whenever it runs, but for the ids of receipts.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use memory_core::{Kind, Timestamp};
use memos_client::{
    Client, ForgetBody, ForgetUntil, MemoriesQuery, MemoryView, Owner, ProfileView, RecallRequest, RecallResponse,
    ReceiptStatus, time,
};
use serde_json::Value;
use uuid::Uuid;

const DEFAULT_URL: &str = "http://127.0.0.1:8888";
const TODAY: &str = "2026-03-02T00:00:00Z";
const DAY_SECONDS: i64 = 24 * 3_600;
/// How long anything may take. It takes milliseconds.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);
/// More memories than anybody here has, and the most that one page holds.
const PAGE: usize = 200;

/// A client of the memos whose address is the first argument.
pub(crate) fn client() -> Result<Client> {
    let url = std::env::args().nth(1).unwrap_or_else(|| DEFAULT_URL.to_owned());
    Ok(Client::new(&url, None)?)
}

/// Noon, so many days from today.
pub(crate) fn noon(day: i64) -> Timestamp {
    time::parse(TODAY).unwrap_or(Timestamp::EPOCH).plus_seconds(day * DAY_SECONDS + DAY_SECONDS / 2)
}

/// The day of a time, as a person writes it.
pub(crate) fn date(time: Timestamp) -> String {
    time::to_text(time).chars().take(10).collect()
}

/// Tells memos a conversation, and waits until it has decided what of it to keep.
///
/// Every conversation in the data ends with a `session_end`. Without one, memos decides after a pause.
pub(crate) async fn tell(client: &Client, lines: &str) -> Result<usize> {
    let events = lines.lines().map(event).collect::<Result<Vec<Value>>>()?;
    let told = client.publish_with(&events, None, Some(WITHIN)).await.context("tell memos a conversation")?;
    let users = events.iter().map(|event| event["user_id"].as_str().unwrap_or_default());
    let last: BTreeMap<&str, &str> = users.zip(told.results.iter().map(|accepted| accepted.id.as_str())).collect();
    for id in last.values() {
        let view = client.decided(id, WITHIN).await.context("ask what became of a conversation")?;
        ensure!(view.status.is_final(), "memos has not decided on event {id} after {WITHIN:?}");
    }
    Ok(events.len())
}

/// A line of the data as an interaction, with its time.
fn event(line: &str) -> Result<Value> {
    let mut event: Value = serde_json::from_str(line).context("read a line of the data")?;
    let fields = event.as_object_mut().context("a line of the data is an object")?;
    let day = fields.remove("day").and_then(|day| day.as_i64()).context("a line of the data has a day")?;
    let at = fields.remove("at").context("a line of the data has a time of day")?;
    let at = at.as_str().unwrap_or_default();
    let time = time::parse(&format!("{}T{at}:00Z", date(noon(day)))).with_context(|| format!("`{at}` is no time"))?;
    fields.insert("time".to_owned(), time::to_text(time).into());
    Ok(event)
}

/// A question as of today; change what else it needs.
pub(crate) fn question(user: &str, text: &str) -> RecallRequest {
    RecallRequest {
        user_id: Some(user.to_owned()),
        query: text.to_owned(),
        now: Some(noon(0)),
        ..RecallRequest::default()
    }
}

pub(crate) async fn ask(client: &Client, question: &RecallRequest) -> Result<RecallResponse> {
    client.recall(question).await.with_context(|| format!("ask `{}`", question.query))
}

/// What is kept of somebody, of these kinds or of all, oldest first.
pub(crate) async fn memories(client: &Client, user: &str, kinds: &[Kind]) -> Result<Vec<MemoryView>> {
    let query = MemoriesQuery { limit: Some(PAGE), kinds: kinds.to_vec(), ..MemoriesQuery::default() };
    let mut kept = client.memories(Owner::User(user), &query).await.context("list memories")?.results;
    kept.sort_by_key(|memory| memory.event_time);
    Ok(kept)
}

pub(crate) async fn profile(client: &Client, user: &str) -> Result<ProfileView> {
    client.profile(Owner::User(user), Some(noon(0))).await.context("ask what somebody is like")
}

/// Forgets what an earlier run left that broke off. These people belong to the examples alone.
pub(crate) async fn begin(client: &Client, users: &[&str], out: &mut impl Write) -> Result<()> {
    for user in users {
        let kept = memories(client, user, &[]).await.context("is `memos up` running?")?;
        if !kept.is_empty() {
            forget(client, user, "what an earlier run left", &ForgetBody::everything(), out).await?;
        }
    }
    Ok(())
}

/// Forgets, waits until memos has looked that nothing is left, and answers the receipt.
pub(crate) async fn forget(
    client: &Client,
    user: &str,
    what: &str,
    body: &ForgetBody,
    out: &mut impl Write,
) -> Result<Uuid> {
    let verified = Some((ForgetUntil::Stage(ReceiptStatus::Verified), WITHIN));
    let receipt = client.forget(Owner::User(user), body, verified).await.context("forget")?.receipt;
    ensure!(receipt.status == ReceiptStatus::Verified, "receipt {} is not verified after {WITHIN:?}", receipt.id);
    let memories = receipt.forgotten.map_or(0, |forgotten| forgotten.memories);
    writeln!(out, "Forgotten: {what} ({memories} memories); receipt {} is verified.", receipt.id)?;
    Ok(receipt.id)
}

/// Forgets somebody altogether, and shows that nothing answers any more.
pub(crate) async fn forget_all(client: &Client, user: &str, out: &mut impl Write) -> Result<Uuid> {
    let receipt = forget(client, user, &format!("everything of {user}"), &ForgetBody::everything(), out).await?;
    let kept = memories(client, user, &[]).await?.len();
    let answers = ask(client, &question(user, "What do you know of me?")).await?.results.len();
    let known = profile(client, user).await?;
    let entries = known.facts.len() + known.preferences.len() + known.goals.len() + known.topics.len();
    writeln!(out, "Left of {user}: {kept} memories, {answers} answers, {entries} entries of the profile.")?;
    Ok(receipt)
}
