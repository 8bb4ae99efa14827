//! Conversations through the product: every turn is an interaction at its own time, every question a recall.
//!
//! One conversation is one user, whose memory it becomes. A session is a session and is ended like one. Questions are
//! asked a day after the last turn, one after another, so that their latency is that of an idle server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use jiff::SignedDuration;
use memos_client::{Client, ClientError, RecallRequest, RecallResponse, ScoredView};
use serde_json::{Value, json};

use crate::check;
use crate::quality::data::{Conversation, Question, Turn};
use crate::quality::score::{BUDGETS, Found};

/// Interactions of one request.
const BATCH: usize = 200;
/// How long after the last turn it is asked.
const ASKED_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// What a product asks for, for the latency.
const USUAL_LIMIT: usize = 10;
const USUAL_BUDGET: usize = 1000;

/// What became of the turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    pub turns: usize,
    pub kept: usize,
    pub merged: usize,
    pub not_kept: usize,
    /// Not there, or not decided upon in time.
    pub missing: usize,
}

/// Everything that was found for a conversation.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// By the index of the question.
    pub found: BTreeMap<usize, Found>,
    /// How long each question took: ten results and a context of 1,000 tokens.
    pub usual: Vec<Duration>,
    /// The same for all results there may be, with their parts.
    pub full: Vec<Duration>,
}

/// A memos that is being asked about conversations.
#[derive(Clone, Debug)]
pub struct Product {
    pub client: Client,
    /// What the names of users and the ids of events begin with.
    pub tag: String,
    /// Only memories of these kinds; all where it is empty.
    pub kinds: Vec<String>,
}

impl Product {
    /// Publishes a conversation, and waits until it is consolidated.
    ///
    /// # Errors
    /// It was published before under the same tag, or the server refuses.
    pub async fn ingest(&self, conversation: &Conversation, within: Duration) -> anyhow::Result<Ingested> {
        let ids: Vec<String> = said(conversation).map(|turn| self.event(conversation, turn)).collect();
        let first = ids.first().with_context(|| format!("{} says nothing", conversation.id))?;
        ensure!(self.is_new(first).await?, "{} is in this memos already; use another --tag", conversation.id);
        let interactions = self.interactions(conversation);
        for batch in interactions.chunks(BATCH) {
            self.client.publish(batch).await.with_context(|| format!("publish {}", conversation.id))?;
        }
        let turns = ids.len();
        let fates = check::fates(&self.client, ids, within).await?;
        Ok(Ingested {
            turns,
            kept: fates.kept,
            merged: fates.merged,
            not_kept: fates.not_kept,
            missing: fates.lost + fates.undecided,
        })
    }

    /// Asks all questions of a conversation.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn ask(&self, conversation: &Conversation) -> anyhow::Result<Asked> {
        let ids: BTreeMap<String, &str> =
            conversation.turns.iter().map(|turn| (self.event(conversation, turn), turn.id.as_str())).collect();
        let mut asked = Asked::default();
        for question in &conversation.questions {
            let (_, took) = self.recall(conversation, question, USUAL_LIMIT, USUAL_BUDGET).await?;
            asked.usual.push(took);
            let mut found = Found::default();
            for budget in BUDGETS {
                let (answer, took) = self.recall(conversation, question, RecallRequest::LIMIT_MAX, budget).await?;
                asked.full.push(took);
                found.contexts.push(named(&ids, answer.context.sources.iter().map(String::as_str)));
                found.ranked = named(&ids, answer.results.iter().flat_map(sources));
                found.best = answer.results.first().map(|best| best.score);
            }
            asked.found.insert(question.index, found);
        }
        Ok(asked)
    }

    async fn recall(
        &self,
        conversation: &Conversation,
        question: &Question,
        limit: usize,
        budget: usize,
    ) -> anyhow::Result<(RecallResponse, Duration)> {
        let now = conversation.turns.last().map(|turn| turn.time + ASKED_AFTER);
        let request = json!({
            "user_id": self.user(conversation), "query": question.text, "limit": limit, "token_budget": budget,
            "kinds": self.kinds, "now": now.map(|now| now.to_string()), "explain": limit > USUAL_LIMIT,
        });
        let request: RecallRequest = serde_json::from_value(request).context("put the question")?;
        let begin = Instant::now();
        let answer = self.client.recall(&request).await;
        let took = begin.elapsed();
        Ok((answer.with_context(|| format!("ask question {} of {}", question.index, conversation.id))?, took))
    }

    async fn is_new(&self, event: &str) -> anyhow::Result<bool> {
        match self.client.event(event).await {
            Ok(_) => Ok(false),
            Err(ClientError::Refused { status: 404, .. }) => Ok(true),
            Err(error) => Err(error).context("look for an event"),
        }
    }

    fn interactions(&self, conversation: &Conversation) -> Vec<Value> {
        let mut interactions = Vec::new();
        let turns: Vec<&Turn> = said(conversation).collect();
        for session in turns.chunk_by(|one, next| one.session == next.session) {
            let Some(last) = session.last() else { continue };
            interactions.extend(session.iter().map(|turn| self.turn(conversation, turn)));
            interactions.push(json!({
                "id": format!("{}-{}-end", self.user(conversation), last.session), "type": "session_end",
                "user_id": self.user(conversation), "session_id": self.session(conversation, last),
                "time": last.time.to_string(),
            }));
        }
        interactions
    }

    fn turn(&self, conversation: &Conversation, turn: &Turn) -> Value {
        json!({
            "id": self.event(conversation, turn), "user_id": self.user(conversation),
            "session_id": self.session(conversation, turn), "role": turn.role.as_deref().unwrap_or("user"),
            "speaker": turn.name(), "content": turn.content(), "time": turn.time.to_string(),
        })
    }

    fn user(&self, conversation: &Conversation) -> String {
        format!("{}-{}", self.tag, conversation.id)
    }

    fn session(&self, conversation: &Conversation, turn: &Turn) -> String {
        format!("{}-{}", self.user(conversation), turn.session)
    }

    fn event(&self, conversation: &Conversation, turn: &Turn) -> String {
        format!("{}-{}", self.user(conversation), turn.id)
    }
}

/// The turns in which something is said.
fn said(conversation: &Conversation) -> impl Iterator<Item = &Turn> {
    conversation.turns.iter().filter(|turn| !turn.content().trim().is_empty())
}

/// The events that a result stands for, in their order.
fn sources(result: &ScoredView) -> Vec<&str> {
    let memory = result.memory.iter().flat_map(|memory| memory.sources.iter().map(|source| source.event_id.as_str()));
    memory.chain(result.turn.iter().map(|turn| turn.id.as_str())).collect()
}

/// Ids of events as ids of turns.
fn named<'a>(ids: &BTreeMap<String, &str>, events: impl Iterator<Item = &'a str>) -> Vec<String> {
    events.filter_map(|event| ids.get(event)).map(|id| (*id).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::data;

    #[test]
    fn a_conversation_becomes_sessions_that_end() {
        let file = r#"[{"sample_id": "c", "conversation": {
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [{"dia_id": "D1:1", "speaker": "Ada", "text": "Hi", "blip_caption": "a cat"},
                          {"dia_id": "D1:2", "speaker": "Ada", "text": " "}],
            "session_2_date_time": "1:56 pm on 9 May, 2023",
            "session_2": [{"dia_id": "D2:1", "speaker": "assistant", "role": "assistant", "text": "Hello"}]},
            "qa": []}]"#;
        let conversation = data::parse(file).expect("good data").remove(0);
        let client = Client::new("http://127.0.0.1:1", None).expect("an address");
        let product = Product { client, tag: "t".to_owned(), kinds: Vec::new() };
        let interactions = product.interactions(&conversation);
        let field = |name: &str| interactions.iter().map(|one| one[name].clone()).collect::<Vec<Value>>();
        assert_eq!(field("id"), ["t-c-D1:1", "t-c-1-end", "t-c-D2:1", "t-c-2-end"]);
        assert_eq!(field("role"), [json!("user"), Value::Null, json!("assistant"), Value::Null]);
        assert_eq!(field("speaker"), [json!("Ada"), Value::Null, Value::Null, Value::Null]);
        assert_eq!(interactions[0]["content"], "Hi [image: a cat]");
        assert_eq!(interactions[2]["time"], "2023-05-09T13:56:00Z");
    }
}
