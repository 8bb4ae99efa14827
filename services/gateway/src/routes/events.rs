//! What became of an event.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use memory_core::EventId;
use memos_client::{ErrorBody, EventStatusView};

use crate::edge::Tenant;
use crate::params::Params;
use crate::problem::{Code, Problem};
use crate::state::State;

/// How far an event has come, and which memory it is in.
#[utoipa::path(
    get,
    path = "/v1/events/{id}",
    tag = "interactions",
    params(("id" = String, Path, description = "The event's id")),
    responses(
        (status = 200, description = "Its status", body = EventStatusView),
        (status = 404, description = "Unknown, or not yours", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request)?.finish()?;
    let missing = || Problem::new(Code::EventNotFound, "there is no event with this id");
    let id = EventId::try_new(id.into_inner()).ok_or_else(missing)?;
    let status = state.ask(state.recall.event(&tenant, &id)).await?;
    Ok(HttpResponse::Ok().json(status.ok_or_else(missing)?))
}
