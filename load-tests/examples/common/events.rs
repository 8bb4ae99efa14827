//! Turns of conversations as the events that the quality evaluation publishes.

use load_tests::quality::data;
use memory_core::Timestamp;
use memory_core::event::{Event, UnknownFields};
use serde_json::{Map, Value, json};

/// A turn as the interaction that the quality evaluation publishes, under the id of the data.
pub(crate) fn event(turn: &data::Turn) -> Event {
    let said: Map<String, Value> = [
        ("id", json!(turn.id)),
        ("user_id", json!("user")),
        ("session_id", json!(format!("s{}", turn.session))),
        ("role", json!(turn.role.as_deref().unwrap_or("user"))),
        ("speaker", json!(turn.name())),
        ("content", json!(turn.content())),
        ("time", json!(turn.time.to_string())),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    Event::parse(&said, UnknownFields::Refuse, None, Timestamp::EPOCH).expect("our data is well formed")
}
