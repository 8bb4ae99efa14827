//! Inlets with signatures: who is believed, and what everybody else is told.

use event_log::dead_letter::DeadLetter;
use event_log::{EventLog, InletName, Record, Topic};
use gateway::{InletKeySettings, InletSettings, KeySettings, Settings, StartError, Taken};
use memory_core::{EventType, Partition, Role};
use memos_client::Interaction;
use memos_client::inlet::{InletRecord, Secret, Signer};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ARRIVED, letters};
use crate::access::start;
use crate::support::{Parted, Running, TestLog, log, settings, tenant};

pub(super) const SECRET_OF_ACME: &str = "acme-0123456789abcdef0123456789abcdef";
const NEW_SECRET_OF_ACME: &str = "acme-new-0123456789abcdef0123456789";
const SECRET_OF_BOLT: &str = "bolt-0123456789abcdef0123456789abcdef";

/// A directory with the secrets of three keys, and settings that name them. The inlet has the name of the usual one.
pub(super) struct Keys {
    dir: tempfile::TempDir,
}

impl Keys {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, secret) in [("old", SECRET_OF_ACME), ("new", NEW_SECRET_OF_ACME), ("bolt", SECRET_OF_BOLT)] {
            std::fs::write(dir.path().join(name), format!("{secret}\n")).expect("a file");
        }
        Self { dir }
    }

    fn key(&self, tenant: &str, id: &str, file: &str) -> InletKeySettings {
        let secret_file = Some(self.dir.path().join(file));
        InletKeySettings { tenant: tenant.to_owned(), id: id.to_owned(), secret_file, secret_env: None }
    }

    pub(super) fn settings(&self) -> Settings {
        let inlet_keys =
            vec![self.key("acme", "k-1", "old"), self.key("acme", "k-2", "new"), self.key("bolt", "k-1", "bolt")];
        Settings { inlets: vec![InletSettings::signed("support")], inlet_keys, ..settings() }
    }
}

fn signer(inlet: &str, tenant: &str, key: &str, secret: &str) -> Signer {
    Signer::try_new(inlet, tenant, key, Secret::try_new(secret).expect("a secret")).expect("good names")
}

fn acme() -> Signer {
    signer("support", "acme", "k-1", SECRET_OF_ACME)
}

fn turn(id: &str) -> Interaction {
    Interaction { id: Some(id.to_owned()), ..Interaction::turn("u", Role::User, "I moved to Bonn.") }
}

/// As a Kafka client publishes it.
fn published(record: InletRecord) -> Record {
    let InletRecord { key, headers, value } = record;
    let headers = headers.into_iter().map(|(name, value)| (name, Some(value))).collect();
    Record { key, value: Some(value), headers, timestamp: ARRIVED }
}

/// A binary CloudEvent of acme's, properly signed.
fn good(id: &str) -> Record {
    published(InletRecord::binary("/chat", &turn(id)).expect("a record").signed(&acme()).expect("signed"))
}

fn by(signer: &Signer, id: &str) -> Record {
    published(InletRecord::plain(&turn(id)).expect("a record").signed(signer).expect("signed"))
}

fn set(mut record: Record, name: &str, value: &[u8]) -> Record {
    record.headers.retain(|(given, _)| given != name);
    add(record, name, value)
}

fn add(mut record: Record, name: &str, value: &[u8]) -> Record {
    record.headers.push((name.to_owned(), Some(value.to_vec())));
    record
}

fn header(record: &Record, name: &str) -> String {
    String::from_utf8(record.header(name).expect("it is there").to_vec()).expect("text")
}

fn without(mut record: Record, name: &str) -> Record {
    record.headers.retain(|(given, _)| given != name);
    record
}

fn append(log: &TestLog, records: Vec<Record>) {
    let topic = Topic::Inlet(InletName::try_new("support").expect("a name"));
    let appended = log.append(&topic, Partition::new(0), records).expect("there is room");
    assert!(!appended.wait().expect("is durable").is_empty());
}

fn take(settings: Settings, records: Vec<Record>) -> (Taken, std::sync::Arc<TestLog>) {
    let log = log(8 << 20);
    append(&log, records);
    let parted = Parted::new(settings, std::sync::Arc::clone(&log));
    (parted.reader().take().expect("the log works"), log)
}

/// What the record's letter says: its reason and its message.
fn refused(record: Record) -> (String, String) {
    let (taken, log) = take(Keys::new().settings(), vec![record.clone()]);
    assert_eq!(taken, Taken { accepted: 0, dead_lettered: 1 }, "{record:?}");
    let DeadLetter { reason, message, original, .. } = letters(&log).remove(0);
    assert_eq!(original, record, "it is kept as it came");
    for secret in [SECRET_OF_ACME, NEW_SECRET_OF_ACME, SECRET_OF_BOLT] {
        assert!(!message.contains(secret));
    }
    (reason, message)
}

fn reason(record: Record) -> String {
    refused(record).0
}

// law: L08
#[test]
fn a_signed_record_is_the_event_of_whose_key_signed_it() {
    let control = Interaction {
        kind: Some(EventType::Consent),
        content: None,
        role: None,
        body: Some(json!({ "remember": false })),
        ..turn("control")
    };
    let forms = [
        InletRecord::plain(&turn("plain")),
        InletRecord::structured("/chat", &turn("structured")),
        InletRecord::binary("/chat", &turn("binary")),
        InletRecord::plain(&control),
    ];
    let mut records: Vec<Record> =
        forms.into_iter().map(|form| published(form.expect("a record").signed(&acme()).expect("signed"))).collect();
    records.push(by(&signer("support", "acme", "k-2", NEW_SECRET_OF_ACME), "new key"));
    records.push(by(&signer("support", "bolt", "k-1", SECRET_OF_BOLT), "of bolt"));
    // Names of headers are read in any case, and a null header is none.
    let mut shouted = good("shouted");
    for (name, _) in &mut shouted.headers {
        *name = name.to_ascii_uppercase();
    }
    shouted.headers.push(("memos-tenant".to_owned(), None));
    records.push(shouted);
    // What nobody signed may be added: a trace, or another key.
    records.push(Record { key: b"other".to_vec(), ..add(good("traced"), "traceparent", b"00-1") });
    let (taken, log) = take(Keys::new().settings(), records);
    assert_eq!(taken, Taken { accepted: 8, dead_lettered: 0 }, "{:?}", letters(&log));
    for recorded in log.events() {
        let owner = if recorded.event.id.as_str() == "of bolt" { "bolt" } else { "acme" };
        assert_eq!(recorded.tenant, tenant(owner), "{}", recorded.event.id);
    }
    assert_eq!(
        log.event_ids(),
        ["binary", "control", "new key", "of bolt", "plain", "shouted", "structured", "traced"]
    );
}

#[test]
fn a_record_without_a_whole_signature_is_told_what_is_missing() {
    for name in ["memos-tenant", "memos-key-id", "memos-signature"] {
        let (reason, message) = refused(without(good("x"), name));
        assert_eq!(reason, "signature_missing");
        assert!(message.contains(name), "{message}");
    }
    let control = json!({ "id": "d", "type": "delete", "user_id": "u", "body": { "memory_id": uuid::Uuid::nil() } });
    assert_eq!(reason(super::record(&control, &[])), "signature_missing", "a control event is a record like others");
    assert_eq!(reason(Record { value: None, ..good("x") }), "no_value");
}

#[test]
fn what_can_be_read_in_two_ways_is_refused_whoever_signed_it() {
    let signature = header(&good("x"), "memos-signature");
    let hostile = [
        set(good("x"), "memos-signature", &signature.as_bytes()[..40]),
        set(good("x"), "memos-signature", &signature.as_bytes()[..43]),
        set(good("x"), "memos-signature", format!("{}%", &signature[..43]).as_bytes()),
        set(good("x"), "memos-signature", signature.replace(['A', 'e', '/', '+'], "-").as_bytes()),
        set(good("x"), "memos-signature", b""),
        add(good("x"), "memos-signature", signature.as_bytes()),
        add(good("x"), "memos-tenant", b"bolt"),
        add(good("x"), "Memos-Tenant", b"bolt"),
        add(good("x"), "memos-key-id", b"k-2"),
        add(good("x"), "ce_id", b"other"),
        add(good("x"), "ce-id", b"other"),
        add(good("x"), "CE_TIME", b"2020-01-01T00:00:00Z"),
        add(good("x"), "content-type", b"application/cloudevents+json"),
        set(good("x"), "ce_subject", b""),
        set(good("x"), "ce_id", b"x\nmore"),
        set(good("x"), "memos-tenant", b"acme\nk-1"),
    ];
    for (number, record) in hostile.into_iter().enumerate() {
        let expected = if number == 11 { "signature_invalid" } else { "signature_malformed" };
        assert_eq!(reason(record), expected, "number {number}");
    }
    assert_eq!(reason(set(good("x"), "ce_id", b"\xff")), "header_not_text");
}

// law: L08
#[test]
fn a_signature_stands_for_one_record_of_one_tenant_on_one_inlet() {
    let value = json!(turn("x")).to_string().replace("Bonn", "Rome").into_bytes();
    let hostile = [
        // Of another inlet, with another tenant's key, under another tenant's name.
        by(&signer("events", "acme", "k-1", SECRET_OF_ACME), "x"),
        by(&signer("support", "acme", "k-1", SECRET_OF_BOLT), "x"),
        by(&signer("support", "bolt", "k-1", SECRET_OF_ACME), "x"),
        by(&signer("support", "acme", "k-2", SECRET_OF_ACME), "x"),
        set(good("x"), "memos-tenant", b"bolt"),
        set(good("x"), "memos-key-id", b"k-2"),
        // Changed on the way.
        Record { value: Some(value), ..good("x") },
        Record { value: Some(b"{}".to_vec()), ..good("x") },
        set(good("x"), "ce_id", b"y"),
        set(good("x"), "ce_time", b"2020-01-01T00:00:00Z"),
        set(good("x"), "ce_type", b"other"),
        set(good("x"), "content-type", b"application/cloudevents+json"),
        without(good("x"), "content-type"),
        without(good("x"), "ce_source"),
        set(good("x"), "memos-signature", header(&good("y"), "memos-signature").as_bytes()),
        set(good("x"), "memos-signature", format!("{}=", "A".repeat(43)).as_bytes()),
        // Nobody, and no key.
        by(&signer("support", "nobody", "k-1", SECRET_OF_ACME), "x"),
        by(&signer("support", "acme", "k-9", SECRET_OF_ACME), "x"),
    ];
    let mut told = std::collections::BTreeSet::new();
    for (number, record) in hostile.into_iter().enumerate() {
        let (reason, message) = refused(record);
        assert_eq!(reason, "signature_invalid", "number {number}");
        told.insert(message);
    }
    assert_eq!(told.len(), 1, "nobody learns which tenants and keys there are: {told:?}");
}

// law: L03
#[test]
fn a_record_that_is_published_again_is_the_same_event() {
    let (taken, log) = take(Keys::new().settings(), vec![good("x"), good("y"), good("x")]);
    assert_eq!(taken.accepted, 3);
    assert_eq!(log.event_ids(), ["x", "x", "y"], "working memory takes an id once");
}

#[test]
fn a_key_is_replaced_without_a_gap() {
    let keys = Keys::new();
    let records = || vec![good("old"), by(&signer("support", "acme", "k-2", NEW_SECRET_OF_ACME), "new")];
    assert_eq!(take(keys.settings(), records()).0, Taken { accepted: 2, dead_lettered: 0 });
    let inlet_keys = vec![keys.key("acme", "k-2", "new")];
    let (taken, log) = take(Settings { inlet_keys, ..keys.settings() }, records());
    assert_eq!(taken, Taken { accepted: 1, dead_lettered: 1 });
    assert_eq!(letters(&log)[0].reason, "signature_invalid");
}

#[test]
fn an_inlet_of_one_tenant_takes_no_record_that_names_another() {
    let keys = Keys::new();
    let elsewhere = Settings { inlets: vec![InletSettings::bound("support", "bolt")], ..keys.settings() };
    let unsigned = published(InletRecord::plain(&turn("plain")).expect("a record"));
    let own = by(&signer("support", "bolt", "k-1", SECRET_OF_BOLT), "own");
    let (taken, log) = take(elsewhere, vec![good("x"), unsigned, own]);
    assert_eq!(taken, Taken { accepted: 2, dead_lettered: 1 });
    assert_eq!(letters(&log)[0].reason, "wrong_tenant");
    assert!(log.events().iter().all(|recorded| recorded.tenant == tenant("bolt")));
}

#[test]
fn settings_that_cannot_work_are_refused_at_start() {
    let keys = Keys::new();
    let shown = format!("{:?}", start(keys.settings()).expect("these are good"));
    assert!(!shown.contains("0123456789abcdef"), "no secret is ever printed: {shown}");
    let inlets = |inlet| Settings { inlets: vec![inlet], ..keys.settings() };
    let neither = InletSettings { tenant: None, ..InletSettings::bound("support", "acme") };
    let both = InletSettings { signed: true, ..InletSettings::bound("support", "acme") };
    let no_keys = Settings { inlet_keys: Vec::new(), ..keys.settings() };
    for settings in [inlets(neither), inlets(both), no_keys] {
        assert!(matches!(start(settings), Err(StartError::Inlet { .. })));
    }
    std::fs::write(keys.dir.path().join("short"), "short").expect("a file");
    let of = |key: InletKeySettings| Settings { inlet_keys: vec![key], ..keys.settings() };
    let key = || keys.key("acme", "k", "old");
    let twice = Settings { inlet_keys: vec![key(), key()], ..keys.settings() };
    let env = |name: &str| Some(name.to_owned());
    let bad = [
        twice,
        of(keys.key("acme", "k", "none")),
        of(keys.key("acme", "k", "short")),
        of(keys.key("acme", "", "old")),
        of(InletKeySettings { secret_file: None, ..key() }),
        of(InletKeySettings { secret_env: env("HOME"), ..key() }),
        of(InletKeySettings { secret_file: None, secret_env: env("MEMOS_TEST_NO_SUCH_VARIABLE"), ..key() }),
    ];
    for settings in bad {
        let error = start(settings.clone()).expect_err("is refused");
        assert!(matches!(error, StartError::InletKey { .. }), "{error}: {settings:?}");
        assert!(!error.to_string().contains("acme"), "no message names a tenant: {error}");
    }
    assert!(matches!(start(of(keys.key("", "k", "old"))), Err(StartError::Tenant { .. })));
    let (name, value) = std::env::vars().find(|(_, value)| Secret::try_new(value).is_ok()).unwrap_or_default();
    if !value.is_empty() {
        let from_env = InletKeySettings { secret_file: None, secret_env: Some(name), ..key() };
        assert!(start(of(from_env)).is_ok(), "from the environment");
    }
}

fn api_key(id: &str, tenant: &str) -> KeySettings {
    let hash = blake3::hash(b"secret").to_hex().to_string();
    KeySettings { id: id.to_owned(), tenant: tenant.to_owned(), hash }
}

#[actix_web::test]
async fn over_http_a_credential_publishes_for_its_own_tenant_and_sees_its_own_letters() {
    let keys = Keys::new();
    let settings = Settings { keys: vec![api_key("a", "acme"), api_key("b", "bolt")], ..keys.settings() };
    let server = Running::with(settings, log(1 << 20)).await;
    let post = async |who: &str, kind: &str, record: Record| {
        let authorization = format!("Bearer {who}.secret");
        let told: Vec<(String, String)> =
            record.headers.iter().map(|(name, _)| (name.replacen("ce_", "ce-", 1), header(&record, name))).collect();
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(told.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        headers.retain(|(name, _)| *name != "content-type");
        headers.push(("content-type", kind));
        let body = String::from_utf8(record.value.expect("a value")).expect("text");
        server.send(Method::POST, "/v1/inlets/support", &headers, body).await
    };
    assert_eq!(post("a", "application/json", good("good")).await.status, 202);
    assert_eq!(post("a", "application/json", set(good("bad"), "ce_id", b"other")).await.status, 202);
    assert_eq!(post("b", "application/json", good("theirs")).await.code(), "inlet_not_found");
    assert_eq!(post("a", "application/json", without(good("x"), "memos-tenant")).await.code(), "inlet_not_found");
    assert_eq!(post("a", "application/x-ndjson", good("lines")).await.code(), "unsupported_media_type");
    let mut reader = server.parted.reader();
    let taken = std::thread::spawn(move || reader.take().expect("the log works")).join().expect("no panic");
    assert_eq!(taken, Taken { accepted: 1, dead_lettered: 1 });
    assert_eq!(server.log().event_ids(), ["good"]);
    let list = async |who: &str| {
        let authorization = format!("Bearer {who}.secret");
        let headers = [("authorization", authorization.as_str())];
        let reply = server.send(Method::GET, "/v1/dead-letters", &headers, String::new()).await;
        reply.body["results"].as_array().expect("a list").clone()
    };
    let reasons = |letters: Vec<Value>| letters.iter().map(|letter| letter["reason"].clone()).collect::<Vec<_>>();
    assert_eq!(reasons(list("a").await), [json!("signature_invalid")], "so that its team knows what to change");
    assert!(list("b").await.is_empty());
    server.stop().await;
}
