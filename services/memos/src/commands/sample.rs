//! The bundled sample: several people over several weeks, and questions whose answers are in what they said. It is the
//! first thing a stranger sees, so it must work on an empty log, on one that has the sample already (event ids make a
//! repeat harmless), and end with lines that work as pasted.
//!
//! The answers should be memories and not turns on their way to become some, so the questions wait until every
//! conversation has been consolidated. They are asked as of the sample's last day: what is recent depends on when one
//! asks, and the answers should be the same whenever somebody tries this.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use memory_core::Timestamp;
use memos_client::{Client, EventStatus, MemoriesQuery, Owner, RecallRequest, time};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::{DEFAULT_URL, ServerArgs};
use crate::commands::client;
use crate::commands::recall::{day, print_result};

const INTERACTIONS: &str = include_str!("../../sample/interactions.jsonl");
const QUESTIONS: &str = include_str!("../../sample/questions.jsonl");

/// Whose questions are asked: one of each kind of conversation in the sample.
const ASKED: [&str; 5] = ["maria", "omar", "lena", "ken", "ruth"];
/// How many answers to a question are shown.
const ANSWERS: usize = 2;
/// Interactions in one request.
const BATCH: usize = 200;
/// Memories in one page, the most that memos gives.
const PAGE: usize = 200;
/// How long a request may wait until its events can be recalled.
const RECALLABLE_WITHIN: Duration = Duration::from_secs(20);
/// How long the questions wait for a conversation of the sample to be consolidated.
const CONSOLIDATED_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    user_id: String,
    question: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests hold the sample to it"))]
    expect: String,
}

/// Publishes the sample, asks, and says what to try next.
///
/// # Errors
/// When the server cannot be reached, or does not take the sample.
pub(crate) async fn run(server: &ServerArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let client = client(server)?;
    let interactions = interactions();
    let people = last_events(&interactions);
    writeln!(out, "Publishing the sample: {} interactions of {} people …", interactions.len(), people.len())?;
    publish(&client, &interactions).await?;
    let whole = consolidated(&client, &people).await?;
    let memories = count_memories(&client, &people).await?;
    write!(out, "{} interactions of {} people became {memories} memories.", interactions.len(), people.len())?;
    if !whole {
        write!(out, " The rest is not consolidated yet; it answers as turns.")?;
    }
    let now = last_time(&interactions)?;
    writeln!(out, " Asked on {}, when the sample ends:\n", day(now))?;
    for question in ASKED.iter().filter_map(|user| first_question(user)) {
        ask(&client, &question, now, out).await?;
    }
    what_next(server, out)?;
    Ok(())
}

async fn publish(client: &Client, interactions: &[Value]) -> anyhow::Result<()> {
    for batch in interactions.chunks(BATCH) {
        let response = client.publish_with(batch, None, Some(RECALLABLE_WITHIN)).await.context("publish the sample")?;
        let late = response.results.iter().any(|result| result.status == EventStatus::Accepted);
        anyhow::ensure!(!late, "the sample was taken, but cannot be recalled after {RECALLABLE_WITHIN:?}");
    }
    Ok(())
}

/// Waits until the last event of everybody is decided, and with it everything before it, since a subject's events are
/// consolidated in order. Every conversation of the sample ends, so this takes no idle tick. False when time ran out.
async fn consolidated(client: &Client, people: &BTreeMap<&str, &str>) -> anyhow::Result<bool> {
    for event in people.values() {
        let view = client.decided(event, CONSOLIDATED_WITHIN).await.context("ask what became of the sample")?;
        if !view.status.is_final() {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn count_memories(client: &Client, people: &BTreeMap<&str, &str>) -> anyhow::Result<usize> {
    let mut count = 0;
    for user in people.keys() {
        let mut query = MemoriesQuery { limit: Some(PAGE), ..MemoriesQuery::default() };
        loop {
            let page = client.memories(Owner::User(user), &query).await.context("list the memories of the sample")?;
            count += page.results.len();
            if page.next.is_none() {
                break;
            }
            query.cursor = page.next;
        }
    }
    Ok(count)
}

async fn ask(client: &Client, question: &Question, now: Timestamp, out: &mut impl Write) -> anyhow::Result<()> {
    let request = RecallRequest {
        user_id: Some(question.user_id.clone()),
        query: question.question.clone(),
        limit: ANSWERS,
        now: Some(now),
        ..RecallRequest::default()
    };
    let response = client.recall(&request).await.context("ask memos")?;
    writeln!(out, "{}: {}", question.user_id, question.question)?;
    for result in &response.results {
        print_result(result, out)?;
    }
    writeln!(out)?;
    Ok(())
}

/// Lines for a shell, each of which works as pasted.
fn what_next(server: &ServerArgs, out: &mut impl Write) -> std::io::Result<()> {
    let url = server.url.trim_end_matches('/');
    let key = if server.api_key.is_some() { " -H \"Authorization: Bearer $MEMOS_API_KEY\"" } else { "" };
    let json = "-H 'Content-Type: application/json'";
    writeln!(out, "What to try next")?;
    writeln!(out)?;
    writeln!(out, "  Tell memos something, and ask for it:")?;
    writeln!(
        out,
        "    curl -s{key} {json} '{url}/v1/interactions?wait=recallable' -d '{{\"interactions\": [{{\"user_id\": \"alice\", \"content\": \"I moved to Lisbon in May and I am allergic to peanuts.\"}}]}}'"
    )?;
    writeln!(
        out,
        "    curl -s{key} {json} '{url}/v1/recall' -d '{{\"user_id\": \"alice\", \"query\": \"What is she allergic to?\"}}'"
    )?;
    writeln!(out, "  See what it keeps of somebody, and the conversation it has in mind:")?;
    writeln!(out, "    curl -s{key} '{url}/v1/users/omar/memories?limit=5'")?;
    writeln!(out, "    curl -s{key} '{url}/v1/users/omar/working-memory'")?;
    if let Ok(memos) = std::env::current_exe() {
        let other = if url == DEFAULT_URL { String::new() } else { format!(" --url {url}") };
        writeln!(out, "  Ask from the command line:")?;
        writeln!(out, "    {} recall{other} --user omar \"What did he switch to from ramipril?\"", memos.display())?;
    }
    writeln!(out, "  Read the API in a browser: {url}/docs")?;
    Ok(())
}

/// The last event of everybody in the sample, by user.
fn last_events(interactions: &[Value]) -> BTreeMap<&str, &str> {
    // Of two with one key the later stays, and the sample is in the order in which it happened.
    interactions.iter().filter_map(|one| Some((one["user_id"].as_str()?, one["id"].as_str()?))).collect()
}

/// When the last thing in the sample happened.
fn last_time(interactions: &[Value]) -> anyhow::Result<Timestamp> {
    let last = interactions.iter().filter_map(|one| one["time"].as_str()).max().context("the sample has times")?;
    time::parse(last).context("read a time of the sample")
}

fn interactions() -> Vec<Value> {
    INTERACTIONS.lines().map(|line| serde_json::from_str(line).expect("a test reads every line")).collect()
}

fn questions() -> Vec<Question> {
    QUESTIONS.lines().map(|line| serde_json::from_str(line).expect("a test reads every line")).collect()
}

fn first_question(user: &str) -> Option<Question> {
    questions().into_iter().find(|question| question.user_id == user)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_sample_is_several_people_over_weeks_with_ids_of_their_own() {
        let interactions = interactions();
        assert!(interactions.len() >= 300, "{} interactions", interactions.len());
        let ids: BTreeSet<&str> = interactions.iter().filter_map(|one| one["id"].as_str()).collect();
        assert_eq!(ids.len(), interactions.len(), "every interaction has an id of its own");
        let users: BTreeSet<&str> = interactions.iter().filter_map(|one| one["user_id"].as_str()).collect();
        assert!(users.len() >= 5, "{users:?}");
        assert!(interactions.iter().all(|one| one["time"].is_string()), "every interaction says when it happened");
    }

    #[test]
    fn every_question_is_answered_by_something_that_was_said() {
        let interactions = interactions();
        for question in questions() {
            let said = interactions.iter().filter(|one| one["user_id"] == question.user_id.as_str()).any(|one| {
                let texts = [one["content"].as_str(), one["body"]["text"].as_str()];
                texts.into_iter().flatten().any(|text| text.contains(&question.expect))
            });
            assert!(said, "{}: {}", question.user_id, question.question);
        }
        assert!(ASKED.iter().all(|user| first_question(user).is_some()), "everybody asked about has a question");
    }

    #[test]
    fn the_lines_to_try_are_shell_words() {
        let server = ServerArgs { url: "http://127.0.0.1:8888/".to_owned(), api_key: None };
        let mut out = Vec::new();
        what_next(&server, &mut out).expect("it prints");
        let text = String::from_utf8(out).expect("text");
        for line in text.lines().filter(|line| line.contains("curl")) {
            assert_eq!(line.matches('\'').count() % 2, 0, "{line}");
            assert!(line.contains("http://127.0.0.1:8888/v1/"), "{line}");
            if let Some((_, body)) = line.split_once("-d '") {
                let body: Value = serde_json::from_str(body.trim_end_matches('\'')).expect("the body is JSON");
                assert!(body.is_object());
            }
        }
    }
}
