//! Posting to an inlet: the same records that a product service would publish with a Kafka client, for those that
//! have none. They are taken as they are, durable before the answer, and judged afterwards like all the others; so
//! what is wrong with one shows as a dead letter and not in the answer.

use std::collections::BTreeMap;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use event_log::{InletName, Record, Topic};
use memory_core::{Partition, Timestamp};
use memos_client::inlet::{KEY_ID, SIGNATURE, TENANT};
use memos_client::{ErrorBody, InletResponse};
use serde_json::{Value, json};

use crate::body::Body;
use crate::edge::Tenant;
use crate::inlets::{Binding, sealed};
use crate::params::Params;
use crate::problem::{Code, Problem};
use crate::sealing::INSTALLATION;
use crate::state::{State, now};
use crate::{append, body};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const CLOUD_EVENT: &str = "application/cloudevents+json";
const CLOUD_EVENTS: &str = "application/cloudevents-batch+json";
/// Records with the same key keep their order.
const PARTITION_KEY: &str = "ce-partitionkey";

type Headers = Vec<(String, Option<Vec<u8>>)>;

/// Takes records for an inlet: one (`application/json`, or a CloudEvent in binary or structured mode) or many
/// (`application/x-ndjson`, or a batch of CloudEvents). The answer says that they are durable, not that they are good.
#[utoipa::path(
    post,
    path = "/v1/inlets/{name}",
    tag = "inlets",
    params(("name" = String, Path, description = "The inlet's name")),
    request_body(content = String, content_type = "application/json"),
    responses(
        (status = 202, description = "Durable", body = InletResponse),
        (status = 404, description = "There is no such inlet, or it is not yours", body = ErrorBody),
        (status = 415, description = "None of the forms that are taken", body = ErrorBody),
    )
)]
pub(crate) async fn post(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    state.check_writable()?;
    Params::of(&request)?.finish()?;
    let missing = || Problem::new(Code::InletNotFound, "there is no inlet with this name");
    let inlet = InletName::try_new(&name).map_err(|_| missing())?;
    // An inlet with signatures is anybody's, but a credential publishes for its own tenant only.
    let named = request.headers().get(TENANT).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    if state.bindings.claimed(&inlet, named).as_ref() != Some(&tenant) {
        return Err(missing());
    }
    let form = form(&request)?;
    if form != Form::One && state.bindings.binding(&inlet) == Some(&Binding::Signed) {
        let message = format!("a signature is one record's: send {JSON} or {CLOUD_EVENT}");
        return Err(Problem::new(Code::UnsupportedMediaType, message));
    }
    let Body { bytes, share: _share } = body::read(&state, &request, payload).await?;
    let records = form.records(&request, &bytes, now())?;
    let limit = state.settings.limits.interactions;
    if records.len() > limit {
        let message = format!("there are {}; at most {limit} are taken at once", records.len());
        return Err(Problem::new(Code::TooManyInteractions, message));
    }
    let accepted = records.len();
    if accepted > 0 {
        let topic = Topic::Inlet(inlet);
        let records = as_appended(&state, &topic, records).await?;
        let by_partition = BTreeMap::from([(partition(&request, state.log.partitions_of(&topic)), records)]);
        append::append(&state, &topic, by_partition).await?;
    }
    Ok(HttpResponse::Accepted().json(InletResponse { accepted }))
}

/// The records as they are to be appended: sealed where the inlet lies on our own disk.
async fn as_appended(state: &State, topic: &Topic, records: Vec<Record>) -> Result<Vec<Record>, Problem> {
    if !state.seal_inlets {
        return Ok(records);
    }
    let (ring, key) = (&state.sealing.ring, state.sealing.key_soon(INSTALLATION).await?);
    let seal = |record| Ok(sealed::seal(ring, key, &state.secret, topic, &record)?);
    records.into_iter().map(seal).collect()
}

/// The forms that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The body is one record's value, and the headers say what it is.
    One,
    Lines,
    Batch,
}

fn form(request: &HttpRequest) -> Result<Form, Problem> {
    let binary = request.headers().contains_key("ce-specversion");
    match body::media_type(request) {
        Some(LINES) => Ok(Form::Lines),
        Some(CLOUD_EVENTS) => Ok(Form::Batch),
        Some(JSON | CLOUD_EVENT) => Ok(Form::One),
        Some(_) | None if binary => Ok(Form::One),
        Some(_) | None => {
            let message = format!("send {JSON}, {LINES}, {CLOUD_EVENT} or {CLOUD_EVENTS}");
            Err(Problem::new(Code::UnsupportedMediaType, message))
        }
    }
}

impl Form {
    fn records(self, request: &HttpRequest, bytes: &[u8], arrived: Timestamp) -> Result<Vec<Record>, Problem> {
        let record =
            |value: Vec<u8>, headers| Record { key: key(request), value: Some(value), headers, timestamp: arrived };
        match self {
            Self::One => Ok(vec![record(bytes.to_vec(), headers(request))]),
            Self::Lines => {
                let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
                Ok(lines.map(|line| record(line.to_vec(), content_type(JSON))).collect())
            }
            Self::Batch => {
                let events: Vec<Value> = serde_json::from_slice(bytes).map_err(|error| {
                    let place = json!({ "line": error.line(), "column": error.column() });
                    Problem::new(Code::InvalidJson, "a batch is a JSON list").details(place)
                })?;
                Ok(events
                    .iter()
                    .map(|event| record(event.to_string().into_bytes(), content_type(CLOUD_EVENT)))
                    .collect())
            }
        }
    }
}

/// The headers that say what the record is and whose, and the trace that it belongs to. A partition key alone says
/// nothing of the record, and makes no CloudEvent of it.
fn headers(request: &HttpRequest) -> Headers {
    let attribute = |name: &str| name.starts_with("ce-");
    let is_event = request.headers().keys().any(|name| attribute(name.as_str()) && name.as_str() != PARTITION_KEY);
    let told = request.headers().iter().filter(|(name, _)| {
        let name = name.as_str();
        let signs = [TENANT, KEY_ID, SIGNATURE].contains(&name);
        signs || attribute(name) && is_event || name == CONTENT_TYPE || name == "traceparent" || name == "tracestate"
    });
    told.map(|(name, value)| (name.as_str().to_owned(), Some(value.as_bytes().to_vec()))).collect()
}

fn content_type(media: &str) -> Headers {
    vec![("content-type".to_owned(), Some(media.as_bytes().to_vec()))]
}

fn key(request: &HttpRequest) -> Vec<u8> {
    request.headers().get(PARTITION_KEY).map_or_else(Vec::new, |key| key.as_bytes().to_vec())
}

/// Where the records go. Without a key all go to one partition, because their order is all that says which event of
/// a subject came first.
fn partition(request: &HttpRequest, partitions: u32) -> Partition {
    let hash = blake3::hash(&key(request));
    let number = u32::from_le_bytes(hash.as_bytes()[..4].try_into().expect("a hash has 32 bytes"));
    Partition::new(number % partitions.max(1))
}
