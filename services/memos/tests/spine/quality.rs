//! Whether the right memory is found: the conversations of `load-tests/data` go in, their questions are asked, and what
//! is found must not be worse than it was. `make quality` prints the same figures with all their parts.
//!
//! Everything is kept, so that this judges the ranking and not what salience thinks of small talk.

use std::path::Path;

use load_tests::quality::product::Product;
use load_tests::quality::score::{self, BUDGETS, Scored, Summary};
use load_tests::quality::{baseline, data};

use crate::harness::{DEADLINE, Server, block_on, data_dir};

/// What must be reached, in percent, and how far above plain BM25 over the same turns. Differences under two points say
/// nothing, so a floor stands two points under what was reached when it was set; who makes recall better raises it.
struct Floor {
    file: &'static str,
    recall_at_1: f64,
    recall_at_5: f64,
    recall_at_10: f64,
    /// Evidence quoted in a context block of 500 tokens; the banks are small, and more tokens hold nearly all of them.
    block_of_500: f64,
    /// Points of recall@10 above the baseline; below 0 while it is not reached.
    margin: f64,
}

const FLOORS: [Floor; 2] = [
    Floor {
        file: "quality.json",
        recall_at_1: 48.0,
        recall_at_5: 83.0,
        recall_at_10: 89.5,
        block_of_500: 92.5,
        margin: 14.5,
    },
    Floor {
        file: "languages.json",
        recall_at_1: 44.0,
        recall_at_5: 94.0,
        recall_at_10: 97.0,
        block_of_500: 97.0,
        margin: -3.0,
    },
];

/// No turn is too unimportant, and no two are alike enough to be one.
const EVERYTHING_KEPT: [&str; 4] = ["--set", "rules.keep_at=0", "--set", "rules.merge_at=1001"];
/// The hash secret of the run: equal scores come in the order of ids, which derive from it.
const SEED: u64 = 5;

#[test]
fn the_right_memories_are_found() {
    let root = tempfile::tempdir().expect("a directory");
    let server = Server::start(&data_dir(root.path(), "quality", SEED), &EVERYTHING_KEPT);
    let mut fallen = Vec::new();
    for floor in &FLOORS {
        let (memos, baseline) = evaluate(&server, floor.file);
        fallen.extend(below(floor, &memos, &baseline));
    }
    assert!(fallen.is_empty(), "\n{}", fallen.join("\n"));
    server.stop();
}

/// What memos reaches on a file, and what the baseline does.
fn evaluate(server: &Server, file: &str) -> (Summary, Summary) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../load-tests/data").join(file);
    let product = Product { client: server.client(), tag: "quality".to_owned(), kinds: Vec::new() };
    let (mut memos, mut baseline): (Vec<Scored>, Vec<Scored>) = Default::default();
    for conversation in data::read(&path).expect("the data of the repository") {
        let ingested = block_on(product.ingest(&conversation, DEADLINE)).expect("memos takes it");
        assert_eq!(ingested.kept, ingested.turns, "{}: everything is kept: {ingested:?}", conversation.id);
        let asked = block_on(product.ask(&conversation)).expect("memos answers");
        memos.extend(score::score(&conversation, &asked.found));
        baseline.extend(score::score(&conversation, &baseline::bm25(&conversation)));
    }
    let summaries = (Summary::overall(&memos), Summary::overall(&baseline));
    eprintln!("{file}\n  memos {:?}\n  bm25  {:?}", summaries.0, summaries.1);
    summaries
}

/// Which figures are below their floor, in sentences.
fn below(floor: &Floor, memos: &Summary, baseline: &Summary) -> Vec<String> {
    let block = memos.context[BUDGETS.iter().position(|budget| *budget == 500).expect("a budget")];
    [
        ("recall@1", memos.recall_at_1, floor.recall_at_1),
        ("recall@5", memos.recall_at_5, floor.recall_at_5),
        ("recall@10", memos.recall_at_10, floor.recall_at_10),
        ("evidence in a context block of 500 tokens", block, floor.block_of_500),
        ("recall@10 less the baseline's", memos.recall_at_10 - baseline.recall_at_10, floor.margin),
    ]
    .into_iter()
    .filter(|(_, reached, wanted)| reached < wanted)
    .map(|(name, reached, wanted)| format!("{}: {name} is {reached:.1}, and {wanted:.1} wanted", floor.file))
    .collect()
}

#[test]
fn a_figure_below_its_floor_is_named() {
    let floor = Floor { recall_at_1: 10.0, recall_at_5: 20.0, margin: 1.0, ..FLOORS[0] };
    let memos = Summary {
        recall_at_1: 9.0,
        recall_at_5: 20.0,
        recall_at_10: 90.0,
        context: [90.0, 0.0, 0.0],
        ..Summary::default()
    };
    let baseline = Summary { recall_at_10: 89.5, ..Summary::default() };
    let named = below(&floor, &memos, &baseline).join("\n");
    assert!(named.contains("recall@1 is 9.0") && named.contains("baseline's is 0.5"), "{named}");
    assert!(!named.contains("recall@5"), "{named}");
}
