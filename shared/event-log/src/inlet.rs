//! Reading what product services publish.
//!
//! Three forms are taken: a CloudEvent in structured mode (the content type says so), a CloudEvent in binary mode
//! (headers `ce_…`, and `ce-…` as HTTP spells them), and otherwise the plain interaction as JSON. Whatever the form,
//! the answer is the interaction's JSON object; what its fields mean is judged by `memory-core`. Fields nobody knows
//! are ignored here, so that producers may be ahead of this service.
//!
//! Of a CloudEvent, `id` and `time` fill in for the interaction's own if those are missing. Its `source`, `type` and
//! `subject` are handed over and change nothing: who an interaction belongs to is said inside it.

mod headers;
mod json;
mod refused;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

pub use crate::inlet::headers::{one_line, text};
pub use crate::inlet::refused::Refused;

use crate::Record;
use crate::inlet::headers::{attribute_header, is_binary};

/// How much one record may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InletLimits {
    /// Bytes of the value. Default: 1 MiB, as much as Kafka takes by default.
    pub max_bytes: usize,
    /// Nested objects and arrays of an interaction. Default: 32. serde_json itself stops at 128.
    pub max_depth: usize,
}

impl Default for InletLimits {
    fn default() -> Self {
        Self { max_bytes: 1 << 20, max_depth: 32 }
    }
}

/// An interaction as it arrived: JSON, and nothing about it judged yet.
#[derive(Clone, Debug, PartialEq)]
pub struct RawEvent {
    /// The interaction's object.
    pub json: Map<String, Value>,
    /// The form in which it came.
    pub source: Source,
    /// The W3C trace context of the producer, unchecked.
    pub trace: TraceContext,
}

/// The form in which an interaction came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// JSON without an envelope.
    Plain,
    /// A CloudEvent that is the value.
    Structured(Attributes),
    /// A CloudEvent whose attributes are headers.
    Binary(Attributes),
}

/// The attributes of a CloudEvent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub id: String,
    pub source: String,
    pub event_type: String,
    pub subject: Option<String>,
    pub time: Option<String>,
}

/// What ties a record to the producer's trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    pub traceparent: Option<String>,
    pub tracestate: Option<String>,
}

/// Reads one record of an inlet.
///
/// # Errors
/// [`Refused`], which is to become a dead letter.
pub fn parse(record: &Record, limits: &InletLimits) -> Result<RawEvent, Refused> {
    let value = record.value.as_deref().ok_or(Refused::NoValue)?;
    if value.len() > limits.max_bytes {
        return Err(Refused::TooLarge { bytes: value.len(), limit: limits.max_bytes });
    }
    let content_type = text(record, "content-type")?.map(|found| found.trim().to_ascii_lowercase());
    let mut event = match content_type {
        Some(found) if found.starts_with("application/cloudevents") => structured(value, &found, limits)?,
        found if is_binary(record) => binary(record, value, found.as_deref(), limits)?,
        // Plain records are JSON whatever their content type claims: many clients set one nobody chose.
        Some(_) | None => {
            let json = object(json::parse(value, limits.max_depth)?)?;
            RawEvent { json, source: Source::Plain, trace: TraceContext::default() }
        }
    };
    // The headers are of this hop, an attribute in the envelope may be of an earlier one.
    event.trace.traceparent = text(record, "traceparent")?.or(event.trace.traceparent);
    event.trace.tracestate = text(record, "tracestate")?.or(event.trace.tracestate);
    Ok(event)
}

fn structured(value: &[u8], content_type: &str, limits: &InletLimits) -> Result<RawEvent, Refused> {
    if essence(content_type) != "application/cloudevents+json" && essence(content_type) != "application/cloudevents" {
        return Err(Refused::ContentTypeUnsupported { found: content_type.to_owned() });
    }
    // The envelope is one level around the data.
    let mut envelope = object(json::parse(value, limits.max_depth + 1)?)?;
    let mut take = |attribute: &'static str| match envelope.remove(attribute) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Refused::CloudEventAttributeInvalid { attribute })
        }
    };
    let attributes = attributes(&mut take)?;
    json_content(take("datacontenttype")?.as_deref())?;
    let trace = TraceContext { traceparent: take("traceparent")?, tracestate: take("tracestate")? };
    let encoded = take("data_base64")?;
    let data = match (envelope.remove("data").filter(|data| !data.is_null()), encoded) {
        (None, None) => return Err(Refused::CloudEventDataMissing),
        (Some(_), Some(_)) => return Err(Refused::CloudEventDataTwice),
        (Some(data), None) => data,
        (None, Some(encoded)) => {
            let data = STANDARD.decode(encoded).map_err(|_| Refused::InvalidBase64)?;
            json::parse(&data, limits.max_depth)?
        }
    };
    let json = completed(object(data)?, &attributes);
    Ok(RawEvent { json, source: Source::Structured(attributes), trace })
}

fn binary(
    record: &Record,
    value: &[u8],
    content_type: Option<&str>,
    limits: &InletLimits,
) -> Result<RawEvent, Refused> {
    let attributes = attributes(&mut |attribute| attribute_header(record, attribute))?;
    json_content(content_type)?;
    let trace = TraceContext {
        traceparent: attribute_header(record, "traceparent")?,
        tracestate: attribute_header(record, "tracestate")?,
    };
    let json = completed(object(json::parse(value, limits.max_depth)?)?, &attributes);
    Ok(RawEvent { json, source: Source::Binary(attributes), trace })
}

/// The attributes, wherever they are taken from.
fn attributes(take: &mut dyn FnMut(&'static str) -> Result<Option<String>, Refused>) -> Result<Attributes, Refused> {
    match take("specversion")? {
        Some(version) if version == "1.0" => {}
        found => {
            let found = found.map_or_else(|| "missing".to_owned(), |version| format!("\"{version}\""));
            return Err(Refused::CloudEventVersion { found });
        }
    }
    let mut required = |attribute| {
        let found = take(attribute)?.filter(|text| !text.is_empty());
        found.ok_or(Refused::CloudEventAttributeMissing { attribute })
    };
    let (id, source, event_type) = (required("id")?, required("source")?, required("type")?);
    Ok(Attributes { id, source, event_type, subject: take("subject")?, time: take("time")? })
}

/// The interaction with the envelope's id and time where it has none of its own.
fn completed(mut json: Map<String, Value>, attributes: &Attributes) -> Map<String, Value> {
    let mut fill = |field: &str, from: Option<&String>| {
        if let Some(text) = from
            && json.get(field).is_none_or(Value::is_null)
        {
            json.insert(field.to_owned(), Value::String(text.clone()));
        }
    };
    fill("id", Some(&attributes.id));
    fill("time", attributes.time.as_ref());
    json
}

fn object(value: Value) -> Result<Map<String, Value>, Refused> {
    match value {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Refused::NotAnObject)
        }
    }
}

/// The media type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Refuses data that says it is not JSON.
fn json_content(content_type: Option<&str>) -> Result<(), Refused> {
    let Some(found) = content_type else { return Ok(()) };
    let media = essence(found).to_ascii_lowercase();
    if media == "application/json" || media == "text/json" || media.ends_with("+json") {
        Ok(())
    } else {
        Err(Refused::ContentTypeUnsupported { found: found.to_owned() })
    }
}
