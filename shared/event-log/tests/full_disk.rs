//! A disk that is full in the middle of a write.
//!
//! The test runs itself again in a process that may not make files larger than a little. The write then fails half
//! done, as on a full disk, and what was acknowledged before must be there afterwards and nothing else.

use std::process::Command;
use std::time::Duration;

use event_log::{Error, EventLog, Limits, LocalLog, LocalLogSettings, Offset, Partition, Record, Topic};

const DIRECTORY: &str = "EVENT_LOG_FULL_DISK_DIRECTORY";
const ZERO: Partition = Partition::new(0);

fn open(dir: &std::path::Path) -> LocalLog {
    LocalLog::open(dir, LocalLogSettings { partitions: 1, ..LocalLogSettings::default() }).expect("the log opens")
}

fn record() -> Record {
    Record { value: Some(vec![7; 5000]), ..Record::default() }
}

/// Fills the file it may not fill, in the process that runs under the limit.
fn fill(dir: &std::path::Path) {
    let log = open(dir);
    let mut acknowledged = 0;
    let failed = loop {
        let appended = log.append(&Topic::Interactions, ZERO, vec![record()]);
        match appended.and_then(event_log::Appended::wait) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(failed, Error::Stopped { .. }), "{failed:?}");
    assert!(log.failure().is_some());
    assert_eq!(log.watermarks(&Topic::Interactions, ZERO).expect("it exists").high, Offset::new(acknowledged));
    assert!(acknowledged > 5 && log.wait(0, Duration::ZERO) > 0);
    std::fs::write(dir.join("acknowledged"), acknowledged.to_string()).expect("a small file still fits");
}

#[test]
fn a_full_disk_stops_the_log_and_loses_nothing() {
    if let Some(dir) = std::env::var_os(DIRECTORY) {
        return fill(dir.as_ref());
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let this = std::env::current_exe().expect("it is running");
    // 64 blocks of 1024 bytes. The signal is ignored so that the write answers an error, as a full disk does.
    let ended = Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""])
        .arg(this)
        .args(["--exact", "a_full_disk_stops_the_log_and_loses_nothing"])
        .env(DIRECTORY, dir.path())
        .output()
        .expect("bash is there");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    let acknowledged = std::fs::read_to_string(dir.path().join("acknowledged")).expect("it was written");
    let acknowledged: u64 = acknowledged.parse().expect("a number");
    let log = open(dir.path());
    assert_eq!(log.watermarks(&Topic::Interactions, ZERO).expect("it exists").high, Offset::new(acknowledged));
    let everything = Limits { records: usize::MAX, bytes: usize::MAX };
    let read = log.read(&Topic::Interactions, ZERO, Offset::FIRST, everything).expect("it can be read");
    assert_eq!(read.records.len(), usize::try_from(acknowledged).expect("small"));
    assert!(read.records.iter().all(|stored| stored.record == record()));
}
