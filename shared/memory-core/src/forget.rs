//! Forgetting: what a forget takes, what it hides at once, and what is left when it is done.
//!
//! A forget is an event like any other. Working memory closes the window before it, so that it has a window of its own; from
//! the next event on the subject has other keys. The consolidator folds the kept sources again without those that the
//! [`Scope`] takes ([`erase`]), states the result in a snapshot under the new keys, and destroys the old ones: with them
//! dies every earlier step, window and state of the subject, in whatever copy. A forget of everything leaves a skeleton:
//! the generation, the sequence number and the time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::bank::Bank;
use crate::consolidation::Consolidation;
use crate::event::Origin;
use crate::ids::{EventId, Generation, MemoryId, ReceiptId, Seq};
use crate::memory::Memory;
use crate::refold::{Rows, refold};
use crate::snapshot;
use crate::step::{Consumed, Fate, FateRow, Row, Step, SubjectRow};
use crate::subject::{Handle, TenantTag};
use crate::time::Timestamp;
use crate::turn::Turn;
use crate::working_memory::key_since_after;

/// What is to be forgotten of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All there is; the next event begins a new generation.
    Everything,
    /// These memories with all their sources, and these events.
    These { memories: Vec<MemoryId>, events: Vec<EventId> },
    /// Every event that is all of this.
    Matching(Matching),
}

/// Conditions on events; those that are `None` are met by all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matching {
    pub session_id: Option<String>,
    pub origin: Option<Origin>,
    /// It happened at this time or later.
    pub from: Option<Timestamp>,
    /// It happened before this time.
    pub to: Option<Timestamp>,
}

impl Matching {
    fn matches(&self, session_id: Option<&String>, origin: Origin, time: Timestamp) -> bool {
        self.session_id.as_ref().is_none_or(|wanted| session_id == Some(wanted))
            && self.origin.is_none_or(|wanted| wanted == origin)
            && self.from.is_none_or(|from| time >= from)
            && self.to.is_none_or(|to| time < to)
    }
}

impl Scope {
    /// The word for it in receipts and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::These { .. } => "these",
            Self::Matching(_) => "matching",
        }
    }

    /// The generation of a subject after it.
    #[must_use]
    pub const fn generation_after(&self, generation: Generation) -> Generation {
        match self {
            Self::Everything => generation.next(),
            Self::These { .. } | Self::Matching(_) => generation,
        }
    }

    /// Whether it takes a turn of the subject that was before it.
    #[must_use]
    pub fn takes(&self, subject: Handle, turn: &Turn) -> bool {
        let event = &turn.event;
        match self {
            Self::Everything => true,
            Self::These { memories, events } => {
                events.contains(&event.id) || memories.contains(&MemoryId::of_event(subject, &event.id))
            }
            Self::Matching(matching) => matching.matches(event.session_id.as_ref(), event.origin, event.time),
        }
    }

    /// The same, with the events that the memories it names were made of: those go with them, and take what else was made of
    /// them along.
    #[must_use]
    pub fn with_sources(&self, bank: &Bank) -> Self {
        let Self::These { memories, events } = self else { return self.clone() };
        let named = memories.iter().filter_map(|id| bank.get(*id)).flat_map(|memory| &memory.sources);
        let events = events.iter().chain(named.map(|source| &source.event_id)).cloned().collect();
        Self::These { memories: memories.clone(), events }
    }

    /// Whether a memory from before it is hidden until the forget is done. One that also has other sources may come back
    /// then.
    #[must_use]
    pub fn hides(&self, memory: &Memory) -> bool {
        match self {
            Self::Everything => true,
            Self::These { memories, events } => {
                memories.contains(&memory.id) || memory.sources.iter().any(|source| events.contains(&source.event_id))
            }
            Self::Matching(matching) => {
                let times = memory.sources.iter().map(|source| source.time).chain([memory.event_time]);
                times.into_iter().any(|time| matching.matches(memory.session_id.as_ref(), memory.origin, time))
            }
        }
    }
}

/// What an erasing snapshot says of itself, readable without any key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    pub receipt: ReceiptId,
    pub tenant: TenantTag,
    /// [`Scope::as_str`].
    pub scope: String,
    /// When the forget arrived.
    pub accepted: Timestamp,
    /// Keys that seal from below this sequence number die.
    pub floor: Seq,
    /// Where the next window begins. Mostly the same.
    pub next: Seq,
    /// The generation from then on.
    pub generation: Generation,
    /// How many memories are gone.
    pub memories: u64,
    /// How many kept sources are gone.
    pub sources: u64,
}

/// How far a forget has come. Each stage is durable before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is on the log, and hidden from every answer.
    Accepted,
    /// Its keys are destroyed: no copy can be read.
    KeyDestroyed,
    /// Its rows are deleted and its steps are marked for removal.
    Erased,
    /// Somebody has looked.
    Verified,
}

impl Stage {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::KeyDestroyed => "key_destroyed",
            Self::Erased => "erased",
            Self::Verified => "verified",
        }
    }
}

/// A record of `receipts`: a forget has reached a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub subject: Handle,
    pub stage: Stage,
    /// When it was reached.
    pub at: Timestamp,
    /// Keys that were destroyed; told with [`Stage::KeyDestroyed`].
    pub keys: u64,
    pub erased: Erased,
}

/// A forget in a window of its own.
#[derive(Clone, Copy, Debug)]
pub struct Forget<'a> {
    pub turn: &'a Turn,
    pub scope: &'a Scope,
}

impl Consolidation {
    /// The forget that this window is, if it is one.
    #[must_use]
    pub fn forget(&self) -> Option<Forget<'_>> {
        let turn = self.turns.last()?;
        turn.event.control.as_deref()?.forgets().map(|scope| Forget { turn, scope })
    }
}

/// The steps that carry a forget out: a snapshot of what is left.
///
/// `rows` are all rows of the subject, consolidated up to the window. The rows that come of it are exactly those of folding
/// the kept sources again, in their recorded windows and under their rules, without what the forget takes.
#[must_use]
pub fn erase(
    rows: &Rows,
    window: &Consolidation,
    forget: Forget<'_>,
    tenant: TenantTag,
    consumed: Option<Consumed>,
) -> Vec<Step> {
    let left: Vec<Row> = match forget.scope {
        Scope::Everything => vec![Row::Subject(skeleton(window, forget))],
        Scope::These { .. } | Scope::Matching(_) => what_is_left(rows, window, forget),
    };
    let gone = |of: fn(&Row) -> bool| {
        let before = rows.iter().filter(|row| of(row)).count();
        let after = left.iter().filter(|row| of(row)).count();
        u64::try_from(before.saturating_sub(after)).unwrap_or(u64::MAX)
    };
    let erased = Erased {
        receipt: ReceiptId::of_event(window.subject, &forget.turn.event.id),
        tenant,
        scope: forget.scope.as_str().to_owned(),
        accepted: forget.turn.arrived,
        floor: key_since_after(window.to, window.key_since),
        next: window.to,
        generation: forget.scope.generation_after(window.generation),
        memories: gone(|row| matches!(row, Row::Memory(_))),
        sources: gone(|row| matches!(row, Row::Source(_))),
    };
    snapshot::erasing(window.subject, rows.next_step(), left, erased, consumed)
}

fn skeleton(window: &Consolidation, forget: Forget<'_>) -> SubjectRow {
    let generation = forget.scope.generation_after(window.generation);
    SubjectRow { owner: None, generation, next: window.to, forgotten: Some(forget.turn.arrived) }
}

fn what_is_left(rows: &Rows, window: &Consolidation, forget: Forget<'_>) -> Vec<Row> {
    let taken = taken(rows, window.subject, forget.scope);
    let mut left = refold(window.subject, rows, &taken);
    let named_nothing = taken.is_empty() && matches!(forget.scope, Scope::These { .. });
    let own = if named_nothing { Fate::NoSuchMemory } else { Fate::Applied };
    for event_id in taken.into_iter().chain([forget.turn.event.id.clone()]) {
        let fate = if event_id == forget.turn.event.id { own } else { Fate::Deleted };
        left.put(Row::Fate(FateRow { event_id, fate }));
    }
    let owner = window.owner.clone().or_else(|| left.subject().and_then(|subject| subject.owner.clone()));
    let forgotten = left.subject().and_then(|subject| subject.forgotten);
    left.put(Row::Subject(SubjectRow { owner, generation: window.generation, next: window.to, forgotten }));
    left.iter().cloned().collect()
}

/// The kept events that a scope takes.
fn taken(rows: &Rows, subject: Handle, scope: &Scope) -> BTreeSet<EventId> {
    let mut taken = BTreeSet::new();
    for row in rows.iter() {
        match (row, scope) {
            (Row::Source(turn), _) if scope.takes(subject, turn) => {
                taken.insert(turn.event.id.clone());
            }
            (Row::Memory(memory), Scope::These { memories, .. }) if memories.contains(&memory.id) => {
                taken.extend(memory.sources.iter().map(|source| source.event_id.clone()));
            }
            _ => {}
        }
    }
    taken
}
