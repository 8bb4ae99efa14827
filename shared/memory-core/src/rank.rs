//! Ranking: which memories and turns answer a question.
//!
//! The search is exact: every memory of the bank gets a score, which is a weighted sum of signs (see [`signs`]) brought to
//! a scale that means something (see [`weights`]). Everything that does not depend on the question is kept ready in
//! [`Shelves`]; a bank that was loaded without one is ranked by words, speakers and dates, and more slowly.
//!
//! Everything is computed in integers, so that every machine ranks alike, and nothing depends on the order in which
//! memories came in, so that a rebuilt bank ranks as the one that grew.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

use crate::bank::Bank;
use crate::control::Control;
use crate::forget::Scope;
use crate::ids::MemoryId;
use crate::memory::{Kind, Memory, Status};
use crate::query::Query;
use crate::text::lexis::Lexicon;
use crate::time::Timestamp;
use crate::turn::Turn;
use crate::vector::NoVectors;

mod bits;
mod dates;
mod form;
mod question;
mod said;
mod shelf;
mod signs;
#[cfg(test)]
mod tests;
mod vocabulary;
mod weights;

pub use shelf::Shelves;
pub use weights::{Parts, Signs};

use question::Question;
use shelf::{Entry, Place, Shelf};
use signs::Found as Searched;

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

/// Every memory of a bank with its weighted signs for a question, in millionths and in the order of [`Parts::named`]:
/// what the weights are fitted on.
#[must_use]
pub fn weighed<'a>(question: &str, bank: &'a Bank, now: Timestamp) -> Vec<(&'a Memory, Signs)> {
    let made;
    let shelf = match bank.shelf() {
        Some(shelf) => shelf,
        None => {
            made = bank.shelved(&NoVectors);
            &made
        }
    };
    let shelf = &shelf.said;
    let question = Question::of(question, shelf, &shelf_of(&[], shelf), now);
    let search = Search::new(shelf, &question, now);
    let scored = search.scored(SAID);
    scored.filter_map(|one| Some((bank.get(one.entry.id?)?, search.signs(one.slot, one.entry)))).collect()
}

/// A text that was scored, and where it is found. Its signs are computed again if it is shown.
struct Scored<'a> {
    points: i64,
    slot: usize,
    entry: &'a Entry,
    /// Which shelf it is on: [`SAID`], [`DERIVED`] or [`OPEN`].
    on: usize,
}

const SAID: usize = 0;
const DERIVED: usize = 1;
const OPEN: usize = 2;

impl Scored<'_> {
    /// What this is, if the query wants it.
    fn found<'a>(
        &self,
        query: &Query,
        bank: &'a Bank,
        turns: &[&'a Turn],
        masks: &Masks,
        now: Timestamp,
    ) -> Option<Found<'a>> {
        if self.on == OPEN {
            return turns.get(self.slot).copied().filter(|turn| wants_turn(query, turn)).map(Found::Turn);
        }
        let memory = self.entry.id.and_then(|id| bank.get(id))?;
        let wanted =
            wants_memory(query, memory, now) && (memory.part_of.is_none() || wants_derived(query, bank, memory));
        (wanted && !masks.hide(memory)).then_some(Found::Memory(memory))
    }

    /// Best first; of equal points the later event, then the smaller id, then the earlier turn.
    fn order(&self, other: &Self) -> Ordering {
        let key =
            |one: &Self| (Reverse(one.points), Reverse(one.entry.time), one.on == OPEN, one.entry.id, one.entry.seq);
        key(self).cmp(&key(other))
    }
}

/// Ranks a subject's memories and its open turns for a question, best first. Of equal scores the later event is first.
#[must_use]
pub fn rank<'a>(query: &Query, bank: &'a Bank, turns: &'a [Turn], now: Timestamp) -> Vec<Hit<'a>> {
    let made;
    let shelf = match bank.shelf() {
        Some(shelf) => shelf,
        None => {
            made = bank.shelved(&NoVectors);
            &made
        }
    };
    let masks = Masks::of(turns, bank);
    let shown: Vec<&Turn> = turns.iter().filter(|turn| query.include_working_memory && is_shown(turn)).collect();
    let open = shelf_of(&shown, &shelf.said);
    let question = Question::of(&query.text, &shelf.said, &open, now);
    let search = [&shelf.said, &shelf.derived, &open].map(|shelf| Search::new(shelf, &question, now));
    let mut scored: Vec<Scored<'_>> = Vec::with_capacity(shelf.said.entries.len() + open.entries.len());
    search.iter().zip([SAID, DERIVED, OPEN]).for_each(|(search, on)| scored.extend(search.scored(on)));
    inherit(&mut scored, now);
    let mut hits = Vec::new();
    let mut rest = scored.as_mut_slice();
    // Most questions are answered by a few; only as many as are wanted are put in order, and more if filters take them.
    let mut block = 2 * query.limit + 16;
    while hits.len() < query.limit && !rest.is_empty() {
        let size = block.min(rest.len());
        if size < rest.len() {
            rest.select_nth_unstable_by(size - 1, Scored::order);
        }
        let (best, others) = rest.split_at_mut(size);
        best.sort_unstable_by(Scored::order);
        let wanted = best.iter().filter_map(|one| {
            let found = one.found(query, bank, &shown, &masks, now)?;
            let parts = search[one.on].parts(one);
            (parts.sum() >= query.min_score).then_some(Hit { found, parts })
        });
        hits.extend(wanted.take(query.limit - hits.len()));
        rest = others;
        block *= 4;
    }
    hits
}

/// What holds now answers a question at least as well as all whose place it took, one after the other, whatever its words.
fn inherit(scored: &mut [Scored<'_>], now: Timestamp) {
    /// So many changes of one thing are followed.
    const CHANGES_MAX: usize = 64;
    let ended = |one: &Scored<'_>| Some((one.entry.id?, one.entry.heir.filter(|_| one.entry.has_ended(now))?));
    let heirs: BTreeMap<MemoryId, MemoryId> = scored.iter().filter_map(ended).collect();
    if heirs.is_empty() {
        return;
    }
    let mut left: BTreeMap<MemoryId, i64> = BTreeMap::new();
    for one in scored.iter() {
        let Some((_, heir)) = ended(one) else { continue };
        let chain = std::iter::successors(Some(heir), |heir| heirs.get(heir).copied());
        let Some(last) = chain.take(CHANGES_MAX).last() else { continue };
        let points = left.entry(last).or_insert(one.points);
        *points = one.points.max(*points);
    }
    for one in scored.iter_mut() {
        let inherited = one.entry.id.and_then(|id| left.get(&id)).map(|points| points + 1_000 * weights::ENDED);
        one.points = one.points.max(inherited.unwrap_or(i64::MIN));
    }
}

/// One shelf, searched for one question.
struct Search<'a> {
    shelf: &'a Shelf,
    question: &'a Question,
    now: Timestamp,
    found: Searched,
}

impl<'a> Search<'a> {
    fn new(shelf: &'a Shelf, question: &'a Question, now: Timestamp) -> Self {
        Self { shelf, question, now, found: Searched::new(shelf, question) }
    }

    fn signs(&self, slot: usize, entry: &Entry) -> Signs {
        if self.question.is_empty() {
            signs::listed(entry, self.now)
        } else {
            self.found.signs(self.shelf, slot, entry, self.question, self.now)
        }
    }

    fn parts(&self, one: &Scored<'_>) -> Parts {
        let score = if self.question.is_empty() {
            weights::listed(one.points)
        } else {
            weights::score(one.points - self.question.given())
        };
        Parts::of(&self.signs(one.slot, one.entry), score)
    }

    fn scored(&self, on: usize) -> impl Iterator<Item = Scored<'a>> {
        let entries = self.shelf.entries.iter().enumerate();
        entries.filter_map(move |(slot, entry)| {
            let entry = entry.as_ref()?;
            Some(Scored { points: self.signs(slot, entry).iter().sum(), slot, entry, on })
        })
    }
}

/// The turns that are not consolidated yet, measured with the bank that they will come into. A turn's slot is its place.
fn shelf_of(turns: &[&Turn], bank: &Shelf) -> Shelf {
    let mut open = Shelf::new(bank.embed());
    let mut lexicon = Lexicon::default();
    for (slot, turn) in turns.iter().enumerate() {
        let place = Place {
            session: turn.event.session_id.as_deref(),
            seq: turn.seq,
            speaker: turn.event.speaker.as_deref(),
            role: turn.event.role,
            id: None,
            time: turn.event.time,
            until: None,
            heir: None,
            half_life: HALF_LIFE_OF_EPISODES,
            salience: turn.salience.total,
            reinforcement: 0,
        };
        open.add(slot, &text_of(turn), &place, &mut lexicon);
    }
    open.settle(Some(bank));
    open
}

/// What a turn says: its content, or the text that a control asks to keep.
#[must_use]
pub fn text_of(turn: &Turn) -> Cow<'_, str> {
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
pub struct Masks {
    corrected: BTreeSet<MemoryId>,
    forgotten: Vec<Scope>,
}

impl Masks {
    #[must_use]
    pub fn of(turns: &[Turn], bank: &Bank) -> Self {
        let controls = || turns.iter().filter_map(|turn| turn.event.control.as_deref());
        Self {
            corrected: controls().filter_map(Control::corrects).collect(),
            forgotten: controls().filter_map(Control::forgets).map(|scope| scope.with_sources(bank)).collect(),
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
    // What was true then may have been superseded since.
    let stands = memory.status == Status::Active || query.valid_at.is_some() && memory.status == Status::Superseded;
    let live = stands && !memory.has_expired(now);
    live && valid
        && (query.kinds.is_empty() || query.kinds.contains(&memory.kind))
        && named(query.agent_id.as_ref(), memory.agent_id.as_ref())
        && named(query.session_id.as_ref(), memory.session_id.as_ref())
        && query.filter.as_ref().is_none_or(|filter| filter.matches_memory(memory))
}

/// What was read out of a memory, or made of several, is an answer when that kind is asked for. Else the memories themselves
/// are, if they are there; a lesson says more than they do.
fn wants_derived(query: &Query, bank: &Bank, memory: &Memory) -> bool {
    if !query.kinds.is_empty() {
        return true;
    }
    match memory.kind {
        Kind::Lesson => true,
        Kind::Pattern | Kind::Summary => false,
        Kind::Fact | Kind::Preference | Kind::Episode => memory.part_of.is_none_or(|whole| bank.get(whole).is_none()),
    }
}

fn wants_turn(query: &Query, turn: &Turn) -> bool {
    query.kinds.is_empty()
        && named(query.agent_id.as_ref(), turn.event.agent_id.as_ref())
        && named(query.session_id.as_ref(), turn.event.session_id.as_ref())
        && query.filter.as_ref().is_none_or(|filter| filter.matches_turn(turn))
}

fn named(wanted: Option<&String>, found: Option<&String>) -> bool {
    wanted.is_none() || wanted == found
}

/// 1000 now, 500 a half-life (in days) ago, straight lines between half-lives. The future is as recent as now.
fn recency(time: Timestamp, now: Timestamp, half_life: i64) -> u16 {
    let half_life = half_life * 24 * 3_600;
    let age = now.seconds_since(time).max(0);
    let halvings = u32::try_from(age / half_life).unwrap_or(u32::MAX);
    let start = 1_000_i64.checked_shr(halvings).unwrap_or(0);
    let score = start - (start / 2) * (age % half_life) / half_life;
    u16::try_from(score).expect("between 0 and 1000")
}

/// Days in which a memory becomes half as recent: what health may depend on, and what was pinned, hardly ages.
fn half_life(memory: &Memory) -> i64 {
    const CENTURY: i64 = 36_500;
    if memory.pinned || memory.critical { CENTURY } else { i64::from(memory.half_life_days).max(1) }
}

/// Days; turns that are not consolidated yet are episodes.
const HALF_LIFE_OF_EPISODES: i64 = 30;
