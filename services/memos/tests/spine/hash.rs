//! One hash: whatever way the same events take into long-term memory, it is the same to the last byte.
//!
//! A recorded input of more than a thousand memories is fed to a live server, and its canonical dump is the reference.
//! Everything else rebuilds it in another way and must come to the same hash: from all of the log, or from nothing but
//! the events, whose windows are then decided anew. The recorded input leaves an open window behind for everybody, so
//! nothing below holds only for subjects at rest.

// law: L06

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use memos_client::EventStatus;
use testkit::Random;

use crate::harness::{
    ArchiveText, DEADLINE, DumpText, Load, Publisher, Server, block_on, data_dir, delete_store, hash, is_long, run,
    seed, verify, wait_for_status, wait_until, wait_until_final,
};

/// No tick may move a boundary while windows are decided anew.
const NO_TICKS: &str = "working_memory.idle_tick_seconds=0";
/// Subjects that left RAM because nothing came for them; the marker of open windows is written after it.
const IDLE: &str = "memos_working_memory_passivations_total{reason=\"idle\"}";
/// Batches of one record, of an odd number, and of all at once.
const BATCHES: [u32; 3] = [1, 7, 4_096];

/// A recorded input, stopped, and what was seen of it while it was live.
struct Reference {
    dir: PathBuf,
    hash: String,
    /// The last event of each user that is consolidated.
    ends: Vec<String>,
    /// The event of each user that lies in an open window.
    open: Vec<String>,
    /// The number of each user's next event.
    next: BTreeMap<String, u64>,
    /// Its keys, exported.
    keys: PathBuf,
}

impl Reference {
    /// Feeds a live server: a load, then silence until ticks close the windows, then an open window for everybody.
    fn record(root: &Path, seed: u64) -> Self {
        Self::of(root, seed, |load| load)
    }

    /// The same for rebuilding from less than the whole log. Keys that a forget has destroyed are missing there: what one
    /// subject has left lies only in its steps, sealed anew.
    fn without_forgets(root: &Path, seed: u64) -> Self {
        Self::of(root, seed, Load::without_forgets)
    }

    fn of(root: &Path, seed: u64, change: impl FnOnce(Load) -> Load) -> Self {
        let dir = data_dir(root, "reference", seed);
        let (users, events) = if is_long() { (300, 20_000) } else { (100, 4_000) };
        let mut publisher = Publisher::new(seed, change(Load::new(seed, "hash", users)));
        let server = Server::start(&dir, &["--set", NO_TICKS]);
        feed(&server, &mut publisher, seed, events);
        server.stop();

        let server = Server::start(&dir, &["--set", "working_memory.idle_tick_seconds=1"]);
        let ends = leave_open(&server, &mut publisher);
        wait_until_final(&server, ends.iter().map(String::as_str));
        assert!(server.metric("memos_working_memory_ticks_total") > 0.0, "nothing was closed by a tick");
        server.stop();

        let server = Server::start(&dir, &["--set", NO_TICKS]);
        let open = leave_open(&server, &mut publisher);
        wait_until_recallable(&server, &open);
        let live = hash(&dir);
        let next = next_seqs(&server, publisher.load.users());
        assert_eq!(next.values().sum::<u64>(), total(&publisher) + ticks(&dir), "every distinct event has one number");
        server.stop();
        let dump = DumpText::of(&dir);
        let memories = dump.rows("memory").map(|(_, row)| row["kind"].as_str().map(str::to_owned));
        let kinds: BTreeSet<String> = memories.flatten().collect();
        assert_eq!(kinds.len(), 6, "the same holds for every kind of memory: {kinds:?}");
        let keys = root.join("reference.exported");
        run(&dir, &["keys", "export", &keys.to_string_lossy()]);
        Self { dir, hash: live, ends, open, next, keys }
    }

    /// Waits until a server has come to where the recorded one was, and compares.
    #[track_caller]
    fn assert_same(&self, server: Server, dir: &Path, how: &str) {
        wait_until_final(&server, self.ends.iter().map(String::as_str));
        wait_until_recallable(&server, &self.open);
        let next = next_seqs(&server, self.next.keys().map(String::as_str));
        assert_eq!(next, self.next, "{how}: working memory counts otherwise");
        server.stop();
        assert_eq!(hash(dir), self.hash, "{how}");
        eprintln!("the same hash: {how}");
    }
}

fn feed(server: &Server, publisher: &mut Publisher, seed: u64, events: u64) {
    let (client, mut random) = (server.client(), Random::new(seed));
    block_on(async {
        let mut sent = 0;
        while sent < events {
            let most = if random.chance(10) { 200 } else { 20 };
            sent += publisher.next(&client, most).await.expect("the server runs");
        }
        let ends = publisher.load.end_sessions();
        publisher.send(&client, ends).await.expect("the server runs");
    });
}

/// Says something of no importance for everybody; answers the ids.
fn leave_open(server: &Server, publisher: &mut Publisher) -> Vec<String> {
    let events = publisher.load.small_talk();
    let ids = events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect();
    block_on(publisher.send(&server.client(), events)).expect("the server runs");
    ids
}

/// A turn that no step covers is in the conversation: nothing is ever briefly nowhere.
#[track_caller]
fn wait_until_recallable(server: &Server, events: &[String]) {
    let open = events.iter().map(String::as_str);
    wait_for_status(server, open, "is recallable", |status| status == EventStatus::Recallable);
}

fn next_seqs<'a>(server: &Server, users: impl Iterator<Item = &'a str>) -> BTreeMap<String, u64> {
    users.map(|user| (user.to_owned(), server.next_seq(user))).collect()
}

fn total(publisher: &Publisher) -> u64 {
    publisher.ledger.acknowledged().count() as u64
}

/// Every accepted tick has a fate; no producer has an id like that of a tick, which is a UUID.
fn ticks(dir: &Path) -> u64 {
    DumpText::of(dir)
        .rows("fate")
        .filter(|(_, row)| row["event_id"].as_str().is_some_and(|id| !id.starts_with("hash-")))
        .count() as u64
}

/// Settings that read in batches of `records`.
fn batches(records: u32) -> Vec<String> {
    let services = ["working_memory", "consolidator", "recall"];
    services.iter().flat_map(|service| ["--set".to_owned(), format!("{service}.batch_records={records}")]).collect()
}

/// Arguments without ticks, and with these.
fn with(more: &[String]) -> Vec<&str> {
    ["--set", NO_TICKS].into_iter().chain(more.iter().map(String::as_str)).collect()
}

/// Three actors in RAM and none that rests; recall keeps no conversation either.
const PASSIVATE: [&str; 8] = [
    "--set",
    "working_memory.active_max=3",
    "--set",
    "working_memory.passivate_after_seconds=0",
    "--set",
    "working_memory.batch_records=10",
    "--set",
    "recall.conversations_max=0",
];

fn passivating() -> Vec<String> {
    PASSIVATE.map(str::to_owned).to_vec()
}

#[test]
fn live_restarted_and_rebuilt_from_the_log_are_the_same() {
    let seed = seed("hash of the log", "stores deleted, batches of 1, 7 and 4096, passivation");
    let root = tempfile::tempdir().expect("a directory");
    let reference = Reference::record(root.path(), seed);
    let dir = reference.dir.clone();
    assert_eq!(hash(&dir), reference.hash, "stopped");
    reference.assert_same(Server::start(&dir, &["--set", NO_TICKS]), &dir, "restarted");
    verify(&dir);
    // Long enough to put every open window aside and to note from where the log must be read again.
    let server = Server::start(&dir, &["--set", NO_TICKS, "--set", "working_memory.passivate_after_seconds=0"]);
    wait_until(DEADLINE, "everybody is put aside", || server.metric(IDLE) >= reference.open.len() as f64);
    server.stop();
    reference.assert_same(Server::start(&dir, &["--set", NO_TICKS]), &dir, "restarted with open windows put aside");
    for records in BATCHES {
        delete_store(&dir);
        let server = Server::start(&dir, &with(&batches(records)));
        reference.assert_same(server, &dir, &format!("the store rebuilt in batches of {records}"));
    }
    delete_store(&dir);
    reference.assert_same(Server::start(&dir, &with(&passivating())), &dir, "the store rebuilt while passivating");
    verify(&dir);
}

#[test]
fn the_events_alone_come_to_the_same_memories() {
    let seed =
        seed("hash of the events", "only `interactions` moved, batches of 1, 7 and 4096, passivation, snapshots");
    let root = tempfile::tempdir().expect("a directory");
    let reference = Reference::without_forgets(root.path(), seed);
    let exported = root.path().join("log.jsonl");
    run(&reference.dir, &["log", "export", &exported.to_string_lossy()]);
    let archive = ArchiveText::read(&exported);
    let events = root.path().join("events.jsonl");
    archive.only(&["interactions"]).write(&events);
    let again = |name: &str, settings: Vec<String>, how: &str| {
        let dir = import(root.path(), name, &events, &reference.keys, &[]);
        reference.assert_same(Server::start(&dir, &with(&settings)), &dir, how);
        verify(&dir);
        dir
    };
    for records in BATCHES {
        again(&format!("batches-{records}"), batches(records), &format!("decided anew in batches of {records}"));
    }
    let dir = import(root.path(), "passivating", &events, &reference.keys, &[]);
    let server = Server::start(&dir, &with(&passivating()));
    wait_until_final(&server, reference.ends.iter().map(String::as_str));
    let passivations = server.metric("memos_working_memory_passivations_total");
    assert!(passivations > 100.0, "only {passivations} actors left RAM");
    reference.assert_same(server, &dir, "decided anew while passivating");
    verify(&dir);
    let dir =
        again("snapshots", vec!["--set".to_owned(), "consolidator.snapshot_every=5".to_owned()], "with snapshots");
    let snapshots = export(&dir, root.path(), "snapshots.jsonl");
    let (records, tombstones) = snapshots.count("memories");
    assert!(tombstones > 100 && tombstones < records, "{tombstones} of {records} steps were replaced");
    delete_store(&dir);
    reference.assert_same(Server::start(&dir, &["--set", NO_TICKS]), &dir, "rebuilt from snapshots");
}

#[test]
fn a_log_that_moves_takes_its_memories_along() {
    let seed = seed("hash of a moved log", "as many partitions, five, one");
    let root = tempfile::tempdir().expect("a directory");
    let reference = Reference::record(root.path(), seed);
    let archive = export(&reference.dir, root.path(), "log.jsonl");
    let exported = root.path().join("log.jsonl");
    for (name, partitions) in [("two", "2"), ("five", "5"), ("one", "1")] {
        let dir = import(root.path(), name, &exported, &reference.keys, &["--partitions", partitions]);
        let setting = ["--set".to_owned(), format!("log.partitions={partitions}")];
        let how = format!("moved to {partitions} partitions");
        reference.assert_same(Server::start(&dir, &with(&setting)), &dir, &how);
        run(&dir, &["verify", "--set", &setting[1]]);
        let moved = export(&dir, root.path(), &format!("{name}.jsonl"));
        assert_eq!(moved.count("consolidations"), archive.count("consolidations"), "{how}: windows were closed again");
        assert_eq!(moved.count("memories"), archive.count("memories"), "{how}: steps were decided again");
    }
}

#[test]
fn windows_that_were_closed_stand_whatever_the_rules_are_now() {
    let seed = seed("hash under other rules", "only `interactions` and `consolidations` moved, batches of 1 and 7");
    let root = tempfile::tempdir().expect("a directory");
    let reference = Reference::without_forgets(root.path(), seed);
    let archive = export(&reference.dir, root.path(), "log.jsonl");
    // However often their subjects leave RAM.
    let windows = root.path().join("windows.jsonl");
    archive.only(&["interactions", "consolidations"]).write(&windows);
    for (name, batch) in [("rules-1", 1), ("rules-7", 7)] {
        let dir = import(root.path(), name, &windows, &reference.keys, &[]);
        let mut settings = passivating();
        settings.extend(batches(batch));
        for rule in ["rules.window_turns_max=3", "rules.salient_at=300", "rules.gap_seconds=40", "rules.keep_at=600"] {
            settings.extend(["--set".to_owned(), rule.to_owned()]);
        }
        reference.assert_same(Server::start(&dir, &with(&settings)), &dir, "closed windows under other rules");
        let stands = export(&dir, root.path(), &format!("{name}.jsonl"));
        assert_eq!(stands.count("consolidations"), archive.count("consolidations"), "windows were closed again");
    }
}

#[test]
fn altering_any_memory_alters_the_hash() {
    let seed = seed("hash of an altered dump", "50 memories altered, one at a time");
    let root = tempfile::tempdir().expect("a directory");
    let reference = Reference::record(root.path(), seed);
    let mut dump = DumpText::of(&reference.dir);
    assert_eq!(dump.hash(), reference.hash, "the hash is that of the text");
    dump.assert_every_source_counts_once();
    let memories = dump.memories();
    assert!(memories.len() >= 1_000, "there are only {} memories", memories.len());
    let mut random = Random::new(seed);
    for _ in 0..50 {
        let place = *random.pick(&memories);
        let line = dump.lines[place].clone();
        let altered = alter(&mut random, &line);
        dump.lines[place] = altered.clone();
        assert_ne!(dump.hash(), reference.hash, "{line} became {altered}");
        dump.lines[place] = line;
    }
    assert_eq!(dump.hash(), reference.hash);
}

/// The line with one letter or digit changed.
fn alter(random: &mut Random, line: &str) -> String {
    let letters: Vec<usize> =
        line.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphanumeric()).map(|(at, _)| at).collect();
    let mut bytes = line.as_bytes().to_vec();
    let at = *random.pick(&letters);
    bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
    String::from_utf8(bytes).expect("ASCII became ASCII")
}

fn export(dir: &Path, root: &Path, name: &str) -> ArchiveText {
    let file = root.join(name);
    run(dir, &["log", "export", &file.to_string_lossy()]);
    ArchiveText::read(&file)
}

/// A new data directory of an archive, with keys that were exported.
fn import(root: &Path, name: &str, file: &Path, keys: &Path, more: &[&str]) -> PathBuf {
    let (dir, file) = (root.join(name), file.to_string_lossy());
    run(&dir, &[&["log", "import", &file], more].concat());
    run(&dir, &["keys", "import", &keys.to_string_lossy()]);
    dir
}
