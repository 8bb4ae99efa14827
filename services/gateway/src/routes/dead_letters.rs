//! What could not be taken: to look at, and to send in again.

use actix_web::web::{Data, Payload, block};
use actix_web::{HttpRequest, HttpResponse};
use memos_client::{DeadLetterView, ErrorBody, List, ReplayRequest, ReplayResponse};

use crate::body;
use crate::dead_letters::{Wanted, newest, replay as replay_wanted};
use crate::edge::Tenant;
use crate::params::Params;
use crate::problem::Problem;
use crate::state::State;

/// Dead letters of one answer, unless the request says how many.
const PAGE: usize = 50;
const PAGE_MAX: usize = 1_000;

/// The newest dead letters, newest first. Their content is not shown, and those of whom was forgotten are not either.
#[utoipa::path(
    get,
    path = "/v1/dead-letters",
    tag = "inlets",
    params(("limit" = Option<usize>, Query, description = "1 to 1000; 50 by default")),
    responses((status = 200, description = "The newest", body = List<DeadLetterView>))
)]
pub(crate) async fn list(state: Data<State>, tenant: Tenant, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(&request)?;
    let limit = params.limit(PAGE, PAGE_MAX)?;
    params.finish()?;
    let tenant = tenant.into_inner();
    let results = block(move || newest(&state, &tenant, limit)).await.map_err(|_| Problem::stopping())??;
    Ok(HttpResponse::Ok().json(List { results }))
}

/// Sends dead letters in again: these, those with this reason, or all.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/replay",
    tag = "inlets",
    request_body = ReplayRequest,
    responses(
        (status = 202, description = "Appended again, and durable", body = ReplayResponse),
        (status = 404, description = "One of them is not there; the others were appended", body = ErrorBody),
    )
)]
pub(crate) async fn replay(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    state.check_writable()?;
    Params::of(&request)?.finish()?;
    let (ReplayRequest { ids, reason }, _share) = body::json(&state, &request, payload).await?;
    let wanted = Wanted { tenant: tenant.into_inner(), ids: ids.map(|ids| ids.into_iter().collect()), reason };
    let replayed = block(move || replay_wanted(&state, &wanted)).await.map_err(|_| Problem::stopping())??;
    Ok(HttpResponse::Accepted().json(ReplayResponse { replayed }))
}
