//! Law 1 as the kernel sees it: nobody is told that an append is durable before its file was synced.
//!
//! A process that is killed cannot show a missing fsync, because the kernel still has what it wrote. So the test runs
//! itself again under `strace` and reads the order of system calls.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::Command;

use event_log::{EventLog, LocalLog, LocalLogSettings, Partition, Record, Topic};

const DIRECTORY: &str = "EVENT_LOG_FSYNC_DIRECTORY";
const APPENDS: usize = 20;

/// Appends to three partitions at a time and notes in a file, by one write each, that all are acknowledged.
fn append_and_acknowledge(dir: &std::path::Path) {
    let settings = LocalLogSettings { partitions: 3, segment_bytes: 2000, ..LocalLogSettings::default() };
    let log = LocalLog::open(dir.join("log"), settings).expect("the log opens");
    let mut acknowledged = std::fs::File::create(dir.join("acknowledged")).expect("it is created");
    for number in 0..APPENDS {
        let record = || vec![Record { value: Some(vec![7; 300]), ..Record::default() }];
        let append = |partition| log.append(&Topic::Interactions, Partition::new(partition), record());
        let appended: Vec<_> = (0..3).map(|partition| append(partition).expect("there is room")).collect();
        appended.into_iter().for_each(|one| drop(one.wait().expect("it becomes durable")));
        acknowledged.write_all(format!("acknowledged {number}").as_bytes()).expect("it is written");
    }
}

#[test]
fn nothing_is_acknowledged_before_it_is_synced() {
    if let Some(dir) = std::env::var_os(DIRECTORY) {
        return append_and_acknowledge(dir.as_ref());
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let trace = dir.path().join("trace");
    let ended = Command::new("strace")
        .args(["-f", "-e", "trace=write,pwrite64,fdatasync,fsync", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().expect("it is running"))
        .args(["--exact", "nothing_is_acknowledged_before_it_is_synced"])
        .env(DIRECTORY, dir.path())
        .output()
        .expect("strace is installed");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    let trace = std::fs::read_to_string(trace).expect("strace wrote it");
    let seen = follow(&trace);
    assert_eq!(seen.acknowledged, APPENDS);
    assert!(seen.written >= APPENDS * 3, "the writes were seen: {}", seen.written);
}

#[derive(Default)]
struct Seen {
    written: usize,
    acknowledged: usize,
}

/// Walks over the trace and checks at every acknowledgement that no file has unsynced writes.
fn follow(trace: &str) -> Seen {
    let mut seen = Seen::default();
    let mut unsynced: BTreeSet<&str> = BTreeSet::new();
    // A call that another thread interrupted in the trace: thread to file.
    let mut syncing: BTreeMap<&str, &str> = BTreeMap::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let call = call.trim_start();
        let file = call.split_once('(').and_then(|(_, rest)| rest.split([',', ')', ' ']).next()).unwrap_or_default();
        if call.starts_with("pwrite64(") {
            seen.written += 1;
            unsynced.insert(file);
        } else if call.starts_with("fdatasync(") || call.starts_with("fsync(") {
            if call.ends_with("= 0") {
                unsynced.remove(file);
            } else {
                syncing.insert(thread, file);
            }
        } else if call.contains("sync resumed>") && call.ends_with("= 0") {
            if let Some(file) = syncing.remove(thread) {
                unsynced.remove(file);
            }
        } else if call.starts_with("write(") && call.contains("\"acknowledged ") {
            seen.acknowledged += 1;
            assert!(unsynced.is_empty(), "acknowledged before the sync of {unsynced:?}: {line}");
        }
    }
    seen
}
