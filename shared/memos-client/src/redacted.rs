//! Nothing that people say or are called shows in a debug form, because debug forms end in logs and in panics.

use std::fmt::Debug;

use memory_core::{Role, Subject, SubjectKind, TenantId};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::inlet::{InletRecord, Secret, Signer, Statement};
use crate::internal::{ListOf, Named, PreviewOf};
use crate::{
    ContextView, CorrectRequest, DeadLetterView, ErrorBody, FeedbackRequest, ForgetBody, Interaction, ListRequest,
    MemoriesQuery, MemoryView, Owned, Owner, Page, ProfileView, PublishRequest, RecallRequest, RecallResponse,
    RevisionView, TurnView, WorkingMemoryView,
};

const CANARY: &str = "kanarienvogel";
const TIME: &str = "2026-05-08T13:56:00Z";

fn shows_nothing(value: &impl Debug) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!shown.contains(CANARY), "{shown}");
    }
}

/// Reads a value of this type and looks at it.
fn read<T: DeserializeOwned + Debug>(json: Value) -> T {
    let value: T = serde_json::from_value(json).expect("the shape of the type");
    shows_nothing(&value);
    value
}

fn memory() -> Value {
    json!({
        "id": Uuid::nil(), "user_id": CANARY, "agent_id": CANARY, "app_id": CANARY, "session_id": CANARY,
        "kind": "fact", "text": CANARY, "attribute": { "name": CANARY, "value": CANARY }, "event_time": TIME,
        "valid_from": TIME, "valid_to": null, "created_at": TIME, "updated_at": TIME, "expires_at": null,
        "status": "active", "superseded_by": null, "salience": 0.7, "confidence": 0.9, "emotion": null,
        "origin": "user", "trust": 3, "pinned": false, "sources": [], "reinforced": 0, "tags": [CANARY],
        "entities": [CANARY], "metadata": { "x": CANARY }, "version": 1
    })
}

fn turn() -> Value {
    json!({
        "id": "e-1", "type": "turn", "seq": 0, "user_id": CANARY, "agent_id": CANARY, "app_id": CANARY,
        "session_id": CANARY, "role": "user", "speaker": CANARY, "content": CANARY, "time": TIME, "arrived": TIME,
        "origin": "user", "remember": true, "recalled": false, "tags": [CANARY], "metadata": { "x": CANARY },
        "salience": 0.1, "salience_parts": {}
    })
}

fn question() -> Value {
    json!({ "user_id": CANARY, "agent_id": CANARY, "session_id": CANARY, "query": CANARY, "filters": { "x": CANARY } })
}

#[test]
fn answers_are_redacted() {
    let context = json!({ "text": CANARY, "tokens": 1, "sources": ["e-1"] });
    let position = format!("p1.{}", Uuid::nil().simple());
    let found = json!([{ "type": "memory", "memory": memory(), "score": 0.5 }, { "type": "turn", "turn": turn(), "score": 0.5 }]);
    let value: MemoryView = read(memory());
    shows_nothing(&value.attribute);
    let subject =
        Subject { tenant: TenantId::try_new(CANARY).expect("a name"), kind: SubjectKind::User, id: CANARY.to_owned() };
    shows_nothing(&Named::from(&subject));
    shows_nothing(&Owned { subject, value });
    read::<TurnView>(turn());
    read::<ContextView>(context.clone());
    read::<RecallResponse>(json!({ "results": found, "context": context, "position": position }));
    read::<Page<MemoryView>>(json!({ "results": [memory()], "next": null }));
    read::<RevisionView>(json!({ "version": 1, "text": CANARY, "until": null, "changed_by": null }));
    let working = json!({
        "user_id": CANARY, "agent_id": CANARY, "session_id": CANARY, "turns": [turn()], "window_from": 0,
        "next_seq": 1, "remember": true
    });
    read::<WorkingMemoryView>(working);
    let statement = json!({
        "memory_id": Uuid::nil(), "attribute": { "name": CANARY, "value": CANARY }, "text": CANARY, "since": TIME,
        "confidence": 0.9, "origin": "user", "pinned": false, "sources": []
    });
    let topic = json!({ "name": CANARY, "days": 2, "first": TIME, "last": TIME, "memory_ids": [], "sources": [] });
    let word = json!({ "word": CANARY, "count": 3, "memory_ids": [], "sources": [] });
    read::<ProfileView>(json!({
        "user_id": CANARY, "agent_id": CANARY, "session_id": CANARY, "now": TIME, "facts": [statement],
        "preferences": [statement], "goals": [statement], "topics": [topic], "style": null,
        "emotion": { "baseline": null, "weeks": [], "trend": null, "goes_with_low": [word], "goes_with_high": [word] }
    }));
    let letter = json!({
        "id": Uuid::nil(), "topic": "inlet.x", "partition": 0, "offset": 0, "reason": "invalid_json",
        "message": CANARY, "arrived": TIME, "made": TIME, "bytes": 1, "replays": 0
    });
    read::<DeadLetterView>(letter);
    let error = json!({ "code": "c", "message": CANARY, "request_id": "r", "details": { "x": CANARY } });
    read::<ErrorBody>(json!({ "error": error }));
}

#[test]
fn requests_are_redacted() {
    let RecallRequest { filters, .. } = read(question());
    read::<CorrectRequest>(json!({ "text": CANARY }));
    read::<FeedbackRequest>(json!({ "user_id": CANARY, "agent_id": CANARY, "session_id": CANARY }));
    read::<PublishRequest>(json!({ "interactions": [{ "content": CANARY }] }));
    read::<ForgetBody>(json!({
        "session_id": CANARY, "query": CANARY, "filters": { "x": CANARY }, "event_ids": [CANARY], "memory_ids": [CANARY]
    }));
    let scope = json!({ "matching": { "session_id": CANARY } });
    read::<PreviewOf>(json!({ "subject": { "kind": "user", "id": CANARY }, "scope": scope }));
    let list = ListRequest { limit: 1, cursor: None, kinds: Vec::new(), filters, include_inactive: false };
    let subject = Named { kind: SubjectKind::Session, id: CANARY.to_owned() };
    shows_nothing(&ListOf { subject, list: list.clone() });
    shows_nothing(&MemoriesQuery { filters: list.filters, ..MemoriesQuery::default() });
    for owner in [Owner::User(CANARY), Owner::Agent(CANARY), Owner::Session(CANARY)] {
        shows_nothing(&owner);
    }
}

#[test]
fn what_goes_to_an_inlet_is_redacted() {
    let interaction = Interaction {
        id: Some("e-1".to_owned()),
        session_id: Some(CANARY.to_owned()),
        speaker: Some(CANARY.to_owned()),
        tags: vec![CANARY.to_owned()],
        body: Some(json!({ "text": CANARY })),
        ..Interaction::turn(CANARY, Role::User, CANARY)
    };
    shows_nothing(&interaction);
    let secret = Secret::try_new(&CANARY.repeat(3)).expect("long enough");
    let signer = Signer::try_new("inlet", CANARY, "k-1", secret).expect("good names");
    shows_nothing(&signer);
    let record = InletRecord::binary(CANARY, &interaction).expect("a record").signed(&signer).expect("signed");
    shows_nothing(&record);
    let headers = [Some(CANARY); 7];
    let value = CANARY.as_bytes();
    shows_nothing(&Statement { tenant: CANARY, key_id: "k-1", inlet: "inlet", headers, value });
}
