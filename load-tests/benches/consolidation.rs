//! What it costs in processor time to learn from a turn, in one thread and without a log: weighing it and closing windows
//! (the actor), finding what it states (also the actor, when a window closes), and deciding on it with the bank and taking
//! that over (the consolidator). Times are those of **one turn**, each a share of a whole window; the end of a session, where summaries and
//! patterns are made, is among them.
//!
//! The turns are those of our own data set over and over, each round with other numbers and on other days, so that little
//! merges and the bank grows. `cargo bench --profile release -p load-tests --bench consolidation`.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use load_tests::quality::data::{self, Conversation};
use memory_core::event::{Event, UnknownFields};
use memory_core::{
    Bank, Consolidation, EventId, HashSecret, Offset, Recorded, Rules, StepNumber, Subject, TenantId, Timestamp,
    WorkingMemory, consolidate,
};
use serde_json::json;

#[path = "../examples/common/events.rs"]
mod events;

/// As the product has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SIZES: [usize; 2] = [600, 10_000];
/// Windows that are measured at each size.
const WINDOWS: usize = 64;
/// Turns of a session.
const TURNS: usize = 40;
const DAY: i64 = 86_400;

fn conversations() -> Vec<Conversation> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quality.json");
    data::read(&file).expect("our own data")
}

/// One person who talks on and on.
struct Talk {
    said: Vec<Event>,
    told: usize,
    tenant: TenantId,
    working: WorkingMemory,
    rules: Rules,
}

impl Talk {
    fn new(conversations: &[Conversation]) -> Self {
        let turns = conversations.iter().flat_map(|conversation| &conversation.turns);
        let tenant = TenantId::try_new("t").expect("a tenant");
        let owner = Subject::owner(&tenant, Some("user"), None, None).expect("an owner");
        Self {
            said: turns.map(events::event).collect(),
            told: 0,
            working: WorkingMemory::new(owner.handle(&HashSecret::new([7; 32])), owner),
            tenant,
            rules: Rules::default(),
        }
    }

    /// The next event as the log hands it over: a turn, or after so many the end of their session.
    fn next(&mut self) -> Recorded {
        let (number, round) = (self.told, self.told / self.said.len());
        self.told += 1;
        let day = i64::try_from(number / TURNS).expect("few days");
        let arrived = Timestamp::from_seconds(1_700_000_000 + day * DAY);
        let mut event = if number % TURNS == TURNS - 1 {
            let end = json!({"id": "end", "user_id": "user", "type": "session_end"});
            Event::parse(end.as_object().expect("an object"), UnknownFields::Refuse, None, arrived)
                .expect("a good event")
        } else {
            self.said[number % self.said.len()].clone()
        };
        if round > 0 && event.is_turn() {
            event.content = memory_core::Content::Text(format!("{} Case {round}-{number}.", event.content.text()));
        }
        event.id = EventId::try_new(format!("e{number}")).expect("an id");
        event.session_id = Some(format!("s{day}"));
        event.time = arrived;
        let offset = Offset::new(u64::try_from(number).expect("few"));
        Recorded { tenant: self.tenant.clone(), arrived, offset, event: event.into() }
    }

    /// The windows that the next event closes.
    fn go_on(&mut self) -> Vec<Consolidation> {
        let recorded = self.next();
        let closed = self.working.apply(&self.rules, &recorded).closed;
        closed.into_iter().map(|closed| closed.consolidation).collect()
    }

    /// A bank of at least so many memories, and the windows that come after it.
    fn bank(&mut self, size: usize) -> (Bank, Vec<Consolidation>) {
        let mut bank = Bank::load(StepNumber::FIRST, []);
        while bank.len() < size {
            for window in self.go_on() {
                let step = consolidate(&bank, &window.with_candidates(), None);
                bank.apply(&step);
            }
        }
        let mut windows = Vec::new();
        while windows.len() < WINDOWS {
            windows.extend(self.go_on());
        }
        (bank, windows)
    }
}

/// The time of one turn when all windows are gone through, again and again, each time with a fresh `state`.
fn per_turn<S>(
    rounds: u64,
    windows: &[Consolidation],
    state: impl Fn() -> S,
    work: impl Fn(&mut S, &Consolidation),
) -> Duration {
    let turns: usize = windows.iter().map(|window| window.turns.len()).sum();
    let times = usize::try_from(rounds).expect("few").div_ceil(turns);
    let mut time = Duration::ZERO;
    for _ in 0..times {
        let mut state = state();
        let begin = Instant::now();
        windows.iter().for_each(|window| work(&mut state, window));
        time += begin.elapsed();
    }
    time.mul_f64(rounds as f64 / (times * turns) as f64)
}

fn learn(criterion: &mut Criterion) {
    let conversations = conversations();
    let mut group = criterion.benchmark_group("one turn");
    group.sample_size(20);
    let recorded: Vec<Recorded> = {
        let mut talk = Talk::new(&conversations);
        (0..2_000).map(|_| talk.next()).collect()
    };
    group.bench_function("weigh", |bencher| {
        bencher.iter_custom(|rounds| {
            let (mut left, mut time) = (usize::try_from(rounds).expect("few"), Duration::ZERO);
            while left > 0 {
                let mut talk = Talk::new(&conversations);
                let news = recorded.iter().take(left);
                left -= news.len();
                let begin = Instant::now();
                for recorded in news {
                    black_box(talk.working.apply(&talk.rules, recorded));
                }
                time += begin.elapsed();
            }
            time
        });
    });
    for size in SIZES {
        let (bank, windows) = Talk::new(&conversations).bank(size);
        if size == SIZES[0] {
            group.bench_function("state", |bencher| {
                let work = |(): &mut (), window: &Consolidation| drop(black_box(window.clone().with_candidates()));
                bencher.iter_custom(|rounds| per_turn(rounds, &windows, || (), work));
            });
        }
        let windows: Vec<Consolidation> = windows.into_iter().map(Consolidation::with_candidates).collect();
        group.bench_function(BenchmarkId::new("decide", size), |bencher| {
            let work = |bank: &mut Bank, window: &Consolidation| {
                let step = consolidate(bank, window, None);
                bank.apply(&step);
            };
            bencher.iter_custom(|rounds| per_turn(rounds, &windows, || bank.clone(), work));
        });
    }
    group.finish();
}

criterion_group!(benches, learn);
criterion_main!(benches);
