//! From JSON objects of a request to judged events: all of them, or the first that is wrong.

use actix_web::HttpRequest;
use memory_core::event::UnknownFields;
use memory_core::{Event, EventId, HashSecret, Subject, SubjectKind, TenantId, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::problem::{Code, Problem};

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;

/// What makes ids for events that came without.
#[derive(Clone, Debug)]
pub(crate) struct Ids<'a> {
    secret: &'a HashSecret,
    /// The request's idempotency key.
    key: Option<String>,
}

impl<'a> Ids<'a> {
    pub(crate) fn of(request: &HttpRequest, secret: &'a HashSecret) -> Result<Self, Problem> {
        let Some(value) = request.headers().get(IDEMPOTENCY_KEY) else { return Ok(Self { secret, key: None }) };
        let good = |key: &&str| !key.is_empty() && key.len() <= IDEMPOTENCY_KEY_BYTES_MAX;
        match value.to_str().ok().filter(good) {
            Some(key) => Ok(Self { secret, key: Some(key.to_owned()) }),
            None => {
                let message = format!("must be 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible characters");
                Err(Problem::field(Code::InvalidField, IDEMPOTENCY_KEY, message))
            }
        }
    }

    /// The same for one operation on one thing: a key that a client uses for a correction and again for a deletion
    /// must not make the deletion a repeat of the correction.
    pub(crate) fn scoped(self, scope: &str) -> Self {
        Self { key: self.key.map(|key| format!("{scope} {key}")), ..self }
    }

    fn id(&self, tenant: &TenantId, event: &Event, index: usize) -> Option<EventId> {
        let key = self.key.as_ref()?;
        Some(EventId::of_request(event.subject(tenant)?.handle(self.secret), key, index))
    }
}

/// Judges the elements of a list.
pub(crate) fn all(
    tenant: &TenantId,
    interactions: Vec<Value>,
    ids: &Ids<'_>,
    arrived: Timestamp,
) -> Result<Vec<Event>, Problem> {
    let judge = |(index, value): (usize, Value)| match value {
        Value::Object(object) => one(tenant, &object, ids, index, arrived).map_err(|problem| problem.at(index)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Problem::field(Code::InvalidField, "interactions", "each must be an object").at(index))
        }
    };
    interactions.into_iter().enumerate().map(judge).collect()
}

/// Judges one object.
pub(crate) fn one(
    tenant: &TenantId,
    object: &Map<String, Value>,
    ids: &Ids<'_>,
    index: usize,
    arrived: Timestamp,
) -> Result<Event, Problem> {
    let mut event = Event::parse(object, UnknownFields::Refuse, EventId::try_new(Uuid::now_v7().to_string()), arrived)?;
    let named = object.get("id").is_some_and(|id| !id.is_null());
    if !named && let Some(id) = ids.id(tenant, &event, index) {
        event.id = id;
    }
    Ok(event)
}

/// A control event of a subject. It passes the same judge as an event from outside; where that names a field of the
/// `body`, the request has it at the top.
pub(crate) fn control(
    subject: &Subject,
    kind: &str,
    body: Value,
    ids: &Ids<'_>,
    index: usize,
    arrived: Timestamp,
) -> Result<Event, Problem> {
    let owner = match subject.kind {
        SubjectKind::User => "user_id",
        SubjectKind::Agent => "agent_id",
        SubjectKind::Session => "session_id",
    };
    let object = Map::from_iter([
        ("type".to_owned(), json!(kind)),
        (owner.to_owned(), json!(subject.id)),
        ("body".to_owned(), body),
    ]);
    one(&subject.tenant, &object, ids, index, arrived).map_err(|mut problem| {
        problem.field = problem.field.map(|field| field.strip_prefix("body.").unwrap_or(&field).to_owned());
        problem
    })
}
