//! From an inlet to `interactions` or to `dead-letters`.

use std::time::{Duration, Instant};

use event_log::dead_letter::DeadLetter;
use event_log::{EventLog, Record, Topic};
use gateway::{Settings, StartError, Taken};
use memory_core::{Partition, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use service_runtime::Stop;

mod client;
mod commits;
mod kafka;
mod owners;
mod signed;

use crate::support::{Parted, Running, TestLog, inlet_topic, log, settings, tenant};

/// Headers, a body, and how many records it is.
type Post<'a> = (Vec<(&'a str, &'a str)>, String, u64);

const ARRIVED: Timestamp = Timestamp::from_micros(1_778_248_560_000_000);

fn record(value: &Value, headers: &[(&str, &str)]) -> Record {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec()))).collect();
    Record { key: b"theirs".to_vec(), value: Some(value.to_string().into_bytes()), headers, timestamp: ARRIVED }
}

fn append(log: &TestLog, records: Vec<Record>) {
    let appended = log.append(&inlet_topic(), Partition::new(1), records).expect("there is room");
    assert!(!appended.wait().expect("is durable").is_empty());
}

/// Good ones in all three forms, and bad ones with the reason that each must get.
fn mixed() -> (Vec<Record>, Vec<&'static str>) {
    let plain = json!({ "id": "plain", "user_id": "u", "content": "x", "colour": "a producer may be ahead" });
    let data = json!({ "user_id": "u", "content": "x" });
    let structured = json!({ "specversion": "1.0", "id": "structured", "source": "/t", "type": "t", "data": data });
    let binary = [("ce_specversion", "1.0"), ("ce_id", "binary"), ("ce_source", "/t"), ("ce_type", "t")];
    let bad = |value: Value| record(&value, &[]);
    let not_json = Record { value: Some(b"{".to_vec()), ..bad(json!({})) };
    let records = vec![
        bad(json!({ "user_id": "u", "content": "x" })),
        record(&plain, &[]),
        not_json,
        record(&structured, &[("content-type", "application/cloudevents+json")]),
        bad(json!({ "id": "nobody", "content": "x" })),
        record(&data, &binary),
        bad(json!({ "id": "when", "user_id": "u", "content": "x", "time": "noon" })),
        Record { value: None, ..bad(json!({})) },
        bad(json!({ "id": "tick", "user_id": "u", "type": "idle_tick" })),
    ];
    let reasons = vec!["missing_field", "invalid_json", "missing_field", "invalid_field", "no_value", "invalid_field"];
    (records, reasons)
}

fn letters(log: &TestLog) -> Vec<DeadLetter> {
    let read = |stored: event_log::Stored| DeadLetter::from_record(&log.ring, &stored.record).expect("a dead letter");
    log.records(&Topic::DeadLetters).into_iter().map(read).collect()
}

// law: L11
#[test]
fn good_records_become_events_and_bad_ones_dead_letters_with_a_reason() {
    let parted = Parted::new(settings(), log(1 << 20));
    let (records, reasons) = mixed();
    append(&parted.log, records.clone());
    let mut reader = parted.reader();
    assert_eq!(reader.take().expect("the log works"), Taken { accepted: 3, dead_lettered: 6 });
    assert_eq!(parted.log.event_ids(), ["binary", "plain", "structured"]);
    for recorded in parted.log.events() {
        assert_eq!((recorded.tenant, recorded.arrived), (tenant("default"), ARRIVED));
    }
    let letters = letters(&parted.log);
    assert_eq!(letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), reasons);
    for letter in &letters {
        assert_eq!((&letter.found.topic, letter.found.partition), (&inlet_topic(), Partition::new(1)));
        assert!(records.contains(&letter.original), "the original is kept as it came");
        assert!(!letter.message.is_empty());
    }
    let metrics = parted.metrics.render();
    assert!(metrics.contains("memos_gateway_inlet_records_total{outcome=\"accepted\"} 3"), "{metrics}");
    assert!(metrics.contains("memos_dead_letters_total{reason=\"missing_field\"} 2"), "{metrics}");
}

// law: L03
#[test]
fn a_crash_between_append_and_commit_repeats_the_same_ids() {
    let log = log(1 << 20);
    let (records, _) = mixed();
    append(&log, records);
    let crashed = Parted::new(settings(), std::sync::Arc::clone(&log));
    let mut reader = crashed.reader();
    let taken = reader.take().expect("the log works");
    let (events, dead) = (log.event_ids(), letters(&log));
    drop((reader, crashed));

    let restarted = Parted::new(settings(), std::sync::Arc::clone(&log));
    let mut reader = restarted.reader();
    assert_eq!(reader.take().expect("the log works"), taken, "nothing was committed, so all of it comes again");
    reader.commit().expect("the log works");
    let mut twice = log.event_ids();
    twice.dedup();
    assert_eq!((log.events().len(), twice), (2 * events.len(), events));
    let ids =
        |letters: &[DeadLetter]| letters.iter().map(|letter| letter.id).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(ids(&letters(&log)), ids(&dead));

    let third = Parted::new(settings(), std::sync::Arc::clone(&log));
    let mut reader = third.reader();
    assert_eq!(reader.take().expect("the log works"), Taken::default(), "what was committed does not come again");
}

#[test]
fn the_worker_reads_until_it_is_stopped() {
    let parted = Parted::new(settings(), log(1 << 20));
    append(&parted.log, vec![record(&json!({ "id": "before", "user_id": "u", "content": "x" }), &[])]);
    let stop = Stop::new();
    let worker = parted.gateway.inlet_worker(parted.gateway.all_inlets(), stop.clone()).expect("a thread");
    append(&parted.log, vec![record(&json!({ "id": "after", "user_id": "u", "content": "x" }), &[])]);
    until(&parted.log, |log| log.event_ids() == ["after", "before"]);
    stop.stop();
    worker.join().expect("the thread ends");
    let mut reader = parted.reader();
    assert_eq!(reader.take().expect("the log works"), Taken::default(), "the worker had committed");
}

#[test]
fn on_a_full_disk_the_records_wait_in_the_inlet() {
    let parted = Parted::new(settings(), log(1 << 20));
    parted.writable.store(false, std::sync::atomic::Ordering::Relaxed);
    append(&parted.log, vec![record(&json!({ "id": "waits", "user_id": "u", "content": "x" }), &[])]);
    let stop = Stop::new();
    let worker = parted.gateway.inlet_worker(parted.gateway.all_inlets(), stop.clone()).expect("a thread");
    assert!(!stop.wait_for(Duration::from_millis(300)));
    assert_eq!(parted.log.event_ids(), Vec::<String>::new());
    parted.writable.store(true, std::sync::atomic::Ordering::Relaxed);
    until(&parted.log, |log| log.event_ids() == ["waits"]);
    stop.stop();
    worker.join().expect("the thread ends");
}

/// Waits for a condition on the log, by the log's own signal.
fn until(log: &TestLog, condition: impl Fn(&TestLog) -> bool) {
    let (deadline, mut generation) = (Instant::now() + Duration::from_secs(10), 0);
    while !condition(log) {
        assert!(Instant::now() < deadline, "not in time: {:?}", log.event_ids());
        generation = log.wait(generation, Duration::from_millis(100));
    }
}

#[test]
fn an_inlet_that_the_log_does_not_have_is_refused_at_start() {
    for name in ["none", "No Name"] {
        let mut inlets = settings().inlets;
        inlets[0].name = name.to_owned();
        let settings = Settings { inlets, ..settings() };
        assert!(matches!(crate::access::start(settings), Err(StartError::Inlet { .. })), "{name}");
    }
}

#[actix_web::test]
async fn records_can_be_posted_in_every_form() {
    let server = Running::start().await;
    let data = |id: &str| json!({ "id": id, "user_id": "u", "content": "x" });
    let event = |id: &str| json!({ "specversion": "1.0", "id": id, "source": "/t", "type": "t", "data": { "user_id": "u", "content": "x" } });
    let lines = format!("{}\n\n{}\n", data("line-1"), data("line-2"));
    let binary = [("ce-specversion", "1.0"), ("ce-id", "binary"), ("ce-source", "/t"), ("ce-type", "t")];
    let mut binary = binary.to_vec();
    binary.push(("content-type", "application/json"));
    let posts: [Post; 5] = [
        (vec![("content-type", "application/json")], data("one").to_string(), 1),
        (vec![("content-type", "application/x-ndjson")], lines, 2),
        (vec![("content-type", "application/cloudevents+json; charset=utf-8")], event("structured").to_string(), 1),
        (
            vec![("content-type", "application/cloudevents-batch+json")],
            json!([event("b-1"), event("b-2")]).to_string(),
            2,
        ),
        (binary, json!({ "user_id": "u", "content": "x" }).to_string(), 1),
    ];
    for (headers, body, accepted) in posts {
        let reply = server.send(Method::POST, "/v1/inlets/support", &headers, body).await;
        assert_eq!(
            (reply.status, reply.body["accepted"].as_u64()),
            (202, Some(accepted)),
            "{headers:?} {:?}",
            reply.body
        );
    }
    let reply =
        server.send(Method::POST, "/v1/inlets/support", &[("content-type", "text/plain")], "x".to_owned()).await;
    assert_eq!(reply.code(), "unsupported_media_type");
    let mut reader = server.parted.reader();
    let taken = std::thread::spawn(move || reader.take().expect("the log works")).join().expect("no panic");
    assert_eq!(taken, Taken { accepted: 7, dead_lettered: 0 });
    assert_eq!(server.log().event_ids(), ["b-1", "b-2", "binary", "line-1", "line-2", "one", "structured"]);
    server.stop().await;
}
