//! What the weights of the ranking are fitted on: for each question with known evidence the weighted signs of every turn.
//!
//!     cargo run --release -p load-tests --example ranking-signs -- conversations.json > signs.jsonl
//!     python3 load-tests/fit-ranking.py signs.jsonl

use std::io::{BufWriter, Write, stdout};
use std::path::Path;

use anyhow::Context;
use embedding::BuiltIn;
use load_tests::quality::data;
use memory_core::memory::{Kind, Memory};
use memory_core::rank::weighed;
use memory_core::step::Row;
use memory_core::{Bank, Handle, Rules, StepNumber, Timestamp, salience};
use serde_json::json;

#[path = "common/events.rs"]
mod events;
#[path = "common/turns.rs"]
mod turns;

/// The category of questions that memory cannot answer.
const UNANSWERABLE: &str = "5";
const DAY: i64 = 86_400;

fn main() -> anyhow::Result<()> {
    let file = std::env::args_os().nth(1).context("name a file of conversations (load-tests/README.md)")?;
    let subject = Handle::from_bytes([7; Handle::BYTES]);
    let mut out = BufWriter::new(stdout().lock());
    for conversation in data::read(Path::new(&file))? {
        let turns = conversation.turns.iter().enumerate().map(|(seq, turn)| {
            let before = seq.checked_sub(1).map(|before| &conversation.turns[before]);
            let before = before.filter(|before| before.session == turn.session).map(events::event);
            let mut said = turns::turn(events::event(turn), seq);
            said.salience = salience::of(&said.event, before.as_ref(), &Rules::default());
            said
        });
        let text = |turn: &memory_core::Turn| turn.event.content.text().into_owned();
        let rows = turns.map(|turn| Row::Memory(Memory::of_turn(subject, &turn, Kind::Episode, text(&turn))));
        let bank = Bank::load_ranked(StepNumber::FIRST, rows, &BuiltIn);
        let last = conversation.turns.iter().map(|turn| turn.time.as_second()).max().unwrap_or(0);
        let now = Timestamp::from_seconds(last + DAY);
        for question in conversation.questions.iter().filter(|question| question.category != UNANSWERABLE) {
            let weighed = weighed(&question.text, &bank, now);
            let is_gold = |memory: &Memory| {
                let id = memory.sources[0].event_id.as_str();
                u8::from(question.evidence.iter().any(|evidence| evidence == id))
            };
            let gold: Vec<u8> = weighed.iter().map(|(memory, _)| is_gold(memory)).collect();
            let signs: Vec<_> = weighed.iter().map(|(_, signs)| signs).collect();
            writeln!(out, "{}", json!({"conversation": conversation.id, "signs": signs, "gold": gold}))?;
        }
    }
    out.flush().context("write the signs")
}
