//! Every error code, from the request that causes it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use event_log::{EventLog, Record, Topic};
use gateway::{Code, LimitSettings, Settings};
use memory_core::Partition;
use memos_client::Unavailable;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Reply, Running, log, settings};

fn small() -> Settings {
    let limits = LimitSettings {
        body_bytes: 64 << 10,
        interactions: 3,
        body_timeout_ms: 50,
        query_timeout_ms: 50,
        ..LimitSettings::default()
    };
    Settings { limits, ..settings() }
}

fn turn(extra: Value) -> Value {
    let mut turn = json!({ "user_id": "u", "content": "hello" });
    let fields = extra.as_object().expect("an object").clone();
    turn.as_object_mut().expect("an object").extend(fields);
    turn
}

/// Method, path, body; status, code, field, index.
type Row = (Method, String, Value, u16, Code, Option<&'static str>, Option<usize>);

/// What is refused of a publish, whatever the state.
fn publishing() -> Vec<Row> {
    let post = |path: &str| (Method::POST, path.to_owned());
    let publish = |list: Value| json!({ "interactions": list });
    let p = post("/v1/interactions");
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    let mut table = Vec::new();
    let mut add = |(method, path): (Method, String), body, status, code, field, index| {
        table.push((method, path, body, status, code, field, index));
    };
    add(p.clone(), json!([]), 400, Code::InvalidJson, None, None);
    add(p.clone(), json!({ "interaction": [] }), 400, Code::UnknownField, Some("interaction"), None);
    add(p.clone(), publish(json!([])), 400, Code::MissingField, Some("interactions"), None);
    add(p.clone(), publish(json!([turn(json!({})), 7])), 400, Code::InvalidField, Some("interactions"), Some(1));
    add(
        p.clone(),
        publish(json!([turn(json!({})), { "content": "x" }])),
        400,
        Code::MissingField,
        Some("user_id"),
        Some(1),
    );
    add(p.clone(), publish(json!([turn(json!({ "colour": 1 }))])), 400, Code::UnknownField, Some("colour"), Some(0));
    add(p.clone(), publish(json!([turn(json!({ "time": "noon" }))])), 400, Code::InvalidField, Some("time"), Some(0));
    let long = "x".repeat(33 << 10);
    add(p.clone(), publish(json!([turn(json!({ "content": long }))])), 400, Code::TooLarge, Some("content"), Some(0));
    add(p.clone(), publish(json!([turn(json!({ "type": "forget" }))])), 400, Code::MissingField, Some("body"), Some(0));
    let four = json!([turn(json!({})), turn(json!({})), turn(json!({})), turn(json!({}))]);
    add(p.clone(), publish(four), 400, Code::TooManyInteractions, Some("interactions"), None);
    add(p.clone(), json!({ "interactions": ["x".repeat(70 << 10)] }), 413, Code::BodyTooLarge, None, None);
    add(p, json!({ "interactions": deep }), 400, Code::JsonTooDeep, None, None);
    add(
        post("/v1/interactions?wait=forever"),
        publish(json!([turn(json!({}))])),
        400,
        Code::InvalidField,
        Some("wait"),
        None,
    );
    add(
        post("/v1/interactions?when=now"),
        publish(json!([turn(json!({}))])),
        400,
        Code::UnknownField,
        Some("when"),
        None,
    );
    table
}

/// What is refused of anything else, whatever the state.
fn others() -> Vec<Row> {
    let post = |path: &str| (Method::POST, path.to_owned());
    let r = post("/v1/recall");
    let some = Uuid::nil();
    let mut table = Vec::new();
    let mut add = |(method, path): (Method, String), body, status, code, field, index| {
        table.push((method, path, body, status, code, field, index));
    };
    add(r.clone(), json!({ "query": "x" }), 400, Code::MissingField, Some("user_id"), None);
    add(r.clone(), json!({ "user_id": "u", "limits": 1 }), 400, Code::UnknownField, Some("limits"), None);
    add(r.clone(), json!({ "user_id": "u", "limit": 201 }), 400, Code::InvalidField, Some("limit"), None);
    add(r.clone(), json!({ "user_id": "u", "limit": 0 }), 400, Code::InvalidField, Some("limit"), None);
    add(r.clone(), json!({ "user_id": "u", "min_score": 2 }), 400, Code::InvalidField, Some("min_score"), None);
    add(r.clone(), json!({ "user_id": "u", "at_least": "x" }), 400, Code::InvalidField, Some("at_least"), None);
    add(r, json!({ "user_id": "u", "kinds": ["rumour"] }), 400, Code::InvalidField, Some("kinds"), None);
    let get = |path: String| (Method::GET, path);
    add(get("/v1/nothing".to_owned()), json!({}), 404, Code::RouteNotFound, None, None);
    add(get("/nothing".to_owned()), json!({}), 404, Code::RouteNotFound, None, None);
    add(get("/v1/recall".to_owned()), json!({}), 405, Code::MethodNotAllowed, None, None);
    add(get(format!("/v1/memories/{some}")), json!({}), 404, Code::MemoryNotFound, None, None);
    add(get("/v1/memories/1".to_owned()), json!({}), 404, Code::MemoryNotFound, None, None);
    add(get(format!("/v1/memories/{some}/history")), json!({}), 404, Code::MemoryNotFound, None, None);
    add((Method::DELETE, format!("/v1/memories/{some}")), json!({}), 404, Code::MemoryNotFound, None, None);
    add((Method::PATCH, format!("/v1/memories/{some}")), json!({}), 400, Code::MissingField, Some("text"), None);
    add(get("/v1/events/e".to_owned()), json!({}), 404, Code::EventNotFound, None, None);
    add(get("/v1/users/u/memories?limit=0".to_owned()), json!({}), 400, Code::InvalidField, Some("limit"), None);
    add(get("/v1/users/u/memories?kind=rumour".to_owned()), json!({}), 400, Code::InvalidField, Some("kind"), None);
    add(get("/v1/users/u/memories?page=2".to_owned()), json!({}), 400, Code::UnknownField, Some("page"), None);
    add(get("/v1/users/u/profile?now=today".to_owned()), json!({}), 400, Code::InvalidField, Some("now"), None);
    add(get("/v1/users/u/profile?at=1".to_owned()), json!({}), 400, Code::UnknownField, Some("at"), None);
    add((Method::PUT, "/v1/users/u/consent".to_owned()), json!({}), 400, Code::MissingField, Some("remember"), None);
    let f = post("/v1/users/u/forget");
    add(f.clone(), json!({}), 400, Code::MissingField, Some("body"), None);
    add(f.clone(), json!({ "all": true }), 400, Code::UnknownField, Some("all"), None);
    add(f.clone(), json!({ "everything": true, "origin": "tool" }), 400, Code::InvalidField, Some("body"), None);
    add(f.clone(), json!({ "memory_ids": ["x"] }), 400, Code::InvalidField, Some("memory_ids"), None);
    add(f.clone(), json!({ "query": "x", "everything": true }), 400, Code::InvalidField, Some("query"), None);
    add(f.clone(), json!({ "query": "x", "limit": 0 }), 400, Code::InvalidField, Some("limit"), None);
    add(f.clone(), json!({ "query": "x" }), 409, Code::ConfirmNeeded, Some("confirm"), None);
    add(f, json!({ "everything": true, "confirm": "x" }), 409, Code::ConfirmNeeded, Some("confirm"), None);
    let w = post("/v1/users/u/forget?wait=long");
    add(w, json!({ "everything": true }), 400, Code::InvalidField, Some("wait"), None);
    add(get(format!("/v1/receipts/{some}")), json!({}), 404, Code::ReceiptNotFound, None, None);
    add(get("/v1/receipts/1".to_owned()), json!({}), 404, Code::ReceiptNotFound, None, None);
    add(post("/v1/inlets/none"), json!({}), 404, Code::InletNotFound, None, None);
    let letter = json!({ "ids": [some] });
    add(post("/v1/dead-letters/replay"), letter, 404, Code::DeadLetterNotFound, Some("ids"), None);
    table
}

#[actix_web::test]
async fn every_code_has_a_cause_and_every_error_one_shape() {
    let server = Running::with(small(), log(4 << 10)).await;
    let mut seen = BTreeSet::new();
    for (method, path, body, status, code, field, index) in publishing().into_iter().chain(others()) {
        let reply = server.call(method.clone(), &path, &body).await;
        let name = format!("{method} {path} {:.80}", body.to_string());
        check(&name, &reply, status, code, &mut seen);
        assert_eq!(reply.body["error"]["field"].as_str(), field, "{name}");
        assert_eq!(reply.body["error"]["index"].as_u64(), index.map(|index| index as u64), "{name}");
    }
    malformed(&server, &mut seen).await;
    of_recall(&server, &mut seen).await;
    of_the_log(&server, &mut seen).await;
    slow_body(&server, &mut seen);
    // An API key that is wrong has tests of its own.
    seen.insert(Code::Unauthorized.as_str());
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(all.difference(&seen).collect::<Vec<_>>(), Vec::<&&str>::new(), "codes without a cause");
    let readme = include_str!("../../README.md");
    for code in Code::ALL {
        assert!(readme.contains(&format!("`{}`", code.as_str())), "{} is not in the README", code.as_str());
    }
    assert_eq!(server.log().records(&Topic::Interactions), Vec::new(), "a refused request leaves nothing behind");
    server.stop().await;
}

fn check(name: &str, reply: &Reply, status: u16, code: Code, seen: &mut BTreeSet<&'static str>) {
    assert_eq!((reply.status, reply.code()), (status, code.as_str()), "{name}: {:?}", reply.body);
    let error = &reply.body["error"];
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{name}");
    assert_eq!(error["request_id"].as_str(), reply.header("x-request-id"), "{name}");
    assert_eq!(reply.header("retry-after").is_some(), status == 429 || status == 503, "{name}");
    seen.insert(code.as_str());
}

async fn malformed(server: &Running, seen: &mut BTreeSet<&'static str>) {
    let json = [("content-type", "application/json")];
    let reply = server.send(Method::POST, "/v1/recall", &json, "{\n  \"query\": }".to_owned()).await;
    check("not JSON", &reply, 400, Code::InvalidJson, seen);
    assert_eq!(reply.body["error"]["details"], json!({ "line": 2, "column": 12 }));
    let reply = server.send(Method::POST, "/v1/recall", &[("content-type", "text/plain")], "{}".to_owned()).await;
    check("not said to be JSON", &reply, 415, Code::UnsupportedMediaType, seen);
    for proxy in ["x-forwarded-host", "forwarded", "accept"] {
        let value = if proxy == "forwarded" { "host=localhost" } else { "localhost" };
        let headers = [("host", "evil.example"), (proxy, value)];
        let reply = server.send(Method::GET, "/health/live", &headers, String::new()).await;
        check("another host", &reply, 403, Code::ForbiddenHost, seen);
    }
    let asked = [("x-request-id", "mine-1")];
    let reply = server.send(Method::GET, "/v1/none", &asked, String::new()).await;
    assert_eq!(reply.body["error"]["request_id"], "mine-1");
}

async fn of_recall(server: &Running, seen: &mut BTreeSet<&'static str>) {
    let question = json!({ "user_id": "u", "query": "x" });
    let causes = [
        (Unavailable::invalid("invalid_query", "no such operator"), Code::InvalidQuery),
        (Unavailable::invalid("invalid_cursor", "not mine"), Code::InvalidCursor),
        (Unavailable::invalid("wrong_log", "of another log"), Code::WrongLog),
        (Unavailable::later("restoring", "reading the log", 1), Code::Restoring),
        (Unavailable::later("position_not_reached", "not there yet", 1), Code::PositionNotReached),
        (Unavailable::later("on_holiday", "back soon", 1), Code::Unavailable),
    ];
    let recall = &server.parted.recall;
    for (cause, code) in causes {
        let name = cause.to_string();
        recall.refuse(Some(cause));
        let reply = server.call(Method::POST, "/v1/recall", &question).await;
        check(&name, &reply, code.status().as_u16(), code, seen);
    }
    recall.refuse(None);
    recall.hangs.store(true, Ordering::Relaxed);
    let reply = server.call(Method::POST, "/v1/recall", &question).await;
    check("no answer", &reply, 503, Code::Timeout, seen);
    recall.hangs.store(false, Ordering::Relaxed);
}

// law: L12
async fn of_the_log(server: &Running, seen: &mut BTreeSet<&'static str>) {
    let good = json!([turn(json!({}))]);
    server.parted.writable.store(false, Ordering::Relaxed);
    let reply = server.publish(good.clone()).await;
    check("low disk", &reply, 503, Code::StorageLow, seen);
    assert_eq!(server.get("/v1/users/u/memories").await.status, 200, "questions are answered on a full disk");
    server.parted.writable.store(true, Ordering::Relaxed);

    server.log().stopped.store(true, Ordering::Relaxed);
    let reply = server.publish(good.clone()).await;
    check("failed fsync", &reply, 503, Code::LogStopped, seen);
    server.log().stopped.store(false, Ordering::Relaxed);

    of_the_keys(server, seen).await;
    server.log().inner.hold();
    let filler = Record { value: Some(vec![0; 3900]), ..Record::default() };
    let waiting = server.log().append(&Topic::Receipts, Partition::new(0), vec![filler]).expect("there is room");
    let reply = server.publish(good).await;
    check("full queue", &reply, 429, Code::Overloaded, seen);
    server.log().inner.resume();
    waiting.await.expect("is durable now");

    let damaged = Record { value: Some(b"?".to_vec()), ..Record::default() };
    let appended = server.log().append(&Topic::DeadLetters, Partition::new(0), vec![damaged]).expect("there is room");
    appended.await.expect("is durable");
    let reply = server.get("/v1/dead-letters").await;
    check("unreadable dead letter", &reply, 500, Code::Internal, seen);
}

/// Nothing is sealed with keys that nobody looked after lately, and nothing is taken that cannot be sealed.
async fn of_the_keys(server: &Running, seen: &mut BTreeSet<&'static str>) {
    let keys = &server.log().keys;
    let good = || json!([turn(json!({}))]);
    keys.stale.store(true, Ordering::Relaxed);
    check("stale keys", &server.publish(good()).await, 503, Code::Unavailable, seen);
    keys.stale.store(false, Ordering::Relaxed);
    server.log().ring.set_epoch_seconds(0);
    keys.broken.store(true, Ordering::Relaxed);
    check("no key", &server.publish(good()).await, 503, Code::Unavailable, seen);
    keys.broken.store(false, Ordering::Relaxed);
    server.log().ring.set_epoch_seconds(keyring::EPOCH_SECONDS);
}

/// A body that never comes; only a bare socket can send one.
fn slow_body(server: &Running, seen: &mut BTreeSet<&'static str>) {
    let address = server.address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let head = format!(
        "POST /v1/recall HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("the server reads");
    let (mut answer, mut chunk) = (Vec::new(), [0; 1024]);
    while !String::from_utf8_lossy(&answer).contains("request_timeout") {
        let read = stream.read(&mut chunk).expect("an answer before the connection ends");
        assert!(read > 0, "the server said only {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&chunk[..read]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 408 "));
    seen.insert(Code::RequestTimeout.as_str());
}
