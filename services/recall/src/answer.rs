//! From a request on the wire to a query of the core, and back to an answer.

use std::collections::BTreeMap;

use event_log::now;
use memory_core::filter::Filter;
use memory_core::forget::Scope;
use memory_core::query::Query;
use memory_core::rank::{self, Found, Hit, Masks, Parts};
use memory_core::{Handle, Memory, MemoryId, Subject, SubjectKind, Timestamp, context, profile};
use memos_client::port::{ListRequest, Unavailable};
use memos_client::{
    ContextView, ForgetPreview, MemoryView, Page, Position, ProfileView, RecallRequest, RecallResponse, ScoredView,
    TurnView, score,
};

use crate::partition::View;

/// Ids that a preview names, of each kind.
const PREVIEW_MAX: usize = 200;

fn invalid(message: impl Into<String>) -> Unavailable {
    Unavailable::invalid("invalid_query", message)
}

/// The query of a request. What names the subject itself is no further condition.
pub(crate) fn query(request: &RecallRequest, subject: &Subject) -> Result<Query, Unavailable> {
    let narrowed = |kind: SubjectKind, id: &Option<String>| if subject.kind == kind { None } else { id.clone() };
    let filter = request.filters.as_ref().map(Filter::parse).transpose().map_err(|error| invalid(error.to_string()))?;
    Ok(Query {
        text: request.query.clone(),
        limit: request.limit.clamp(1, RecallRequest::LIMIT_MAX),
        min_score: thousandths(request.min_score)?,
        kinds: request.kinds.clone(),
        filter,
        agent_id: narrowed(SubjectKind::Agent, &request.agent_id),
        session_id: narrowed(SubjectKind::Session, &request.session_id),
        valid_at: request.valid_at,
        include_working_memory: request.include_working_memory,
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
fn thousandths(score: f64) -> Result<u16, Unavailable> {
    if (0.0..=1.0).contains(&score) {
        Ok((score * 1_000.0).round() as u16)
    } else {
        Err(invalid("min_score: must be between 0 and 1"))
    }
}

pub(crate) fn answer(
    request: &RecallRequest,
    subject: &Subject,
    query: &Query,
    view: &View,
    position: Position,
) -> RecallResponse {
    let now = request.now.or(request.as_of).unwrap_or_else(now);
    // The budget of the context block is tokens, so more is ranked for it than there are results.
    let wide = Query { limit: RecallRequest::LIMIT_MAX, ..query.clone() };
    let hits = rank::rank(if request.token_budget > 0 { &wide } else { query }, &view.bank, &view.turns, now);
    let context = context::block(&hits, request.token_budget);
    let results = hits.iter().take(query.limit).map(|hit| scored(hit, subject, request.explain)).collect();
    let sources = context.sources.iter().map(|id| id.as_str().to_owned()).collect();
    RecallResponse { results, context: ContextView { text: context.text, tokens: context.tokens, sources }, position }
}

fn scored(hit: &Hit<'_>, subject: &Subject, explain: bool) -> ScoredView {
    let parts = explain.then(|| parts(&hit.parts));
    match hit.found {
        Found::Memory(memory) => ScoredView::memory(MemoryView::of(memory, subject), score(hit.parts.sum()), parts),
        Found::Turn(turn) => ScoredView::turn(TurnView::of(turn), score(hit.parts.sum()), parts),
    }
}

fn parts(parts: &Parts) -> BTreeMap<String, f64> {
    parts.named().into_iter().map(|(name, part)| (name.to_owned(), score(part))).collect()
}

/// What a forget would take of what is shown now.
pub(crate) fn preview(view: &View, subject: Handle, scope: &Scope) -> ForgetPreview {
    let masks = Masks::of(&view.turns, &view.bank);
    // As the step will do it.
    let scope = &scope.with_sources(&view.bank);
    let taken = |memory: &&Memory| !masks.forget(memory) && scope.hides(memory);
    let memories: Vec<MemoryId> = view.bank.memories().filter(taken).map(|memory| memory.id).collect();
    let turns = view.turns.iter().filter(|turn| turn.event.is_turn() && scope.takes(subject, turn));
    let events: Vec<String> = turns.map(|turn| turn.event.id.as_str().to_owned()).collect();
    ForgetPreview {
        memories: memories.len(),
        turns: events.len(),
        memory_ids: memories.into_iter().take(PREVIEW_MAX).collect(),
        event_ids: events.into_iter().take(PREVIEW_MAX).collect(),
    }
}

/// What a subject is like, without what is about to be forgotten.
pub(crate) fn profile(subject: &Subject, view: &View, at: Option<Timestamp>) -> ProfileView {
    let now = at.unwrap_or_else(now);
    ProfileView::of(subject, &profile::of(&view.bank, &Masks::of(&view.turns, &view.bank), now), now)
}

/// One page of a subject's memories, latest event first. The cursor names the last memory of the page before.
pub(crate) fn page(request: &ListRequest, subject: &Subject, view: &View) -> Result<Page<MemoryView>, Unavailable> {
    let filter = request.filters.as_ref().map(Filter::parse).transpose().map_err(|error| invalid(error.to_string()))?;
    let after = request.cursor.as_deref().map(cursor).transpose()?;
    let now = now();
    let masks = Masks::of(&view.turns, &view.bank);
    let wanted = |memory: &&Memory| {
        (request.include_inactive || memory.is_live(now))
            && !masks.hide(memory)
            && (request.kinds.is_empty() || request.kinds.contains(&memory.kind))
            && filter.as_ref().is_none_or(|filter| filter.matches_memory(memory))
    };
    let key = |memory: &Memory| (std::cmp::Reverse(memory.event_time), memory.id.as_uuid());
    let mut memories: Vec<&Memory> = view.bank.memories().filter(wanted).collect();
    memories.sort_unstable_by_key(|memory| key(memory));
    let rest = memories
        .into_iter()
        .filter(|memory| after.is_none_or(|(time, id)| key(memory) > (std::cmp::Reverse(time), id)));
    let mut page: Vec<&Memory> = rest.take(request.limit + 1).collect();
    let more = page.len() > request.limit;
    page.truncate(request.limit);
    let next = page.last().filter(|_| more).map(|memory| format!("{}.{}", memory.event_time.micros(), memory.id));
    Ok(Page { results: page.into_iter().map(|memory| MemoryView::of(memory, subject)).collect(), next })
}

fn cursor(token: &str) -> Result<(Timestamp, uuid::Uuid), Unavailable> {
    let parsed = token.split_once('.').and_then(|(time, id)| Some((time.parse().ok()?, id.parse().ok()?)));
    let bad = || Unavailable::invalid("invalid_cursor", "take the cursor from the `next` of the page before");
    parsed.map(|(time, id)| (Timestamp::from_micros(time), id)).ok_or_else(bad)
}
