use serde_json::json;

use super::*;

fn parse(value: Value) -> Result<Event, Refused> {
    let object = value.as_object().expect("tests send objects").clone();
    Event::parse(&object, UnknownFields::Refuse, None, Timestamp::from_seconds(100))
}

fn refusal(value: Value) -> (&'static str, String) {
    let refused = parse(value).expect_err("must be refused");
    (refused.code, refused.field)
}

#[test]
fn a_turn_gets_its_defaults() {
    let event = parse(json!({"id": "e1", "user_id": "u", "content": "hello"})).expect("a good turn");
    assert_eq!((event.kind, event.role, event.origin), (EventType::Turn, Role::User, Origin::User));
    assert_eq!(event.time, Timestamp::from_seconds(100));
    assert!(event.remember && !event.recalled);
}

#[test]
fn other_names_of_a_session_are_taken_unless_they_disagree() {
    let event = parse(json!({"id": "e", "run_id": "s", "content": "x"})).expect("run_id is a session");
    assert_eq!(event.session_id.as_deref(), Some("s"));
    let both = json!({"id": "e", "run_id": "s", "session_id": "t", "content": "x"});
    assert_eq!(refusal(both), ("invalid_field", "run_id".to_owned()));
}

#[test]
fn every_refusal_names_its_field() {
    let cases = [
        (json!({"user_id": "u", "content": "x"}), "missing_field", "id"),
        (json!({"id": "e", "content": "x"}), "missing_field", "user_id"),
        (json!({"id": "e", "user_id": "u"}), "missing_field", "content"),
        (json!({"id": "e", "user_id": "u", "content": "x", "colour": 1}), "unknown_field", "colour"),
        (json!({"id": "e", "user_id": "u", "content": 7}), "invalid_field", "content"),
        (json!({"id": "e", "user_id": "u\u{0}", "content": "x"}), "invalid_field", "user_id"),
        (json!({"id": "x".repeat(129), "user_id": "u", "content": "x"}), "invalid_field", "id"),
        (json!({"id": "e", "user_id": "u", "content": "x", "time": "yesterday"}), "invalid_field", "time"),
        (json!({"id": "e", "user_id": "u", "content": "x", "role": "king"}), "invalid_field", "role"),
        (json!({"id": "e", "user_id": "u", "content": "x", "type": "shout"}), "invalid_field", "type"),
        (json!({"id": "e", "user_id": "u", "type": "forget"}), "missing_field", "body"),
        (json!({"id": "e", "user_id": "u", "type": "forget", "body": {"everything": false}}), "missing_field", "body"),
        (json!({"id": "e", "user_id": "u", "type": "forget", "body": {"all": true}}), "unknown_field", "body.all"),
        (
            json!({"id": "e", "user_id": "u", "type": "forget", "body": {"everything": true, "session_id": "s"}}),
            "invalid_field",
            "body",
        ),
        (
            json!({"id": "e", "user_id": "u", "type": "forget", "body": {"memory_ids": ["m"]}}),
            "invalid_field",
            "body.memory_ids",
        ),
        (
            json!({"id": "e", "user_id": "u", "type": "forget", "body": {"origin": "nobody"}}),
            "invalid_field",
            "body.origin",
        ),
        (
            json!({"id": "e", "user_id": "u", "type": "forget",
                "body": {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}}),
            "invalid_field",
            "body.to",
        ),
        (json!({"id": "e", "user_id": "u", "type": "idle_tick"}), "invalid_field", "type"),
        (json!({"id": "e", "user_id": "u", "type": "delete"}), "invalid_field", "body.memory_id"),
        (json!({"id": "e", "user_id": "u", "type": "remember"}), "missing_field", "body.text"),
        (json!({"id": "e", "user_id": "u", "type": "delete", "body": {"memory": "m"}}), "unknown_field", "body.memory"),
        (json!({"id": "e", "user_id": "u", "content": "x".repeat(CONTENT_BYTES_MAX + 1)}), "too_large", "content"),
        (json!({"id": "e", "user_id": "u", "content": "x", "tags": [1]}), "invalid_field", "tags"),
        (
            json!({"id": "e", "user_id": "u", "content": "x", "metadata": {"k": "v".repeat(5000)}}),
            "too_large",
            "metadata",
        ),
    ];
    for (value, code, field) in cases {
        assert_eq!(refusal(value), (code, field.to_owned()));
    }
}

// law: L07
#[test]
fn what_must_not_be_remembered_loses_its_words_before_the_log() {
    let event = parse(
        json!({"id": "e", "user_id": "u", "content": "secret", "remember": false, "tags": ["t"], "metadata": {"k": 1}}),
    )
    .expect("a good turn");
    assert_eq!(event.content, Content::empty());
    assert!(event.tags.is_empty() && event.metadata.is_empty());
}

#[test]
fn kafka_readers_ignore_unknown_fields() {
    let object = json!({"id": "e", "user_id": "u", "content": "x", "colour": 1});
    let object = object.as_object().expect("an object");
    assert!(Event::parse(object, UnknownFields::Ignore, None, Timestamp::EPOCH).is_ok());
}

#[test]
fn controls_are_typed() {
    let id = "6f3a3f51-6c3c-4f57-9d5b-6d1b1c3c2a10";
    let event = parse(json!({"id": "e", "user_id": "u", "type": "correct", "body": {"memory_id": id, "text": "new"}}))
        .expect("a good correction");
    let memory_id = MemoryId::from_uuid(id.parse().expect("a UUID"));
    assert_eq!(event.control, Some(Box::new(Control::Correct { memory_id, text: "new".to_owned() })));
}
