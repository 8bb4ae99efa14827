//! Mistakes are learnt from, as far as was measured: fewer would be a step back.

use std::path::Path;

#[path = "../examples/lessons.rs"]
#[expect(dead_code, clippy::print_stdout, reason = "its program is not called")]
mod lessons;

#[test]
fn after_a_correction_the_same_kind_of_task_finds_the_lesson() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/lessons-unseen.jsonl");
    let learnt = lessons::learn(&file).expect("our own data");
    // Never the cases themselves: nobody shall read them.
    let (found, left) = (learnt.among_first(&learnt.found[0], 3), learnt.percent(learnt.lessons));
    assert!(found >= 85, "{found} % among the first three");
    assert!(left >= 55, "{left} % left a lesson");
}
