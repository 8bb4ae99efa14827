//! Nothing that people say or are called lies on a topic in the clear, and what was forgotten is not shown again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use event_log::dead_letter::tenant_of;
use event_log::{EventLog, Record, Stored, Topic};
use gateway::{InletError, InletReader, InletSettings, Settings, Taken};
use memory_core::subject::TenantTag;
use memory_core::{Partition, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Parted, Running, TestLog, inlet_topic, log, secret, settings, tenant, user};

const CANARY: &str = "kanarienvogel";
const ARRIVED: Timestamp = Timestamp::from_micros(1_778_248_560_000_000);
const JSON: (&str, &str) = ("content-type", "application/json");

fn shows(stored: &Stored) -> bool {
    let Record { key, value, headers, .. } = &stored.record;
    let headers = headers.iter().flat_map(|(name, value)| [Some(name.as_bytes()), value.as_deref()]);
    let parts = [Some(key.as_slice()), value.as_deref()].into_iter().chain(headers).flatten();
    parts.into_iter().any(|part| part.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()))
}

/// What a closure does on the reader's own thread.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().expect("no panic"))
}

fn take(reader: &mut InletReader) -> Taken {
    apart(|| {
        let taken = reader.take().expect("the log works");
        reader.commit().expect("the log works");
        taken
    })
}

async fn append(log: &TestLog, topic: &Topic, records: Vec<Record>) {
    let appended = log.append(topic, Partition::new(0), records).expect("there is room");
    appended.await.expect("is durable");
}

fn record(value: &str) -> Record {
    Record { value: Some(value.as_bytes().to_vec()), timestamp: ARRIVED, ..Record::default() }
}

// law: L09
#[actix_web::test]
async fn what_is_published_lies_nowhere_in_the_clear() {
    let server = Running::of(Parted::with(settings(), log(1 << 20), true));
    let turn = json!({
        "id": "e-1", "user_id": CANARY, "session_id": CANARY, "speaker": CANARY, "content": CANARY, "tags": [CANARY],
        "metadata": { CANARY: CANARY }
    });
    let reply = server.publish(json!([turn])).await;
    assert_eq!(reply.status, 202, "{:?}", reply.body);
    let posts = [
        (vec![JSON], turn.to_string().replace("e-1", "e-2")),
        (vec![JSON], format!("{{ {CANARY}")),
        (
            vec![("ce-specversion", "1.0"), ("ce-id", "e-3"), ("ce-source", CANARY), ("ce-type", "t"), JSON],
            json!({ "user_id": CANARY, "content": CANARY }).to_string(),
        ),
        (vec![("content-type", "application/x-ndjson")], turn.to_string().replace("e-1", "e-4")),
    ];
    for (mut headers, body) in posts {
        headers.push(("ce-partitionkey", CANARY));
        let reply = server.send(Method::POST, "/v1/inlets/support", &headers, body).await;
        assert_eq!(reply.status, 202, "{:?}", reply.body);
    }
    let posted = server.log().records(&inlet_topic());
    assert_eq!(posted.len(), 4);
    assert!(posted.iter().all(|stored| stored.record.key == posted[0].record.key && !stored.record.key.is_empty()));
    assert_eq!(take(&mut server.parted.reader()), Taken { accepted: 3, dead_lettered: 1 });
    assert_eq!(server.log().event_ids(), ["e-1", "e-2", "e-3", "e-4"]);
    assert_eq!(server.log().keys.kept.load(Ordering::Relaxed), 2, "one key of the tenant, one of the installation");

    let letters = server.get("/v1/dead-letters").await;
    assert_eq!(letters.body["results"][0]["reason"], "invalid_json", "{:?}", letters.body);
    let reply = server.call(Method::POST, "/v1/dead-letters/replay", &json!({})).await;
    assert_eq!(reply.body, json!({ "replayed": 1 }));
    assert_eq!(server.log().records(&inlet_topic()).len(), 5);
    assert_eq!(take(&mut server.parted.reader()), Taken { accepted: 0, dead_lettered: 1 });
    assert_eq!(server.get("/v1/dead-letters").await.body["results"][0]["replays"], 1);
    for topic in [Topic::Interactions, Topic::DeadLetters, inlet_topic()] {
        for stored in server.log().records(&topic) {
            assert!(!shows(&stored), "{topic} offset {} shows it", stored.offset);
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn many_first_requests_make_one_key() {
    let server = Running::with(Settings { workers: 4, ..settings() }, log(1 << 20)).await;
    let body = |number: u32| json!({ "interactions": [{ "user_id": format!("u{number}"), "content": "x" }] });
    let publish = |number| server.publish(body(number)["interactions"].clone());
    let keys = &server.log().keys;
    keys.held.store(true, Ordering::Relaxed);
    let all_wait = format!("memos_gateway_inflight_bytes {}\n", 4 * body(1).to_string().len());
    let let_go = async {
        while !server.parted.metrics.render().contains(&all_wait) {
            tokio::task::yield_now().await;
        }
        keys.held.store(false, Ordering::Relaxed);
    };
    let (a, b, c, d, ()) = tokio::join!(publish(1), publish(2), publish(3), publish(4), let_go);
    assert!([a, b, c, d].iter().all(|reply| reply.status == 202));
    assert_eq!(server.log().keys.kept.load(Ordering::Relaxed), 1);
    server.stop().await;
}

#[test]
fn an_inlet_waits_for_keys() {
    let log = log(1 << 20);
    let parted = Parted::new(settings(), Arc::clone(&log));
    let appended = log.append(
        &inlet_topic(),
        Partition::new(1),
        vec![record(r#"{"id": "waits", "user_id": "u", "content": "x"}"#)],
    );
    appended.expect("there is room").wait().expect("is durable");
    let mut reader = parted.reader();
    log.keys.stale.store(true, Ordering::Relaxed);
    assert!(matches!(reader.take(), Err(InletError::StaleKeys)));
    log.keys.stale.store(false, Ordering::Relaxed);
    log.keys.broken.store(true, Ordering::Relaxed);
    assert!(matches!(reader.take(), Err(InletError::Keys(_))));
    assert!(log.events().is_empty());
    log.keys.broken.store(false, Ordering::Relaxed);
    assert_eq!(reader.take().expect("the log works"), Taken { accepted: 1, dead_lettered: 0 });
    assert_eq!(log.event_ids(), ["waits"]);
}

#[test]
fn a_letter_is_sealed_with_the_key_of_whom_it_may_belong_to() {
    let keys = tempfile::tempdir().expect("a directory");
    let file = keys.path().join("secret");
    std::fs::write(&file, "acme-0123456789abcdef0123456789abcdef").expect("a file");
    let key = |tenant: &str| gateway::InletKeySettings {
        tenant: tenant.to_owned(),
        id: "k-1".to_owned(),
        secret_file: Some(file.clone()),
        secret_env: None,
    };
    let signed =
        Settings { inlets: vec![InletSettings::signed("support")], inlet_keys: vec![key("acme")], ..settings() };
    let named = |name: &str| {
        let headers = vec![("memos-tenant".to_owned(), Some(name.as_bytes().to_vec()))];
        Record { headers, ..record("{}") }
    };
    let installation = TenantTag::from_bytes([0; 16]);
    let cases = [
        (settings(), record("{"), tenant("default").tag(&secret())),
        (signed.clone(), named("acme"), tenant("acme").tag(&secret())),
        (signed.clone(), named("stranger"), installation),
        (signed, record("{"), installation),
    ];
    for (settings, record, tag) in cases {
        let log = log(1 << 20);
        let appended = log.append(&inlet_topic(), Partition::new(0), vec![record]).expect("there is room");
        appended.wait().expect("is durable");
        let parted = Parted::new(settings, Arc::clone(&log));
        assert_eq!(parted.reader().take().expect("the log works").dead_lettered, 1);
        let letter = log.records(&Topic::DeadLetters).remove(0);
        assert_eq!(tenant_of(&letter.record).expect("a letter"), tag);
    }
}

// law: L09
#[actix_web::test]
async fn letters_of_who_was_forgotten_are_neither_shown_nor_sent_in() {
    let server = Running::start().await;
    let bad = |owner: Value| {
        let mut value = json!({ "id": "e", "content": "x", "time": "noon" });
        value.as_object_mut().expect("an object").extend(owner.as_object().expect("an object").clone());
        value
    };
    let event = json!({ "specversion": "1.0", "id": "e", "source": "/t", "type": "t", "data": bad(json!({ "user_id": "alice" })) });
    let structured = Record {
        headers: vec![("content-type".to_owned(), Some(b"application/cloudevents+json".to_vec()))],
        ..record(&event.to_string())
    };
    let plain = |owner: Value| record(&bad(owner).to_string());
    let records =
        vec![plain(json!({ "user_id": "alice" })), structured, plain(json!({ "user_id": "bob" })), record("{")];
    append(server.log(), &inlet_topic(), records).await;
    assert_eq!(take(&mut server.parted.reader()).dead_lettered, 4);
    let listed = async || server.get("/v1/dead-letters").await.body["results"].as_array().expect("a list").len();
    assert_eq!(listed().await, 4);
    let forget = |at: Timestamp| {
        server.parted.recall.forgotten.lock().expect("no panic").insert(user("default", "alice"), at);
    };
    forget(ARRIVED);
    assert_eq!(listed().await, 4, "they arrived after it");
    forget(Timestamp::from_micros(ARRIVED.micros() + 1));
    assert_eq!(listed().await, 2);
    let reply = server.call(Method::POST, "/v1/dead-letters/replay", &json!({})).await;
    assert_eq!(reply.body, json!({ "replayed": 2 }));
    server.stop().await;
}

// law: L09
#[actix_web::test]
async fn what_lost_its_key_is_no_letter_and_no_record_any_more() {
    let server = Running::of(Parted::with(settings(), log(1 << 20), true));
    append(server.log(), &inlet_topic(), vec![record("{")]).await;
    assert_eq!(take(&mut server.parted.reader()).dead_lettered, 1);
    let body = json!({ "id": "e", "user_id": "u", "content": "x" }).to_string();
    assert_eq!(server.send(Method::POST, "/v1/inlets/support", &[JSON], body).await.status, 202);
    let dead: Vec<_> = server.log().ring.epochs().into_iter().map(|(tenant, _, key)| (tenant, key)).collect();
    assert_eq!(dead.len(), 2);
    server.log().ring.destroy_epochs(&dead).expect("they are destroyed");
    assert_eq!(server.get("/v1/dead-letters").await.body["results"], json!([]));
    let reply = server.call(Method::POST, "/v1/dead-letters/replay", &json!({})).await;
    assert_eq!(reply.body, json!({ "replayed": 0 }));
    assert_eq!(take(&mut server.parted.reader()), Taken::default(), "it is passed");
    server.stop().await;
}
