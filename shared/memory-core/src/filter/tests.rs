use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::control::Control;
use crate::event::{Event, UnknownFields};
use crate::ids::Seq;
use crate::salience::{Parts, Salience};
use crate::time::Timestamp;

fn turn(value: Value) -> Turn {
    let object = value.as_object().expect("an object").clone();
    let event = Event::parse(&object, UnknownFields::Refuse, None, Timestamp::EPOCH).expect("a good event");
    let salience = Salience { total: 700, parts: Parts { safety: 700, ..Parts::default() } };
    let (seq, arrived) = (Seq::FIRST, Timestamp::EPOCH);
    Turn { seq, arrived, event: Arc::new(event), salience, unkept: None, candidates: Vec::new() }
}

fn matches(filter: Value) -> bool {
    let turn = turn(json!({
        "id": "e", "user_id": "u", "session_id": "s-1", "content": "x", "time": "2026-05-08T13:56:00Z",
        "tags": ["work"], "metadata": {"city": "Berlin", "floor": 3}
    }));
    Filter::parse(&filter).expect("a good filter").matches_turn(&turn)
}

#[test]
fn comparisons_and_their_combinations() {
    assert!(matches(json!({"tags": {"contains": "work"}})));
    assert!(!matches(json!({"tags": {"contains": "home"}})));
    assert!(matches(json!({"time": {"gte": "2026-05-01T00:00:00Z", "lt": "2026-06-01T00:00:00Z"}})));
    assert!(!matches(json!({"time": {"gt": "2026-06-01T00:00:00Z"}})));
    assert!(matches(json!({"metadata.city": "Berlin"})));
    assert!(matches(json!({"metadata.floor": {"in": [1, 3]}})));
    assert!(!matches(json!({"metadata.floor": {"gt": "2"}})), "a number and a text do not compare");
    assert!(matches(json!({"and": [{"session_id": "s-1"}, {"not": {"role": "assistant"}}]})));
    assert!(matches(json!({"or": [{"role": "tool"}, {"tags": {"contains": "work"}}]})));
    assert!(matches(json!({"speaker": {"exists": false}})));
    assert!(matches(json!({"metadata.none": {"ne": 1}})));
    assert!(matches(json!({"critical": true, "salience": {"gte": 700}})), "a turn that is not consolidated yet, too");
    assert!(!matches(json!({"critical": false})));
}

#[test]
fn a_bad_filter_is_refused_in_words() {
    for (filter, word) in [
        (json!([]), "object"),
        (json!({"colour": 1}), "no field"),
        (json!({"tags": {"like": "x"}}), "no comparison"),
        (json!({"time": {"gte": "yesterday"}}), "2026"),
        (json!({"and": {"tags": 1}}), "list"),
        (json!({"role": {"in": "x"}}), "list"),
    ] {
        let error = Filter::parse(&filter).expect_err("must be refused").to_string();
        assert!(error.contains(word), "{error}");
    }
    let mut deep = json!({"role": "user"});
    for _ in 0..20 {
        deep = json!({"not": deep});
    }
    assert!(Filter::parse(&deep).is_err());
    assert!(Filter::parse(&json!({"and": vec![json!({"role": "user"}); 100]})).is_err());
}

#[test]
fn controls_have_no_say_in_filters() {
    let ended = turn(json!({"id": "e", "user_id": "u", "type": "session_end"}));
    assert_eq!(ended.event.control.as_deref(), Some(&Control::SessionEnd));
    let kind = Filter::parse(&json!({"kind": "fact"})).expect("a good filter");
    assert!(!kind.matches_turn(&ended));
}
