//! Product services publish with the clients they have: Kafka's own in Java, one in Python that is not librdkafka, and
//! kcat. What is right is remembered, once, by whichever gateway takes it; what is not is a dead letter that says why.

// law: L03, L08, L11

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use memos_client::Owner;
use testkit::kafka::{console_tool, python};

use super::processes::{BROKER, Cluster, Size};
use crate::harness::{DEADLINE, block_on, seed, wait_until, wait_until_final};

const SECRET: &str = "a-secret-of-the-default-tenant-1234";
const OTHER: &str = "a-secret-that-memos-does-not-know-1";

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/inlets/examples").join(path)
}

#[track_caller]
fn succeeds(output: &Output) {
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}{errors}", output.status);
}

/// The arguments that all examples take.
fn arguments(topic: &str, user: &str, secret: Option<&Path>) -> Vec<String> {
    let bootstrap = BROKER.bootstrap().to_owned();
    let (conversation, user) = (format!("{user}-talk"), user.to_owned());
    let mut arguments = vec!["--bootstrap".to_owned(), bootstrap, "--topic".to_owned(), topic.to_owned()];
    arguments.extend(["--user".to_owned(), user, "--conversation".to_owned(), conversation]);
    if let Some(secret) = secret {
        arguments.extend(["--tenant", "default", "--key-id", "2026-11", "--secret-file"].map(str::to_owned));
        arguments.push(secret.display().to_string());
    }
    arguments
}

fn publish_with_python(topic: &str, user: &str, secret: Option<&Path>) {
    let output = Command::new(python()).arg(example("python/publish.py")).args(arguments(topic, user, secret)).output();
    succeeds(&output.expect("python runs"));
}

fn publish_with_java(topic: &str, user: &str, secret: Option<&Path>) {
    let program = example("java/Publish.java").display().to_string();
    let arguments = arguments(topic, user, secret);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    succeeds(&console_tool(&program, &arguments));
}

/// One record for each line, with the user as the key.
fn publish_with_kcat(topic: &str, user: &str, lines: &[String]) {
    let mut kcat = Command::new("kcat")
        .args(["-P", "-b", BROKER.bootstrap(), "-t", topic, "-k", user, "-X", "topic.partitioner=murmur2_random"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("kcat runs");
    let text = lines.join("\n");
    kcat.stdin.take().expect("it was piped").write_all(text.as_bytes()).expect("kcat reads");
    assert!(kcat.wait().expect("its end").success());
}

fn turns(user: &str) -> Vec<String> {
    (1..=3).map(|number| format!("{user}-talk-{number}")).collect()
}

#[test]
fn any_client_may_publish_and_only_who_signs_is_believed() {
    let seed = seed("inlets", "kafka-python, Kafka's Java client, kcat; two gateways");
    let root = tempfile::tempdir().expect("a directory");
    let (known, unknown) = (root.path().join("known"), root.path().join("unknown"));
    std::fs::write(&known, SECRET).expect("a secret");
    std::fs::write(&unknown, OTHER).expect("a secret");
    let mut cluster = Cluster::new(&BROKER, root.path(), "inlets", seed, Size { gateways: 2, ..Size::ONE });
    let keys = format!(
        "gateway.inlet_keys=[{{tenant = \"default\", id = \"2026-11\", secret_file = \"{}\"}}]",
        known.display()
    );
    let inlets = "gateway.inlets=[{name = \"bound\", tenant = \"default\"}, {name = \"shared\", signed = true}]";
    cluster.set(&[inlets, &keys]);
    cluster.make_topics();
    cluster.start();
    let (bound, shared) = ("inlets.inlet.bound", "inlets.inlet.shared");

    publish_with_python(bound, "py-plain", None);
    publish_with_python(shared, "py-signed", Some(&known));
    publish_with_java(shared, "java-signed", Some(&known));
    let line =
        |id: &str| format!(r#"{{"id":"{id}","user_id":"kcat","role":"user","content":"I keep bees in Celle, {id}."}}"#);
    let lines: Vec<String> = turns("kcat").iter().map(|id| line(id)).collect();
    publish_with_kcat(bound, "kcat", &lines);
    // A producer's retry, and the same through HTTP: still one event each.
    publish_with_kcat(bound, "kcat", &lines);
    let again: Vec<serde_json::Value> =
        lines.iter().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    block_on(cluster.server("gateway-1").client().publish(&again)).expect("it is taken");

    let gateway = cluster.server("gateway-0");
    for user in ["py-plain", "py-signed", "java-signed", "kcat"] {
        let ids = turns(user);
        wait_until_final_after_close(&cluster, user, &ids);
        assert_eq!(gateway.next_seq(user), 4, "{user}: three turns and the end of the session, once each");
        let found = block_on(gateway.client().working_memory(Owner::User(user))).expect("working memory answers");
        let said: Vec<&str> = found.turns.iter().map(|turn| turn.id.as_str()).collect();
        assert_eq!(said, ids, "{user}: in the order in which they were published");
    }

    // Nobody is believed without a right signature, and the letter says what to change.
    publish_with_python(shared, "forged", Some(&unknown));
    publish_with_python(shared, "unsigned", None);
    publish_with_kcat(bound, "kcat", &["{\"id\": \"broken\"".to_owned()]);
    // Who signs wrongly or sends no JSON finds the letter; of a record that names no tenant only the operator hears.
    let letters = || block_on(gateway.client().dead_letters(100)).expect("dead letters are listed");
    for reason in ["signature_invalid", "invalid_json"] {
        let told = || letters().iter().any(|letter| letter.reason == reason && !letter.message.is_empty());
        wait_until(DEADLINE, &format!("a dead letter for {reason}"), told);
    }
    let missing = "memos_dead_letters_total{reason=\"signature_missing\"}";
    let counted = || cluster.server("gateway-0").metric(missing) + cluster.server("gateway-1").metric(missing);
    wait_until(DEADLINE, "records without a signature are counted", || counted() >= 3.0);
    for user in ["forged", "unsigned"] {
        assert_eq!(gateway.next_seq(user), 0, "{user} was believed");
    }
    cluster.stop();
    cluster.verify("recall-0");
}

/// Ends the session of a user and waits until its events have come to their end.
#[track_caller]
fn wait_until_final_after_close(cluster: &Cluster, user: &str, ids: &[String]) {
    let gateway = cluster.server("gateway-0");
    wait_until(DEADLINE, &format!("{user}'s events are recallable"), || gateway.next_seq(user) == 3);
    let end = serde_json::json!({"id": format!("{user}-end"), "type": "session_end", "user_id": user});
    block_on(gateway.client().publish(&[end])).expect("it is taken");
    wait_until_final(gateway, ids.iter().map(String::as_str));
}
