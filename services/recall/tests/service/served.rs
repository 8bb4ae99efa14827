//! Recall over HTTP: the same answers as in the process, and nobody else's.

use std::time::Duration;

use memory_core::forget::Scope;
use memory_core::{EventId, MemoryId, ReceiptId, Rules, TenantId};
use memos_client::port::{ListRequest, RecallApi, ReplicaApi};
use memos_client::{InternalKey, Position, Reach, ReceiptStatus, RemoteRecall, RemoteSettings};
use recall::Settings;
use recall::server::{ServerSettings, StartError, bind};
use serde_json::json;
use testkit::events;

use crate::kit::{DEADLINE, PARTITIONS, Running, Stage, own_store, question, user};

const KEY: &str = "an-internal-key-of-this-test";

/// Recall behind its server, which ends with the runtime of the test.
struct Served {
    running: Running,
    url: String,
    handle: actix_web::dev::ServerHandle,
}

fn settings(key: &str) -> ServerSettings {
    let listen = "127.0.0.1:0".parse().expect("an address");
    ServerSettings { listen, workers: 1, internal_key: InternalKey::new(key), ..ServerSettings::default() }
}

fn serve(running: Running, settings: &ServerSettings) -> Served {
    let bound = bind(&running.recall, settings).expect("a free port");
    let url = format!("http://{}", bound.addresses[0]);
    let handle = bound.server.handle();
    drop(actix_web::rt::spawn(bound.server));
    Served { running, url, handle }
}

impl Served {
    fn remote(&self, key: Option<&str>) -> RemoteRecall {
        let settings = RemoteSettings { key: key.map(InternalKey::new), ..RemoteSettings::default() };
        RemoteRecall::new(&self.url, &settings).expect("an address")
    }

    async fn stop(self) {
        self.handle.stop(false).await;
        self.running.stop().expect("it was told to");
    }
}

#[actix_web::test]
async fn the_answers_are_those_of_the_process() {
    let mut stage = Stage::new(Rules::default());
    // A name that a header would not keep as it is.
    let alice = user(" Ünïcode/ten%20ant ", "alice");
    let dir = tempfile::tempdir().expect("a directory");
    let running = stage.recall_alone(own_store(&dir, &stage.ring), Settings::default());
    let mut told = events::turn("I am allergic to peanuts, and I live near Lisbon.");
    told["id"] = json!("told");
    told["metadata"] = json!({"fraction": 0.1, "deep": [1, {"x": null}]});
    stage.say(&alice, told);
    stage.say(&alice, json!({"type": "remember", "body": {"kind": "preference", "text": "She drinks tea."}}));
    stage.say(&alice, events::session_end());
    stage.settle(&running);
    let position = stage.say(&alice, events::turn("My sister lives near Porto."));
    let served = serve(running, &settings(KEY));
    let (local, remote) = (&served.running.recall, served.remote(Some(KEY)));

    remote.reached(&position, Reach::One, DEADLINE).await.expect("it comes");
    let mut asked = question(&alice, "Where is Lisbon?");
    asked.now = Some(event_log::now());
    asked.at_least = Some(position.clone());
    let answer = remote.recall(&alice.tenant, asked.clone()).await.expect("an answer");
    assert!(answer.results.len() >= 2, "a memory and a turn");
    assert_eq!(Ok(answer), local.recall(&alice.tenant, asked).await);
    let id = MemoryId::of_event(alice.handle(&testkit::secret()), &EventId::try_new("told").expect("an id"));
    let list = ListRequest { limit: 1, cursor: None, kinds: Vec::new(), filters: None, include_inactive: true };
    let (event, nothing) = (EventId::try_new("told").expect("an id"), EventId::try_new("no").expect("an id"));
    assert!(remote.memory(&alice.tenant, id).await.expect("an answer").is_some());
    assert_eq!(remote.memory(&alice.tenant, id).await, local.memory(&alice.tenant, id).await);
    assert_eq!(remote.history(&alice.tenant, id).await, local.history(&alice.tenant, id).await);
    assert_eq!(remote.memories(&alice, list.clone()).await, local.memories(&alice, list).await);
    let now = event_log::now();
    for now in [now, memory_core::Timestamp::EPOCH] {
        let profile = remote.profile(&alice, Some(now)).await.expect("an answer");
        assert_eq!(profile.preferences.len(), usize::from(now > memory_core::Timestamp::EPOCH));
        assert_eq!(Ok(profile), local.profile(&alice, Some(now)).await);
    }
    assert_eq!(remote.working_memory(&alice).await, local.working_memory(&alice).await);
    assert_eq!(remote.event(&alice.tenant, &event).await, local.event(&alice.tenant, &event).await);
    assert_eq!(remote.event(&alice.tenant, &nothing).await, Ok(None));
    let within: Vec<_> = event_log::Partition::all(PARTITIONS).collect();
    assert_eq!(remote.event_within(&alice.tenant, &nothing, &within).await, Ok(None));

    let scope = Scope::These { memories: vec![id], events: Vec::new() };
    let preview = remote.preview(&alice, &scope).await;
    assert_eq!(preview.as_ref().map(|preview| preview.memory_ids.clone()), Ok(vec![id]));
    assert_eq!(preview, local.preview(&alice, &scope).await);
    let forget = json!({ "id": "forget", "type": "forget", "body": { "memory_ids": [id.as_uuid()] } });
    let position = stage.say(&alice, forget);
    remote.reached(&position, Reach::One, DEADLINE).await.expect("it comes");
    let asked = EventId::try_new("forget").expect("an id");
    let receipt = ReceiptId::of_event(alice.handle(&testkit::secret()), &asked);
    let found = remote.receipt(&alice.tenant, receipt).await;
    assert_eq!(found.as_ref().map(|found| found.as_ref().map(|found| found.status)), Ok(Some(ReceiptStatus::Accepted)));
    assert_eq!(found, local.receipt(&alice.tenant, receipt).await);
    let unknown = ReceiptId::of_event(alice.handle(&testkit::secret()), &nothing);
    assert_eq!(remote.receipt_within(&alice.tenant, unknown, &within).await, Ok(None));

    // law: L08
    let other = TenantId::try_new("other").expect("a tenant");
    assert_eq!(remote.memory(&other, id).await, Ok(None));
    let namesake = memory_core::Subject { tenant: other.clone(), ..alice.clone() };
    assert_eq!(remote.profile(&namesake, None).await.map(|profile| profile.preferences), Ok(Vec::new()));
    assert_eq!(remote.event(&other, &event).await, Ok(None));
    assert_eq!(remote.receipt(&other, receipt).await, Ok(None));
    served.stop().await;
}

#[actix_web::test]
async fn refusals_come_over_as_they_are() {
    let mut stage = Stage::new(Rules::default());
    let alice = user("t", "alice");
    let dir = tempfile::tempdir().expect("a directory");
    let running = stage.recall_alone(own_store(&dir, &stage.ring), Settings::default());
    let position = stage.say(&alice, events::turn("I live near Lisbon."));
    let served = serve(running, &settings(KEY));
    let (local, remote) = (&served.running.recall, served.remote(Some(KEY)));
    let mut ahead = position.clone();
    ahead.cover(*position.next.keys().next().expect("one"), event_log::Offset::new(1_000));
    let elsewhere = Position::new(uuid::Uuid::from_u128(1));
    let mut asked = question(&alice, "where");
    for wanted in [&ahead, &elsewhere] {
        asked.at_least = Some(wanted.clone());
        let error = remote.recall(&alice.tenant, asked.clone()).await.expect_err("not this one");
        assert_eq!(Err(error), local.recall(&alice.tenant, asked.clone()).await);
    }
    let short = Duration::from_millis(5);
    assert_eq!(remote.reached(&ahead, Reach::One, short).await.expect_err("never").code, "timeout");
    assert_eq!(remote.reached(&elsewhere, Reach::One, short).await.expect_err("never").code, "wrong_log");
    asked.at_least = None;
    asked.filters = Some(json!({"nonsense": 1}));
    let error = remote.recall(&alice.tenant, asked).await.expect_err("no filter");
    assert_eq!((error.code, error.invalid), ("invalid_query", true));
    served.stop().await;
}

// law: L08
#[actix_web::test]
async fn nobody_names_a_tenant_without_the_key() {
    let mut stage = Stage::new(Rules::default());
    let alice = user("t", "alice");
    let dir = tempfile::tempdir().expect("a directory");
    let running = stage.recall_alone(own_store(&dir, &stage.ring), Settings::default());
    running.reached(&stage.say(&alice, events::turn("I live near Lisbon.")));
    let served = serve(running, &settings(KEY));
    for key in [None, Some("another-internal-key-of-a-test"), Some("an-internal-key-of-this-tesT")] {
        let remote = served.remote(key);
        let error = remote.recall(&alice.tenant, question(&alice, "Lisbon")).await.expect_err("no key");
        assert_eq!((error.code, error.invalid), ("unauthorized", false), "{key:?}");
        let position = stage.end();
        assert_eq!(remote.reached(&position, Reach::One, DEADLINE).await.expect_err("no key").code, "unauthorized");
    }
    let http = reqwest::Client::new();
    let status = async |path: &str| {
        let answer = http.post(format!("{}{path}", served.url)).body("{}").send().await.expect("an answer");
        answer.status().as_u16()
    };
    assert_eq!(status("/internal/v1/recall").await, 401);
    assert_eq!(status("/internal/v2/anything").await, 401, "what there is, is not told either");
    assert_eq!(status("/elsewhere").await, 404);
    // With the key, and with a tenant that is none.
    let request = http.post(format!("{}/internal/v1/recall", served.url)).header("x-memos-internal-key", KEY);
    let answer = request.header("x-memos-tenant", "%zz").body("{}").send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 400);
    // Health and metrics are open.
    for path in ["/health/live", "/health/ready", "/metrics"] {
        let answer = http.get(format!("{}{path}", served.url)).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        let text = answer.text().await.expect("a text");
        assert!(!text.contains("alice"), "{path}");
        assert!(path != "/health/ready" || text.contains(r#""recall.partition.1":{"state":"serving"}"#), "{text}");
    }
    served.stop().await;
}

#[actix_web::test]
async fn without_a_key_only_this_machine_is_served() {
    let stage = Stage::new(Rules::default());
    let dir = tempfile::tempdir().expect("a directory");
    let running = stage.recall_alone(own_store(&dir, &stage.ring), Settings::default());
    let beyond = ServerSettings { listen: "0.0.0.0:0".parse().expect("an address"), ..settings("") };
    assert!(matches!(bind(&running.recall, &beyond), Err(StartError::Exposed { .. })));
    assert!(matches!(bind(&running.recall, &settings("short")), Err(StartError::Key(_))));
    let served = serve(running, &settings(""));
    let alice = user("t", "alice");
    assert!(served.remote(None).working_memory(&alice).await.is_ok());
    // A page in a browser that rebinds its name to this machine.
    let request = reqwest::Client::new().post(format!("{}/internal/v1/recall", served.url));
    let answer = request.header("host", "example.org").header("x-memos-tenant", "t").body("{}").send().await;
    assert_eq!(answer.expect("an answer").status().as_u16(), 403);
    served.stop().await;
}

// law: L10
#[actix_web::test]
async fn what_is_too_much_is_turned_away() {
    let mut stage = Stage::new(Rules::default());
    let dir = tempfile::tempdir().expect("a directory");
    let running = stage.recall_alone(own_store(&dir, &stage.ring), Settings::default());
    let alice = user("t", "alice");
    let mut ahead = stage.say(&alice, events::turn("I live near Lisbon."));
    running.reached(&ahead);
    let partition = *ahead.next.keys().next().expect("one");
    ahead.cover(partition, event_log::Offset::new(2));
    let served = serve(running, &ServerSettings { waits: 1, body_bytes: 2_000, ..settings(KEY) });
    let remote = served.remote(Some(KEY));
    let mut long = question(&alice, &"Lisbon ".repeat(400));
    assert_eq!(remote.recall(&alice.tenant, long.clone()).await.expect_err("too long").code, "unreachable");
    long.query.truncate(20);
    remote.recall(&alice.tenant, long).await.expect("short enough");
    // One waits; a second finds no place, and nothing else is held up.
    let waiting = actix_web::rt::spawn({
        let (remote, ahead) = (remote.clone(), ahead.clone());
        async move {
            loop {
                match remote.reached(&ahead, Reach::One, DEADLINE).await {
                    Err(error) if error.code == "busy" => {}
                    answer => return answer,
                }
            }
        }
    });
    let began = std::time::Instant::now();
    loop {
        assert!(began.elapsed() < DEADLINE, "waited in vain for a wait");
        let second = remote.reached(&ahead, Reach::One, Duration::ZERO).await.expect_err("not reached");
        if second.code == "busy" {
            assert!(second.retry_after_seconds > 0 && !second.invalid);
            break;
        }
        assert_eq!(second.code, "timeout");
        actix_web::rt::task::yield_now().await;
    }
    assert!(remote.working_memory(&alice).await.is_ok());
    stage.say(&alice, events::turn("And I work there."));
    waiting.await.expect("no panic").expect("it was reached");
    served.stop().await;
}
