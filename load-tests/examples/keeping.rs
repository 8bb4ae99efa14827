//! What it costs to keep only what matters: `keeping DATA.json [--rules '{"keep_at": 80}']`.
//!
//! Conversations are folded and consolidated as memos does it, without a server: once with everything kept, once with the
//! rules. Then all questions are asked of both banks. Printed are the share of the turns that is kept, recall@1/5/10/20,
//! the evidence in a context block of 1,000 tokens, and what is lost in recall@10, with its standard error.

#![expect(clippy::print_stdout, reason = "its report goes there")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use embedding::BuiltIn;
use load_tests::quality::data::{self, Conversation};
use load_tests::quality::score::{self, BUDGETS, Found, Scored, UNANSWERABLE};
use memory_core::event::{Event, UnknownFields};
use memory_core::query::Query;
use memory_core::rank::{self, Found as Ranked};
use memory_core::step::{Body, Change, Fate, Row};
use memory_core::subject::{HashSecret, Subject, TenantId};
use memory_core::{Bank, Offset, Recorded, Rules, StepNumber, Timestamp, WorkingMemory, consolidate, context};
use serde_json::json;

#[path = "common/events.rs"]
mod events;

const DAY: i64 = 86_400;

#[derive(Parser)]
struct Arguments {
    data: PathBuf,
    /// Rules, as JSON; those that are not named have their defaults.
    #[arg(long, default_value = "{}")]
    rules: String,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let all = Rules { keep_at: 0, merge_at: 1_001, ..Rules::default() };
    let rules = serde_json::from_str(&arguments.rules)?;
    let conversations = data::read(&arguments.data)?;
    let whole = measure("all", &conversations, &all);
    let kept = measure("rules", &conversations, &rules);
    let lost: Vec<f64> =
        whole.iter().zip(&kept).map(|(one, other)| 100.0 * (one.recall(10) - other.recall(10))).collect();
    let count = lost.len().max(1) as f64;
    let mean = lost.iter().sum::<f64>() / count;
    let variance = lost.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    println!("lost in recall@10: {mean:.2} (standard error {:.2})", (variance / count).sqrt());
    Ok(())
}

/// Asks every question that has evidence and an answer, and prints what was found.
fn measure(name: &str, conversations: &[Conversation], rules: &Rules) -> Vec<Scored> {
    let mut scored = Vec::new();
    let (mut turns, mut kept) = (0, 0);
    for conversation in conversations {
        let (bank, remembered) = remember(conversation, rules);
        turns += conversation.turns.len();
        kept += remembered;
        let answered = score::score(conversation, &ask(conversation, &bank));
        scored.extend(answered.into_iter().filter(|one| one.category != UNANSWERABLE));
    }
    let recall = |k| 100.0 * scored.iter().map(|one| one.recall(k)).sum::<f64>() / scored.len().max(1) as f64;
    let quoted = |one: &Scored| one.quoted.map_or(0.0, |quoted| quoted[1] as f64 / one.gold as f64);
    println!(
        "{name:6} kept {:5.1} %  recall@1/5/10/20 {:.1} {:.1} {:.1} {:.1}  block@1000 {:.1}",
        100.0 * kept as f64 / turns.max(1) as f64,
        recall(1),
        recall(5),
        recall(10),
        recall(20),
        100.0 * scored.iter().map(quoted).sum::<f64>() / scored.len().max(1) as f64,
    );
    scored
}

/// The bank of a conversation whose sessions have all ended, and how many of its turns are kept, by themselves or merged.
fn remember(conversation: &Conversation, rules: &Rules) -> (Bank, usize) {
    let tenant = TenantId::try_new("tenant").expect("a tenant");
    let owner = Subject::owner(&tenant, Some("user"), None, None).expect("an owner");
    let subject = owner.handle(&HashSecret::new([1; 32]));
    let mut memory = WorkingMemory::new(subject, owner);
    let mut bank = Bank::load_ranked(StepNumber::FIRST, [], &BuiltIn);
    let (mut offset, mut kept) = (0, 0);
    let mut fold = |event: Event| {
        let recorded = Recorded {
            tenant: tenant.clone(),
            arrived: event.time,
            offset: Offset::new(offset),
            event: Arc::new(event),
        };
        offset += 1;
        for closed in memory.apply(rules, &recorded).closed {
            let step = consolidate(&bank, &closed.consolidation.with_candidates(), None);
            bank.apply(&step);
            if let Body::Changes { changes, .. } = &step.body {
                kept += changes.iter().filter(|change| keeps(change)).count();
            }
        }
    };
    for session in conversation.turns.chunk_by(|one, next| one.session == next.session) {
        session.iter().for_each(|turn| fold(events::event(turn)));
        if let Some(last) = session.last() {
            let end = json!({"id": format!("end {}", last.session), "type": "session_end", "user_id": "user",
                "session_id": format!("s{}", last.session), "time": last.time.to_string()});
            let end = end.as_object().expect("an object");
            fold(Event::parse(end, UnknownFields::Refuse, None, Timestamp::EPOCH).expect("our own event"));
        }
    }
    (bank, kept)
}

fn keeps(change: &Change) -> bool {
    matches!(change, Change::Put(Row::Fate(row)) if matches!(row.fate, Fate::Kept(_) | Fate::Merged(_)))
}

fn ask(conversation: &Conversation, bank: &Bank) -> BTreeMap<usize, Found> {
    let last = conversation.turns.iter().map(|turn| turn.time.as_second()).max().unwrap_or(0);
    let now = Timestamp::from_seconds(last + DAY);
    let asked = conversation.questions.iter().filter(|question| question.category != UNANSWERABLE);
    let found = asked.map(|question| {
        let query = Query::new(&question.text, 200);
        let hits = rank::rank(&query, bank, &[], now);
        let mut ranked: Vec<String> = Vec::new();
        for hit in &hits {
            let Ranked::Memory(memory) = hit.found else { continue };
            ranked.extend(memory.sources.iter().map(|source| source.event_id.as_str().to_owned()));
        }
        let quoted =
            |budget: usize| context::block(&hits, budget).sources.iter().map(|id| id.as_str().to_owned()).collect();
        (question.index, Found { ranked, contexts: BUDGETS.map(quoted).to_vec(), best: None })
    });
    found.collect()
}
