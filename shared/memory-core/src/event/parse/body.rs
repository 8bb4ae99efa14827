//! The bodies of control events.

use super::{
    CONTENT_BYTES_MAX, Control, EventId, EventType, Kind, Map, MemoryId, NOTE_BYTES_MAX, Refused, UnknownFields, Value,
    flag, name, origin_in, refuse_unknown, text, time,
};
use crate::forget::{Matching, Scope};

/// The most memories that one feedback names.
const FEEDBACK_MAX: usize = 200;

/// The most memories, and the most events, that one forget names.
const FORGET_MAX: usize = 1_000;

/// The control of an event of this type; `None` for turns and notes.
pub(super) fn parse(
    kind: EventType,
    object: &Map<String, Value>,
    unknown: UnknownFields,
) -> Result<Option<Control>, Refused> {
    let empty = Map::new();
    let body = match object.get("body") {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(body)) => body,
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            return Err(Refused::invalid("body", "must be an object"));
        }
    };
    let known: &[&str] = match kind {
        EventType::Turn | EventType::Note | EventType::SessionEnd | EventType::IdleTick => &[],
        EventType::Remember => &["kind", "text", "valid_from", "expires_at", "pinned"],
        EventType::Correct => &["memory_id", "text"],
        EventType::Delete => &["memory_id"],
        EventType::Feedback => &["memory_ids", "useful"],
        EventType::Consent => &["remember"],
        EventType::Forget => &["everything", "memory_ids", "event_ids", "session_id", "origin", "from", "to"],
    };
    if unknown == UnknownFields::Refuse {
        refuse_unknown(body, known, "body.")?;
    }
    Ok(match kind {
        EventType::Turn | EventType::Note => None,
        EventType::SessionEnd | EventType::IdleTick => Some(Control::SessionEnd),
        EventType::Remember => Some(remember(body, object)?),
        EventType::Correct => Some(Control::Correct {
            memory_id: memory_id(body.get("memory_id"), "body.memory_id")?,
            text: new_text(body, object)?,
        }),
        EventType::Delete => {
            let memories = vec![memory_id(body.get("memory_id"), "body.memory_id")?];
            Some(Control::Forget { scope: Scope::These { memories, events: Vec::new() }, floor: None })
        }
        EventType::Forget => Some(Control::Forget { scope: scope(body)?, floor: None }),
        EventType::Feedback => Some(feedback(body)?),
        EventType::Consent => Some(Control::Consent { remember: needed_flag(body, "remember")? }),
    })
}

fn remember(body: &Map<String, Value>, object: &Map<String, Value>) -> Result<Control, Refused> {
    let kind = match text(body, "kind")? {
        None => Kind::Fact,
        Some(name) => {
            Kind::parse(name).ok_or_else(|| Refused::invalid("body.kind", format!("must be one of {}", Kind::NAMES)))?
        }
    };
    Ok(Control::Remember {
        kind,
        text: new_text(body, object)?,
        valid_from: time(body, "valid_from")?,
        expires_at: time(body, "expires_at")?,
        pinned: flag(body, "pinned")?.unwrap_or(false),
    })
}

fn feedback(body: &Map<String, Value>) -> Result<Control, Refused> {
    let Some(Value::Array(list)) = body.get("memory_ids") else {
        return Err(Refused::missing("body.memory_ids", "a list of the ids of the memories it is about"));
    };
    if list.is_empty() || list.len() > FEEDBACK_MAX {
        return Err(Refused::invalid("body.memory_ids", format!("names 1 to {FEEDBACK_MAX} memories")));
    }
    let mut memory_ids =
        list.iter().map(|id| memory_id(Some(id), "body.memory_ids")).collect::<Result<Vec<MemoryId>, Refused>>()?;
    memory_ids.sort_unstable();
    memory_ids.dedup();
    Ok(Control::Feedback { memory_ids, useful: needed_flag(body, "useful")? })
}

/// What to forget: everything, named memories and events, or the events that match conditions; one of the three.
fn scope(body: &Map<String, Value>) -> Result<Scope, Refused> {
    let everything = flag(body, "everything")?.unwrap_or(false);
    let mut memories = ids(body, "memory_ids", |id| id.parse().ok().map(MemoryId::from_uuid))?;
    let mut events = ids(body, "event_ids", |id| EventId::try_new(id))?;
    memories.sort_unstable();
    memories.dedup();
    events.sort_unstable();
    events.dedup();
    let matching = Matching {
        session_id: name(body, "session_id")?,
        origin: origin_in(body, "body.origin")?,
        from: time(body, "from")?,
        to: time(body, "to")?,
    };
    let these = !memories.is_empty() || !events.is_empty();
    let conditions = matching != Matching::default();
    match (everything, these, conditions) {
        (true, false, false) => Ok(Scope::Everything),
        (false, true, false) => Ok(Scope::These { memories, events }),
        (false, false, true) => {
            if let (Some(from), Some(to)) = (matching.from, matching.to)
                && from >= to
            {
                return Err(Refused::invalid("body.to", "must be later than body.from"));
            }
            Ok(Scope::Matching(matching))
        }
        (false, false, false) => Err(Refused::missing(
            "body",
            "say what to forget: everything, memory_ids and event_ids, or some of session_id, origin, from, to",
        )),
        (_, _, _) => Err(Refused::invalid(
            "body",
            "names too much at once: send everything, or ids, or conditions on session_id, origin, from, to",
        )),
    }
}

fn ids<T>(body: &Map<String, Value>, field: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Refused> {
    let list = match body.get(field) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            return Err(Refused::invalid(&format!("body.{field}"), "must be a list of ids"));
        }
    };
    if list.len() > FORGET_MAX {
        return Err(Refused::invalid(&format!("body.{field}"), format!("names at most {FORGET_MAX}")));
    }
    let bad = || Refused::invalid(&format!("body.{field}"), "holds something that is no such id");
    list.iter().map(|id| id.as_str().and_then(&parse).ok_or_else(bad)).collect()
}

/// The text of a control: `body.text`, or the event's own content.
fn new_text(body: &Map<String, Value>, object: &Map<String, Value>) -> Result<String, Refused> {
    let text = match text(body, "text")? {
        Some(text) => Some(text),
        None => object.get("content").and_then(Value::as_str),
    };
    match text {
        Some(text) if text.len() > NOTE_BYTES_MAX.min(CONTENT_BYTES_MAX) => Err(Refused::new(
            "too_large",
            "body.text",
            format!("is {} bytes long; at most {CONTENT_BYTES_MAX} are taken", text.len()),
        )),
        Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        Some(_) | None => Err(Refused::missing("body.text", "the text to remember")),
    }
}

fn needed_flag(body: &Map<String, Value>, field: &str) -> Result<bool, Refused> {
    flag(body, field)?.ok_or_else(|| Refused::missing(&format!("body.{field}"), "must be true or false"))
}

fn memory_id(value: Option<&Value>, field: &str) -> Result<MemoryId, Refused> {
    let id = value.and_then(Value::as_str).and_then(|id| id.parse().ok());
    id.map(MemoryId::from_uuid).ok_or_else(|| Refused::invalid(field, "must be the UUID of a memory"))
}
