//! The example of a product service in Rust: what it publishes with rdkafka is what an inlet takes.

use std::collections::BTreeMap;

use event_log::inlet::{InletLimits, one_line, parse};
use event_log::{EventLog, Offset, Partition, Record, Topic, conformance};
use memos_client::inlet::{COVERED, KEY_ID, SIGNATURE, Secret, Statement, TENANT, decode};

use crate::kit::{BROKER, new_log, read_to_end, settings};
use crate::publish;

const SECRET: &str = "a-secret-of-the-tenant-0123456789abcdef";

/// Lets the example publish, and answers what lies on the inlet then.
fn published(more: &[(&str, &str)]) -> Vec<Record> {
    let settings = settings(BROKER.bootstrap());
    let log = new_log(&settings);
    let inlet = Topic::Inlet(conformance::inlet());
    let topic = log.name_of(&inlet).expect("the log has it");
    let given =
        [("--bootstrap", BROKER.bootstrap()), ("--topic", topic), ("--user", "zoë"), ("--conversation", "talk")];
    let arguments: BTreeMap<String, String> =
        given.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut out = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be made");
    runtime.block_on(publish::run(&arguments, &mut out)).expect("it publishes");
    let out = String::from_utf8(out).expect("text");
    assert!(out.lines().count() == 3 && out.starts_with("published talk-1 to"), "{out}");
    let all = Partition::all(log.partitions_of(&inlet)).flat_map(|p| read_to_end(&log, &inlet, p, Offset::FIRST));
    all.map(|stored| stored.record).collect()
}

/// The three turns, which lie in one partition in their order.
fn are_three_turns(records: &[Record]) {
    assert_eq!(records.len(), 3);
    for (number, record) in (1..).zip(records) {
        assert_eq!(record.key, "zoë".as_bytes());
        let raw = parse(record, &InletLimits::default()).expect("an inlet takes it");
        assert_eq!(raw.json["id"], format!("talk-{number}"));
        assert_eq!(raw.json["user_id"], "zoë");
    }
}

#[test]
fn the_rust_example_publishes_what_an_inlet_takes() {
    let records = published(&[]);
    are_three_turns(&records);
    assert!(records.iter().all(|record| record.header(SIGNATURE).is_none()));
}

#[test]
fn what_the_rust_example_signs_verifies() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).expect("the directory is writable");
    let file = file.display().to_string();
    let records = published(&[("--tenant", "acme"), ("--key-id", "2026-05"), ("--secret-file", &file)]);
    are_three_turns(&records);
    let (inlet, secret) = (conformance::inlet(), Secret::try_new(SECRET).expect("a secret"));
    for record in &records {
        let of = |name: &str| one_line(record, name).expect("it reads in one way");
        let (tenant, key_id) = (of(TENANT).expect("it is there"), of(KEY_ID).expect("it is there"));
        assert_eq!((tenant.as_str(), key_id.as_str()), ("acme", "2026-05"));
        let covered = COVERED.map(of);
        let headers = covered.each_ref().map(Option::as_deref);
        let value = record.value.as_deref().expect("a value");
        let statement = Statement { tenant: &tenant, key_id: &key_id, inlet: inlet.as_str(), headers, value };
        let signature = decode(&of(SIGNATURE).expect("it is there")).expect("base64 of 32 bytes");
        assert!(statement.verifies(&secret, &signature));
    }
}
