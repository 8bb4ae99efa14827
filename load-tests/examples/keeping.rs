//! What rules keep of conversations and what that costs recall, without a server: everything is folded as the services
//! fold it, and the questions are ranked. The quality evaluation measures the same through the product, in minutes.
//!
//!     cargo run --release -p load-tests --example keeping -- conversations.json [RULES.json]
//!
//! RULES.json has some of the keys of `[rules]`. The first line is of keeping everything, the second of those rules or the
//! defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use embedding::BuiltIn;
use load_tests::quality::data::{self, Conversation};
use load_tests::quality::score::{Found, Scored, UNANSWERABLE, score};
use memory_core::event::{Event, UnknownFields};
use memory_core::query::Query;
use memory_core::rank::{self, rank};
use memory_core::refold::Rows;
use memory_core::subject::TenantTag;
use memory_core::{HashSecret, Offset, Recorded, Rules, Subject, TenantId, Timestamp, WorkingMemory};
use serde_json::json;

#[path = "common/events.rs"]
mod events;

const DAY: i64 = 86_400;
/// The answers that are looked at: enough for the first twenty sources.
const LIMIT: usize = 40;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let file = arguments.next().context("name a file of conversations (load-tests/README.md)")?;
    let rules: Rules = match arguments.next() {
        Some(file) => serde_json::from_str(&std::fs::read_to_string(&file)?).context("read the rules")?,
        None => Rules::default(),
    };
    let conversations = data::read(Path::new(&file))?;
    let everything = Rules { keep_at: 0, merge_at: 1_000, ..Rules::default() };
    for (name, rules) in [("everything", everything), ("by rules", rules)] {
        let mut scored: Vec<Scored> = Vec::new();
        let (mut kept, mut said) = (0, 0);
        for conversation in &conversations {
            let rows = fold(conversation, &rules)?;
            let bank = rows.bank();
            let whole = bank.memories().filter(|memory| memory.part_of.is_none());
            let sources: BTreeSet<_> = whole.flat_map(|memory| &memory.sources).map(|source| source.seq).collect();
            kept += sources.len();
            said += conversation.turns.len();
            scored.extend(ask(conversation, &rows));
        }
        scored.retain(|one| one.category != UNANSWERABLE);
        let mean = |k: usize| 100.0 * scored.iter().map(|one| one.recall(k)).sum::<f64>() / scored.len() as f64;
        println!(
            "{name}: {:.1} % of {said} turns kept; of {} questions R@1 {:.1}, R@5 {:.1}, R@10 {:.1}, R@20 {:.1}",
            100.0 * kept as f64 / said as f64,
            scored.len(),
            mean(1),
            mean(5),
            mean(10),
            mean(20)
        );
    }
    Ok(())
}

/// The rows of somebody who had this conversation.
fn fold(conversation: &Conversation, rules: &Rules) -> anyhow::Result<Rows> {
    let tenant = TenantId::try_new("t").expect("a name");
    let owner = Subject::owner(&tenant, Some("user"), None, None).expect("a user was named");
    let mut working = WorkingMemory::new(owner.handle(&HashSecret::new([7; 32])), owner);
    let mut rows = Rows::default();
    let mut offset = 0;
    let mut take = |event: Event| -> anyhow::Result<()> {
        let recorded =
            Recorded { tenant: tenant.clone(), arrived: event.time, offset: Offset::new(offset), event: event.into() };
        offset += 1;
        for closed in working.apply(rules, &recorded).closed {
            let window = closed.consolidation.with_candidates();
            for step in rows.decide(&window, TenantTag::from_bytes([0; 16]), None) {
                rows.apply(&step)?;
            }
        }
        Ok(())
    };
    for session in conversation.turns.chunk_by(|one, next| one.session == next.session) {
        for turn in session.iter().filter(|turn| !turn.content().trim().is_empty()) {
            take(events::event(turn))?;
        }
        let Some(last) = session.last() else { continue };
        let end = json!({
            "id": format!("end-{}", last.session), "user_id": "user", "type": "session_end",
            "session_id": format!("s{}", last.session), "time": last.time.to_string(),
        });
        let end = end.as_object().context("an object")?;
        take(Event::parse(end, UnknownFields::Refuse, None, Timestamp::EPOCH)?)?;
    }
    Ok(rows)
}

fn ask(conversation: &Conversation, rows: &Rows) -> Vec<Scored> {
    let bank = rows.ranked_bank(&BuiltIn);
    let last = conversation.turns.iter().map(|turn| turn.time.as_second()).max().unwrap_or(0);
    let now = Timestamp::from_seconds(last + DAY);
    let answer = |text: &str| {
        let query = Query {
            text: text.to_owned(),
            limit: LIMIT,
            min_score: 0,
            kinds: Vec::new(),
            filter: None,
            agent_id: None,
            session_id: None,
            valid_at: None,
            include_working_memory: true,
        };
        let hits = rank(&query, &bank, &[], now);
        let sources = hits.iter().flat_map(|hit| match &hit.found {
            rank::Found::Memory(memory) => {
                memory.sources.iter().map(|source| source.event_id.as_str().to_owned()).collect()
            }
            rank::Found::Turn(_) => Vec::new(),
        });
        Found { ranked: sources.collect(), ..Found::default() }
    };
    let found: BTreeMap<usize, Found> =
        conversation.questions.iter().map(|question| (question.index, answer(&question.text))).collect();
    score(conversation, &found)
}
