//! What a person is like, as far as the memories tell: facts, preferences, goals, topics, mood and manner of speaking.
//!
//! Nothing of it is stored. What grows event by event is the bank; a profile is computed from it when somebody asks. So it
//! never lags behind the memories, dies with them when they are forgotten, and is the same after a rebuild, without a
//! row or a migration of its own. Only live memories count that have happened by `now`, and what is about to be
//! forgotten or corrected is left out at once.
//!
//! Everything in it names the events that it comes from, and every word in it is one that was said: a profile counts and
//! quotes, and concludes nothing. Mood and manner are those of the person's own turns, as far as they were kept.

use std::cmp::Reverse;

use crate::bank::Bank;
use crate::event::{Origin, Role};
use crate::ids::EventId;
use crate::memory::{Kind, Memory, Source};
use crate::rank::Masks;
use crate::time::Timestamp;

mod mood;
mod style;
#[cfg(test)]
mod tests;
mod topics;

pub use mood::{Baseline, Companion, Mood, Trend, Week};
pub use style::Style;
pub use topics::Topic;

/// The most facts, preferences and goals that a profile shows of each.
pub const STATEMENTS_MAX: usize = 64;
/// The most events that one entry names as its sources: its newest.
pub const SOURCES_MAX: usize = 8;
/// The newest sayings of a person from which mood and manner are drawn: how somebody speaks is how they speak of late, and
/// an answer must not take longer the longer somebody is known.
const SAYINGS_MAX: usize = 1_000;
/// The names of attributes that say what somebody is after.
const GOALS: [&str; 3] = ["goal", "plan", "commitment"];

/// What is known of somebody at one time.
#[derive(Clone, Debug)]
pub struct Profile<'a> {
    /// By the name of their attribute, of one name the newest first; those without an attribute come last.
    pub facts: Vec<&'a Memory>,
    pub preferences: Vec<&'a Memory>,
    /// Newest first.
    pub goals: Vec<&'a Memory>,
    /// What comes up on the most days first.
    pub topics: Vec<Topic>,
    pub mood: Mood,
    /// How the person speaks; `None` where no turn of theirs was kept.
    pub style: Option<Style>,
}

/// The profile of the subject whose bank this is, as of `now`. `masks` are those of the turns that no step covers yet.
#[must_use]
pub fn of<'a>(bank: &'a Bank, masks: &Masks, now: Timestamp) -> Profile<'a> {
    let counts = |memory: &&Memory| memory.is_live(now) && memory.event_time <= now && !masks.hide(memory);
    let known: Vec<&Memory> = bank.memories().filter(counts).collect();
    let valid = |memory: &&Memory| memory.valid_from <= now && memory.valid_to.is_none_or(|end| now < end);
    let (goals, others): (Vec<&Memory>, Vec<&Memory>) =
        known.iter().copied().filter(valid).partition(|memory| is_goal(memory));
    let of_kind = |kind: Kind| by_name(others.iter().copied().filter(|memory| memory.kind == kind).collect());
    let sayings = sayings(&known, now);
    Profile {
        facts: of_kind(Kind::Fact),
        preferences: of_kind(Kind::Preference),
        goals: newest(goals),
        topics: topics::of(&known, now),
        mood: mood::of(&sayings, now),
        style: style::of(&sayings[sayings.len().saturating_sub(SAYINGS_MAX)..]),
    }
}

fn is_goal(memory: &Memory) -> bool {
    memory.attribute.as_ref().is_some_and(|attribute| GOALS.contains(&attribute.name.as_str()))
}

/// As many as are shown: pinned ones first, and then the newest.
fn newest(mut memories: Vec<&Memory>) -> Vec<&Memory> {
    memories.sort_unstable_by_key(|memory| (Reverse(memory.pinned), Reverse(memory.valid_from), memory.id));
    memories.truncate(STATEMENTS_MAX);
    memories.sort_unstable_by_key(|memory| (Reverse(memory.valid_from), memory.id));
    memories
}

fn by_name(memories: Vec<&Memory>) -> Vec<&Memory> {
    let mut shown = newest(memories);
    shown.sort_by_key(|memory| {
        let name = memory.attribute.as_ref().map(|attribute| attribute.name.as_str());
        (name.is_none(), name)
    });
    shown
}

/// Once that a person said something themselves: a memory that was said again has several.
#[derive(Clone, Copy, Debug)]
struct Saying<'a> {
    memory: &'a Memory,
    source: &'a Source,
}

/// What the person said in their own words, oldest first. Facts and the like are drawn from the same turns, and would
/// count them twice.
fn sayings<'a>(known: &[&'a Memory], now: Timestamp) -> Vec<Saying<'a>> {
    let own = known.iter().copied().filter(|memory| memory.kind == Kind::Episode && memory.origin == Origin::User);
    let said = own.flat_map(|memory| memory.sources.iter().map(move |source| Saying { memory, source }));
    let mut sayings: Vec<Saying<'a>> =
        said.filter(|saying| saying.source.role == Role::User && saying.source.time <= now).collect();
    sayings.sort_unstable_by_key(|saying| (saying.source.time, saying.source.seq, saying.memory.id));
    sayings
}

/// The newest events of those that are given oldest first.
fn sources<'a>(events: impl DoubleEndedIterator<Item = &'a Source>) -> Vec<EventId> {
    let mut newest: Vec<EventId> = events.rev().take(SOURCES_MAX).map(|source| source.event_id.clone()).collect();
    newest.reverse();
    newest
}

/// The newest events that a memory comes from, oldest first.
#[must_use]
pub fn sources_of(memory: &Memory) -> Vec<EventId> {
    sources(memory.sources.iter())
}

/// Rounded to the nearest; 0 of nothing.
const fn mean(sum: i64, count: i64) -> i64 {
    if count == 0 { 0 } else { (2 * sum + count).div_euclid(2 * count) }
}
