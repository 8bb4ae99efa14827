//! Every implementation passes the one suite.

use event_log::{EventLog, LocalLog, LocalLogSettings, MemLog, MemLogSettings, conformance};

fn in_memory() -> MemLog {
    MemLog::with_settings(MemLogSettings {
        partitions: conformance::PARTITIONS,
        inlets: vec![conformance::inlet()],
        queue_bytes: conformance::QUEUE_BYTES,
        retention: conformance::retention(),
        tombstone_retention: conformance::RETENTION,
    })
}

fn local(dir: &std::path::Path, tail_bytes: usize) -> LocalLog {
    let settings = LocalLogSettings {
        partitions: conformance::PARTITIONS,
        inlets: vec![conformance::inlet()],
        queue_bytes: conformance::QUEUE_BYTES,
        segment_bytes: conformance::SEGMENT_BYTES,
        retention: conformance::retention(),
        tombstone_retention: conformance::RETENTION,
        tail_bytes,
        open_files: 4,
        ..LocalLogSettings::default()
    };
    LocalLog::open(dir, settings).expect("an empty directory becomes a log")
}

/// A log whose directory goes when it does.
fn local_suite(tail_bytes: usize) {
    let root = tempfile::tempdir().expect("a temporary directory");
    let numbers = std::sync::atomic::AtomicU32::new(0);
    conformance::run(&|| {
        let number = numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Box::new(local(&root.path().join(number.to_string()), tail_bytes)) as Box<dyn EventLog>
    });
}

#[test]
fn the_log_in_memory_conforms() {
    conformance::run(&|| Box::new(in_memory()));
}

#[test]
fn the_local_log_conforms() {
    local_suite(LocalLogSettings::default().tail_bytes);
}

#[test]
fn the_local_log_conforms_when_every_read_goes_to_the_file() {
    local_suite(0);
}

#[test]
fn the_log_in_memory_pushes_back() {
    let log = in_memory();
    log.hold();
    conformance::back_pressure(&log, || log.resume());
}

#[test]
fn the_local_log_pushes_back() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    conformance::back_pressure(&local(dir.path(), 0), || ());
}

#[test]
fn a_held_append_is_neither_readable_nor_resolved() {
    let log = in_memory();
    log.hold();
    let topic = event_log::Topic::Interactions;
    let partition = event_log::Partition::new(0);
    let appended = log.append(&topic, partition, vec![event_log::Record::default()]).expect("there is room");
    assert_eq!(log.watermarks(&topic, partition).expect("it exists").high, event_log::Offset::FIRST);
    log.resume();
    assert_eq!(appended.wait().expect("it is durable now"), [event_log::Offset::FIRST]);
}
