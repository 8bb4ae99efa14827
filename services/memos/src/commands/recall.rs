//! `memos recall`: a question from the command line.

use std::io::Write;

use anyhow::Context;
use memory_core::Timestamp;
use memos_client::{RecallRequest, RecallResponse, ScoredView, time};

use crate::cli::RecallArgs;
use crate::commands::client;

/// Asks, and prints the answer.
///
/// # Errors
/// When the server cannot be reached, or refuses the question.
pub(crate) async fn run(args: &RecallArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let request = RecallRequest {
        user_id: args.user.clone(),
        agent_id: args.agent.clone(),
        session_id: args.session.clone(),
        query: args.question.clone().unwrap_or_default(),
        limit: usize::from(args.limit),
        token_budget: args.budget,
        ..RecallRequest::default()
    };
    let response = client(&args.server)?.recall(&request).await.context("ask memos")?;
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &response)?;
        writeln!(out)?;
    } else if args.context {
        writeln!(out, "{}", response.context.text)?;
    } else {
        print(&response, out)?;
    }
    Ok(())
}

fn print(response: &RecallResponse, out: &mut impl Write) -> std::io::Result<()> {
    if response.results.is_empty() {
        return writeln!(out, "Nothing is remembered that answers this.");
    }
    response.results.iter().try_for_each(|result| print_result(result, out))
}

/// One result: score, day and text, and below them what it is and where it comes from.
pub(crate) fn print_result(result: &ScoredView, out: &mut impl Write) -> std::io::Result<()> {
    let found = Found::of(result);
    // Further lines of a text stand below its first one.
    let text = found.text.trim().replace('\n', "\n                    ");
    writeln!(out, "  {:.2}  {}  {text}", result.score, found.day)?;
    writeln!(out, "                    {} from {}", found.what, found.sources.join(", "))
}

/// The day of a time, in UTC.
pub(crate) fn day(at: Timestamp) -> String {
    time::to_text(at).split('T').next().unwrap_or_default().to_owned()
}

struct Found {
    day: String,
    text: String,
    /// That it is a memory, and of which kind; or a turn, which is on its way to become one or not.
    what: String,
    sources: Vec<String>,
}

impl Found {
    fn of(result: &ScoredView) -> Self {
        if let Some(memory) = &result.memory {
            return Self {
                day: day(memory.event_time),
                text: memory.text.clone(),
                what: format!("memory ({})", memory.kind.as_str()),
                sources: memory.sources.iter().map(|source| source.event_id.clone()).collect(),
            };
        }
        let turn = result.turn.as_deref();
        Self {
            day: turn.map(|turn| day(turn.time)).unwrap_or_default(),
            text: turn.map(|turn| content(&turn.content)).unwrap_or_default(),
            what: "turn (not consolidated yet)".to_owned(),
            sources: turn.map(|turn| turn.id.clone()).into_iter().collect(),
        }
    }
}

/// What can be read of a content: itself, or the texts of its parts.
fn content(content: &serde_json::Value) -> String {
    let texts = content.as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let texts: Vec<&str> = texts.filter_map(|part| part.get("text")?.as_str()).collect();
    content.as_str().map_or_else(|| texts.join(" "), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_shows_score_day_text_and_sources() {
        let response: RecallResponse = serde_json::from_value(json!({
            "results": [
                {"type": "turn", "score": 0.8312, "turn": {
                    "id": "e-1", "type": "turn", "seq": 3, "user_id": "u", "agent_id": null, "app_id": null,
                    "session_id": null, "role": "user", "speaker": null, "content": "First line.\nSecond line.",
                    "time": "2026-05-08T13:56:00Z", "arrived": "2026-05-08T13:56:00Z", "origin": "user",
                    "remember": true, "recalled": false, "tags": [], "metadata": {}, "salience": 0.5,
                    "salience_parts": {}}},
            ],
            "context": {"text": "", "tokens": 0, "sources": []},
            "position": memos_client::Position::new(uuid::Uuid::nil()).encode(),
        }))
        .expect("an answer of memos");
        let mut out = Vec::new();
        print(&response, &mut out).expect("it prints");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(
            text,
            "  0.83  2026-05-08  First line.\n                    Second line.\n                    turn (not consolidated yet) from e-1\n"
        );
    }

    #[test]
    fn parts_of_a_message_are_read_for_their_text() {
        assert_eq!(content(&json!([{"type": "text", "text": "a"}, {"type": "image_url"}, {"text": "b"}])), "a b");
        assert_eq!(content(&json!("c")), "c");
    }
}
