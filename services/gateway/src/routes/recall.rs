//! Asking.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use memos_client::{ErrorBody, Reach, RecallRequest, RecallResponse};

use crate::body;
use crate::edge::Tenant;
use crate::params::Params;
use crate::problem::{Code, Problem};
use crate::state::State;

/// The longest question, in bytes. What is longer is no question but a document.
const QUERY_BYTES_MAX: usize = 8 * 1024;
/// The largest context block, in tokens.
const TOKEN_BUDGET_MAX: usize = 100_000;

/// Answers what the model should know: ranked memories and turns, and a ready context block.
#[utoipa::path(
    post,
    path = "/v1/recall",
    tag = "recall",
    request_body = RecallRequest,
    responses(
        (status = 200, description = "The best first", body = RecallResponse),
        (status = 400, description = "The question is at fault", body = ErrorBody),
        (status = 503, description = "Not reached, not restored or not in time", body = ErrorBody),
    )
)]
pub(crate) async fn recall(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Params::of(&request)?.finish()?;
    let (question, _share): (RecallRequest, _) = body::json(&state, &request, payload).await?;
    check(&question)?;
    if question.subject(&tenant).is_none() {
        let message = "name whose memory is asked: user_id, agent_id or session_id";
        return Err(Problem::field(Code::MissingField, "user_id", message));
    }
    if let Some(position) = &question.at_least {
        let limit = state.settings.limits.query_timeout();
        state.ask(state.recall.reached(position, Reach::One, limit)).await?;
    }
    let answer = state.ask(state.recall.recall(&tenant, question)).await?;
    Ok(HttpResponse::Ok().json(answer))
}

/// Refuses a question that asks for too much.
pub(super) fn check(question: &RecallRequest) -> Result<(), Problem> {
    let refused = |field: &str, message: String| Err(Problem::field(Code::InvalidField, field, message));
    if !(1..=RecallRequest::LIMIT_MAX).contains(&question.limit) {
        return refused("limit", format!("must be 1 to {}", RecallRequest::LIMIT_MAX));
    }
    if !(0.0..=1.0).contains(&question.min_score) {
        return refused("min_score", "must be 0 to 1".to_owned());
    }
    if question.token_budget > TOKEN_BUDGET_MAX {
        return refused("token_budget", format!("must be at most {TOKEN_BUDGET_MAX}"));
    }
    if question.query.len() > QUERY_BYTES_MAX {
        return refused("query", format!("must be at most {QUERY_BYTES_MAX} bytes long"));
    }
    let owners =
        [("user_id", &question.user_id), ("agent_id", &question.agent_id), ("session_id", &question.session_id)];
    for (field, id) in owners {
        if id.as_ref().is_some_and(|id| !memory_core::subject::valid_id(id)) {
            return refused(field, "must be 1 to 256 bytes long, without control characters".to_owned());
        }
    }
    Ok(())
}
