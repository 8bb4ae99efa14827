//! Forgetting over HTTP: what becomes an event, what only looks, and how far an answer waits.

use std::collections::VecDeque;
use std::time::Duration;

use memory_core::forget::{Matching, Scope};
use memory_core::{Control, MemoryId, Origin, ReceiptId, Timestamp};
use memos_client::{Client, ForgetBody, ForgetUntil, Owner, ReceiptStatus, Unavailable};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Reply, Running, secret, tenant, user};

const TEA: Uuid = Uuid::from_u128(5);
const CATS: Uuid = Uuid::from_u128(6);

async fn server() -> Running {
    let server = Running::start().await;
    for (id, text) in [(TEA, "likes tea"), (CATS, "has two cats")] {
        server.parted.recall.remember(&user("default", "alice"), id, text);
    }
    server.parted.recall.remember(&user("default", "bob"), Uuid::from_u128(7), "likes tea");
    server
}

async fn forget(server: &Running, body: &Value) -> Reply {
    server.call(Method::POST, "/v1/users/alice/forget", body).await
}

/// What is to be forgotten, of every event on the log.
fn scopes(server: &Running) -> Vec<Scope> {
    let scope = |control: &Control| control.forgets().cloned().expect("it is a forget");
    let events = server.log().events();
    events.iter().map(|recorded| scope(recorded.event.control.as_deref().expect("a control"))).collect()
}

#[actix_web::test]
async fn every_way_to_say_what_goes_becomes_one_event() {
    let server = server().await;
    let at = |seconds| Some(Timestamp::from_seconds(seconds));
    let memory = |id| MemoryId::from_uuid(id);
    let ways = [
        (json!({ "everything": true }), Scope::Everything),
        (
            json!({ "memory_ids": [CATS, TEA, TEA], "event_ids": ["e-1"] }),
            Scope::These {
                memories: vec![memory(TEA), memory(CATS)],
                events: vec![memory_core::EventId::try_new("e-1").expect("an id")],
            },
        ),
        (
            json!({ "run_id": "s", "origin": "tool", "from": "1970-01-01T00:00:01Z", "to": "1970-01-01T00:00:02Z" }),
            Scope::Matching(Matching {
                session_id: Some("s".to_owned()),
                origin: Some(Origin::Tool),
                from: at(1),
                to: at(2),
            }),
        ),
    ];
    for (number, (body, scope)) in ways.into_iter().enumerate() {
        let reply = forget(&server, &body).await;
        assert_eq!(reply.status, 202, "{body}: {:?}", reply.body);
        let receipt = &reply.body["receipt"];
        assert_eq!((receipt["status"].as_str(), receipt["scope"].as_str()), (Some("accepted"), Some(scope.as_str())));
        assert!(reply.body["position"].is_string());
        assert_eq!(scopes(&server)[number], scope);
        let event = &server.log().events()[number].event;
        assert_eq!(event.user_id.as_deref(), Some("alice"));
        let id = ReceiptId::of_event(user("default", "alice").handle(&secret()), &event.id).as_uuid();
        assert_eq!(receipt["id"].as_str(), Some(id.to_string().as_str()), "it follows from the event");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_dry_run_changes_nothing_and_its_confirm_is_of_what_it_showed() {
    let server = server().await;
    let reply = forget(&server, &json!({ "everything": true, "dry_run": true })).await;
    assert_eq!((reply.status, &reply.body["preview"]["memories"]), (200, &json!(2)), "{:?}", reply.body);
    let confirm = reply.body["confirm"].clone();
    assert!(server.log().events().is_empty());
    assert_eq!(forget(&server, &json!({ "everything": true, "confirm": confirm })).await.status, 202);
    server.parted.recall.remember(&user("default", "alice"), Uuid::from_u128(9), "is new");
    let reply = forget(&server, &json!({ "everything": true, "confirm": confirm })).await;
    assert_eq!((reply.status, reply.code()), (409, "confirm_needed"), "something else would go now");
    assert_eq!(server.log().events().len(), 1);
    server.stop().await;
}

#[actix_web::test]
async fn a_question_takes_what_its_dry_run_found_and_nothing_else() {
    let server = server().await;
    let question = |extra: Value| {
        let mut body = json!({ "query": "likes", "kinds": ["fact"], "limit": 20, "min_score": 0.2, "filters": null });
        body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        body
    };
    let reply = forget(&server, &question(json!({}))).await;
    assert_eq!((reply.status, reply.code()), (409, "confirm_needed"));
    let dry = forget(&server, &question(json!({ "dry_run": true }))).await;
    assert_eq!((dry.status, &dry.body["preview"]["memory_ids"]), (200, &json!([TEA])), "{:?}", dry.body);
    let asked = server.parted.recall.asked.lock().expect("no panic").pop().expect("it was asked");
    assert_eq!((asked.user_id.as_deref(), asked.query.as_str(), asked.limit), (Some("alice"), "likes", 20));
    assert!(asked.include_working_memory);
    let confirm = dry.body["confirm"].clone();
    let reply = forget(&server, &question(json!({ "confirm": "another" }))).await;
    assert_eq!(reply.code(), "confirm_needed");
    server.parted.recall.remember(&user("default", "alice"), Uuid::from_u128(9), "likes coffee");
    let reply = forget(&server, &question(json!({ "confirm": confirm }))).await;
    assert_eq!(reply.code(), "confirm_needed", "it finds something else now");
    assert!(server.log().events().is_empty());
    let confirm = forget(&server, &question(json!({ "dry_run": true }))).await.body["confirm"].clone();
    let reply = forget(&server, &question(json!({ "confirm": confirm }))).await;
    assert_eq!(reply.status, 202, "{:?}", reply.body);
    let memories = vec![MemoryId::from_uuid(TEA), MemoryId::from_uuid(Uuid::from_u128(9))];
    assert_eq!(scopes(&server), [Scope::These { memories, events: Vec::new() }]);
    let nothing = json!({ "query": "rain", "dry_run": true });
    let dry = forget(&server, &nothing).await;
    assert_eq!((dry.status, &dry.body["preview"]["memories"]), (200, &json!(0)));
    let reply = forget(&server, &json!({ "query": "rain", "confirm": dry.body["confirm"] })).await;
    assert_eq!((reply.status, reply.code()), (404, "memory_not_found"));
    server.stop().await;
}

#[actix_web::test]
async fn an_answer_waits_as_far_as_it_is_asked_to() {
    let server = server().await;
    let (recall, client) = (&server.parted.recall, Client::new(&server.address, None).expect("an address"));
    let (owner, all) = (Owner::User("alice"), ForgetBody::everything());
    let script = |stages: &[ReceiptStatus]| {
        *recall.receipts.lock().expect("no panic") = stages.iter().copied().collect::<VecDeque<_>>();
    };
    let wait = async |until, millis| {
        let done = client.forget(owner, &all, Some((until, Duration::from_millis(millis)))).await;
        done.expect("it is taken").receipt.status
    };
    use ReceiptStatus::{Accepted, Erased, KeyDestroyed, Verified};
    let all_stages = [Accepted, KeyDestroyed, Erased, Verified];
    for stage in [KeyDestroyed, Erased, Verified] {
        script(&all_stages);
        assert_eq!(wait(ForgetUntil::Stage(stage), 10_000).await, stage);
    }
    script(&[Verified]);
    assert_eq!(wait(ForgetUntil::Accepted, 0).await, Accepted, "it did not look");
    assert_eq!(wait(ForgetUntil::Recallable, 10_000).await, Verified, "it looked once");
    script(&[Accepted]);
    assert_eq!(wait(ForgetUntil::Stage(Erased), 20).await, Accepted, "the time is over, and it was taken");
    recall.refuse(Some(Unavailable::later("timeout", "not yet", 1)));
    assert_eq!(wait(ForgetUntil::Stage(Erased), 20).await, Accepted);
    recall.refuse(None);
    assert_eq!(server.log().events().len(), 7);
    script(&[Erased]);
    assert_eq!(client.delete_memory(TEA).await.expect("it is taken").receipt.status, Erased);
    server.stop().await;
}

#[actix_web::test]
async fn a_key_makes_a_retry_the_same_forget() {
    let server = server().await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let send = async |method: Method, path: &str, body: &str| {
        let reply = server.send(method, path, &headers, body.to_owned()).await;
        assert_eq!(reply.status, 202, "{:?}", reply.body);
        reply.body["receipt"]["id"].clone()
    };
    let path = "/v1/users/alice/forget";
    let first = send(Method::POST, path, r#"{"everything": true}"#).await;
    assert_eq!(first, send(Method::POST, path, r#"{"everything": true}"#).await);
    let deleted = send(Method::DELETE, &format!("/v1/memories/{TEA}"), "").await;
    assert_ne!(first, deleted);
    assert_eq!(deleted, send(Method::DELETE, &format!("/v1/memories/{TEA}"), "").await);
    server.stop().await;
}

// law: L08
#[actix_web::test]
async fn somebody_elses_receipt_is_a_missing_one() {
    let server = server().await;
    let path = format!("/v1/receipts/{}", Uuid::nil());
    *server.parted.recall.receipts.lock().expect("no panic") = VecDeque::from([ReceiptStatus::Erased]);
    assert_eq!(server.get(&path).await.body["status"], "erased");
    *server.parted.recall.receipts_of.lock().expect("no panic") = Some(tenant("somebody"));
    let reply = server.get(&path).await;
    assert_eq!((reply.status, reply.code()), (404, "receipt_not_found"));
    server.stop().await;
}

#[actix_web::test]
async fn agents_and_sessions_forget_too_and_no_label_names_one() {
    let server = server().await;
    for owners in ["users", "agents", "sessions"] {
        let path = format!("/v1/{owners}/kanarienvogel/forget");
        let reply = server.call(Method::POST, &path, &json!({ "everything": true })).await;
        assert_eq!(reply.status, 202, "{:?}", reply.body);
    }
    let metrics = server.parted.metrics.render();
    assert!(metrics.contains("memos_gateway_requests_total{route=\"/v1/agents/{id}/forget\",status=\"202\"} 1"));
    assert!(!metrics.contains("kanarienvogel"), "{metrics}");
    server.stop().await;
}
