//! What an operator does wrong, and is told.

use serde_json::json;
use testkit::kafka::Broker;

use super::processes::{BROKER, Cluster, Size, command};
use crate::harness::{DEADLINE, Server, block_on, seed, wait_until};

/// What a command says that fails.
#[track_caller]
fn refused(cluster: &Cluster, name: &str, arguments: &[&str]) -> String {
    let output = command(cluster, name, arguments);
    assert!(!output.status.success(), "memos {} succeeded", arguments.join(" "));
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_service_that_cannot_work_says_why() {
    let seed = seed(
        "operations over Kafka",
        "no topics, another count, another secret or root key, a second instance, no broker",
    );
    let root = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::new(&BROKER, root.path(), "wrong", seed, Size::ONE);
    let text = refused(&cluster, "consolidator-0", &["consolidator"]);
    assert!(text.contains("wrong.") && text.contains("topic"), "the topics are missing: {text}");
    let text = refused(&cluster, "topics", &["topics", "--verify"]);
    assert!(text.contains("missing"), "{text}");
    cluster.make_topics();
    let text = cluster.run("topics", &["topics"]);
    assert!(!text.contains("created") && text.contains(" 0 differences"), "a second time: {text}");

    let text = refused(&cluster, "consolidator-0", &["consolidator", "--set", "kafka.partitions=5"]);
    assert!(text.contains("12 partitions") && text.contains('5'), "{text}");
    let text = refused(&cluster, "topics", &["topics", "--set", "topics.retention_days.interactions=30"]);
    assert!(text.contains("DIFFERS") && text.contains("retention.ms"), "{text}");

    let other = root.path().join("other.secret");
    std::fs::write(&other, format!("{:064x}\n", seed + 1)).expect("another secret");
    let secret = format!("data.hash_secret_file={}", other.display());
    let text = refused(&cluster, "recall-0", &["recall", "--set", &secret]);
    assert!(text.contains("another hash secret"), "{text}");

    let other = root.path().join("other.key");
    let root_key = format!("keys.root_file={}", other.display());
    for (name, command) in [("recall-0", "recall"), ("gateway-0", "gateway"), ("topics", "topics")] {
        let text = refused(&cluster, name, &[command, "--set", &root_key]);
        assert!(text.contains("other.key") && text.contains("copy that file to every service"), "none: {text}");
    }
    assert!(!other.exists(), "another root key is no help to a log that has one");
    cluster.run("topics", &["keys", "init", "--root-file", &other.to_string_lossy()]);
    for (name, command) in [("recall-0", "recall"), ("gateway-0", "gateway"), ("topics", "topics")] {
        let text = refused(&cluster, name, &[command, "--set", &root_key]);
        assert!(text.contains("is not the one of this log"), "another one: {text}");
    }

    let far = "kafka.bootstrap_servers=127.0.0.1:1";
    let text = refused(&cluster, "gateway-0", &["gateway", "--set", far, "--set", "kafka.delivery_timeout_ms=1500"]);
    assert!(text.contains("127.0.0.1:1"), "{text}");

    cluster.start();
    let text = refused(&cluster, "consolidator-0", &["consolidator", "--listen", "127.0.0.1:0"]);
    assert!(text.contains("another memos is running"), "two on one directory: {text}");
    // With nobody to ask, the gateway says so, and it does not say that nothing is remembered.
    cluster.take("recall-0").stop();
    let client = cluster.server("gateway-0").client();
    let code = || {
        let asked = block_on(client.memories(memos_client::Owner::User("alice"), &Default::default()));
        asked.err().and_then(|error| error.code().map(str::to_owned)).unwrap_or_default()
    };
    wait_until(DEADLINE, "the gateway says that recall is away", || code() == "unavailable");
    cluster.stop();
}

// law: L12
#[test]
fn a_stop_does_not_wait_for_a_broker_that_is_away() {
    let seed = seed("a stop without a broker", "one of each, a request in flight");
    let (root, broker) = (tempfile::tempdir().expect("a directory"), Broker::start());
    let mut cluster = Cluster::new(&broker, root.path(), "away", seed, Size::ONE);
    cluster.set(&["process.stop_timeout_seconds=2"]);
    cluster.make_topics();
    cluster.start();
    broker.pause();
    let client = cluster.server("gateway-0").client();
    let event = json!({"id": "unheard", "user_id": "alice", "role": "user", "content": "I live in Turin."});
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| block_on(client.publish(&[event])));
        let queued = || cluster.server("gateway-0").metric("memos_kafka_queued_bytes") > 0.0;
        wait_until(DEADLINE, "the gateway has an append that nobody takes", queued);
        cluster.servers.values().for_each(Server::terminate);
        wait_until(DEADLINE, "all have ended", || cluster.servers.values_mut().all(Server::has_ended));
        assert!(asked.join().expect("no panic").is_err(), "nothing is acknowledged that is not durable");
    });
    let words = cluster.server("gateway-0").last_words();
    assert!(words.contains("was not finished within 2s"), "{words}");
}
