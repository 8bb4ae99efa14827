//! Producers that are broken, or mean it: one bad event stops nobody, and nothing grows.

use std::collections::BTreeMap;

use memos_client::Owner;
use serde_json::{Value, json};

use crate::harness::{self, DEADLINE, Server, block_on, get, is_long, memos, verify, wait_until};

#[path = "hostile/flood.rs"]
mod flood;
#[path = "hostile/http.rs"]
pub(crate) mod http;

use flood::{Batch, Flood};
use http::{Request, begin, post_json, send};

const INLET: &str = "/v1/inlets/events";
/// What the process may hold at its worst, in KiB.
const RESIDENT_KIB: u64 = 512 << 10;

fn post(server: &Server, batch: &Batch) {
    let headers = [("Content-Type", batch.content_type)];
    loop {
        let request = Request { method: "POST", path: INLET, headers: &headers, body: &batch.body };
        let reply = send(&server.url, &request);
        if reply.status == 429 {
            // Back-pressure, which a producer waits out.
            assert!(reply.header("retry-after").is_some(), "{reply:?}");
            continue;
        }
        assert_eq!((reply.status, &reply.json()["accepted"]), (202, &json!(batch.records)), "{reply:?}");
        return;
    }
}

/// Dead letters by reason, as the metrics count them.
fn dead_letters(server: &Server) -> BTreeMap<String, u64> {
    let text = get(&server.url, "/metrics");
    let of = |line: &str| {
        let (reason, count) = line.strip_prefix("memos_dead_letters_total{reason=\"")?.split_once("\"} ")?;
        Some((reason.to_owned(), count.parse().expect("a whole number")))
    };
    text.lines().filter_map(of).collect()
}

fn events(server: &Server, outcome: &str) -> u64 {
    let name = format!("memos_working_memory_events_total{{outcome=\"{outcome}\"}} ");
    let text = get(&server.url, "/metrics");
    text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().expect("a whole number"))
}

fn by_reason(flood: &Flood) -> BTreeMap<String, u64> {
    flood.bad.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

// law: L10, L11, L03
#[test]
fn among_a_hundred_thousand_hostile_events_every_good_one_is_in_and_every_bad_one_is_named() {
    let root = tempfile::tempdir().expect("a directory");
    let seed = harness::seed("hostile", "100,000 hostile events");
    let data = harness::data_dir(root.path(), "data", seed);
    let server = Server::start(&data, &[]);
    let mut flood = Flood::new(seed, 24);
    let wanted = if is_long() { 400_000 } else { 100_000 };
    while flood.hostile() < wanted {
        post(&server, &flood.batch());
        assert!(get(&server.url, "/health/ready").starts_with("HTTP/1.1 200"), "health stays ready");
    }
    post(&server, &flood.end());
    let good = flood.good.len() as u64;
    wait_until(DEADLINE, "every event was judged and folded", || {
        events(&server, "accepted") + events(&server, "duplicate") >= good + flood.duplicates
            && dead_letters(&server).values().sum::<u64>() >= flood.bad.values().sum()
    });
    assert_eq!(dead_letters(&server), by_reason(&flood));
    assert_eq!((events(&server, "accepted"), events(&server, "duplicate")), (good, flood.duplicates));
    harness::wait_until_final(&server, flood.good.iter().map(String::as_str));
    assert!(server.peak_kib() < RESIDENT_KIB, "{} KiB were resident", server.peak_kib());
    letters_can_be_looked_at_and_replayed(&server, &mut flood);
    server.stop();
    verify(&data);
}

/// `memos dead-letters`, as an operator uses it.
fn letters_can_be_looked_at_and_replayed(server: &Server, flood: &mut Flood) {
    let letters = block_on(server.client().dead_letters(1_000)).expect("a list");
    assert_eq!(letters.len(), 1_000);
    for letter in &letters {
        assert!(flood.bad.contains_key(letter.reason.as_str()) && !letter.message.is_empty(), "{letter:?}");
        assert_eq!((letter.topic.as_str(), letter.replays), ("inlet.events", 0));
    }
    let list = command(server, &["dead-letters", "list", "--limit", "7"]);
    assert_eq!(list.lines().count(), 8, "{list}");
    let count = flood.bad["cloud_event_version"];
    let replayed = command(server, &["dead-letters", "replay", "--reason", "cloud_event_version"]);
    assert_eq!(replayed, format!("replayed {count} dead letters\n"));
    // Nothing was repaired, so each of them comes back, as a letter of its own that says so.
    flood.bad.insert("cloud_event_version", 2 * count);
    wait_until(DEADLINE, "they are back", || dead_letters(server) == by_reason(flood));
    let listed = command(server, &["dead-letters", "list", "--limit", "1", "--json"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!((&listed[0]["reason"], &listed[0]["replays"]), (&json!("cloud_event_version"), &json!(1)));
}

/// Runs a command that talks to the server.
fn command(server: &Server, arguments: &[&str]) -> String {
    let output = memos().args(arguments).args(["--url", &server.url]).output().expect("memos runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("memos writes UTF-8")
}

// law: L11
#[test]
fn a_letter_that_was_repaired_at_its_source_is_taken_by_its_replay() {
    let root = tempfile::tempdir().expect("a directory");
    let data = root.path().join("data");
    let server = Server::start(&data, &[]);
    let line = json!({"id": "late", "user_id": "alice", "content": "I live in Lisbon."}).to_string();
    let bad = json!({"id": "bad", "user_id": "alice"}).to_string().replace('}', ", ");
    post(&server, &Batch { content_type: "application/x-ndjson", body: format!("{bad}\n{line}").into(), records: 2 });
    wait_until(DEADLINE, "the good one is in", || server.next_seq("alice") == 1);
    wait_until(DEADLINE, "the bad one is a letter", || dead_letters(&server).get("invalid_json") == Some(&1));
    assert_eq!(command(&server, &["dead-letters", "replay", "--all"]), "replayed 1 dead letters\n");
    wait_until(DEADLINE, "it is a letter again", || dead_letters(&server).get("invalid_json") == Some(&2));
    let view = block_on(server.client().working_memory(Owner::User("alice"))).expect("it answers");
    assert_eq!((view.next_seq, view.turns.len()), (1, 1), "nobody else noticed");
    server.stop();
}

// law: L10
#[test]
fn bodies_over_the_limits_are_turned_away_and_nothing_waits_for_them() {
    let root = tempfile::tempdir().expect("a directory");
    let limits = ["body_bytes=150000", "in_flight_bytes=200000", "body_timeout_ms=600000"];
    let limits: Vec<String> = limits.iter().map(|limit| format!("--set=gateway.limits.{limit}")).collect();
    let limits: Vec<&str> = limits.iter().map(String::as_str).collect();
    let server = Server::start(&root.path().join("data"), &limits);
    let event = |bytes: usize| {
        let content = "x".repeat(bytes / 5);
        let one = |number: usize| json!({"id": format!("e{number}"), "user_id": "alice", "content": content});
        json!({"interactions": (0..5).map(one).collect::<Vec<Value>>()}).to_string()
    };
    let headers = [("Content-Type", "application/json")];
    let request = Request { method: "POST", path: "/v1/interactions", headers: &headers, body: &[] };
    let large = begin(&server.url, &request, 150_001).finish(b"");
    assert_eq!((large.status, large.code().as_str()), (413, "body_too_large"));

    // One body is under way and takes its time; the next does not fit beside it and is told when to come again.
    let body = event(140_000);
    let slow = begin(&server.url, &request, body.len());
    let in_flight = || server.metric("memos_gateway_inflight_bytes");
    wait_until(DEADLINE, "its bytes are counted", || in_flight() >= 140_000.0);
    for _ in 0..20 {
        let refused = begin(&server.url, &request, 100_000).finish(b"");
        assert_eq!((refused.status, refused.code().as_str()), (429, "overloaded"));
        assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|it| it > 0)));
    }
    let small = json!({"user_id": "alice", "query": "anything"});
    assert_eq!(post_json(&server.url, "/v1/recall", &small).status, 200, "what fits is answered meanwhile");
    let taken = slow.finish(body.as_bytes());
    assert_eq!(taken.status, 202, "{}", taken.body);
    wait_until(DEADLINE, "its bytes are given back", || in_flight() == 0.0);
    assert_eq!(begin(&server.url, &request, body.len()).finish(body.as_bytes()).status, 202);
    server.stop();
}
