//! What product services may publish, what is refused, and how a refused record is kept.

use event_log::dead_letter::{self, Coordinates, DeadLetter};
use event_log::inlet::{InletLimits, RawEvent, Refused, Source, one_line, parse};
use event_log::{LogId, Offset, Partition, Record, Timestamp, Topic};
use keyring::Keyring;
use memory_core::subject::TenantTag;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

fn record(headers: &[(&str, &str)], value: &str) -> Record {
    let header = |(name, value): &(&str, &str)| ((*name).to_owned(), Some(value.as_bytes().to_vec()));
    Record {
        value: Some(value.as_bytes().to_vec()),
        headers: headers.iter().map(header).collect(),
        ..Record::default()
    }
}

fn read(headers: &[(&str, &str)], value: &str) -> Result<RawEvent, Refused> {
    parse(&record(headers, value), &InletLimits::default())
}

fn refused(headers: &[(&str, &str)], value: &str) -> &'static str {
    let refused = read(headers, value).expect_err("it is refused");
    assert!(!refused.to_string().is_empty());
    refused.code()
}

const STRUCTURED: (&str, &str) = ("Content-Type", "Application/CloudEvents+JSON; charset=utf-8");
const BINARY: [(&str, &str); 5] =
    [("ce_specversion", "1.0"), ("ce_id", "e-1"), ("ce_source", "/chat"), ("ce_type", "turn"), ("ce_time", "T")];

fn envelope(change: impl FnOnce(&mut Value)) -> String {
    let mut envelope = json!({"specversion": "1.0", "id": "e-1", "source": "/chat", "type": "turn", "time": "T",
        "subject": "alice", "unknown": 7, "traceparent": "00-old", "data": {"user_id": "alice", "new_field": [1]}});
    change(&mut envelope);
    envelope.to_string()
}

#[test]
fn the_three_forms_carry_the_same_interaction() {
    let expected = json!({"id": "e-1", "time": "T", "user_id": "alice", "new_field": [1]});
    let structured = read(&[STRUCTURED], &envelope(|_| ())).expect("it is taken");
    let binary = read(&BINARY, r#"{"user_id": "alice", "new_field": [1]}"#).expect("it is taken");
    let plain = read(&[("content-type", "text/plain")], &expected.to_string()).expect("it is taken");
    for event in [&structured, &binary, &plain] {
        assert_eq!(Value::Object(event.json.clone()), expected);
    }
    assert_eq!(plain.source, Source::Plain);
    match (&structured.source, &binary.source) {
        (Source::Structured(structured), Source::Binary(binary)) => {
            assert_eq!((structured.id.as_str(), structured.source.as_str()), ("e-1", "/chat"));
            assert_eq!(structured.subject.as_deref(), Some("alice"));
            assert_eq!((binary.event_type.as_str(), binary.time.as_deref()), ("turn", Some("T")));
        }
        other => assert_eq!(other.0, other.1, "the wrong forms were recognised"),
    }
}

#[test]
fn http_spells_the_headers_differently() {
    let headers = [("CE-SpecVersion", "1.0"), ("ce-id", "e%201%E2%82%AC%zz"), ("ce-source", "s"), ("ce-type", "turn")];
    let event = read(&headers, "{}").expect("it is taken");
    assert_eq!(event.json["id"], "e 1€%zz");
}

#[test]
fn what_the_interaction_says_itself_wins() {
    let text = envelope(|e| e["data"] = json!({"id": "own", "time": null}));
    let event = read(&[STRUCTURED], &text).expect("it is taken");
    assert_eq!((&event.json["id"], &event.json["time"]), (&json!("own"), &json!("T")));
}

#[test]
fn the_trace_is_taken_from_the_headers_first() {
    let trace = |headers: &[(&str, &str)]| read(headers, &envelope(|_| ())).expect("it is taken").trace;
    assert_eq!(trace(&[STRUCTURED]).traceparent.as_deref(), Some("00-old"));
    let both = trace(&[STRUCTURED, ("traceparent", "00-new"), ("tracestate", "a=b")]);
    assert_eq!((both.traceparent.as_deref(), both.tracestate.as_deref()), (Some("00-new"), Some("a=b")));
}

#[test]
fn data_may_come_as_base64() {
    let with = |data: &str| {
        envelope(|e| {
            e.as_object_mut().expect("an object").remove("data");
            e["data_base64"] = json!(data);
        })
    };
    let event = read(&[STRUCTURED], &with("eyJpZCI6ICJpbm5lciJ9")).expect("it is taken");
    assert_eq!(event.json["id"], "inner");
    assert_eq!(refused(&[STRUCTURED], &with("%%%")), "invalid_base64");
    assert_eq!(refused(&[STRUCTURED], &with("eyJpZCI6")), "invalid_json");
    assert_eq!(refused(&[STRUCTURED], &envelope(|e| e["data_base64"] = json!("e30="))), "cloud_event_data_twice");
}

#[test]
fn every_refusal_has_its_code() {
    let structured = |change: fn(&mut Value)| refused(&[STRUCTURED], &envelope(change));
    let none = parse(&Record::default(), &InletLimits::default()).expect_err("it is refused");
    assert_eq!(none.code(), "no_value");
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    assert_eq!(refused(&[], &large), "too_large");
    assert_eq!(refused(&[], "{\"id\": \"a\"} {}"), "invalid_json");
    assert_eq!(refused(&[], "{\"a\": 1, \"a\": 2}"), "duplicate_key");
    assert_eq!(refused(&[], "[{}]"), "not_an_object");
    assert_eq!(structured(|e| e["specversion"] = json!("0.3")), "cloud_event_version");
    assert_eq!(refused(&BINARY[1..], "{}"), "cloud_event_version");
    assert_eq!(structured(|e| e["id"] = json!("")), "cloud_event_attribute_missing");
    assert_eq!(structured(|e| e["type"] = Value::Null), "cloud_event_attribute_missing");
    assert_eq!(structured(|e| e["source"] = json!(7)), "cloud_event_attribute_invalid");
    assert_eq!(structured(|e| e["data"] = Value::Null), "cloud_event_data_missing");
    assert_eq!(structured(|e| e["data"] = json!("text")), "not_an_object");
    assert_eq!(structured(|e| e["datacontenttype"] = json!("text/xml")), "content_type_unsupported");
    assert_eq!(refused(&[("content-type", "application/cloudevents-batch+json")], "[]"), "content_type_unsupported");
    let mut text = record(&BINARY, "{}");
    text.headers[1].1 = Some(vec![0xff]);
    assert_eq!(parse(&text, &InletLimits::default()).expect_err("it is refused").code(), "header_not_text");
}

#[test]
fn a_header_that_is_signed_is_read_in_one_way_only() {
    let one = |name: &str, headers: &[(&str, &str)]| one_line(&record(headers, "{}"), name);
    assert_eq!(one("ce_id", &BINARY), Ok(Some("e-1".to_owned())));
    assert_eq!(one("ce_subject", &BINARY), Ok(None));
    assert_eq!(one("ce_id", &[("CE-ID", "e%201")]), Ok(Some("e 1".to_owned())), "as the parser reads it");
    assert_eq!(one("content-type", &[("Content-Type", "a/b"), ("content-typed", "x")]), Ok(Some("a/b".to_owned())));
    let two_ways: [(&str, &[(&str, &str)]); 5] = [
        ("ce_id", &[("ce_id", "a"), ("ce_id", "a")]),
        ("ce_id", &[("ce_id", "a"), ("Ce-Id", "b")]),
        ("memos-tenant", &[("memos-tenant", "a"), ("MEMOS-TENANT", "b")]),
        ("memos-tenant", &[("memos-tenant", "")]),
        ("ce_id", &[("ce-id", "a%0Ab")]),
    ];
    for (name, headers) in two_ways {
        let refused = one(name, headers).expect_err("it is refused");
        assert_eq!(refused.code(), "signature_malformed", "{headers:?}");
        assert!(refused.to_string().contains(name), "{refused}");
    }
}

#[test]
fn depth_is_that_of_the_interaction_in_every_form() {
    let nested = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({ "a": inner }));
    for (depth, taken) in [(32, true), (33, false)] {
        let data = nested(depth);
        let structured = read(&[STRUCTURED], &envelope(|e| e["data"] = data.clone()));
        let results = [structured, read(&BINARY, &data.to_string()), read(&[], &data.to_string())];
        for result in results {
            assert_eq!(result.is_ok(), taken, "{depth}: {result:?}");
        }
    }
}

fn coordinates(offset: u64) -> Coordinates {
    Coordinates {
        log: LogId::new(Uuid::from_u128(7)),
        topic: "inlet.chat".parse().expect("a topic"),
        partition: Partition::new(3),
        offset: Offset::new(offset),
    }
}

#[test]
fn a_dead_letter_is_named_after_its_place() {
    let letter = |at| DeadLetter::new("too_deep", String::new(), coordinates(at), Record::default(), Timestamp::EPOCH);
    assert_eq!(letter(1).id, letter(1).id);
    assert_ne!(letter(1).id, letter(2).id);
    assert_eq!(letter(1).id.to_string(), "dd36a301-9612-528f-9603-e5b5eb94a51b", "the id never changes");
}

#[test]
fn a_dead_letter_of_another_release_is_not_guessed_at() {
    let ring = Keyring::in_memory().expect("a ring");
    let read = |value: Option<&str>| {
        let value = value.map(|text| text.as_bytes().to_vec());
        DeadLetter::from_record(&ring, &Record { value, ..Record::default() })
    };
    assert!(matches!(read(Some(r#"{"v": 3}"#)), Err(dead_letter::Error::UnknownVersion { version: 3 })));
    assert!(matches!(read(Some(r#"{"version": 1}"#)), Err(dead_letter::Error::UnknownVersion { version: 1 })));
    assert!(matches!(read(Some(r#"{"v": 2}"#)), Err(dead_letter::Error::Malformed(_))));
    assert!(matches!(read(None), Err(dead_letter::Error::NoValue)));
}

proptest! {
    #[test]
    fn a_dead_letter_brings_the_original_back(
        key in proptest::collection::vec(any::<u8>(), 0..32),
        value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..64)),
        headers in proptest::collection::vec((".{0,8}", proptest::option::of(proptest::collection::vec(any::<u8>(), 0..8))), 0..4),
        times in any::<(i64, i64)>(),
        offset in any::<u64>(),
    ) {
        let original = Record { key, value, headers, timestamp: Timestamp::from_micros(times.0) };
        let made = Timestamp::from_micros(times.1);
        let letter = DeadLetter::new("no_value", "why".to_owned(), coordinates(offset), original, made);
        let (ring, tenant) = (Keyring::in_memory().expect("a ring"), TenantTag::from_bytes([9; 16]));
        let sealing = ring.epoch(tenant, Timestamp::EPOCH).expect("a key");
        let record = letter.to_record(&ring, sealing, tenant).expect("its key is alive");
        prop_assert_eq!(&record.key, letter.id.as_bytes());
        prop_assert_eq!(record.timestamp, made);
        prop_assert_eq!(DeadLetter::from_record(&ring, &record).expect("our own"), letter);
    }

    #[test]
    fn nothing_published_makes_the_parser_panic(
        value in proptest::collection::vec(any::<u8>(), 0..200),
        headers in proptest::collection::vec(("(ce_|ce-|content-type|[a-zé%]{0,6})(id|type|specversion)?", proptest::collection::vec(any::<u8>(), 0..20)), 0..5),
    ) {
        let headers = headers.into_iter().map(|(name, value)| (name, Some(value))).collect();
        let record = Record { value: Some(value), headers, ..Record::default() };
        if let Err(refused) = parse(&record, &InletLimits::default()) {
            prop_assert!(!refused.code().is_empty());
        }
    }
}

#[test]
fn topics_of_dead_letters_are_written_by_name() {
    let letter = DeadLetter::new("x", String::new(), coordinates(9), Record::default(), Timestamp::EPOCH);
    let (ring, tenant) = (Keyring::in_memory().expect("a ring"), TenantTag::from_bytes([9; 16]));
    let key = ring.epoch(tenant, Timestamp::EPOCH).expect("a key");
    let value = letter.to_record(&ring, key, tenant).expect("its key is alive").value.expect("a value");
    let line = value.split(|byte| *byte == b'\n').next().expect("a line in the clear");
    let value: Value = serde_json::from_slice(line).expect("JSON");
    let value = &value["body"]["found"];
    assert_eq!((&value["topic"], &value["partition"], &value["offset"]), (&json!("inlet.chat"), &json!(3), &json!(9)));
    assert_eq!(letter.found.topic, Topic::Inlet("chat".to_owned().try_into().expect("letters")));
}
