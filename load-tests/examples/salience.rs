//! Whether salience knows what will be asked about: `salience DATA.json [--signs FILE] [--time]`.
//!
//! DATA has conversations in LoCoMo's format. The turns that a question of the categories 1 to 4 names as its evidence
//! are gold. Printed for each conversation, for what users and what assistants say of it where both speak, and overall:
//! how often a gold turn is above another one (AUC), the share of the evidence in the best half of the turns, and what is
//! kept at the default threshold. `--signs` writes the parts of every turn for `fit-salience.py`.

#![expect(clippy::print_stdout, reason = "its report goes there")]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use load_tests::quality::data::{self, Conversation};
use memory_core::event::{Event, EventType, Role};
use memory_core::rules::Rules;
use memory_core::salience::{self, Salience};
use memory_core::{Content, EventId, Timestamp};

const ROUNDS: u32 = 20;

#[derive(Parser)]
struct Arguments {
    data: PathBuf,
    /// Where to write the parts of every turn, one line of JSON each.
    #[arg(long)]
    signs: Option<PathBuf>,
    /// Also print what weighing a turn costs.
    #[arg(long)]
    time: bool,
}

/// A turn as it was weighed.
struct Weighed {
    gold: bool,
    user: bool,
    salience: Salience,
    text: String,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let rules = Rules::default();
    let conversations = data::read(&arguments.data)?;
    println!("{:24} turns  gold   AUC  best half  kept  evidence kept  salient", "");
    let mut all = Vec::new();
    let mut signs = String::new();
    for conversation in &conversations {
        let turns = weigh(conversation, &rules);
        report(&conversation.id, turns.iter(), &rules);
        if turns.iter().any(|turn| !turn.user) {
            report("  what users say", turns.iter().filter(|turn| turn.user), &rules);
            report("  what others say", turns.iter().filter(|turn| !turn.user), &rules);
        }
        for turn in &turns {
            let line = serde_json::json!({"conversation": conversation.id, "gold": turn.gold, "user": turn.user,
                "total": turn.salience.total, "parts": turn.salience.parts, "text": turn.text});
            signs.push_str(&format!("{line}\n"));
        }
        all.extend(turns);
    }
    report("all", all.iter(), &rules);
    if let Some(file) = arguments.signs {
        std::fs::File::create(file)?.write_all(signs.as_bytes())?;
    }
    if arguments.time {
        time(&conversations, &rules);
    }
    Ok(())
}

/// Weighs every turn after the one before it in its session.
fn weigh(conversation: &Conversation, rules: &Rules) -> Vec<Weighed> {
    let asked = conversation.questions.iter().filter(|question| question.category != "5");
    let gold: BTreeSet<&String> = asked.flat_map(|question| &question.evidence).collect();
    let events = events(conversation);
    let weighed = conversation.turns.iter().zip(&events).map(|(turn, (event, before))| Weighed {
        gold: gold.contains(&turn.id),
        user: event.role == Role::User,
        salience: salience::of(event, before.as_ref(), rules),
        text: turn.content(),
    });
    weighed.collect()
}

/// Every turn with the one before it in its session.
fn events(conversation: &Conversation) -> Vec<(Event, Option<Event>)> {
    let turns = &conversation.turns;
    let before = |at: usize| at.checked_sub(1).filter(|before| turns[*before].session == turns[at].session);
    (0..turns.len()).map(|at| (event(&turns[at]), before(at).map(|before| event(&turns[before])))).collect()
}

/// What weighing a turn costs.
fn time(conversations: &[Conversation], rules: &Rules) {
    let events: Vec<_> = conversations.iter().flat_map(events).collect();
    let bytes: usize = events.iter().map(|(event, _)| event.content.bytes()).sum();
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        for (event, before) in &events {
            black_box(salience::of(event, before.as_ref(), rules));
        }
    }
    let nanos = begin.elapsed().as_nanos() as f64 / f64::from(ROUNDS);
    println!("{:.1} us a turn, {:.1} us for 200 bytes", nanos / 1e3 / events.len() as f64, nanos / 5.0 / bytes as f64);
}

fn event(turn: &data::Turn) -> Event {
    let role = if turn.role.as_deref() == Some("assistant") { Role::Assistant } else { Role::User };
    Event {
        id: EventId::try_new(&turn.id).expect("an id of a turn"),
        kind: EventType::Turn,
        user_id: None,
        agent_id: None,
        app_id: None,
        session_id: None,
        role,
        speaker: turn.name().map(str::to_owned),
        content: Content::Text(turn.content()),
        time: Timestamp::EPOCH,
        origin: role.origin(),
        remember: true,
        recalled: false,
        tags: Vec::new(),
        metadata: serde_json::Map::new(),
        control: None,
    }
}

fn report<'a>(name: &str, turns: impl Iterator<Item = &'a Weighed>, rules: &Rules) {
    let mut turns: Vec<&Weighed> = turns.collect();
    // Among equals the gold ones come last, so that ties never flatter.
    turns.sort_by_key(|turn| (std::cmp::Reverse(turn.salience.total), turn.gold));
    let percent = |some: usize, of: usize| 100.0 * some as f64 / of.max(1) as f64;
    let gold = |turns: &[&Weighed]| turns.iter().filter(|turn| turn.gold).count();
    let at_least = |least: u16| turns.iter().filter(|turn| turn.salience.total >= least).count();
    let (half, kept, salient) = (turns.len() / 2, at_least(rules.keep_at), at_least(rules.salient_at));
    println!(
        "{name:24} {:5} {:5} {:5.3} {:10.1} {:5.1} {:14.1} {:8.1}",
        turns.len(),
        gold(&turns),
        auc(&turns),
        percent(gold(&turns[..half]), gold(&turns)),
        percent(kept, turns.len()),
        percent(gold(&turns[..kept]), gold(&turns)),
        percent(salient, turns.len()),
    );
}

/// How often a gold turn is more salient than another one; a tie is half.
fn auc(turns: &[&Weighed]) -> f64 {
    let (gold, others): (Vec<&Weighed>, Vec<&Weighed>) = turns.iter().partition(|turn| turn.gold);
    let halves: usize = gold
        .iter()
        .flat_map(|gold| others.iter().map(move |other| gold.salience.total.cmp(&other.salience.total)))
        .map(|order| usize::try_from(order as i8 + 1).expect("0, 1 or 2"))
        .sum();
    halves as f64 / (2 * gold.len() * others.len()).max(1) as f64
}
