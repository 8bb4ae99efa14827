//! Who is in RAM changes nothing.

use testkit::lively_history;

use crate::kit::{self, assert_same, expected, home, log, publish, settings, start, windows};

// law: L06
#[test]
fn the_service_logs_the_windows_of_a_straight_line_in_batches_of_any_size() {
    let history = lively_history(11, 9, 1_200);
    let wanted = expected(&testkit::fold(&history));
    for batch in [1, 7, 4_096] {
        let log = log();
        let home = home(&log);
        publish(&log, &history);
        let service = start(&log, &home, settings(batch));
        service.drain();
        assert_same(&windows(&log), &wanted);
        service.stop().expect("it was told to");
    }
}

// law: L06
#[test]
fn one_place_in_ram_for_many_subjects_gives_the_same_windows() {
    let history = lively_history(12, 9, 1_200);
    let log = log();
    let home = home(&log);
    publish(&log, &history);
    let settings = working_memory::Settings { active_max: 1, ..settings(7) };
    let service = start(&log, &home, settings);
    service.drain();
    let passivated = service.metric("memos_working_memory_passivations_total{reason=\"full\"}");
    assert!(passivated > 400, "only {passivated} times somebody made room");
    let actors = kit::PARTITIONS.into();
    let in_ram: u64 = (0..kit::PARTITIONS)
        .map(|partition| service.metric(&format!("memos_working_memory_actors{{partition=\"{partition}\"}}")))
        .sum();
    assert!(in_ram <= actors, "{in_ram} actors");
    assert_same(&windows(&log), &expected(&testkit::fold(&history)));
    service.stop().expect("it was told to");
}
