//! Single memories. What is missing, deleted or somebody else's is answered alike (law L08); so is an id that is
//! not even one.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use memory_core::{MemoryId, TenantId};
use memos_client::{CorrectRequest, ErrorBody, ForgetResponse, List, MemoryView, Owned, PublishResponse, RevisionView};
use serde_json::json;

use super::forget;
use crate::edge::Tenant;
use crate::judge::{self, Ids};
use crate::params::Params;
use crate::problem::{Code, Problem};
use crate::state::{State, now};
use crate::wait::{ForgetWait, Wait};
use crate::{append, body};

/// One memory.
#[utoipa::path(
    get,
    path = "/v1/memories/{id}",
    tag = "memories",
    params(("id" = String, Path, description = "The memory's id")),
    responses(
        (status = 200, description = "The memory", body = MemoryView),
        (status = 404, description = "Missing, deleted or not yours", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request)?.finish()?;
    Ok(HttpResponse::Ok().json(find(&state, &tenant, &id).await?.value))
}

/// All versions of a memory, oldest first, the current one last.
#[utoipa::path(
    get,
    path = "/v1/memories/{id}/history",
    tag = "memories",
    params(("id" = String, Path, description = "The memory's id")),
    responses(
        (status = 200, description = "Its versions", body = List<RevisionView>),
        (status = 404, description = "Missing, deleted or not yours", body = ErrorBody),
    )
)]
pub(crate) async fn history(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request)?.finish()?;
    let history = state.ask(state.recall.history(&tenant, parse(&id)?)).await?;
    let results = history.ok_or_else(Problem::memory_not_found)?;
    Ok(HttpResponse::Ok().json(List { results }))
}

/// Lets a memory say something else from now on. What it said before stays in its history.
#[utoipa::path(
    patch,
    path = "/v1/memories/{id}",
    tag = "memories",
    params(
        ("id" = String, Path, description = "The memory's id"),
        ("wait" = Option<String>, Query, description = "recallable: answer when a question sees the change"),
        ("timeout_ms" = Option<u64>, Query, description = "how long to wait"),
        ("Idempotency-Key" = Option<String>, Header, description = "makes a retry the same event"),
    ),
    request_body = CorrectRequest,
    responses(
        (status = 202, description = "Durable", body = PublishResponse),
        (status = 404, description = "Missing, deleted or not yours", body = ErrorBody),
    )
)]
pub(crate) async fn correct(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    state.check_writable()?;
    let (CorrectRequest { text }, _share) = body::json(&state, &request, payload).await?;
    let Some(text) = text else {
        return Err(Problem::field(Code::MissingField, "text", "what the memory says from now on"));
    };
    let mut params = Params::of(&request)?;
    let wait = Wait::take(&mut params, &state.settings.limits)?;
    params.finish()?;
    let subject = find(&state, &tenant, &id).await?.subject;
    let ids = Ids::of(&request, &state.secret)?.scoped(&format!("correct {}", id.as_str()));
    let (arrived, change) = (now(), json!({ "memory_id": id.as_str(), "text": text }));
    let event = judge::control(&subject, "correct", change, &ids, 0, arrived)?;
    let response = append::publish(&state, &tenant, vec![event], arrived, wait).await?;
    Ok(HttpResponse::Accepted().json(response))
}

/// Forgets a memory with all its sources; as every forget, it is final and has a receipt.
#[utoipa::path(
    delete,
    path = "/v1/memories/{id}",
    tag = "memories",
    params(
        ("id" = String, Path, description = "The memory's id"),
        ("wait" = Option<String>, Query, description = "none, recallable (default), key_destroyed, erased or verified"),
        ("timeout_ms" = Option<u64>, Query, description = "how long to wait; the receipt says how far it came"),
        ("Idempotency-Key" = Option<String>, Header, description = "makes a retry the same forget"),
    ),
    responses(
        (status = 202, description = "Durable, and as far as the receipt says", body = ForgetResponse),
        (status = 404, description = "Missing, deleted or not yours", body = ErrorBody),
    )
)]
pub(crate) async fn delete(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.check_writable()?;
    let mut params = Params::of(&request)?;
    let wait = ForgetWait::take(&mut params, &state.settings.limits)?;
    params.finish()?;
    let subject = find(&state, &tenant, &id).await?.subject;
    let ids = Ids::of(&request, &state.secret)?.scoped(&format!("delete {}", id.as_str()));
    let arrived = now();
    let event = judge::control(&subject, "delete", json!({ "memory_id": id.as_str() }), &ids, 0, arrived)?;
    Ok(HttpResponse::Accepted().json(forget::take(&state, &subject, event, arrived, wait).await?))
}

/// A memory of this tenant.
pub(crate) async fn find(state: &State, tenant: &TenantId, id: &str) -> Result<Owned<MemoryView>, Problem> {
    let found = state.ask(state.recall.memory(tenant, parse(id)?)).await?;
    found.ok_or_else(Problem::memory_not_found)
}

fn parse(id: &str) -> Result<MemoryId, Problem> {
    id.parse().map(MemoryId::from_uuid).map_err(|_| Problem::memory_not_found())
}
