//! What only a log on a disk can do wrong: lose its end, be damaged, be opened twice, be interrupted.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use event_log::{
    Error, EventLog, FailureHook, InletName, Limits, LocalLog, LocalLogSettings, Offset, Partition, Record, Retention,
    RetentionByTopic, Stored, Timestamp, Topic,
};
use tempfile::TempDir;

const ZERO: Partition = Partition::new(0);
const TOPIC: Topic = Topic::Interactions;

fn settings() -> LocalLogSettings {
    LocalLogSettings { partitions: 1, segment_bytes: 512, tail_bytes: 0, ..LocalLogSettings::default() }
}

fn open(dir: &Path) -> LocalLog {
    LocalLog::open(dir, settings()).expect("the log opens")
}

fn dir() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn record(i: usize) -> Record {
    Record {
        key: format!("k{}", i % 7).into_bytes(),
        value: Some(format!("value {i}").into_bytes()),
        headers: vec![("h".to_owned(), None)],
        timestamp: Timestamp::from_micros(0),
    }
}

fn put(log: &LocalLog, topic: &Topic, i: usize) -> Offset {
    log.append(topic, ZERO, vec![record(i)]).expect("there is room").wait().expect("it becomes durable")[0]
}

/// Everything from `from` to the end, or the first error.
fn read_from(log: &dyn EventLog, topic: &Topic, from: Offset) -> Result<Vec<Stored>, Error> {
    let mut all = Vec::new();
    let mut next = from;
    loop {
        let batch = log.read(topic, ZERO, next, Limits::default())?;
        if batch.records.is_empty() {
            return Ok(all);
        }
        next = batch.next;
        all.extend(batch.records);
    }
}

fn read(log: &dyn EventLog, topic: &Topic) -> Vec<Stored> {
    read_from(log, topic, Offset::FIRST).expect("the log is whole")
}

fn segments(dir: &Path, topic: &Topic) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join(topic.to_string()).join("0")).expect("the partition exists");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it is listed").path()).collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("it is listed") {
        let entry = entry.expect("it is listed").path();
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).expect("it is copied");
        }
    }
}

fn flip(file: &Path, at: u64, bit: u8) {
    let file = fs::File::options().read(true).write(true).open(file).expect("it opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("it is there");
    file.write_all_at(&[byte[0] ^ (1 << bit)], at).expect("it is written");
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).expect("it is there").len()
}

#[test]
fn a_log_is_the_same_after_it_was_closed() {
    let dir = dir();
    let inlet = Topic::Inlet(InletName::try_new("chat").expect("letters"));
    let with_inlet = LocalLogSettings { inlets: vec![InletName::try_new("chat").expect("letters")], ..settings() };
    let log = LocalLog::open(dir.path(), with_inlet).expect("it opens");
    for i in 0..50 {
        put(&log, &TOPIC, i);
        put(&log, &inlet, i);
    }
    log.commit("gateway", &inlet, ZERO, Offset::new(5)).expect("it is noted");
    let (id, before) = (log.id(), read(&log, &TOPIC));
    log.close().expect("it closes");
    log.close().expect("it is closed");
    assert!(matches!(log.append(&TOPIC, ZERO, vec![record(0)]), Err(Error::Closed)));
    assert_eq!(read(&log, &TOPIC), before, "a closed log can be read");

    let again = open(dir.path());
    assert_eq!(again.id(), id);
    assert_eq!(read(&again, &TOPIC), before);
    assert_eq!(read(&again, &inlet).len(), 50, "an inlet with records stays, named or not");
    assert_eq!(again.committed("gateway", &inlet, ZERO).expect("it exists"), Some(Offset::new(5)));
    assert_eq!(put(&again, &TOPIC, 50), Offset::new(50));
    let checked = again.check().expect("it can be read");
    assert!(checked.problems.is_empty() && checked.records == 101, "{checked:?}");
}

#[test]
fn an_append_cut_off_at_any_byte_is_undone() {
    let dir = dir();
    let master = dir.path().join("master");
    let log = open(&master);
    for i in 0..3 {
        put(&log, &TOPIC, i);
    }
    let before = length(&segments(&master, &TOPIC)[0]);
    put(&log, &TOPIC, 3);
    drop(log);
    let after = length(&segments(&master, &TOPIC)[0]);
    assert!(after - before > 30);
    for end in before..after {
        let crashed = dir.path().join(end.to_string());
        copy(&master, &crashed);
        let file = segments(&crashed, &TOPIC).remove(0);
        fs::File::options().write(true).open(&file).and_then(|file| file.set_len(end)).expect("it is cut");
        let beside = LocalLog::open_read_only(&crashed).expect("a reader opens it as it is");
        assert_eq!(read(&beside, &TOPIC).len(), 3);
        assert_eq!(length(&file), end, "a reader repairs nothing");
        let log = open(&crashed);
        assert_eq!(length(&file), before, "the unfinished append is cut off");
        assert_eq!(put(&log, &TOPIC, 9), Offset::new(3));
        drop(log);
        assert_eq!(read(&open(&crashed), &TOPIC).len(), 4);
    }
}

#[test]
fn zeros_and_noise_behind_the_last_record_are_cut_off() {
    for noise in [vec![0; 4096], vec![0xff; 4096], (0..4096_u32).map(|i| (i * i % 251) as u8).collect()] {
        let dir = dir();
        let log = open(dir.path());
        put(&log, &TOPIC, 0);
        drop(log);
        let file = segments(dir.path(), &TOPIC).remove(0);
        let end = length(&file);
        fs::File::options().write(true).open(&file).and_then(|file| file.write_all_at(&noise, end)).expect("written");
        assert_eq!(read(&open(dir.path()), &TOPIC).len(), 1);
        assert_eq!(length(&file), end);
    }
}

#[test]
fn a_flipped_bit_in_any_byte_of_a_closed_segment_is_found() {
    let dir = dir();
    let log = open(dir.path());
    for i in 0..40 {
        put(&log, &TOPIC, i);
    }
    drop(log);
    let files = segments(dir.path(), &TOPIC);
    assert!(files.len() >= 3);
    for at in 0..length(&files[0]) {
        let bit = (at % 8) as u8;
        flip(&files[0], at, bit);
        // A damaged header shows at once, a damaged frame when the segment is first read, from wherever it is.
        if let Ok(log) = LocalLog::open_read_only(dir.path()) {
            let everything = read_from(&log, &TOPIC, Offset::FIRST);
            let named = matches!(&everything, Err(Error::Corrupt { file, .. }) if *file == files[0]);
            assert!(named, "byte {at}: {everything:?}");
            let checked = log.check().expect("it can be read");
            assert_eq!(checked.problems.len(), 1, "byte {at}");
        }
        flip(&files[0], at, bit);
    }
    assert_eq!(read(&open(dir.path()), &TOPIC).len(), 40, "all bits are back");
}

#[test]
fn damage_before_whole_records_is_not_mistaken_for_an_unfinished_append() {
    let dir = dir();
    let log = LocalLog::open(dir.path(), LocalLogSettings { segment_bytes: 1 << 20, ..settings() }).expect("it opens");
    for i in 0..3 {
        put(&log, &TOPIC, i);
    }
    drop(log);
    let file = segments(dir.path(), &TOPIC).remove(0);
    let frame = (length(&file) - 40) / 3;
    for at in 40..40 + 2 * frame {
        flip(&file, at, 3);
        match LocalLog::open(dir.path(), settings()) {
            Err(Error::Corrupt { file: named, position, offset, .. }) => {
                let place = (at - 40) / frame;
                assert_eq!((named, position, offset.get()), (file.clone(), 40 + place * frame, place));
            }
            other => assert!(other.is_err(), "byte {at} went unnoticed"),
        }
        flip(&file, at, 3);
    }
    assert_eq!(length(&file), 40 + 3 * frame, "nothing was cut off");
}

#[test]
fn a_closed_segment_that_became_shorter_is_found() {
    let dir = dir();
    let log = open(dir.path());
    for i in 0..40 {
        put(&log, &TOPIC, i);
    }
    drop(log);
    let file = segments(dir.path(), &TOPIC).remove(1);
    let frames = length(&file);
    // Wherever it is cut, also between two frames, where every checksum still holds.
    for end in [frames - 1, frames - (frames - 40) / 8, 40, 39, 0] {
        let cut = dir.path().join(format!("cut {end}"));
        copy(&dir.path().join("interactions"), &cut.join("interactions"));
        fs::copy(dir.path().join("log.json"), cut.join("log.json")).expect("it is copied");
        let file = segments(&cut, &TOPIC).remove(1);
        fs::File::options().write(true).open(&file).and_then(|file| file.set_len(end)).expect("it is cut");
        let found = LocalLog::open(&cut, settings()).and_then(|log| read_from(&log, &TOPIC, Offset::FIRST));
        assert!(matches!(found, Err(Error::Corrupt { .. })), "cut at {end}: {found:?}");
        let thorough = LocalLog::open(&cut, LocalLogSettings { verify_on_open: true, ..settings() });
        assert!(matches!(thorough, Err(Error::Corrupt { .. })), "cut at {end}");
    }
    fs::remove_file(&file).expect("it is removed");
    let found = read_from(&open(dir.path()), &TOPIC, Offset::FIRST);
    assert!(matches!(found, Err(Error::Corrupt { .. })), "{found:?}");
}

#[test]
fn whole_frames_in_the_wrong_place_are_found() {
    let dir = dir();
    let log = open(dir.path());
    for i in 0..20 {
        put(&log, &TOPIC, i % 5);
    }
    drop(log);
    let files = segments(dir.path(), &TOPIC);
    // In a closed segment it shows when it is read, in the newest one at once, and it is never cut off.
    for file in [&files[0], &files[files.len() - 1]] {
        let whole = fs::read(file).expect("it is there");
        let frame = 8 + usize::from(whole[40]);
        assert_eq!((whole.len() - 40) % frame, 0, "all frames have the same length");
        assert!(whole.len() >= 40 + 2 * frame, "there are two to swap");
        let first: u64 = file.file_stem().and_then(|n| n.to_str()).expect("a name").parse().expect("digits");
        let mut swapped = whole.clone();
        swapped[40..40 + frame].copy_from_slice(&whole[40 + frame..40 + 2 * frame]);
        swapped[40 + frame..40 + 2 * frame].copy_from_slice(&whole[40..40 + frame]);
        fs::write(file, &swapped).expect("it is written");
        let found = LocalLog::open(dir.path(), settings()).and_then(|log| read_from(&log, &TOPIC, Offset::FIRST));
        match found {
            Err(Error::Corrupt { file: named, position: 40, offset, .. }) => {
                assert_eq!((&named, offset), (file, Offset::new(first)));
            }
            other => assert!(other.is_err(), "the swap went unnoticed"),
        }
        assert_eq!(fs::read(file).expect("it is there"), swapped, "nothing was repaired away");
        fs::write(file, whole).expect("it is written");
    }
    assert_eq!(read(&open(dir.path()), &TOPIC).len(), 20);

    // An old frame behind the last one is whole, so no crash left it there.
    let newest = &files[files.len() - 1];
    let mut longer = fs::read(newest).expect("it is there");
    longer.extend_from_within(40..48 + usize::from(longer[40]));
    fs::write(newest, &longer).expect("it is written");
    assert!(matches!(LocalLog::open(dir.path(), settings()), Err(Error::Corrupt { .. })));
}

#[test]
fn a_compacted_segment_that_became_shorter_is_found() {
    let dir = dir();
    let log = open(dir.path());
    for i in 0..60 {
        put(&log, &Topic::Memories, i);
    }
    log.maintain(Timestamp::from_micros(0)).expect("nothing is broken");
    let kept = read(&log, &Topic::Memories).len();
    drop(log);
    let file = segments(dir.path(), &Topic::Memories).remove(0);
    let whole = fs::read(&file).expect("it is there");
    let records = u64::from_le_bytes(whole[28..36].try_into().expect("eight bytes"));
    assert!(records > 0 && records < 60);
    // All keys and values that are left have the same lengths.
    let frame = (whole.len() - 40) / usize::try_from(records).expect("small");
    fs::write(&file, &whole[..whole.len() - frame]).expect("it is written");
    let found = read_from(&open(dir.path()), &Topic::Memories, Offset::FIRST);
    assert!(matches!(&found, Err(Error::Corrupt { file: named, .. }) if *named == file), "{found:?}");
    fs::write(&file, whole).expect("it is written");
    assert_eq!(read(&open(dir.path()), &Topic::Memories).len(), kept);
}

#[test]
fn a_crash_at_any_moment_of_a_compaction_changes_nothing() {
    let topic = Topic::Memories;
    let dir = dir();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let log = open(&old);
    for i in 0..60 {
        put(&log, &topic, i);
    }
    drop(log);
    copy(&old, &new);
    let log = open(&new);
    assert!(log.maintain(Timestamp::from_micros(0)).expect("nothing is broken").compacted_records > 0);
    let expected = read(&log, &topic);
    drop(log);
    let merged = segments(&new, &topic);
    let leftovers: Vec<_> =
        segments(&old, &topic).into_iter().filter(|f| !merged.iter().any(|m| m.file_name() == f.file_name())).collect();
    assert!(leftovers.len() > 1, "segments were merged");

    // Between the writing of the new file and its renaming.
    let prepared = merged[0].with_extension("log.tmp").file_name().expect("a name").to_owned();
    let stray = segments(&old, &topic)[0].with_file_name(prepared);
    fs::copy(&merged[0], &stray).expect("it is copied");
    assert_eq!(read(&open(&old), &topic).len(), 60);
    assert!(!stray.exists(), "what was not finished is removed");

    // Between the renaming and the removal of what was merged into the new file.
    for file in &leftovers {
        fs::copy(file, new.join("memories/0").join(file.file_name().expect("a name"))).expect("it is copied");
    }
    assert_eq!(read(&LocalLog::open_read_only(&new).expect("it opens"), &topic), expected);
    assert_eq!(read(&open(&new), &topic), expected);
    assert_eq!(segments(&new, &topic), merged, "what was merged is removed");
}

#[test]
fn reading_goes_on_while_segments_are_replaced() {
    let topic = Topic::Working;
    let dir = dir();
    let log = Arc::new(open(dir.path()));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut rounds = 0;
                    while !done.load(std::sync::atomic::Ordering::Relaxed) || rounds == 0 {
                        let all = read(log.as_ref(), &topic);
                        assert!(all.windows(2).all(|two| two[0].offset < two[1].offset));
                        for stored in &all {
                            let i = usize::try_from(stored.offset.get()).expect("small");
                            assert_eq!(stored.record, record(i), "every offset holds its record");
                        }
                        rounds += 1;
                    }
                })
            })
            .collect();
        for i in 0..400 {
            put(&log, &topic, i);
            if i % 20 == 19 {
                log.maintain(Timestamp::from_micros(0)).expect("nothing is broken");
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().expect("no reader failed"));
    });
    let all = read(log.as_ref(), &topic);
    assert!(all.len() < 60, "{} records are left of seven keys", all.len());
}

#[test]
fn retention_remembers_who_has_not_read() {
    let dir = dir();
    let retention = RetentionByTopic { interactions: Retention::once_read(Duration::ZERO), ..Default::default() };
    let settings = LocalLogSettings { retention, ..settings() };
    let log = LocalLog::open(dir.path(), settings.clone()).expect("it opens");
    for i in 0..60 {
        put(&log, &TOPIC, i);
    }
    log.release("working-memory", &TOPIC, ZERO, Offset::new(20)).expect("it is noted");
    drop(log);
    // The reader does not come back; a second one is far ahead.
    let log = LocalLog::open(dir.path(), settings).expect("it opens");
    log.release("recall", &TOPIC, ZERO, Offset::new(60)).expect("it is noted");
    log.maintain(Timestamp::from_micros(i64::MAX)).expect("nothing is broken");
    let low = log.watermarks(&TOPIC, ZERO).expect("it exists").low.get();
    assert!((1..=20).contains(&low), "trimmed to {low}");
    drop(log);
    let log = open(dir.path());
    assert_eq!(log.watermarks(&TOPIC, ZERO).expect("it exists").low.get(), low);
    assert!(log.check().expect("it can be read").problems.is_empty());
}

#[test]
fn a_quiet_partition_is_trimmed_too_and_keeps_its_place() {
    let dir = dir();
    let retention = RetentionByTopic { dead_letters: Retention::by_age(Duration::ZERO), ..Default::default() };
    let settings = LocalLogSettings { retention, segment_bytes: 1 << 20, ..settings() };
    let log = LocalLog::open(dir.path(), settings).expect("it opens");
    for i in 0..5 {
        put(&log, &Topic::DeadLetters, i);
    }
    let trimmed = log.maintain(Timestamp::from_seconds(3 * 24 * 3600)).expect("nothing is broken");
    assert_eq!(trimmed.trimmed_records, 5);
    drop(log);
    let log = open(dir.path());
    let marks = log.watermarks(&Topic::DeadLetters, ZERO).expect("it exists");
    assert_eq!((marks.low.get(), marks.high.get()), (5, 5));
    assert_eq!(put(&log, &Topic::DeadLetters, 5), Offset::new(5));
}

#[test]
fn a_second_writer_is_refused_and_a_reader_is_not() {
    let dir = dir();
    let log = open(dir.path());
    put(&log, &TOPIC, 0);
    let second = LocalLog::open(dir.path(), settings()).expect_err("it is in use");
    let message = second.to_string();
    assert!(matches!(second, Error::Locked { .. }), "{message}");
    assert!(message.contains(&dir.path().display().to_string()), "{message}");
    assert!(message.contains(&std::process::id().to_string()), "{message}");
    let reader = LocalLog::open_read_only(dir.path()).expect("a reader takes no lock");
    assert_eq!(read(&reader, &TOPIC).len(), 1);
    assert!(matches!(reader.append(&TOPIC, ZERO, vec![record(1)]), Err(Error::ReadOnly)));
    assert!(matches!(reader.maintain(Timestamp::EPOCH), Err(Error::ReadOnly)));
    assert!(matches!(reader.commit("g", &TOPIC, ZERO, Offset::FIRST), Err(Error::ReadOnly)));
    drop(log);
    open(dir.path());
}

#[test]
fn what_does_not_fit_the_directory_is_refused() {
    let nothing = dir();
    assert!(matches!(LocalLog::open_read_only(nothing.path()), Err(Error::Missing { .. })));
    let dir = dir();
    put(&open(dir.path()), &TOPIC, 0);
    let more = LocalLog::open(dir.path(), LocalLogSettings { partitions: 2, ..settings() });
    assert!(matches!(more, Err(Error::PartitionCount { has: 1, asked: 2, .. })), "{more:?}");
    let none = LocalLog::open(dir.path(), LocalLogSettings { partitions: 0, ..settings() });
    assert!(matches!(none, Err(Error::Setting { setting: "partitions", .. })));

    let file = segments(dir.path(), &TOPIC).remove(0);
    let mut header = fs::read(&file).expect("it is there");
    header[8] = 2;
    let crc = crc32c::crc32c(&header[..36]);
    header[36..40].copy_from_slice(&crc.to_le_bytes());
    fs::write(&file, header).expect("it is written");
    let newer = LocalLog::open(dir.path(), settings());
    assert!(matches!(&newer, Err(Error::UnknownVersion { file: f, version: 2, known: 1 }) if *f == file), "{newer:?}");

    let description = dir.path().join("log.json");
    fs::write(&description, r#"{"format": 9, "shape": "new"}"#).expect("it is written");
    let newer = LocalLog::open(dir.path(), settings());
    assert!(matches!(newer, Err(Error::UnknownVersion { version: 9, .. })), "{newer:?}");
    fs::remove_file(description).expect("it is removed");
    let lost = LocalLog::open(dir.path(), settings());
    assert!(matches!(lost, Err(Error::Corrupt { .. })), "{lost:?}");
}

#[test]
fn the_first_failed_write_stops_the_log_for_good() {
    let dir = dir();
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&reasons);
    let hook = FailureHook::new(move |reason| noted.lock().expect("no panic").push(reason.to_owned()));
    let log = LocalLog::open_with(dir.path(), settings(), hook).expect("it opens");
    put(&log, &TOPIC, 0);
    let generation = log.wait(0, Duration::ZERO);
    // A file stands where the directory of the next topic has to be.
    fs::write(dir.path().join("receipts"), "in the way").expect("it is written");
    let failed = log.append(&Topic::Receipts, ZERO, vec![record(1)]).expect("it is queued").wait();
    assert!(matches!(failed, Err(Error::Stopped { .. })), "{failed:?}");
    assert!(log.wait(generation, Duration::from_secs(30)) > generation, "readers are woken");
    let later = log.append(&TOPIC, ZERO, vec![record(2)]);
    assert!(matches!(later, Err(Error::Stopped { .. })), "{later:?}");
    assert!(log.maintain(Timestamp::EPOCH).is_err());
    assert_eq!(read(&log, &TOPIC).len(), 1, "what is durable can still be read");
    let reason = log.failure().expect("it has failed");
    assert!(log.close().is_err());
    assert_eq!(reasons.lock().expect("no panic").as_slice(), std::slice::from_ref(&reason), "the hook is called once");
    assert!(reason.contains("receipts"), "{reason}");
    drop(log);
    fs::remove_file(dir.path().join("receipts")).expect("it is removed");
    assert_eq!(put(&open(dir.path()), &TOPIC, 1), Offset::new(1), "a new start recovers");
}
