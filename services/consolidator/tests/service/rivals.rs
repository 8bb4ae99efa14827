//! Two consolidators on one log: the log decides between them.

use event_log::Topic;
use testkit::{fold, lively_history, wait_until};

use crate::kit::{DEADLINE, PARTITIONS, home, log, publish, rebuilt, settings, start, steps};

// law: L05
#[test]
fn of_two_writers_the_first_decides_and_the_other_buries_what_it_wrote() {
    let folded = fold(&lively_history(61, 6, 600));
    let (log, one, other) = (log(), home(), home());
    publish(&log, &folded);
    // Both decide the first batch of every partition before either can read what the other wrote.
    log.inner().hold();
    let services = [start(&log, &one, settings(8)), start(&log, &other, settings(8))];
    wait_until(DEADLINE, "both have decided", || log.appends(&Topic::Memories) >= 2);
    log.inner().resume();
    services.iter().for_each(super::kit::Service::drain);
    // Whoever was behind may find the last records of the other only now; a start reads everything first.
    for service in services {
        service.stop().expect("a rival is no error");
    }
    for home in [&one, &other] {
        let again = start(&log, home, settings(8));
        again.drain();
        again.stop().expect("it was told to");
    }
    assert_eq!(one.hash(), folded.hash());
    assert_eq!(other.hash(), folded.hash());
    let steps = steps(&log);
    let contested = steps.values().filter(|records| records.len() > 1).count();
    assert!(contested >= usize::try_from(PARTITIONS).expect("few"), "only {contested} steps were contested");
    for ((subject, number), records) in &steps {
        let wanted: Vec<bool> = (0..records.len()).map(|place| place > 0).collect();
        assert_eq!(*records, wanted, "the records of step {number} of {subject}, in the order of the log");
    }
    assert_eq!(rebuilt(&log), folded.hash());
}
