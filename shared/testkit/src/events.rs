//! Events in the outside form, without id and owner: [`crate::Person::say`] adds them.

use memory_core::event::UnknownFields;
use memory_core::{Event, MemoryId, Offset, Recorded, TenantId, Timestamp};
use serde_json::{Value, json};

/// What a user says.
#[must_use]
pub fn turn(text: &str) -> Value {
    json!({"content": text})
}

#[must_use]
pub fn remember(text: &str) -> Value {
    json!({"type": "remember", "body": {"text": text}})
}

#[must_use]
pub fn correct(memory: MemoryId, text: &str) -> Value {
    json!({"type": "correct", "body": {"memory_id": memory, "text": text}})
}

#[must_use]
pub fn delete(memory: MemoryId) -> Value {
    json!({"type": "delete", "body": {"memory_id": memory}})
}

/// Everything there is is to be forgotten.
#[must_use]
pub fn forget_everything() -> Value {
    forget(json!({"everything": true}))
}

/// What `body` says is to be forgotten.
#[must_use]
pub fn forget(body: Value) -> Value {
    json!({"type": "forget", "body": body})
}

#[must_use]
pub fn feedback(memories: &[MemoryId], useful: bool) -> Value {
    json!({"type": "feedback", "body": {"memory_ids": memories, "useful": useful}})
}

#[must_use]
pub fn consent(remember: bool) -> Value {
    json!({"type": "consent", "body": {"remember": remember}})
}

#[must_use]
pub fn session_end() -> Value {
    json!({"type": "session_end"})
}

/// An event as it stands on `interactions`; `value` must be complete.
///
/// # Panics
/// When the gateway would refuse it: then the test does not say what it means.
#[must_use]
pub fn recorded(tenant: &TenantId, arrived: Timestamp, offset: Offset, value: &Value) -> Recorded {
    let object = value.as_object().expect("an event is an object");
    let event = match Event::parse(object, UnknownFields::Refuse, None, arrived) {
        Ok(event) => event,
        Err(refused) => panic!("{refused}: {value}"),
    };
    Recorded { tenant: tenant.clone(), arrived, offset, event: event.into() }
}
