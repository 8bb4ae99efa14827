//! Feedback: whether memories were of use.

use std::collections::BTreeMap;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use memory_core::{Subject, TenantId};
use memos_client::{ErrorBody, FeedbackRequest, PublishResponse};
use serde_json::json;

use super::memories::find;
use crate::edge::Tenant;
use crate::judge::{self, Ids};
use crate::params::Params;
use crate::problem::{Code, Problem};
use crate::state::{State, now};
use crate::wait::Wait;
use crate::{append, body};

/// The most memories of one feedback.
const MEMORIES_MAX: usize = 200;

/// Says whether memories were of use. Whose they are need not be named: it is looked up, and each owner gets one
/// event.
#[utoipa::path(
    post,
    path = "/v1/feedback",
    tag = "memories",
    params(
        ("wait" = Option<String>, Query, description = "recallable: answer when recall has folded it"),
        ("timeout_ms" = Option<u64>, Query, description = "how long to wait"),
        ("Idempotency-Key" = Option<String>, Header, description = "makes a retry the same event"),
    ),
    request_body = FeedbackRequest,
    responses(
        (status = 202, description = "Durable", body = PublishResponse),
        (status = 404, description = "One of them is missing, deleted or not yours", body = ErrorBody),
    )
)]
pub(crate) async fn feedback(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    state.check_writable()?;
    let mut params = Params::of(&request)?;
    let wait = Wait::take(&mut params, &state.settings.limits)?;
    params.finish()?;
    let (given, _share): (FeedbackRequest, _) = body::json(&state, &request, payload).await?;
    let Some(useful) = given.useful else {
        return Err(Problem::field(Code::MissingField, "useful", "must be true or false"));
    };
    let memories = by_owner(&state, &tenant, &given).await?;
    let ids = Ids::of(&request, &state.secret)?.scoped("feedback");
    let arrived = now();
    let mut events = Vec::with_capacity(memories.len());
    for (subject, memory_ids) in memories {
        let body = json!({ "memory_ids": memory_ids, "useful": useful });
        events.push(judge::control(&subject, "feedback", body, &ids, 0, arrived)?);
    }
    let response = append::publish(&state, &tenant, events, arrived, wait).await?;
    Ok(HttpResponse::Accepted().json(response))
}

/// The memories by whose they are. An owner that is named must own all of them.
async fn by_owner(
    state: &State,
    tenant: &TenantId,
    given: &FeedbackRequest,
) -> Result<BTreeMap<Subject, Vec<String>>, Problem> {
    if given.memory_ids.is_empty() || given.memory_ids.len() > MEMORIES_MAX {
        let message = format!("must name 1 to {MEMORIES_MAX} memories");
        return Err(Problem::field(Code::InvalidField, "memory_ids", message));
    }
    let (user, agent, session) = (given.user_id.as_deref(), given.agent_id.as_deref(), given.session_id.as_deref());
    let owner = Subject::owner(tenant, user, agent, session);
    let mut memories: BTreeMap<Subject, Vec<String>> = BTreeMap::new();
    for (index, id) in given.memory_ids.iter().enumerate() {
        let missing = |problem: Problem| Problem { field: Some("memory_ids".to_owned()), ..problem.at(index) };
        let subject = find(state, tenant, id).await.map_err(missing)?.subject;
        if owner.as_ref().is_some_and(|owner| *owner != subject) {
            return Err(missing(Problem::memory_not_found()));
        }
        memories.entry(subject).or_default().push(id.clone());
    }
    Ok(memories)
}
