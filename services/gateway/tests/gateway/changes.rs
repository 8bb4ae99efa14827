//! Correcting, deleting, feedback and consent: each is an event of the memory's owner.

use memory_core::forget::Scope;
use memory_core::{Control, MemoryId};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Running, user};

const ID: Uuid = Uuid::from_u128(5);

async fn server() -> Running {
    let server = Running::start().await;
    server.parted.recall.remember(&user("default", "alice"), ID, "likes tea");
    server.parted.recall.remember(&user("default", "bob"), Uuid::from_u128(6), "likes cocoa");
    server
}

#[actix_web::test]
async fn a_change_is_an_event_of_the_owner() {
    let server = server().await;
    let (path, memory_id) = (format!("/v1/memories/{ID}"), MemoryId::from_uuid(ID));
    let text = "likes coffee".to_owned();
    let this = Scope::These { memories: vec![memory_id], events: Vec::new() };
    let changes = [
        (Method::PATCH, path.as_str(), json!({ "text": text }), Control::Correct { memory_id, text: text.clone() }),
        (Method::DELETE, path.as_str(), json!({}), Control::Forget { scope: this, floor: None }),
        (Method::PUT, "/v1/users/alice/consent", json!({ "remember": false }), Control::Consent { remember: false }),
        (
            Method::POST,
            "/v1/feedback",
            json!({ "memory_ids": [ID], "useful": false }),
            Control::Feedback { memory_ids: vec![memory_id], useful: false },
        ),
    ];
    for (method, path, body, control) in changes {
        let before = server.log().event_ids();
        let reply = server.call(method, path, &body).await;
        assert_eq!(reply.status, 202, "{path}: {:?}", reply.body);
        let events = server.log().events();
        let event =
            events.iter().find(|recorded| !before.contains(&recorded.event.id.to_string())).expect("a new event");
        assert_eq!((event.event.control.as_deref(), event.event.user_id.as_deref()), (Some(&control), Some("alice")));
    }
    assert_eq!(server.get(&format!("{path}/history")).await.body["results"][0]["version"], 1);
    let long = server.call(Method::PATCH, &path, &json!({ "text": "x".repeat(40 << 10) })).await;
    assert_eq!((long.code(), &long.body["error"]["field"]), ("too_large", &json!("text")));
    server.stop().await;
}

#[actix_web::test]
async fn a_key_makes_a_retry_the_same_change_and_no_other() {
    let server = server().await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let change = async |method: Method, body: &'static str| {
        let reply = server.send(method, &format!("/v1/memories/{ID}"), &headers, body.to_owned()).await;
        assert_eq!(reply.status, 202, "{:?}", reply.body);
        server.log().event_ids()
    };
    let corrected = change(Method::PATCH, r#"{"text": "likes coffee"}"#).await;
    assert_eq!(corrected.len(), 1);
    assert_eq!(change(Method::PATCH, r#"{"text": "likes coffee"}"#).await, [&corrected[..], &corrected[..]].concat());
    let mut all = change(Method::DELETE, "").await;
    all.dedup();
    assert_eq!(all.len(), 2, "a deletion is another event");
    server.stop().await;
}

#[actix_web::test]
async fn feedback_goes_to_every_owner_or_to_none() {
    let server = server().await;
    let both = json!([ID, Uuid::from_u128(6)]);
    let reply = server.call(Method::POST, "/v1/feedback", &json!({ "memory_ids": both, "useful": true })).await;
    assert_eq!((reply.status, server.log().events().len()), (202, 2));
    let body = json!({ "user_id": "alice", "memory_ids": both, "useful": true });
    let reply = server.call(Method::POST, "/v1/feedback", &body).await;
    assert_eq!((reply.code(), &reply.body["error"]["index"]), ("memory_not_found", &json!(1)));
    assert_eq!(server.log().events().len(), 2);
    server.stop().await;
}
