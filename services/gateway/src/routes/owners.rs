//! What belongs to one user, agent or session. The three have the same routes; which of them it is stands in the
//! route's data.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use memory_core::subject::valid_id;
use memory_core::{Kind, Subject, SubjectKind, TenantId};
use memos_client::time;
use memos_client::{
    ConsentRequest, ErrorBody, ListRequest, MemoryView, Page, ProfileView, PublishResponse, RecallRequest,
    WorkingMemoryView,
};
use serde_json::{Value, json};

use crate::edge::Tenant;
use crate::judge::{self, Ids};
use crate::params::Params;
use crate::problem::{Code, Problem};
use crate::state::{State, now};
use crate::wait::Wait;
use crate::{append, body};

/// Memories of one page, unless the request says how many.
const PAGE: usize = 50;

/// One page of what is remembered about an owner, newest first.
#[utoipa::path(
    get,
    path = "/v1/{owners}/{id}/memories",
    tag = "owners",
    params(
        ("owners" = String, Path, description = "users, agents or sessions"),
        ("id" = String, Path, description = "The owner's id"),
        ("limit" = Option<usize>, Query, description = "1 to 200; 50 by default"),
        ("cursor" = Option<String>, Query, description = "the next of the page before"),
        ("kind" = Option<String>, Query, description = "only these kinds, separated by commas"),
        ("filters" = Option<String>, Query, description = "the filters of a recall, as JSON"),
        ("include_inactive" = Option<bool>, Query, description = "also what is superseded, archived or expired"),
    ),
    responses(
        (status = 200, description = "One page", body = Page<MemoryView>),
        (status = 400, description = "The question is at fault", body = ErrorBody),
    )
)]
pub(crate) async fn memories(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let subject = subject(&request, &tenant, &id)?;
    let mut params = Params::of(&request)?;
    let list = ListRequest {
        limit: params.limit(PAGE, RecallRequest::LIMIT_MAX)?,
        cursor: params.take("cursor")?,
        kinds: kinds(params.take("kind")?)?,
        filters: filters(params.take("filters")?, state.settings.limits.json_depth)?,
        include_inactive: params.parsed("include_inactive", "true or false")?.unwrap_or(false),
    };
    params.finish()?;
    let page = state.ask(state.recall.memories(&subject, list)).await?;
    Ok(HttpResponse::Ok().json(page))
}

/// The owner's current conversation, and whether the owner lets memos remember.
#[utoipa::path(
    get,
    path = "/v1/{owners}/{id}/working-memory",
    tag = "owners",
    params(
        ("owners" = String, Path, description = "users, agents or sessions"),
        ("id" = String, Path, description = "The owner's id"),
    ),
    responses((status = 200, description = "The current conversation", body = WorkingMemoryView))
)]
pub(crate) async fn working_memory(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request)?.finish()?;
    let subject = subject(&request, &tenant, &id)?;
    let view = state.ask(state.recall.working_memory(&subject)).await?;
    Ok(HttpResponse::Ok().json(view))
}

/// What the owner is like: facts, preferences, goals, topics, mood and manner, each with the events it comes from. It is
/// computed from the memories when it is asked for.
#[utoipa::path(
    get,
    path = "/v1/{owners}/{id}/profile",
    tag = "owners",
    params(
        ("owners" = String, Path, description = "users, agents or sessions"),
        ("id" = String, Path, description = "The owner's id"),
        ("now" = Option<String>, Query, description = "the time to tell it as of (RFC 3339); the clock's by default"),
    ),
    responses(
        (status = 200, description = "The profile; an empty one of an owner that nothing is known of", body = ProfileView),
        (status = 400, description = "The question is at fault", body = ErrorBody),
    )
)]
pub(crate) async fn profile(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let subject = subject(&request, &tenant, &id)?;
    let mut params = Params::of(&request)?;
    let refused = || Problem::field(Code::InvalidField, "now", "must be a time like 2026-05-08T13:56:00Z (RFC 3339)");
    let now = params.take("now")?.map(|now| time::parse(&now).ok_or_else(refused)).transpose()?;
    params.finish()?;
    let view = state.ask(state.recall.profile(&subject, now)).await?;
    Ok(HttpResponse::Ok().json(view))
}

/// Says whether anything of this owner may be remembered from now on. The working memory shows what holds.
#[utoipa::path(
    put,
    path = "/v1/{owners}/{id}/consent",
    tag = "owners",
    params(
        ("owners" = String, Path, description = "users, agents or sessions"),
        ("id" = String, Path, description = "The owner's id"),
        ("wait" = Option<String>, Query, description = "recallable: answer when recall has folded it"),
        ("timeout_ms" = Option<u64>, Query, description = "how long to wait"),
        ("Idempotency-Key" = Option<String>, Header, description = "makes a retry the same event"),
    ),
    request_body = ConsentRequest,
    responses((status = 202, description = "Durable", body = PublishResponse))
)]
pub(crate) async fn consent(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    state.check_writable()?;
    let subject = subject(&request, &tenant, &id)?;
    let mut params = Params::of(&request)?;
    let wait = Wait::take(&mut params, &state.settings.limits)?;
    params.finish()?;
    let (ConsentRequest { remember }, _share) = body::json(&state, &request, payload).await?;
    let Some(remember) = remember else {
        return Err(Problem::field(Code::MissingField, "remember", "must be true or false"));
    };
    let ids = Ids::of(&request, &state.secret)?.scoped("consent");
    let arrived = now();
    let event = judge::control(&subject, "consent", json!({ "remember": remember }), &ids, 0, arrived)?;
    let response = append::publish(&state, &tenant, vec![event], arrived, wait).await?;
    Ok(HttpResponse::Accepted().json(response))
}

/// Whose the route is.
pub(super) fn subject(request: &HttpRequest, tenant: &TenantId, id: &str) -> Result<Subject, Problem> {
    let kind = *request.app_data::<SubjectKind>().expect("the routes of owners carry their kind");
    if valid_id(id) {
        return Ok(Subject { tenant: tenant.clone(), kind, id: id.to_owned() });
    }
    Err(Problem::field(Code::InvalidField, "id", "must be 1 to 256 bytes long, without control characters"))
}

fn kinds(names: Option<String>) -> Result<Vec<Kind>, Problem> {
    let Some(names) = names else { return Ok(Vec::new()) };
    let refused = || Problem::field(Code::InvalidField, "kind", format!("must be of {}", Kind::NAMES));
    names.split(',').map(|name| Kind::parse(name.trim()).ok_or_else(refused)).collect()
}

fn filters(json: Option<String>, depth: usize) -> Result<Option<Value>, Problem> {
    let Some(json) = json else { return Ok(None) };
    body::check_depth(json.as_bytes(), depth)?;
    let refused = |_| Problem::field(Code::InvalidField, "filters", "must be JSON");
    serde_json::from_str(&json).map(Some).map_err(refused)
}
