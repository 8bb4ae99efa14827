use std::collections::BTreeMap;

use memory_core::{Role, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::Interaction;

/// What the examples in other languages check themselves against, too.
const VECTORS: &str = include_str!("../../../../deploy/inlets/signature-vectors.json");

#[derive(Deserialize)]
struct Vectors {
    covered: Vec<String>,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    secret: String,
    inlet: String,
    tenant: String,
    key_id: String,
    headers: BTreeMap<String, String>,
    value: String,
    canonical: String,
    signature: String,
}

fn signer() -> Signer {
    let secret = Secret::try_new("0123456789abcdef0123456789abcdef").expect("long enough");
    Signer::try_new("shared", "acme", "k-1", secret).expect("good names")
}

fn turn() -> Interaction {
    let time = Some(Timestamp::from_micros(1_778_248_560_000_000));
    Interaction { id: Some("t-1".to_owned()), time, ..Interaction::turn("alice", Role::User, "I moved to Bonn.") }
}

fn header<'a>(record: &'a InletRecord, name: &str) -> Option<&'a str> {
    let found = record.headers.iter().find(|(given, _)| given == name);
    found.map(|(_, value)| std::str::from_utf8(value).expect("text"))
}

fn signature(record: InletRecord) -> String {
    let signed = record.signed(&signer()).expect("it can be signed");
    header(&signed, SIGNATURE).expect("it is signed").to_owned()
}

#[test]
fn the_fixed_vectors_come_out() {
    let Vectors { covered, vectors } = serde_json::from_str(VECTORS).expect("the vectors are well formed");
    assert_eq!(covered, COVERED);
    assert!(vectors.len() >= 8);
    for vector in vectors {
        let Vector { name, secret, inlet, tenant, key_id, headers, value, canonical, signature } = vector;
        let secret = Secret::try_new(&secret).expect("a good secret");
        let of = |header: &str| headers.get(header).map(String::as_str);
        let statement = Statement {
            tenant: &tenant,
            key_id: &key_id,
            inlet: &inlet,
            headers: COVERED.map(of),
            value: value.as_bytes(),
        };
        assert_eq!(String::from_utf8(statement.canonical()).expect("text"), canonical, "{name}");
        assert_eq!(encode(&statement.sign(&secret)), signature, "{name}");
        assert!(statement.verifies(&secret, &decode(&signature).expect("base64")), "{name}");
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.as_bytes().to_vec())).collect();
        let record = InletRecord { key: Vec::new(), headers, value: value.into_bytes() };
        let signed = record.signed(&Signer::try_new(&inlet, &tenant, &key_id, secret).expect("good names"));
        assert_eq!(header(&signed.expect("it can be signed"), SIGNATURE), Some(signature.as_str()), "{name}");
    }
}

#[test]
fn the_three_forms_hold_the_same_interaction() {
    let plain = InletRecord::plain(&turn()).expect("a record");
    let structured = InletRecord::structured("/chat", &turn()).expect("a record");
    let binary = InletRecord::binary("/chat", &turn()).expect("a record");
    for record in [&plain, &structured, &binary] {
        assert_eq!(record.key, b"alice");
    }
    let json = |record: &InletRecord| serde_json::from_slice::<Value>(&record.value).expect("JSON");
    assert_eq!((json(&plain), json(&binary)), (json!(turn()), json!(turn())));
    assert_eq!(json(&structured)["data"], json!(turn()));
    assert_eq!(json(&structured)["time"], json!("2026-05-08T13:56:00Z"));
    assert_eq!(header(&structured, "content-type"), Some("application/cloudevents+json"));
    assert_eq!((header(&binary, "ce_id"), header(&binary, "ce_source")), (Some("t-1"), Some("/chat")));
    assert_eq!(header(&plain, "ce_id"), None);
}

#[test]
fn whatever_decides_how_a_record_is_read_changes_its_signature() {
    let record = InletRecord::binary("/chat", &turn()).expect("a record");
    let signed = signature(record.clone());
    let changed = |change: &dyn Fn(&mut InletRecord)| {
        let mut record = record.clone();
        change(&mut record);
        signature(record)
    };
    let set = |record: &mut InletRecord, name: &str, value: &str| {
        record.headers.retain(|(given, _)| given != name);
        record.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    };
    for name in COVERED {
        assert_ne!(changed(&|record| set(record, name, "other")), signed, "{name}");
    }
    assert_ne!(changed(&|record| record.headers.retain(|(name, _)| name != "ce_time")), signed);
    assert_ne!(changed(&|record| record.value.push(b' ')), signed);
    assert_eq!(changed(&|record| set(record, "traceparent", "00-1")), signed, "a proxy may add its trace");
    assert_eq!(changed(&|record| record.key = b"theirs".to_vec()), signed, "the key says only where the record lies");
    assert_eq!(changed(&|record| record.headers.reverse()), signed, "order says nothing");

    let other = |inlet, tenant, key| {
        let secret = Secret::try_new("0123456789abcdef0123456789abcdef").expect("long enough");
        let signer = Signer::try_new(inlet, tenant, key, secret).expect("good names");
        header(&record.clone().signed(&signer).expect("signed"), SIGNATURE).expect("signed").to_owned()
    };
    assert_eq!(other("shared", "acme", "k-1"), signed);
    for changed in [other("other", "acme", "k-1"), other("shared", "bolt", "k-1"), other("shared", "acme", "k-2")] {
        assert_ne!(changed, signed);
    }
}

#[test]
fn signing_again_replaces_the_signature() {
    let record = InletRecord::plain(&turn()).expect("a record");
    let once = record.signed(&signer()).expect("signed");
    assert_eq!(once.clone().signed(&signer()).expect("signed"), once);
    assert_eq!(header(&once, TENANT), Some("acme"));
    assert_eq!(header(&once, KEY_ID), Some("k-1"));
}

#[test]
fn what_could_be_read_in_two_ways_is_not_signed() {
    let refused = |name: &str, value: &[u8]| {
        let mut record = InletRecord::binary("/chat", &turn()).expect("a record");
        record.headers.push((name.to_owned(), value.to_vec()));
        record.signed(&signer()).expect_err("it is refused")
    };
    for (name, value) in [
        ("ce_id", b"twice".as_slice()),
        ("CE_ID", b"twice"),
        ("ce-id", b"twice"),
        ("ce-subject", b"a%20b"),
        ("ce_subject", b""),
        ("ce_subject", b"a\nb"),
        ("ce_subject", b"\xff"),
    ] {
        assert!(matches!(refused(name, value), NotPublishable::Header { .. }), "{name}");
    }
    let secret = || Secret::try_new("0123456789abcdef0123456789abcdef").expect("long enough");
    for (inlet, tenant, key) in [("", "a", "k"), ("i", "a\nb", "k"), ("i", "a", "")] {
        assert!(matches!(Signer::try_new(inlet, tenant, key, secret()), Err(NotPublishable::Name { .. })));
    }
}

#[test]
fn an_event_needs_an_id_and_an_owner() {
    let without_id = Interaction { id: None, ..turn() };
    let nobodys = Interaction { user_id: None, ..turn() };
    let of_a_session = Interaction { session_id: Some("s-1".to_owned()), ..nobodys.clone() };
    assert_eq!(InletRecord::plain(&without_id), Err(NotPublishable::Id));
    assert_eq!(InletRecord::binary("/chat", &without_id), Err(NotPublishable::Id));
    assert_eq!(InletRecord::structured("/chat", &nobodys), Err(NotPublishable::Owner));
    assert_eq!(InletRecord::plain(&of_a_session).expect("a record").key, b"s-1");
    assert_eq!(InletRecord::binary("", &turn()), Err(NotPublishable::Name { what: "source" }));
}

#[test]
fn a_secret_is_read_as_it_stands_and_never_shown() {
    let text = "0123456789abcdef0123456789abcdef";
    let secret = Secret::try_new(&format!("  {text}\n")).expect("a secret");
    assert_eq!(secret.as_bytes(), text.as_bytes());
    assert_eq!(format!("{secret:?}"), "Secret(hidden)");
    assert!(!format!("{:?}", signer()).contains("0123"), "nor by what holds it");
    assert_eq!(Secret::try_new("short"), Err(InvalidSecret::Length { bytes: 5 }));
    assert!(matches!(Secret::try_new(&"x".repeat(1_025)), Err(InvalidSecret::Length { .. })));
    assert_eq!(Secret::try_new(&text.replace('7', " ")), Err(InvalidSecret::NotVisible));
    assert_eq!(Secret::try_new(&text.replace('7', "é")), Err(InvalidSecret::NotVisible));
}

#[test]
fn a_damaged_signature_is_no_signature() {
    let signed = signature(InletRecord::plain(&turn()).expect("a record"));
    assert!(decode(&signed).is_some());
    let unpadded = signed.trim_end_matches('=');
    for damaged in ["", "%%%", unpadded, &signed[..40], &format!("{signed}\n"), &"AAAA".repeat(11)] {
        assert_eq!(decode(damaged), None, "{damaged}");
    }
}
