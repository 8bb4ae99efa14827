//! Forgetting over Kafka: what is left in the segments of the broker when retention, compaction and the keys of the days
//! have done their work. All three are made short, so that a test can wait for them.

// law: L09

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use memory_core::{HashSecret, Subject, TenantId};
use memos_client::forget::{ForgetBody, ForgetUntil};
use memos_client::{Owner, ReceiptStatus};
use serde_json::json;
use uuid::Uuid;

use super::processes::{BROKER, Cluster, Size, command};
use crate::harness::{Canaries, DEADLINE, Load, Publisher, TENANT, block_on, canary, get, seed, wait_until};

const FORGOTTEN: u64 = 12;
/// Everything is short: a day lasts two seconds.
const SHORT: [&str; 5] = [
    "keys.epoch_seconds=2",
    "kafka.partitions=2",
    "kafka.compression=none",
    "working_memory.idle_tick_seconds=0",
    "disk.min_free_bytes=0",
];
const TRIMMED: [&str; 3] = ["interactions", "consolidations", "dead-letters"];

/// Adds to the settings how long the topics keep their records.
fn shorten(settings: &Path) {
    let mut text = std::fs::read_to_string(settings).expect("the settings");
    for topic in TRIMMED {
        text += &format!("[topics.extra.{topic}]\n\"retention.ms\" = \"20000\"\n\"segment.ms\" = \"1000\"\n");
    }
    text += "[topics.extra.keys]\n\"segment.ms\" = \"1000\"\n\"max.compaction.lag.ms\" = \"1000\"\n\
             \"min.cleanable.dirty.ratio\" = \"0.01\"\n\"delete.retention.ms\" = \"1000\"\n";
    std::fs::write(settings, text).expect("the settings are written");
}

struct Somebody {
    user: String,
    words: Vec<String>,
    handle: [u8; 16],
}

impl Somebody {
    fn new(seed: u64, number: u64) -> Self {
        let words: Vec<String> =
            ["user", "text", "session", "value"].iter().map(|name| canary(seed, name, number)).collect();
        let tenant = TenantId::try_new(TENANT).expect("a tenant");
        let subject = Subject::owner(&tenant, Some(&words[0]), None, None).expect("a user");
        let mut secret = [0; 32];
        secret[24..].copy_from_slice(&seed.to_be_bytes());
        let handle = *subject.handle(&HashSecret::new(secret)).as_bytes();
        Self { user: words[0].clone(), words, handle }
    }

    fn says(&self) -> Vec<serde_json::Value> {
        let event = |content: String| {
            json!({"id": Uuid::now_v7(), "user_id": self.user, "session_id": self.words[2],
                "metadata": {"ticket": self.words[3]}, "content": content})
        };
        let text = &self.words[1];
        vec![
            event(format!("I moved to Berlin with my sister Anna, {text}.")),
            event(format!("I am allergic to penicillin, as Doctor Ruiz found out, {text}.")),
            json!({"id": Uuid::now_v7(), "user_id": self.user, "type": "session_end"}),
        ]
    }
}

/// The bytes of the broker's segments of a topic.
fn segments(data: &Path, topic: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(data).expect("the broker's data").flatten() {
        if !entry.file_name().to_string_lossy().starts_with(&format!("{topic}-")) {
            continue;
        }
        // Segments are deleted while they are looked at, and then they are gone.
        for file in std::fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|extension| extension == "log" || extension == "deleted") {
                bytes.extend(std::fs::read(file.path()).unwrap_or_default());
            }
        }
    }
    bytes
}

/// Whether a record with this handle at the beginning of its key holds a wrapped key.
fn holds_a_key(bytes: &[u8], handle: &[u8; 16]) -> bool {
    let places = bytes.windows(16).enumerate().filter(|(_, window)| window == handle);
    places.into_iter().any(|(at, _)| {
        let record = &bytes[at..bytes.len().min(at + 200)];
        record.windows(9).any(|window| window == b"\"wrapped\"")
    })
}

fn holds(bytes: &[u8], handle: &[u8; 16]) -> bool {
    bytes.windows(16).any(|window| window == handle)
}

#[test]
fn nothing_is_left_of_who_is_forgotten_in_the_segments_of_the_broker() {
    let seed = seed("forget over Kafka", &format!("{FORGOTTEN} forgotten, both writers killed meanwhile"));
    let root = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::new(&BROKER, root.path(), "forget", seed, Size::ONE);
    cluster.set(&SHORT);
    shorten(&root.path().join("forget/memos.toml"));
    // It makes them, and says that nobody should keep records for so short a time.
    let made = command(&cluster, "topics", &["topics"]);
    assert!(String::from_utf8_lossy(&made.stdout).contains(" 0 missing"), "{made:?}");
    cluster.start();
    let forgotten: Vec<Somebody> = (0..FORGOTTEN).map(|number| Somebody::new(seed, number)).collect();
    let mut others = Publisher::new(seed, Load::new(seed, "stays", 8));
    let client = cluster.server("gateway-0").client();
    for somebody in &forgotten {
        block_on(client.publish(&somebody.says())).expect("it is taken");
    }
    let mut receipts: BTreeSet<Uuid> = BTreeSet::new();
    for (number, somebody) in forgotten.iter().enumerate() {
        block_on(others.next(&client, 20)).expect("it is taken");
        let body = ForgetBody::everything();
        let answer =
            block_on(client.forget(Owner::User(&somebody.user), &body, Some((ForgetUntil::Accepted, DEADLINE))));
        receipts.insert(answer.expect("it is taken").receipt.id);
        for (at, name) in [(3, "consolidator-0"), (6, "working-memory-0")] {
            if number == at {
                cluster.take(name).kill9();
                cluster.launch(name);
            }
        }
    }
    let verified = |id: &Uuid| block_on(client.receipt(*id)).is_ok_and(|one| one.status == ReceiptStatus::Verified);
    wait_until(2 * DEADLINE, "every receipt is verified", || receipts.iter().all(verified));
    for somebody in &forgotten {
        let answer = get(&cluster.server("gateway-0").url, &format!("/v1/users/{}/memories", somebody.user));
        assert!(!answer.contains(&somebody.words[1]), "{} is remembered", somebody.user);
    }
    let data: PathBuf = BROKER.data();
    let canaries = Canaries::new(forgotten.iter().flat_map(|one| one.words.iter().map(String::as_str)));
    let left = |topic: &str, has: fn(&[u8], &[u8; 16]) -> bool| {
        let bytes = segments(&data, &format!("forget.{topic}"));
        forgotten.iter().filter(|one| has(&bytes, &one.handle)).count()
    };
    // Segments end only when something new comes, so the others go on talking.
    let gone = || {
        block_on(others.next(&client, 20)).expect("it is taken");
        let ends = others.load.end_sessions();
        block_on(others.send(&client, ends)).expect("it is taken");
        left("interactions", holds) == 0
            && left("consolidations", holds) == 0
            && left("keys", holds_a_key) == 0
            && cluster.server("consolidator-0").metric("memos_epoch_keys_destroyed_total") >= 2.0
    };
    wait_until(2 * DEADLINE, "retention, compaction and rotation have done their work", gone);
    assert_eq!(canaries.find_below(&data), [], "in a segment, or an index");
    assert_eq!(canaries.find_below(root.path()), [], "in a store");
    for receipt in receipts.iter().take(3) {
        let report = cluster.run("recall-0", &["verify", "--kafka", "--receipt", &receipt.to_string()]);
        assert!(report.lines().all(|line| line.starts_with("ok ")), "{report}");
    }
    cluster.stop();
}
