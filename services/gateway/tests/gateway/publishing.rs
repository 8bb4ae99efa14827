//! Publishing and asking, when nothing is wrong.

use std::task::Poll;
use std::time::Duration;

use event_log::{EventLog, Topic};
use memory_core::{Origin, Role};
use memos_client::{Client, EventStatus, Interaction, MemoriesQuery, Owner, Position, RecallRequest, Unavailable};
use reqwest::Method;
use serde_json::json;

use crate::support::{Running, log, secret, settings, tenant, user};

const JSON: (&str, &str) = ("content-type", "application/json");

#[actix_web::test]
async fn what_was_accepted_is_on_the_log_under_its_subject() {
    let server = Running::start().await;
    let interactions = json!([
        { "id": "e-1", "user_id": "alice", "content": "I am allergic to peanuts." },
        { "id": "e-2", "user_id": "bob", "role": "assistant", "content": "Noted.", "conversation_id": "c" },
    ]);
    let reply = server.publish(interactions).await;
    assert_eq!((reply.status, reply.ids()), (202, vec!["e-1", "e-2"]), "{:?}", reply.body);
    let position = Position::decode(reply.body["position"].as_str().expect("a token")).expect("a position");
    assert_eq!(position.log, server.log().id().uuid());
    let partitions = server.log().partitions();
    for recorded in server.log().events() {
        let handle = recorded.event.subject(&recorded.tenant).expect("an owner").handle(&secret());
        let next = position.next.get(&handle.partition(partitions)).expect("its partition is covered");
        assert!(recorded.offset < *next);
        assert_eq!(recorded.tenant, tenant("default"));
    }
    let alice = user("default", "alice").handle(&secret());
    let record =
        server.log().records(&Topic::Interactions).into_iter().find(|stored| stored.record.key == alice.as_bytes());
    let record = record.expect("the key is the handle").record;
    assert_eq!(record.header("ce_id"), Some(b"e-1".as_slice()));
    assert_eq!(record.header("ce_type"), Some(b"memos.interaction.v1".as_slice()));
    server.stop().await;
}

// law: L01
#[actix_web::test]
async fn an_answer_waits_for_durability() {
    let server = Running::start().await;
    server.log().inner.hold();
    let reply = server.publish(json!([{ "user_id": "u", "content": "x" }]));
    let mut reply = std::pin::pin!(reply);
    let early = actix_web::rt::time::timeout(Duration::from_millis(200), reply.as_mut()).await;
    assert!(early.is_err(), "answered before it was durable");
    server.log().inner.resume();
    assert_eq!(reply.await.status, 202);
    server.stop().await;
}

#[actix_web::test]
async fn a_retry_with_the_same_key_is_the_same_events() {
    let server = Running::start().await;
    let body = json!({ "interactions": [
        { "user_id": "u", "content": "x" }, { "user_id": "u", "content": "x" }, { "user_id": "v", "content": "x" },
        { "id": "mine", "user_id": "u", "content": "x" },
    ]});
    let publish = async |key: &'static str| {
        let reply =
            server.send(Method::POST, "/v1/interactions", &[JSON, ("idempotency-key", key)], body.to_string()).await;
        reply.ids().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let first = publish("key-1").await;
    assert_eq!(first, publish("key-1").await);
    let mut distinct = first.clone();
    distinct.extend(publish("key-2").await);
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 7, "only an id that was given is the same under another key");
    let without = server.publish(json!([{ "user_id": "u", "content": "x" }])).await;
    let again = server.publish(json!([{ "user_id": "u", "content": "x" }])).await;
    assert_ne!(without.ids(), again.ids());
    server.stop().await;
}

// law: L10
#[actix_web::test]
async fn a_full_log_is_passed_on_as_429() {
    let server = Running::with(settings(), log(2_000)).await;
    server.log().inner.hold();
    // Short enough not to be packed.
    let interaction = json!([{ "user_id": "u", "content": "x".repeat(600) }]);
    let mut first = std::pin::pin!(server.publish(interaction.clone()));
    let mut second = std::pin::pin!(server.publish(interaction));
    // There is room for one, whichever comes first; that one waits, so the other is answered.
    let (full, first_waits) = std::future::poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Ready(full) => Poll::Ready((full, false)),
        Poll::Pending => second.as_mut().poll(context).map(|full| (full, true)),
    })
    .await;
    server.log().inner.resume();
    let waited = if first_waits { first.await } else { second.await };
    assert_eq!(waited.status, 202);
    assert_eq!((full.code(), full.header("retry-after")), ("overloaded", Some("1")));
    let metrics = server.parted.metrics.render();
    assert!(metrics.contains("memos_gateway_interactions_total{outcome=\"turned_away\"} 1"), "{metrics}");
    server.stop().await;
}

#[actix_web::test]
async fn waiting_ends_with_what_was_reached() {
    let server = Running::start().await;
    let body = json!({ "interactions": [{ "user_id": "u", "content": "x" }] }).to_string();
    let path = "/v1/interactions?wait=recallable&timeout_ms=100";
    let reply = server.send(Method::POST, path, &[JSON], body.clone()).await;
    assert_eq!(reply.body["results"][0]["status"], "recallable");
    server.parted.recall.refuse(Some(Unavailable::later("position_not_reached", "not yet", 1)));
    let reply = server.send(Method::POST, path, &[JSON], body).await;
    assert_eq!((reply.status, &reply.body["results"][0]["status"]), (202, &json!("accepted")), "it was taken");
    server.stop().await;
}

#[actix_web::test]
async fn the_rust_client_speaks_to_it() {
    let server = Running::start().await;
    let client = Client::new(&server.address, None).expect("an address");
    let turn = Interaction { origin: Some(Origin::ThirdParty), ..Interaction::turn("alice", Role::Assistant, "hello") };
    let published = client.publish(&[turn]).await.expect("is taken");
    assert_eq!(published.results[0].status, EventStatus::Accepted);
    let event = server.log().events().pop().expect("an event").event;
    assert_eq!((event.id.as_str(), event.origin), (published.results[0].id.as_str(), Origin::ThirdParty));

    let filters = json!({ "tags": { "contains": "x" } });
    let question = RecallRequest {
        user_id: Some("alice".to_owned()),
        query: "what?".to_owned(),
        filters: Some(filters.clone()),
        at_least: Some(published.position),
        ..RecallRequest::default()
    };
    client.recall(&question).await.expect("an answer");
    assert_eq!(server.parted.recall.asked.lock().expect("no panic").pop(), Some(question));

    let owner = Owner::User("alice/../bob");
    let query = MemoriesQuery { limit: Some(7), filters: Some(filters.clone()), ..MemoriesQuery::default() };
    assert_eq!(client.memories(owner, &query).await.expect("a page").results, Vec::new());
    let listed = server.parted.recall.listed.lock().expect("no panic").pop().expect("was asked");
    assert_eq!((listed.limit, listed.filters), (7, Some(filters)));
    let view = client.working_memory(owner).await.expect("a view");
    assert_eq!(view.user_id.as_deref(), Some("alice/../bob"), "an id stays one segment");
    let alice = Owner::User("alice");
    server.parted.recall.remember(&user("default", "alice"), uuid::Uuid::from_u128(1), "likes tea");
    let now = memory_core::Timestamp::from_seconds(1_800_000_000);
    let profile = client.profile(alice, Some(now)).await.expect("a profile");
    assert_eq!((profile.user_id.as_deref(), profile.now, profile.facts.len()), (Some("alice"), now, 1));
    assert_eq!(client.profile(Owner::Agent("alice"), None).await.expect("a profile").facts, [], "another owner");
    assert!(client.health().await.expect("an answer").ready);
    assert_eq!(client.event("none").await.expect_err("unknown").code(), Some("event_not_found"));
    server.stop().await;
}

#[actix_web::test]
async fn it_describes_and_measures_itself() {
    let server = Running::start().await;
    let document = server.get("/openapi.json").await.body;
    for path in [
        "/v1/interactions",
        "/v1/recall",
        "/v1/memories/{id}",
        "/v1/inlets/{name}",
        "/v1/dead-letters/replay",
        "/v1/{owners}/{id}/profile",
        "/v1/{owners}/{id}/forget",
        "/v1/receipts/{id}",
    ] {
        assert!(document["paths"][path].is_object(), "{path} is not described");
    }
    assert!(document["components"]["schemas"]["Interaction"]["properties"]["user_id"].is_object());
    let docs = server.get("/docs/").await;
    assert!(docs.body.as_str().is_some_and(|page| page.contains("swagger-ui")), "{:?}", docs.body);
    drop(server.get("/v1/users/somebody/memories").await);
    let metrics = server.get("/metrics").await.body;
    let metrics = metrics.as_str().expect("text");
    let line = "memos_gateway_requests_total{route=\"/v1/users/{id}/memories\",status=\"200\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    assert!(!metrics.contains("somebody"), "no label names a user");
    let readme = include_str!("../../README.md");
    for name in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE memos_gateway")) {
        let name = name.split(' ').next().expect("a name");
        assert!(readme.contains(&format!("`memos_gateway{name}`")), "memos_gateway{name} is not in the README");
    }
    server.stop().await;
}
