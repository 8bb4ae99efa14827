//! A turn on the wire: what was said, before or after it became a memory.

use std::collections::BTreeMap;
use std::fmt;

use memory_core::rank::text_of;
use memory_core::salience::Parts;
use memory_core::{Content, EventType, Origin, Role, Timestamp, Turn};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::score;

/// One event of a conversation, as working memory holds it.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TurnView {
    /// The event's id.
    pub id: String,
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "turn")]
    pub kind: EventType,
    /// Its number among the subject's events, from 0.
    pub seq: u64,
    pub user_id: Option<String>,
    pub agent_id: Option<String>,
    pub app_id: Option<String>,
    pub session_id: Option<String>,
    #[schema(value_type = String, example = "user")]
    pub role: Role,
    pub speaker: Option<String>,
    /// A text, or the parts of a message; of a control event the text that it asks to keep.
    #[schema(value_type = Object)]
    pub content: Value,
    /// When it happened.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// When memos took it.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub arrived: Timestamp,
    #[schema(value_type = String, example = "user")]
    pub origin: Origin,
    pub remember: bool,
    pub recalled: bool,
    pub tags: Vec<String>,
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// 0 to 1.
    pub salience: f64,
    /// How strong each part of the salience is, before the rules weigh it.
    pub salience_parts: BTreeMap<String, f64>,
}

/// The redacting form: which turn it is, never what was said or by whom.
impl fmt::Debug for TurnView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnView")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("seq", &self.seq)
            .field("role", &self.role)
            .field("salience", &self.salience)
            .finish_non_exhaustive()
    }
}

impl TurnView {
    /// The view of a turn. An event names its owner itself.
    #[must_use]
    pub fn of(turn: &Turn) -> Self {
        let event = &turn.event;
        Self {
            id: event.id.as_str().to_owned(),
            kind: event.kind,
            seq: turn.seq.get(),
            user_id: event.user_id.clone(),
            agent_id: event.agent_id.clone(),
            app_id: event.app_id.clone(),
            session_id: event.session_id.clone(),
            role: event.role,
            speaker: event.speaker.clone(),
            content: said(turn),
            time: event.time,
            arrived: turn.arrived,
            origin: event.origin,
            remember: event.remember,
            recalled: event.recalled,
            tags: event.tags.clone(),
            metadata: event.metadata.clone(),
            salience: score(turn.salience.total),
            salience_parts: salience_parts(&turn.salience.parts),
        }
    }
}

fn salience_parts(parts: &Parts) -> BTreeMap<String, f64> {
    parts.named().into_iter().map(|(name, part)| (name.to_owned(), score(part))).collect()
}

/// What a reader of the conversation should see: a control event has its text in its body and no content.
fn said(turn: &Turn) -> Value {
    match turn.event.control.as_deref() {
        Some(_) => Value::String(text_of(turn).into_owned()),
        None => content(&turn.event.content),
    }
}

/// Content in the form in which it was sent.
fn content(content: &Content) -> Value {
    match content {
        Content::Text(text) => Value::String(text.clone()),
        Content::Parts(parts) => Value::Array(parts.iter().map(part).collect()),
    }
}

fn part(part: &memory_core::Part) -> Value {
    let mut object = Map::new();
    object.insert("type".to_owned(), Value::String(part.kind.as_str().to_owned()));
    if !part.text.is_empty() {
        object.insert("text".to_owned(), Value::String(part.text.clone()));
    }
    object.extend(part.rest.iter().map(|(name, value)| (name.clone(), value.clone())));
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use memory_core::event::UnknownFields;
    use memory_core::salience::Salience;
    use memory_core::{Event, Seq};
    use serde_json::json;

    use super::*;

    fn view(event: &Value) -> TurnView {
        let arrived = Timestamp::EPOCH;
        let object = event.as_object().expect("an object");
        let event = Event::parse(object, UnknownFields::Refuse, None, arrived).expect("a good event");
        let salience = Salience::default();
        TurnView::of(&Turn {
            seq: Seq::new(0),
            arrived,
            event: Arc::new(event),
            salience,
            unkept: None,
            candidates: Vec::new(),
        })
    }

    #[test]
    fn a_control_event_shows_the_text_it_asks_to_keep() {
        let body = json!({"kind": "fact", "text": "She is allergic to peanuts."});
        let remember = view(&json!({"id": "e-1", "type": "remember", "user_id": "u", "body": body}));
        assert_eq!(remember.content, json!("She is allergic to peanuts."));
        let parts = json!([{"type": "text", "text": "Look."}, {"type": "image_url", "url": "u"}]);
        let turn = view(&json!({"id": "e-2", "type": "turn", "user_id": "u", "content": parts}));
        assert_eq!(turn.content, parts, "and a turn shows what was sent");
    }
}
