//! Reading a request's body: bounded in bytes, time and depth before anything is parsed, and refused by the name of
//! the field that is wrong.

use std::fmt;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::rt::time::timeout;
use actix_web::web::{Bytes, Payload};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::budget::Share;
use crate::problem::{Code, Problem};
use crate::state::State;

/// A body, and the share of the budget that it takes for as long as it is worked on.
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) share: Share,
}

/// The redacting form: how long it is.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.bytes.len())
    }
}

/// Reads the whole body. One that does not say how long it is takes the share of the longest.
pub(crate) async fn read(state: &State, request: &HttpRequest, payload: Payload) -> Result<Body, Problem> {
    let limits = &state.settings.limits;
    let too_large = || {
        let message = format!("a body may have {} bytes; send less at once", limits.body_bytes);
        Problem::new(Code::BodyTooLarge, message)
    };
    let length = content_length(request).unwrap_or(limits.body_bytes);
    if length > limits.body_bytes {
        return Err(too_large());
    }
    let mut share = state.budget.share();
    if !share.grow_to(length) {
        return Err(Problem::new(Code::Overloaded, "too many requests are being worked on").retry_after(1));
    }
    let late = |_| Problem::new(Code::RequestTimeout, "the body did not arrive in time");
    let read = timeout(limits.body_timeout(), payload.to_bytes_limited(limits.body_bytes)).await.map_err(late)?;
    let broken = |_| Problem::new(Code::RequestTimeout, "the body broke off");
    let bytes = read.map_err(|_| too_large())?.map_err(broken)?;
    Ok(Body { bytes, share })
}

/// Reads a JSON body of a known shape.
pub(crate) async fn json<T: DeserializeOwned>(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
) -> Result<(T, Share), Problem> {
    if media_type(request) != Some("application/json") {
        let message = "send the body with `Content-Type: application/json`";
        return Err(Problem::new(Code::UnsupportedMediaType, message));
    }
    let body = read(state, request, payload).await?;
    check_depth(&body.bytes, state.settings.limits.json_depth)?;
    Ok((typed(parse(&body.bytes)?)?, body.share))
}

/// The media type without its parameters.
pub(crate) fn media_type(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or(value).trim())
}

fn content_length(request: &HttpRequest) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Counts brackets outside of texts, before a parser may recurse.
pub(crate) fn check_depth(json: &[u8], limit: usize) -> Result<(), Problem> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            let message = format!("objects and lists may stand {limit} deep inside each other");
            return Err(Problem::new(Code::JsonTooDeep, message));
        }
    }
    Ok(())
}

fn parse(json: &[u8]) -> Result<Map<String, Value>, Problem> {
    let value: Value = serde_json::from_slice(json).map_err(|error| {
        let place = json!({ "line": error.line(), "column": error.column() });
        Problem::new(Code::InvalidJson, format!("the body is not JSON: {error}")).details(place)
    })?;
    match value {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Problem::new(Code::InvalidJson, "the body must be a JSON object"))
        }
    }
}

/// An object as a request. Every field of a request has a default; so when the whole does not fit, the field that does
/// not fit alone is the one to name.
fn typed<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, Problem> {
    let error = match serde_json::from_value(Value::Object(object.clone())) {
        Ok(request) => return Ok(request),
        Err(error) => error,
    };
    for (field, value) in object {
        let alone = Map::from_iter([(field.clone(), value)]);
        if let Err(error) = serde_json::from_value::<T>(Value::Object(alone)) {
            let message = error.to_string();
            let code = if message.starts_with("unknown field") { Code::UnknownField } else { Code::InvalidField };
            return Err(Problem::field(code, field, unquoted(message)));
        }
    }
    Err(Problem::new(Code::InvalidField, unquoted(error.to_string())))
}

/// What serde says of a value, without the value: errors are kept, and it may be anybody's text.
fn unquoted(message: String) -> String {
    let quotes = ["invalid type", "invalid value", "invalid length", "unknown variant"];
    if !quotes.iter().any(|quote| message.starts_with(quote)) {
        return message;
    }
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("must be {expected}"),
        None => "is no value of this field".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use memos_client::RecallRequest;

    use super::*;

    fn refused(json: &str) -> (&'static str, Option<String>) {
        let read = || -> Result<RecallRequest, Problem> {
            check_depth(json.as_bytes(), 4)?;
            typed(parse(json.as_bytes())?)
        };
        let problem = read().expect_err("is refused");
        (problem.code.as_str(), problem.field)
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        let field = |name: &str| Some(name.to_owned());
        assert_eq!(refused(r#"{"query": "x", "limits": 3}"#), ("unknown_field", field("limits")));
        assert_eq!(refused(r#"{"query": "x", "limit": -1}"#), ("invalid_field", field("limit")));
        assert_eq!(refused(r#"{"kinds": ["rumour"]}"#), ("invalid_field", field("kinds")));
        assert_eq!(refused(r#"{"now": "yesterday"}"#), ("invalid_field", field("now")));
        assert_eq!(refused(r#"{"session_id": "a", "run_id": "b"}"#), ("invalid_field", None));
        assert_eq!(refused("{"), ("invalid_json", None));
        assert_eq!(refused("[]"), ("invalid_json", None));
        assert_eq!(refused(r#"{"filters": [[[[1]]]]}"#), ("json_too_deep", None));
    }

    #[test]
    fn what_is_wrong_with_a_value_is_said_without_the_value() {
        for json in [
            r#"{"limit": "kanarienvogel"}"#,
            r#"{"limit": "a, expected kanarienvogel"}"#,
            r#"{"kinds": ["kanarienvogel"]}"#,
            r#"{"kinds": "kanarienvogel"}"#,
            r#"{"now": "kanarienvogel"}"#,
            r#"{"at_least": "kanarienvogel"}"#,
            r#"{"user_id": {"kanarienvogel": 1}}"#,
            r#"{"query": "kanarienvogel""#,
        ] {
            let problem = parse(json.as_bytes()).and_then(typed::<RecallRequest>).expect_err("is refused");
            assert!(!problem.message.contains("kanarienvogel"), "{}", problem.message);
            assert!(!format!("{problem:?} {problem}").contains("kanarienvogel"));
        }
    }

    #[test]
    fn brackets_in_texts_are_not_depth() {
        assert!(check_depth(br#"{"a": "[[[[[[\"[[[["}"#, 2).is_ok());
        assert!(check_depth(b"[[[", 2).is_err());
    }
}
