//! Who is let in, and as whom.

use gateway::{Gateway, KeySettings, Parts, Settings, StartError};
use memory_core::TenantId;
use reqwest::Method;
use serde_json::json;
use service_runtime::{Health, Metrics};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use uuid::Uuid;

use crate::support::{FakeRecall, Running, log, secret, settings, user};

fn key(id: &str, tenant: &str, secret: &str) -> KeySettings {
    let hash = blake3::hash(secret.as_bytes()).to_hex().to_string();
    KeySettings { id: id.to_owned(), tenant: tenant.to_owned(), hash }
}

fn with_keys() -> Settings {
    Settings { keys: vec![key("a", "acme", "s3cret.with.dots"), key("b", "bolt", "other")], ..settings() }
}

pub(crate) fn start(settings: Settings) -> Result<Gateway, StartError> {
    let log = log(1 << 20);
    Gateway::new(&Parts {
        ring: log.ring.clone(),
        seal_inlets: false,
        log,
        recall: Arc::new(FakeRecall::default()),
        secret: secret(),
        settings,
        health: Health::new(),
        metrics: Metrics::new(),
        writable: Arc::new(AtomicBool::new(true)),
    })
}

#[test]
fn without_keys_it_does_not_listen_beyond_this_machine() {
    let listen = "0.0.0.0:0".parse().expect("an address");
    let refused = start(Settings { listen, ..settings() }).expect_err("is refused");
    assert!(matches!(refused, StartError::Exposed { .. }));
    assert!(refused.to_string().contains("gateway.keys"), "{refused}");
    assert!(start(Settings { listen, inlets: Vec::new(), ..with_keys() }).is_ok());
    assert!(start(Settings { listen: "[::1]:0".parse().expect("an address"), ..settings() }).is_ok());
}

#[test]
fn keys_that_cannot_work_are_refused_at_start() {
    let bad_hash = KeySettings { hash: "abc".to_owned(), ..key("a", "acme", "s") };
    for keys in [vec![bad_hash], vec![key("a.b", "acme", "s")], vec![key("a", "x", "s"), key("a", "y", "t")]] {
        assert!(matches!(start(Settings { keys, ..settings() }), Err(StartError::Key { .. })));
    }
    let keys = vec![key("a", "", "s")];
    assert!(matches!(start(Settings { keys, ..settings() }), Err(StartError::Tenant { .. })));
}

#[actix_web::test]
async fn only_a_valid_key_is_let_in() {
    let server = Running::with(with_keys(), log(1 << 20)).await;
    let path = "/v1/users/u/working-memory";
    let accepted = [
        ("authorization", "Bearer a.s3cret.with.dots"),
        ("authorization", "Token a.s3cret.with.dots"),
        ("x-api-key", "b.other"),
    ];
    for header in accepted {
        assert_eq!(server.send(Method::GET, path, &[header], String::new()).await.status, 200, "{header:?}");
    }
    let refused = [
        ("authorization", "Bearer a.wrong"),
        ("authorization", "Bearer a"),
        ("authorization", "Basic a.s3cret.with.dots"),
        ("authorization", "Bearer c.other"),
        ("x-api-key", "a.other"),
        ("accept", "*/*"),
    ];
    for header in refused {
        let reply = server.send(Method::GET, path, &[header], String::new()).await;
        assert_eq!((reply.status, reply.code()), (401, "unauthorized"), "{header:?}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(server.get("/v1/nothing").await.status, 401, "a stranger does not learn which routes there are");
    for open in ["/health/live", "/metrics", "/openapi.json", "/docs/"] {
        assert_eq!(server.get(open).await.status, 200, "{open}");
    }
    server.stop().await;
}

// law: L08
#[actix_web::test]
async fn somebody_elses_memory_is_answered_as_a_missing_one() {
    let server = Running::with(with_keys(), log(1 << 20)).await;
    let id = Uuid::from_u128(1);
    server.parted.recall.remember(&user("acme", "alice"), id, "likes tea");
    let (mine, theirs) = (("x-api-key", "a.s3cret.with.dots"), ("x-api-key", "b.other"));
    let (json, text) = (("content-type", "application/json"), json!({ "text": "likes coffee" }).to_string());
    let path = format!("/v1/memories/{id}");
    assert_eq!(server.send(Method::GET, &path, &[mine], String::new()).await.status, 200);
    let missing = format!("/v1/memories/{}", Uuid::from_u128(2));
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let foreign = server.send(method.clone(), &path, &[theirs, json], text.clone()).await;
        let mut absent = server.send(method.clone(), &missing, &[theirs, json], text.clone()).await;
        absent.body["error"]["request_id"] = foreign.body["error"]["request_id"].clone();
        assert_eq!((foreign.status, &foreign.body), (404, &absent.body), "{method}");
    }
    let profile = server.send(Method::GET, "/v1/users/alice/profile", &[mine], String::new()).await;
    assert_eq!(profile.body["facts"][0]["text"], "likes tea");
    let foreign = server.send(Method::GET, "/v1/users/alice/profile", &[theirs], String::new()).await;
    let mut unknown = server.send(Method::GET, "/v1/users/nobody/profile", &[theirs], String::new()).await;
    unknown.body["user_id"] = json!("alice");
    assert_eq!((foreign.status, foreign.body), (200, unknown.body));
    let feedback = json!({ "memory_ids": [id], "useful": true }).to_string();
    let reply = server.send(Method::POST, "/v1/feedback", &[theirs, json], feedback).await;
    assert_eq!((reply.status, reply.code()), (404, "memory_not_found"));
    assert!(server.log().events().is_empty());
    let body = json!({ "interactions": [{ "user_id": "alice", "content": "hi" }] }).to_string();
    let reply = server.send(Method::POST, "/v1/interactions", &[theirs, json], body).await;
    assert_eq!(reply.status, 202, "{:?}", reply.body);
    let tenants: Vec<TenantId> = server.log().events().into_iter().map(|recorded| recorded.tenant).collect();
    assert_eq!(tenants, [TenantId::try_new("bolt").expect("a tenant")], "the tenant comes from the key");
    server.stop().await;
}
