//! From the outside form of an interaction (`POST /v1/interactions`, an inlet) to a judged [`Event`].
//!
//! It is the only gate: what passes here is applied by every service without another look. Each refusal names the
//! field and says what to change, because it ends in a 400 or in a dead letter that another team reads.

use serde_json::{Map, Value};

use super::{Event, EventType, Origin, Role};
use crate::content::{Content, Part, PartKind};
use crate::control::Control;
use crate::ids::{EventId, MemoryId};
use crate::memory::Kind;
use crate::subject::valid_id;
use crate::time::Timestamp;

mod body;

/// The longest content of a turn, in bytes; a note may be [`NOTE_BYTES_MAX`].
pub const CONTENT_BYTES_MAX: usize = 32 * 1024;
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// The largest metadata object, in bytes of JSON.
pub const METADATA_BYTES_MAX: usize = 4 * 1024;
pub const TAGS_MAX: usize = 32;
pub const PARTS_MAX: usize = 64;
const TAG_BYTES_MAX: usize = 64;
const SPEAKER_BYTES_MAX: usize = 128;

/// Every field of the outside form. `run_id` and `conversation_id` are other names of `session_id`.
pub const FIELDS: [&str; 18] = [
    "id",
    "type",
    "user_id",
    "agent_id",
    "app_id",
    "session_id",
    "run_id",
    "conversation_id",
    "role",
    "speaker",
    "content",
    "time",
    "origin",
    "remember",
    "recalled",
    "tags",
    "metadata",
    "body",
];

/// Whether a field that memos does not know is an error (HTTP) or of no interest (Kafka).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownFields {
    Refuse,
    Ignore,
}

/// Why an event was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Refused {
    /// Stable, for machines: `missing_field`, `unknown_field`, `invalid_field`, `too_large`, `unsupported`.
    pub code: &'static str,
    pub field: String,
    /// What to change.
    pub message: String,
}

impl Refused {
    pub(crate) fn new(code: &'static str, field: &str, message: impl Into<String>) -> Self {
        Self { code, field: field.to_owned(), message: message.into() }
    }

    fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::new("invalid_field", field, message)
    }

    fn missing(field: &str, message: impl Into<String>) -> Self {
        Self::new("missing_field", field, message)
    }
}

impl Event {
    /// Judges an outside object.
    ///
    /// `fallback_id` is used when the object has no `id`, and `arrived` when it has no `time`.
    ///
    /// # Errors
    /// The first thing that is wrong with it, as [`Refused`].
    pub fn parse(
        object: &Map<String, Value>,
        unknown: UnknownFields,
        fallback_id: Option<EventId>,
        arrived: Timestamp,
    ) -> Result<Self, Refused> {
        if unknown == UnknownFields::Refuse {
            refuse_unknown(object, &FIELDS, "")?;
        }
        let kind = event_type(object)?;
        let id = event_id(object, fallback_id)?;
        let role = role(object)?.unwrap_or(Role::User);
        let control = body::parse(kind, object, unknown)?;
        let remember = flag(object, "remember")?.unwrap_or(true);
        let mut event = Self {
            id,
            kind,
            user_id: name(object, "user_id")?,
            agent_id: name(object, "agent_id")?,
            app_id: name(object, "app_id")?,
            session_id: session(object)?,
            role,
            speaker: short_text(object, "speaker", SPEAKER_BYTES_MAX)?,
            content: content(object, kind)?,
            time: time(object, "time")?.unwrap_or(arrived),
            origin: origin(object)?.unwrap_or_else(|| role.origin()),
            remember,
            recalled: flag(object, "recalled")?.unwrap_or(false),
            tags: tags(object)?,
            metadata: metadata(object)?,
            control: control.map(Box::new),
        };
        if event.user_id.is_none() && event.agent_id.is_none() && event.session_id.is_none() {
            return Err(Refused::missing("user_id", "name whose memory this is: user_id, agent_id or session_id"));
        }
        if event.is_turn() && !remember {
            // The promise of `remember: false` is that the words never reach a disk.
            event.content = Content::empty();
            event.metadata = Map::new();
            event.tags = Vec::new();
            event.speaker = None;
        }
        Ok(event)
    }
}

fn event_type(object: &Map<String, Value>) -> Result<EventType, Refused> {
    let Some(name) = text(object, "type")? else { return Ok(EventType::Turn) };
    Ok(match name {
        "turn" => EventType::Turn,
        "note" => EventType::Note,
        "remember" => EventType::Remember,
        "correct" => EventType::Correct,
        "delete" => EventType::Delete,
        "feedback" => EventType::Feedback,
        "consent" => EventType::Consent,
        "forget" => EventType::Forget,
        "session_end" => EventType::SessionEnd,
        "idle_tick" => return Err(Refused::invalid("type", "idle_tick is written by memos itself; send session_end")),
        _ => {
            let known = "turn, note, remember, correct, delete, feedback, consent, forget, session_end";
            return Err(Refused::invalid("type", format!("is not a type of event; use one of {known}")));
        }
    })
}

fn event_id(object: &Map<String, Value>, fallback: Option<EventId>) -> Result<EventId, Refused> {
    match text(object, "id")? {
        Some(id) => EventId::try_new(id)
            .ok_or_else(|| Refused::invalid("id", "must be 1 to 128 bytes long, without control characters")),
        None => fallback.ok_or_else(|| Refused::missing("id", "give every event an id, so that a retry is recognised")),
    }
}

fn role(object: &Map<String, Value>) -> Result<Option<Role>, Refused> {
    let Some(name) = text(object, "role")? else { return Ok(None) };
    Ok(Some(match name {
        "user" | "human" => Role::User,
        "assistant" | "ai" => Role::Assistant,
        "system" => Role::System,
        "tool" => Role::Tool,
        _ => return Err(Refused::invalid("role", "must be user, assistant, system or tool")),
    }))
}

fn origin(object: &Map<String, Value>) -> Result<Option<Origin>, Refused> {
    origin_in(object, "origin")
}

fn origin_in(object: &Map<String, Value>, field: &str) -> Result<Option<Origin>, Refused> {
    let Some(name) = text(object, "origin")? else { return Ok(None) };
    Ok(Some(match name {
        "user" => Origin::User,
        "assistant" => Origin::Assistant,
        "tool" => Origin::Tool,
        "third_party" => Origin::ThirdParty,
        _ => return Err(Refused::invalid(field, "must be user, assistant, tool or third_party")),
    }))
}

fn session(object: &Map<String, Value>) -> Result<Option<String>, Refused> {
    let mut found: Option<(&str, String)> = None;
    for field in ["session_id", "run_id", "conversation_id"] {
        let Some(id) = name(object, field)? else { continue };
        match &found {
            Some((first, other)) if *other != id => {
                return Err(Refused::invalid(field, format!("names another session than {first}; send one of them")));
            }
            Some(_) => {}
            None => found = Some((field, id)),
        }
    }
    Ok(found.map(|(_, id)| id))
}

fn content(object: &Map<String, Value>, kind: EventType) -> Result<Content, Refused> {
    let content = match object.get("content") {
        None | Some(Value::Null) => Content::empty(),
        Some(Value::String(text)) => Content::Text(text.clone()),
        Some(Value::Array(parts)) => Content::Parts(parts_of(parts)?),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            return Err(Refused::invalid("content", "must be a text or a list of parts"));
        }
    };
    let max = if kind == EventType::Note { NOTE_BYTES_MAX } else { CONTENT_BYTES_MAX };
    if content.bytes() > max {
        return Err(Refused::new(
            "too_large",
            "content",
            format!("is {} bytes long; at most {max} are taken", content.bytes()),
        ));
    }
    let is_turn = matches!(kind, EventType::Turn | EventType::Note);
    let wanted = object.get("remember") != Some(&Value::Bool(false));
    if is_turn && wanted && content.bytes() == 0 {
        return Err(Refused::missing("content", "a turn needs its text"));
    }
    Ok(content)
}

fn parts_of(parts: &[Value]) -> Result<Vec<Part>, Refused> {
    if parts.len() > PARTS_MAX {
        return Err(Refused::new(
            "too_large",
            "content",
            format!("has {} parts; at most {PARTS_MAX} are taken", parts.len()),
        ));
    }
    parts.iter().enumerate().map(|(index, part)| part_of(part).ok_or_else(|| bad_part(index))).collect()
}

fn part_of(part: &Value) -> Option<Part> {
    let object = part.as_object()?;
    let kind = PartKind::parse(object.get("type")?.as_str()?)?;
    let text = object.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
    if kind == PartKind::Text && text.is_empty() {
        return None;
    }
    let rest = object.iter().filter(|(name, _)| *name != "type" && *name != "text");
    Some(Part { kind, text, rest: rest.map(|(name, value)| (name.clone(), value.clone())).collect() })
}

fn bad_part(index: usize) -> Refused {
    let known = PartKind::NAMES;
    Refused::invalid(
        &format!("content[{index}]"),
        format!("must be an object with a type of {known}; a text part has a text"),
    )
}

fn tags(object: &Map<String, Value>) -> Result<Vec<String>, Refused> {
    let list = match object.get("tags") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            return Err(Refused::invalid("tags", "must be a list of texts"));
        }
    };
    if list.len() > TAGS_MAX {
        return Err(Refused::new(
            "too_large",
            "tags",
            format!("has {} entries; at most {TAGS_MAX} are taken", list.len()),
        ));
    }
    let mut tags = Vec::with_capacity(list.len());
    for tag in list {
        match tag.as_str() {
            Some(tag) if !tag.is_empty() && tag.len() <= TAG_BYTES_MAX => tags.push(tag.to_owned()),
            Some(_) | None => {
                return Err(Refused::invalid("tags", format!("each is a text of 1 to {TAG_BYTES_MAX} bytes")));
            }
        }
    }
    tags.sort_unstable();
    tags.dedup();
    Ok(tags)
}

fn metadata(object: &Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    match object.get("metadata") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(metadata)) => {
            let bytes = serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len());
            if bytes > METADATA_BYTES_MAX {
                let message = format!("is {bytes} bytes of JSON; at most {METADATA_BYTES_MAX} are taken");
                return Err(Refused::new("too_large", "metadata", message));
            }
            Ok(metadata.clone())
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(Refused::invalid("metadata", "must be an object"))
        }
    }
}

fn text<'a>(object: &'a Map<String, Value>, field: &str) -> Result<Option<&'a str>, Refused> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Refused::invalid(field, "must be a text"))
        }
    }
}

fn short_text(object: &Map<String, Value>, field: &str, max: usize) -> Result<Option<String>, Refused> {
    match text(object, field)? {
        Some(text) if text.len() > max => Err(Refused::invalid(field, format!("must be at most {max} bytes long"))),
        found => Ok(found.filter(|text| !text.is_empty()).map(str::to_owned)),
    }
}

fn name(object: &Map<String, Value>, field: &str) -> Result<Option<String>, Refused> {
    match text(object, field)? {
        Some(id) if !valid_id(id) => {
            Err(Refused::invalid(field, "must be 1 to 256 bytes long, without control characters"))
        }
        found => Ok(found.map(str::to_owned)),
    }
}

fn flag(object: &Map<String, Value>, field: &str) -> Result<Option<bool>, Refused> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Refused::invalid(field, "must be true or false"))
        }
    }
}

/// Reads an RFC 3339 time. Years 0001 to 9999 are taken.
pub(crate) fn time(object: &Map<String, Value>, field: &str) -> Result<Option<Timestamp>, Refused> {
    let Some(text) = text(object, field)? else { return Ok(None) };
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| Refused::invalid(field, "must be a time like 2026-05-08T13:56:00Z (RFC 3339, with its offset)"))?;
    Ok(Some(Timestamp::from_micros(time.as_microsecond())))
}

fn refuse_unknown(object: &Map<String, Value>, known: &[&str], prefix: &str) -> Result<(), Refused> {
    match object.keys().find(|field| !known.contains(&field.as_str())) {
        None => Ok(()),
        Some(field) => {
            let message = format!("is not a field of this object; it has {}", known.join(", "));
            Err(Refused::new("unknown_field", &format!("{prefix}{field}"), message))
        }
    }
}

#[cfg(test)]
mod tests;
