//! Ranking: which memories and turns answer a question.
//!
//! The search is exact: every memory of the bank gets a score. The score is the sum of named parts, each 0..=1000 and
//! weighted by [`WEIGHTS`], so `explain` can show where it came from:
//!
//! | part | is |
//! |---|---|
//! | words | BM25 (Robertson and Zaragoza 2009; k1 = 1.2, b = 0.75) over stemmed words, as a share of the most that the question's words could give |
//! | recency | half every 30 days since the event |
//! | salience | how much it mattered when it was said; a pinned memory has all of it |
//! | reinforcement | a step for every repeat and every report of use, less those of no use |
//!
//! Everything is computed in integers: logarithms as fixed-point numbers in 1/1000, so that every machine ranks alike.

use std::collections::BTreeSet;

use crate::bank::Bank;
use crate::control::Control;
use crate::forget::Scope;
use crate::ids::MemoryId;
use crate::memory::Memory;
use crate::query::Query;
use crate::text;
use crate::time::Timestamp;
use crate::turn::Turn;

mod bm25;
#[cfg(test)]
mod tests;

use bm25::Bm25;

/// Weights of the parts, in 1/1000. They sum to 1000.
pub const WEIGHTS: Parts = Parts { words: 750, recency: 80, salience: 110, reinforcement: 60 };

/// Time in which recency halves, in seconds.
const HALF_LIFE_SECONDS: i64 = 30 * 24 * 3_600;

/// The weighted parts of a score; their sum is the score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub words: u16,
    pub recency: u16,
    pub salience: u16,
    pub reinforcement: u16,
}

impl Parts {
    #[must_use]
    pub const fn sum(&self) -> u16 {
        self.words + self.recency + self.salience + self.reinforcement
    }

    /// Each part with its name.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u16); 4] {
        [
            ("words", self.words),
            ("recency", self.recency),
            ("salience", self.salience),
            ("reinforcement", self.reinforcement),
        ]
    }
}

/// One result.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    pub found: Found<'a>,
    pub parts: Parts,
}

/// What was found: a memory, or a turn that is not consolidated yet.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    Memory(&'a Memory),
    Turn(&'a Turn),
}

impl Found<'_> {
    #[must_use]
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Memory(memory) => memory.event_time,
            Self::Turn(turn) => turn.event.time,
        }
    }
}

/// Ranks a subject's memories and its open turns for a question, best first. Of equal scores the later event is first.
#[must_use]
pub fn rank<'a>(query: &Query, bank: &'a Bank, turns: &'a [Turn], now: Timestamp) -> Vec<Hit<'a>> {
    let masks = Masks::of(turns);
    let open: Vec<&Turn> = turns.iter().filter(|turn| query.include_working_memory && is_shown(turn)).collect();
    let mut terms = text::terms(&query.text);
    terms.sort_unstable();
    terms.dedup();
    let words = Bm25::new(bank.index(), &terms, &open);
    let mut hits: Vec<Hit<'a>> = Vec::new();
    for slot_score in words.memories() {
        let Some(memory) = bank.at(slot_score.slot) else { continue };
        if masks.hide(memory) || !wants_memory(query, memory, now) {
            continue;
        }
        let parts = parts_of_memory(memory, slot_score.score, now);
        hits.push(Hit { found: Found::Memory(memory), parts });
    }
    for (turn, score) in open.iter().zip(words.turns()) {
        if wants_turn(query, turn) {
            let parts = parts_of(score, turn.event.time, turn.salience.total, 0, now);
            hits.push(Hit { found: Found::Turn(turn), parts });
        }
    }
    hits.retain(|hit| hit.parts.sum() >= query.min_score);
    hits.sort_by(|a, b| {
        b.parts.sum().cmp(&a.parts.sum()).then_with(|| b.found.time().cmp(&a.found.time())).then_with(|| tie(a, b))
    });
    hits.truncate(query.limit);
    hits
}

/// The last resort of ordering, so that equal scores and times have one order everywhere.
fn tie(a: &Hit<'_>, b: &Hit<'_>) -> std::cmp::Ordering {
    let key = |hit: &Hit<'_>| match hit.found {
        Found::Memory(memory) => (0, Some(memory.id), 0),
        Found::Turn(turn) => (1, None, turn.seq.get()),
    };
    key(a).cmp(&key(b))
}

/// What a turn says: its content, or the text that a control asks to keep.
#[must_use]
pub fn text_of(turn: &Turn) -> std::borrow::Cow<'_, str> {
    match turn.event.control.as_deref() {
        Some(Control::Remember { text, .. } | Control::Correct { text, .. }) => text.as_str().into(),
        Some(
            Control::Forget { .. }
            | Control::Feedback { .. }
            | Control::Consent { .. }
            | Control::SessionEnd
            | Control::IdleTick { .. },
        )
        | None => turn.event.content.text(),
    }
}

/// What the controls of turns that are not consolidated hide at once: memories that are corrected or forgotten.
#[derive(Debug, Default)]
pub struct Masks<'a> {
    corrected: BTreeSet<MemoryId>,
    forgotten: Vec<&'a Scope>,
}

impl<'a> Masks<'a> {
    #[must_use]
    pub fn of(turns: &'a [Turn]) -> Self {
        let controls = || turns.iter().filter_map(|turn| turn.event.control.as_deref());
        Self {
            corrected: controls().filter_map(Control::corrects).collect(),
            forgotten: controls().filter_map(Control::forgets).collect(),
        }
    }

    /// Whether a memory of the bank is not shown.
    #[must_use]
    pub fn hide(&self, memory: &Memory) -> bool {
        self.corrected.contains(&memory.id) || self.forget(memory)
    }

    /// Whether a memory of the bank is forgotten.
    #[must_use]
    pub fn forget(&self, memory: &Memory) -> bool {
        self.forgotten.iter().any(|scope| scope.hides(memory))
    }
}

/// A turn is shown unless it must not be kept; what memos supplied itself is shown to nobody as an answer.
fn is_shown(turn: &Turn) -> bool {
    turn.unkept.is_none() && !text_of(turn).trim().is_empty()
}

fn wants_memory(query: &Query, memory: &Memory, now: Timestamp) -> bool {
    let at = query.valid_at.unwrap_or(now);
    let valid = query.valid_at.is_none() || memory.valid_from <= at && memory.valid_to.is_none_or(|end| at < end);
    memory.is_live(now)
        && valid
        && (query.kinds.is_empty() || query.kinds.contains(&memory.kind))
        && named(query.agent_id.as_ref(), memory.agent_id.as_ref())
        && named(query.session_id.as_ref(), memory.session_id.as_ref())
        && query.filter.as_ref().is_none_or(|filter| filter.matches_memory(memory))
}

fn wants_turn(query: &Query, turn: &Turn) -> bool {
    query.kinds.is_empty()
        && named(query.agent_id.as_ref(), turn.event.agent_id.as_ref())
        && named(query.session_id.as_ref(), turn.event.session_id.as_ref())
        && query.filter.as_ref().is_none_or(|filter| filter.matches_event(&turn.event, turn.arrived))
}

fn named(wanted: Option<&String>, found: Option<&String>) -> bool {
    wanted.is_none() || wanted == found
}

fn parts_of_memory(memory: &Memory, words: u16, now: Timestamp) -> Parts {
    let salience = if memory.pinned { 1_000 } else { memory.salience };
    let repeats = i64::from(memory.reinforced) + i64::from(memory.useful);
    let reinforcement = u16::try_from((repeats * 200).clamp(0, 1_000)).expect("clamped to 1000");
    parts_of(words, memory.event_time, salience, reinforcement, now)
}

fn parts_of(words: u16, time: Timestamp, salience: u16, reinforcement: u16, now: Timestamp) -> Parts {
    let weighted =
        |part: u16, weight: u16| u16::try_from(u32::from(part) * u32::from(weight) / 1_000).expect("at most 1000");
    Parts {
        words: weighted(words, WEIGHTS.words),
        recency: weighted(recency(time, now), WEIGHTS.recency),
        salience: weighted(salience, WEIGHTS.salience),
        reinforcement: weighted(reinforcement, WEIGHTS.reinforcement),
    }
}

/// 1000 now, 500 a half-life ago, straight lines between half-lives. The future is as recent as now.
fn recency(time: Timestamp, now: Timestamp) -> u16 {
    let age = now.seconds_since(time).max(0);
    let halvings = u32::try_from(age / HALF_LIFE_SECONDS).unwrap_or(u32::MAX);
    let start = 1_000_i64.checked_shr(halvings).unwrap_or(0);
    let score = start - (start / 2) * (age % HALF_LIFE_SECONDS) / HALF_LIFE_SECONDS;
    u16::try_from(score).expect("between 0 and 1000")
}
