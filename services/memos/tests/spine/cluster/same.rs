//! The same events come to the same memories over Kafka as in one process (law L06).

// law: L06

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use memos_client::EventStatus;
use serde_json::json;
use testkit::Random;

use super::processes::{BROKER, Cluster, Size, command};
use crate::harness::{
    ArchiveText, Load, Publisher, Server, block_on, data_dir, hash, is_long, keys_of_events, run, seed, verify,
    wait_for_status, wait_until_final,
};
use crate::hostile::http::post_json;

/// No tick may move a boundary while windows are decided anew.
const NO_TICKS: &str = "working_memory.idle_tick_seconds=0";

/// What the embedded memos made of a recorded input.
struct Recorded {
    dir: PathBuf,
    hash: String,
    /// Its keys, which travel in a file of their own.
    keys: PathBuf,
    /// The last event of each user that is consolidated, and the one in an open window.
    ends: Vec<String>,
    open: Vec<String>,
    next: BTreeMap<String, u64>,
}

fn record(root: &Path, seed: u64) -> Recorded {
    let dir = data_dir(root, "embedded", seed);
    let (users, events) = if is_long() { (300, 20_000) } else { (100, 4_000) };
    let mut publisher = Publisher::new(seed, Load::new(seed, "same", users));
    let server = Server::start(&dir, &["--set", "working_memory.idle_tick_seconds=1"]);
    feed(&server, &mut publisher, seed, events);
    let ends = all(&server, &mut publisher, Load::end_sessions);
    wait_until_final(&server, ends.iter().map(String::as_str));
    server.stop();
    // Windows that nothing has closed are part of what must come out the same.
    let server = Server::start(&dir, &["--set", NO_TICKS]);
    let mut open = all(&server, &mut publisher, Load::small_talk);
    // A log that moves has its inlets with it, and where the gateway has read them to.
    let published = json!({"id": "by-inlet", "user_id": "a-product", "role": "user", "content": "I live in Turin."});
    let reply = post_json(&server.url, "/v1/inlets/events", &published);
    assert_eq!(reply.status, 202, "{reply:?}");
    open.push("by-inlet".to_owned());
    wait_until_recallable(&server, &open);
    let next = publisher.load.users().map(|user| (user.to_owned(), server.next_seq(user))).collect();
    server.stop();
    let keys = root.join("keys.jsonl");
    run(&dir, &["keys", "export", &keys.to_string_lossy()]);
    Recorded { hash: hash(&dir), dir, keys, ends, open, next }
}

fn feed(server: &Server, publisher: &mut Publisher, seed: u64, events: u64) {
    let (client, mut random) = (server.client(), Random::new(seed));
    block_on(async {
        let mut sent = 0;
        while sent < events {
            let most = if random.chance(10) { 200 } else { 20 };
            sent += publisher.next(&client, most).await.expect("the server runs");
        }
    });
}

/// Publishes an event for everybody; answers the ids.
fn all(server: &Server, publisher: &mut Publisher, make: impl Fn(&mut Load) -> Vec<serde_json::Value>) -> Vec<String> {
    let events = make(&mut publisher.load);
    let ids = events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect();
    block_on(publisher.send(&server.client(), events)).expect("the server runs");
    ids
}

#[track_caller]
fn wait_until_recallable(server: &Server, events: &[String]) {
    let events = events.iter().map(String::as_str);
    wait_for_status(server, events, "is recallable", |status| status == EventStatus::Recallable);
}

#[track_caller]
fn bring_keys(cluster: &Cluster, file: &Path) {
    let text = cluster.run("import", &["keys", "import", "--kafka", &file.to_string_lossy()]);
    assert!(text.contains("imported"), "{text}");
}

impl Recorded {
    /// Brings the keys to Kafka.
    #[track_caller]
    fn bring_keys(&self, cluster: &Cluster) {
        bring_keys(cluster, &self.keys);
    }

    /// Waits until a cluster has come to where the embedded memos was, and compares every store there is.
    #[track_caller]
    fn assert_same(&self, cluster: &mut Cluster, how: &str) {
        let gateway = cluster.server("gateway-0");
        wait_until_final(gateway, self.ends.iter().map(String::as_str));
        wait_until_recallable(gateway, &self.open);
        let next: BTreeMap<String, u64> = self.next.keys().map(|user| (user.clone(), gateway.next_seq(user))).collect();
        assert_eq!(next, self.next, "{how}: working memory counts otherwise");
        let recalls: Vec<String> = cluster.servers.keys().filter(|name| name.starts_with("recall")).cloned().collect();
        for recall in &recalls {
            // The gateway asked one of them; the others may be a moment behind.
            testkit::wait_until(crate::harness::DEADLINE, &format!("{how}: {recall} has the same memories"), || {
                cluster.hash(recall) == self.hash
            });
        }
        cluster.stop();
        recalls.iter().for_each(|recall| cluster.verify(recall));
        eprintln!("the same hash: {how}");
    }
}

#[test]
fn recorded_events_come_to_the_same_memories() {
    let seed = seed("the same over Kafka", "interactions alone into one process each and two of each");
    let root = tempfile::tempdir().expect("a directory");
    let recorded = record(root.path(), seed);
    let (whole, events) = (root.path().join("log.jsonl"), root.path().join("events.jsonl"));
    run(&recorded.dir, &["log", "export", &whole.to_string_lossy()]);
    ArchiveText::read(&whole).only(&["interactions"]).write(&events);
    for (prefix, size) in [("one", Size::ONE), ("two", Size::TWO)] {
        let mut cluster = Cluster::new(&BROKER, root.path(), prefix, seed, size);
        cluster.set(&[NO_TICKS]);
        cluster.run("import", &["log", "import", "--kafka", &events.to_string_lossy()]);
        bring_keys(&cluster, &keys_of_events(&recorded.keys));
        cluster.start();
        recorded.assert_same(&mut cluster, &format!("{size:?}"));
    }
}

#[test]
fn a_log_moves_to_kafka_and_back() {
    let seed = seed("moving to Kafka and back", "all topics, into 12 and 5 partitions, and back into 2");
    let root = tempfile::tempdir().expect("a directory");
    let recorded = record(root.path(), seed);
    let file = root.path().join("log.jsonl");
    run(&recorded.dir, &["log", "export", &file.to_string_lossy()]);
    let mut back = root.path().join("from-kafka.jsonl");
    for (prefix, partitions) in [("twelve", "12"), ("five", "5")] {
        let mut cluster = Cluster::new(&BROKER, root.path(), prefix, seed, Size::ONE);
        cluster.set(&[NO_TICKS, &format!("kafka.partitions={partitions}")]);
        let nowhere = ["log", "import", "--kafka", &file.to_string_lossy(), "--set", "gateway.inlets=[]"];
        let text = refused(&cluster, &nowhere);
        assert!(text.contains("inlet.events") && text.contains("gateway.inlets"), "an inlet has no topic: {text}");
        // Keys may come before the log or after it, but before anybody takes what they seal for forgotten.
        let keys_first = prefix == "five";
        if keys_first {
            cluster.make_topics();
            recorded.bring_keys(&cluster);
        }
        cluster.run("import", &["log", "import", "--kafka", &file.to_string_lossy()]);
        if !keys_first {
            let text = refused(&cluster, &["recall"]);
            assert!(text.contains("memos keys import --kafka"), "a log without its keys: {text}");
            recorded.bring_keys(&cluster);
        }
        cluster.start();
        recorded.assert_same(&mut cluster, &format!("moved to Kafka with {partitions} partitions"));
        back = root.path().join(format!("from-{prefix}.jsonl"));
        cluster.run("export", &["log", "export", "--kafka", &back.to_string_lossy()]);
        let keys = back.with_extension("keys");
        cluster.run("export", &["keys", "export", "--kafka", &keys.to_string_lossy()]);
        let text = refused(&cluster, &["log", "import", "--kafka", &file.to_string_lossy()]);
        assert!(text.contains("holds records"), "an import into a log that is not empty: {text}");
    }
    let home = root.path().join("home");
    run(&home, &["log", "import", "--partitions", "2", &back.to_string_lossy()]);
    run(&home, &["keys", "import", &back.with_extension("keys").to_string_lossy()]);
    let server = Server::start(&home, &["--set", NO_TICKS]);
    wait_until_final(&server, recorded.ends.iter().map(String::as_str));
    wait_until_recallable(&server, &recorded.open);
    server.stop();
    assert_eq!(hash(&home), recorded.hash, "back in one process");
    verify(&home);
}

/// What an import says that is refused.
fn refused(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = command(cluster, "import", arguments);
    assert!(!output.status.success(), "it was taken");
    String::from_utf8_lossy(&output.stderr).into_owned()
}
