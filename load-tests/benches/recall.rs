//! What a question costs in processor time: ranking a bank of one subject that is warm, and making such a bank ready.
//!
//! The memories are the turns of our own data set over and over, each time with other numbers and on another day, so that
//! the number of words grows with the bank. `cargo bench -p load-tests`; decision 011 has the figures.

use std::hint::black_box;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use embedding::BuiltIn;
use load_tests::quality::data::{self, Conversation};
use memory_core::memory::{Kind, Memory};
use memory_core::query::Query;
use memory_core::rank::rank;
use memory_core::step::Row;
use memory_core::{Bank, EventId, Handle, StepNumber, Timestamp};

#[path = "../examples/common/events.rs"]
mod events;
#[path = "../examples/common/turns.rs"]
mod turns;

const SIZES: [usize; 2] = [600, 10_000];
const QUESTIONS: usize = 64;
/// Turns of a session, and sessions of a day.
const TURNS: usize = 20;

fn conversations() -> Vec<Conversation> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quality.json");
    data::read(&file).expect("our own data")
}

fn memories(conversations: &[Conversation], count: usize) -> Vec<Row> {
    let turns: Vec<_> = conversations.iter().flat_map(|conversation| &conversation.turns).collect();
    let subject = Handle::from_bytes([7; Handle::BYTES]);
    let one = |number: usize| {
        let said = turns[number % turns.len()];
        let day = i64::try_from(number / TURNS).expect("few days");
        let round = number / turns.len();
        let mut event = events::event(said);
        event.id = EventId::try_new(format!("e{number}")).expect("an id");
        event.session_id = Some(format!("s{day}"));
        event.time = Timestamp::from_seconds(1_700_000_000).plus_seconds(day * 86_400);
        let text = if round == 0 { said.content() } else { format!("{} Case {round}-{number}.", said.content()) };
        Row::Memory(Memory::of_turn(subject, &turns::turn(event, number), Kind::Episode, text))
    };
    (0..count).map(one).collect()
}

fn recall(criterion: &mut Criterion) {
    let conversations = conversations();
    let questions = conversations.iter().flat_map(|conversation| &conversation.questions).step_by(3).take(QUESTIONS);
    let queries: Vec<Query> = questions.map(|question| Query::new(&question.text, 10)).collect();
    let now = Timestamp::from_seconds(1_800_000_000);
    let mut group = criterion.benchmark_group("recall");
    group.sample_size(20);
    for size in SIZES {
        let rows = memories(&conversations, size);
        let load = || Bank::load_ranked(StepNumber::FIRST, rows.iter().cloned(), &BuiltIn);
        let bank = load();
        let mut next = queries.iter().cycle();
        group.bench_function(BenchmarkId::new("rank", size), |bencher| {
            bencher.iter(|| black_box(rank(next.next().expect("they go round"), &bank, &[], now).len()));
        });
        group.bench_function(BenchmarkId::new("make ready", size), |bencher| bencher.iter(|| black_box(load().len())));
    }
    group.finish();
}

criterion_group!(benches, recall);
criterion_main!(benches);
