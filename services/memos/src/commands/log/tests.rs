use std::sync::LazyLock;

use event_log::envelope::{self, OpenFrom, Working};
use event_log::{EventLog, InletName, Limits, LogId, MemLog, MemLogSettings, Offset, Partition, Record, Timestamp};
use keyring::Keyring;
use memory_core::{Handle, HashSecret, Seq, Subject, TenantId, WorkingMemory};

use super::*;

const SECRET: HashSecret = HashSecret::new([9; 32]);
/// The keys of everybody, which do not travel with a log.
static RING: LazyLock<Keyring> = LazyLock::new(|| Keyring::in_memory().expect("a ring"));

fn inlet() -> Topic {
    Topic::Inlet(InletName::try_new("events").expect("a name"))
}

fn mem_log(partitions: u32) -> MemLog {
    let inlets = vec![InletName::try_new("events").expect("a name")];
    MemLog::with_settings(MemLogSettings { partitions, inlets, ..MemLogSettings::default() })
}

fn owner(number: u8) -> Subject {
    let tenant = TenantId::try_new("t").expect("a tenant");
    Subject::owner(&tenant, Some(&format!("user {number}")), None, None).expect("an owner")
}

fn handle(number: u8) -> Handle {
    owner(number).handle(&SECRET)
}

fn state(log: LogId, number: u8, folded: Offset) -> Record {
    let mut boundary = WorkingMemory::new(handle(number), owner(number)).state().clone();
    boundary.folded = folded;
    let key = RING.of_subjects(&[(handle(number), Seq::FIRST)], Timestamp::EPOCH).expect("a key")[0];
    working(key, Working::Boundary { log, boundary: Box::new(boundary) }, 0)
}

fn working(key: Option<keyring::KeyId>, working: Working, at: i64) -> Record {
    envelope::working(&RING, key, working, Timestamp::from_micros(at)).expect("it is sealed")
}

fn record(key: &[u8], value: Option<&str>, at: i64) -> Record {
    Record {
        key: key.to_vec(),
        value: value.map(|value| value.as_bytes().to_vec()),
        headers: vec![("ce_id".to_owned(), Some(b"e".to_vec())), ("none".to_owned(), None)],
        timestamp: Timestamp::from_micros(at),
    }
}

fn append(log: &dyn EventLog, topic: &Topic, partition: Partition, record: Record) -> Offset {
    log.append(topic, partition, vec![record]).expect("room").wait().expect("durable")[0]
}

/// Five subjects, each with ten events, a state in the middle of them, a step and a step that was deleted.
fn fill(log: &dyn EventLog) {
    for round in 0..10 {
        for number in 0..5 {
            let (key, at) = (handle(number), i64::from(round));
            let text = format!("event {round} of {number}");
            let place = key.partition(log.partitions());
            append(log, &Topic::Interactions, place, record(key.as_bytes(), Some(&text), at));
            if round == 5 {
                let folded = log.watermarks(&Topic::Interactions, place).expect("a partition").high;
                append(log, &Topic::Working, place, state(log.id(), number, folded));
                let open = Working::Open { log: log.id(), partition: place, marker: OpenFrom::default() };
                append(log, &Topic::Working, place, working(None, open, at));
                let step = [key.as_bytes().as_slice(), &[0, 1]].concat();
                append(log, &Topic::Memories, place, record(&step, Some(""), at));
                append(log, &Topic::Memories, place, record(&step, None, at));
            }
        }
    }
    let first = Partition::new(0);
    for number in 0..4 {
        append(log, &inlet(), first, record(b"theirs", Some(&format!("raw {number}")), 1));
    }
    log.commit(gateway::INLET_GROUP, &inlet(), first, Offset::new(3)).expect("noted");
    append(log, &Topic::DeadLetters, first, record(b"", Some("bad"), 1));
    append(log, &Topic::Keys, first, record(b"a key", Some("which stays where it is"), 1));
}

fn archive_of(log: &dyn EventLog) -> Vec<u8> {
    let mut archive = Vec::new();
    export::write(log, &SECRET, &mut archive).expect("an archive");
    archive
}

fn import(archive: &[u8], log: &dyn EventLog) -> anyhow::Result<Counts> {
    import::run(Archive::open(archive)?, log)
}

fn records(log: &dyn EventLog, topic: &Topic, partition: Partition) -> Vec<Record> {
    let read = log.read(topic, partition, Offset::FIRST, Limits { records: 10_000, bytes: 1 << 30 });
    read.expect("a partition").records.into_iter().map(|stored| stored.record).collect()
}

/// The values of a subject's events at and above the place its state says it is folded to.
fn after_state(log: &dyn EventLog, key: Handle) -> Vec<String> {
    let place = key.partition(log.partitions());
    let rows = log.read(&Topic::Working, place, Offset::FIRST, Limits::default()).expect("a partition").records;
    let mut states = rows.iter().filter_map(|row| match envelope::read_working(&RING, row).expect("a row") {
        Some(Working::Boundary { log: named, boundary }) if boundary.subject == key => Some((named, boundary.folded)),
        Some(Working::Boundary { .. } | Working::Open { .. }) | None => None,
    });
    let (named, folded) = states.next_back().expect("the subject has a state");
    assert_eq!(named, log.id(), "the row names the log it lies in");
    let read = log.read(&Topic::Interactions, place, folded, Limits::default()).expect("a position of this log");
    let of_subject = read.records.into_iter().filter(|stored| stored.record.key == key.as_bytes());
    of_subject.map(|stored| String::from_utf8(stored.record.value.expect("a value")).expect("text")).collect()
}

#[test]
fn a_copy_holds_the_same_records_in_the_same_order() {
    let (old, new) = (mem_log(2), mem_log(2));
    fill(&old);
    let counts = import(&archive_of(&old), &new).expect("imported");
    assert_eq!(counts.skipped, 8, "three judged records of an inlet, and five rows of a partition");
    for partition in Partition::all(2) {
        for topic in [Topic::Interactions, Topic::Memories, Topic::DeadLetters] {
            assert_eq!(records(&new, &topic, partition), records(&old, &topic, partition), "{topic}/{partition}");
        }
    }
    assert_eq!(records(&new, &inlet(), Partition::new(0)).len(), 1, "only what was not judged yet");
    let keys = |log| records(log, &Topic::Keys, Partition::new(0)).len();
    assert_eq!((keys(&old), keys(&new)), (1, 0), "keys are in no archive");
}

#[test]
fn every_subject_finds_its_partition_its_order_and_its_place_in_any_number_of_partitions() {
    let old = mem_log(2);
    fill(&old);
    let archive = archive_of(&old);
    for partitions in [1, 2, 3, 7] {
        let new = mem_log(partitions);
        import(&archive, &new).expect("imported");
        for number in 0..5 {
            let key = handle(number);
            let events = records(&new, &Topic::Interactions, key.partition(partitions));
            let events = events.iter().filter(|record| record.key == key.as_bytes());
            let values: Vec<_> =
                events.map(|event| String::from_utf8_lossy(event.value.as_deref().expect("a value"))).collect();
            let wanted: Vec<_> = (0..10).map(|round| format!("event {round} of {number}")).collect();
            assert_eq!(values, wanted);
            assert_eq!(after_state(&new, key), wanted[6..], "{partitions} partitions");
            assert_eq!(after_state(&new, key), after_state(&old, key));
        }
    }
}

#[test]
fn every_damage_is_noticed() {
    let old = mem_log(1);
    fill(&old);
    let archive = archive_of(&old);
    let text = String::from_utf8(archive.clone()).expect("text");
    let refused = |archive: &[u8], why: &str| {
        let error = format!("{:#}", import(archive, &mem_log(1)).expect_err(why));
        assert!(error.contains(why), "{error}");
    };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    refused(lines[..lines.len() - 1].concat().as_bytes(), "without its checksum");
    refused(&archive[..archive.len() - 20], "neither a record nor the end");
    refused([&archive[..], b"{}\n"].concat().as_slice(), "goes on after its checksum");
    let without_one: String =
        lines.iter().enumerate().filter(|(number, _)| *number != 4).map(|(_, line)| *line).collect();
    refused(without_one.as_bytes(), "should have");
    refused(text.replacen("\"timestamp\":3", "\"timestamp\":4", 1).as_bytes(), "the checksum is wrong");
    refused(text.replacen("\"version\":1", "\"version\":2", 1).as_bytes(), "version 2");
    refused(text.replacen("memos-log", "other-log", 1).as_bytes(), "other-log");
    refused(b"", "the first line");
}

fn settings_of(partitions: u32) -> LocalLogSettings {
    let inlets = vec![InletName::try_new("events").expect("a name")];
    LocalLogSettings { partitions, inlets, ..LocalLogSettings::default() }
}

#[test]
fn a_data_directory_moves_through_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let (data, copy, file) = (dir.path().join("data"), dir.path().join("copy"), dir.path().join("log.jsonl"));
    fs::create_dir(&data).expect("a directory");
    let secret = secret::load_or_create(&secret::beside(&data)).expect("a secret");
    let log = LocalLog::open(settings::log_dir(&data), settings_of(2)).expect("a log");
    fill(&log);
    let running = format!("{:#}", export_directory(&data, &file).expect_err("a writer has the log"));
    assert!(running.contains("stop it first") && !file.exists(), "{running}");
    log.close().expect("closed");
    drop(log);

    let exported = export_directory(&data, &file).expect("exported");
    let (imported, partitions) = import_directory(&file, Some(3), &copy).expect("imported");
    assert_eq!((imported.records, partitions), (exported.records, 3));
    assert_eq!(secret::load(&secret::beside(&copy)).expect("the secret came along").as_bytes(), secret.as_bytes());
    let new = LocalLog::open_read_only(settings::log_dir(&copy)).expect("the copy");
    assert_eq!(new.partitions(), 3);
    for number in 0..5 {
        assert_eq!(after_state(&new, handle(number)).len(), 4);
    }
    let again = format!("{:#}", import_directory(&file, None, &copy).expect_err("it is not empty"));
    assert!(again.contains("not empty"), "{again}");
}

#[test]
fn a_damaged_file_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let (copy, file) = (dir.path().join("copy"), dir.path().join("log.jsonl"));
    let old = mem_log(1);
    fill(&old);
    let mut archive = archive_of(&old);
    let last = archive.len() - 5;
    archive[last] ^= 1;
    fs::write(&file, &archive).expect("the file is written");
    // What an import left that was killed is no obstacle.
    fs::create_dir_all(dir.path().join("copy.tmp/log")).expect("leftovers");
    import_directory(&file, None, &copy).expect_err("the checksum is wrong");
    let left: Vec<_> =
        fs::read_dir(dir.path()).expect("the directory").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["log.jsonl"]);
}
