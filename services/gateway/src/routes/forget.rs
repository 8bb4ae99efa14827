//! Forgetting, and the receipts of it.
//!
//! What is to go is said by name, by conditions, or by a question. A question finds what it finds: another memory may come in
//! between, and the ranking moves with time. So nothing goes by a question alone. A dry run shows what it finds and
//! answers a token for exactly that; the forget needs the token, and names what was found and not the question.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use memory_core::forget::Scope;
use memory_core::{Event, ReceiptId, Subject, SubjectKind, TenantId, Timestamp};
use memos_client::{
    ErrorBody, ForgetBody, ForgetDryRun, ForgetPreview, ForgetResponse, RecallRequest, ReceiptStatus, ReceiptView,
};
use serde_json::{Map, Value, json};

use super::{owners, recall};
use crate::edge::Tenant;
use crate::judge::{self, Ids};
use crate::params::Params;
use crate::problem::{Code, Problem};
use crate::state::{State, now};
use crate::wait::ForgetWait;
use crate::{append, body};

/// Characters of a confirmation.
const CONFIRM: usize = 16;

/// Forgets everything of an owner, some memories and events, the events that meet conditions, or what a question finds.
/// It is final. Unless `wait` says otherwise, the answer comes when no other answer shows any more what is forgotten.
#[utoipa::path(
    post,
    path = "/v1/{owners}/{id}/forget",
    tag = "forgetting",
    params(
        ("owners" = String, Path, description = "users, agents or sessions"),
        ("id" = String, Path, description = "The owner's id"),
        ("wait" = Option<String>, Query, description = "none, recallable (default), key_destroyed, erased or verified"),
        ("timeout_ms" = Option<u64>, Query, description = "how long to wait; the receipt says how far it came"),
        ("Idempotency-Key" = Option<String>, Header, description = "makes a retry the same forget"),
    ),
    request_body = ForgetBody,
    responses(
        (status = 200, description = "A dry run: nothing was changed", body = ForgetDryRun),
        (status = 202, description = "Durable, and as far as the receipt says", body = ForgetResponse),
        (status = 404, description = "The question finds nothing", body = ErrorBody),
        (status = 409, description = "A dry run must come first, or something else would go now", body = ErrorBody),
    )
)]
pub(crate) async fn forget(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let subject = owners::subject(&request, &tenant, &id)?;
    let mut params = Params::of(&request)?;
    let wait = ForgetWait::take(&mut params, &state.settings.limits)?;
    params.finish()?;
    let (body, _share): (ForgetBody, _) = body::json(&state, &request, payload).await?;
    let ids = Ids::of(&request, &state.secret)?.scoped("forget");
    let arrived = now();
    let judge = |scope| judge::control(&subject, "forget", Value::Object(scope), &ids, 0, arrived);
    let event = if body.asks() {
        let found = found(&state, &subject, &body).await?;
        let event = if found.is_empty() { None } else { Some(judge(found)?) };
        if !body.dry_run && body.confirm != Some(confirm_of(event.as_ref())) {
            return Err(confirm_needed());
        }
        event
    } else {
        Some(judge(body.scope())?)
    };
    if body.dry_run {
        return Ok(HttpResponse::Ok().json(dry_run(&state, &subject, &body, event.as_ref()).await?));
    }
    let event = event.ok_or_else(|| Problem::new(Code::MemoryNotFound, "the question finds nothing to forget"))?;
    if !body.asks()
        && body.confirm.is_some()
        && body.confirm != Some(dry_run(&state, &subject, &body, Some(&event)).await?.confirm)
    {
        return Err(confirm_needed());
    }
    let response = take(&state, &subject, event, arrived, wait).await?;
    Ok(HttpResponse::Accepted().json(response))
}

/// How far a forget has come: `accepted`, `key_destroyed`, `erased`, `verified`; what it took, and when each copy is dead.
#[utoipa::path(
    get,
    path = "/v1/receipts/{id}",
    tag = "forgetting",
    params(("id" = String, Path, description = "The receipt's id")),
    responses(
        (status = 200, description = "The receipt", body = ReceiptView),
        (status = 404, description = "Unknown, or not yours", body = ErrorBody),
    )
)]
pub(crate) async fn receipt(
    state: Data<State>,
    tenant: Tenant,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request)?.finish()?;
    let missing = || Problem::new(Code::ReceiptNotFound, "there is no receipt with this id");
    let id = id.parse().map(ReceiptId::from_uuid).map_err(|_| missing())?;
    let receipt = state.ask(state.recall.receipt(&tenant, id)).await?;
    Ok(HttpResponse::Ok().json(receipt.ok_or_else(missing)?))
}

/// Appends a forget and waits for it as far as the request asks.
pub(super) async fn take(
    state: &State,
    subject: &Subject,
    event: Event,
    arrived: Timestamp,
    wait: ForgetWait,
) -> Result<ForgetResponse, Problem> {
    state.check_writable()?;
    let tenant: &TenantId = &subject.tenant;
    let accepted = ReceiptView {
        id: ReceiptId::of_event(subject.handle(&state.secret), &event.id).as_uuid(),
        status: ReceiptStatus::Accepted,
        scope: scope_of(&event).as_str().to_owned(),
        accepted_at: arrived,
        key_destroyed_at: None,
        erased_at: None,
        verified_at: None,
        forgotten: None,
        copies: Vec::new(),
    };
    let position = append::take(state, tenant, &[event], arrived).await?;
    let receipt = wait.receipt(state, tenant, &position, accepted).await;
    Ok(ForgetResponse { receipt, position })
}

/// What a question finds, as the body of a forget.
async fn found(state: &State, subject: &Subject, body: &ForgetBody) -> Result<Map<String, Value>, Problem> {
    if !body.scope().is_empty() {
        let message = "a question says what is to go; leave out what names it otherwise";
        return Err(Problem::field(Code::InvalidField, "query", message));
    }
    let named = |kind| (subject.kind == kind).then(|| subject.id.clone());
    let usual = RecallRequest::default();
    let question = RecallRequest {
        user_id: named(SubjectKind::User),
        agent_id: named(SubjectKind::Agent),
        session_id: named(SubjectKind::Session),
        query: body.query.clone().unwrap_or_default(),
        limit: body.limit.unwrap_or(usual.limit),
        min_score: body.min_score.unwrap_or(usual.min_score),
        kinds: body.kinds.clone(),
        filters: body.filters.clone(),
        token_budget: 0,
        explain: false,
        ..usual
    };
    recall::check(&question)?;
    let answer = state.ask(state.recall.recall(&subject.tenant, question)).await?;
    let memories = answer.results.iter().filter_map(|found| Some(found.memory.as_ref()?.id.to_string()));
    let events = answer.results.iter().filter_map(|found| Some(found.turn.as_ref()?.id.clone()));
    let found = [("memory_ids", memories.collect::<Vec<_>>()), ("event_ids", events.collect())];
    Ok(found.into_iter().filter(|(_, ids)| !ids.is_empty()).map(|(name, ids)| (name.to_owned(), json!(ids))).collect())
}

async fn dry_run(
    state: &State,
    subject: &Subject,
    body: &ForgetBody,
    event: Option<&Event>,
) -> Result<ForgetDryRun, Problem> {
    let preview = match event {
        Some(event) => state.ask(state.recall.preview(subject, scope_of(event))).await?,
        None => ForgetPreview { memories: 0, turns: 0, memory_ids: Vec::new(), event_ids: Vec::new() },
    };
    let confirm = if body.asks() { confirm_of(event) } else { confirm_of_preview(&preview) };
    Ok(ForgetDryRun { preview, confirm })
}

/// What stands for the set of memories and events that a question found.
fn confirm_of(event: Option<&Event>) -> String {
    match event.map(scope_of) {
        Some(Scope::These { memories, events }) => {
            // The judge has sorted them.
            let memories = memories.iter().map(|id| format!("memory {id}"));
            token(memories.chain(events.iter().map(|id| format!("event {id}"))))
        }
        Some(Scope::Everything | Scope::Matching(_)) | None => token([]),
    }
}

fn confirm_of_preview(preview: &ForgetPreview) -> String {
    let counts = format!("{} {}", preview.memories, preview.turns);
    let memories = preview.memory_ids.iter().map(|id| format!("memory {id}"));
    let events = preview.event_ids.iter().map(|id| format!("event {id}"));
    let mut ids: Vec<String> = memories.chain(events).collect();
    ids.sort_unstable();
    token([counts].into_iter().chain(ids))
}

fn token(parts: impl IntoIterator<Item = String>) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        // No id holds a line feed.
        hasher.update(part.as_bytes()).update(b"\n");
    }
    hasher.finalize().to_hex()[..CONFIRM].to_owned()
}

fn confirm_needed() -> Problem {
    let message = "this forget must be confirmed: send it with \"dry_run\": true first, look at what would go, and send \
                   it again with the `confirm` of that answer; if something else would go by then, it is refused again";
    Problem::field(Code::ConfirmNeeded, "confirm", message)
}

fn scope_of(event: &Event) -> &Scope {
    let control = event.control.as_deref().expect("a judged forget has its control");
    control.forgets().expect("the control of a forget says what goes")
}
