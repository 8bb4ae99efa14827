//! Publishing.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use memos_client::{ErrorBody, PublishRequest, PublishResponse};

use crate::edge::Tenant;
use crate::judge::{self, Ids};
use crate::params::Params;
use crate::problem::{Code, Problem};
use crate::state::{State, now};
use crate::wait::Wait;
use crate::{append, body};

/// Takes interactions: all of them, or none. The answer comes when they are durable.
#[utoipa::path(
    post,
    path = "/v1/interactions",
    tag = "interactions",
    params(
        ("wait" = Option<String>, Query, description = "recallable: answer when a question sees the events"),
        ("timeout_ms" = Option<u64>, Query, description = "how long to wait; afterwards the status is accepted"),
        ("Idempotency-Key" = Option<String>, Header, description = "makes the ids of events that have none"),
    ),
    request_body = PublishRequest,
    responses(
        (status = 202, description = "Durable", body = PublishResponse),
        (status = 400, description = "Nothing was taken; index and field say why", body = ErrorBody),
        (status = 429, description = "Too much waits; try after Retry-After", body = ErrorBody),
        (status = 503, description = "The disk is nearly full, or memos restarts", body = ErrorBody),
    )
)]
pub(crate) async fn publish(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    state.check_writable()?;
    let mut params = Params::of(&request)?;
    let wait = Wait::take(&mut params, &state.settings.limits)?;
    params.finish()?;
    let ids = Ids::of(&request, &state.secret)?;
    let (PublishRequest { interactions }, _share) = body::json(&state, &request, payload).await?;
    let count = interactions.len();
    let arrived = now();
    let judged = check_count(&state, count).and_then(|()| judge::all(&tenant, interactions, &ids, arrived));
    if judged.is_err() {
        let refused = state.metrics.interactions.with_label_values(&["refused"]);
        refused.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }
    let response = append::publish(&state, &tenant, judged?, arrived, wait).await?;
    Ok(HttpResponse::Accepted().json(response))
}

fn check_count(state: &State, count: usize) -> Result<(), Problem> {
    let limit = state.settings.limits.interactions;
    if count == 0 {
        return Err(Problem::field(Code::MissingField, "interactions", "send at least one"));
    }
    if count <= limit {
        return Ok(());
    }
    let message = format!("there are {count}; at most {limit} are taken at once");
    Err(Problem::field(Code::TooManyInteractions, "interactions", message))
}
