//! Root and wrapping keys are replaced while everything goes on.

// law: L01, L06

use super::processes::{BROKER, Cluster, Size};
use super::traffic::{compare, producers, settle, under_load};
use crate::harness::{DEADLINE, Ledger, Server, run, seed, wait_until};

/// Ticks would be events that no producer knows of.
const SETTINGS: [&str; 3] = [
    "working_memory.idle_tick_seconds=0",
    "disk.min_free_bytes=0",
    "gateway.inlets=[{name = \"events\", tenant = \"default\"}]",
];

#[test]
fn keys_are_replaced_under_load() {
    let seed = seed("keys over Kafka", "two of each; a new wrapping key and a new root key; everybody restarts");
    let root = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::new(&BROKER, root.path(), "keys", seed, Size::TWO);
    // It is this cluster's own: other tests go on with theirs.
    let file = root.path().join("root.key");
    let root_key = format!("keys.root_file={}", file.display());
    cluster.set(&[&SETTINGS[..], &[&root_key]].concat());
    let text = cluster.run("topics", &["topics"]);
    assert!(text.contains("made the root key") && text.contains("to every service"), "{text}");
    cluster.start();
    let mut producers = producers(seed, "keys");
    under_load(&mut cluster, &mut producers, |cluster, new| {
        new(200);
        let old = std::fs::read(&file).expect("the root key");
        let text = cluster.run("keys", &["keys", "rotate", "--kafka", "--wrapping"]);
        assert!(text.contains("of epoch 2") && text.contains("removed older root keys"), "{text}");
        assert_ne!(std::fs::read(&file).expect("the new one"), old);
        // Whoever runs goes on with what it has.
        new(200);
        let running = cluster.servers.values_mut().filter_map(|server| (!server.has_ended()).then_some(())).count();
        assert_eq!(running, 8, "nobody has ended");
        for name in ["recall-0", "consolidator-1", "working-memory-0", "gateway-1"] {
            cluster.take(name).kill9();
            cluster.launch(name);
        }
        let all_ready = || cluster.servers.values().all(Server::is_ready);
        wait_until(DEADLINE, "whoever was started again has the new root key", all_ready);
        new(200);
    });
    let ledger = settle(&mut cluster, producers, Ledger::default());
    let text = cluster.run("keys", &["keys", "list", "--kafka"]);
    assert!(text.contains("wrapping epoch   2") && !text.contains("wrapping epoch   1"), "{text}");
    // Keys that are exported are wrapped with the new root key, and it is enough to take them in.
    let moved = root.path().join("keys.jsonl");
    cluster.run("keys", &["keys", "export", "--kafka", &moved.to_string_lossy()]);
    let copy = root.path().join("copy");
    let text = run(&copy, &["keys", "import", &moved.to_string_lossy(), "--set", &root_key]);
    assert!(text.contains("imported") && !text.contains("imported 0 "), "{text}");
    compare(&mut cluster, &ledger);
}
