//! A step: what one consolidation did to a subject, as the rows it changed. The `memories` topic is a log of steps,
//! and every store is the fold of them (law L02).

use serde::{Deserialize, Serialize};

use crate::consolidation::{Owner, Trigger};
use crate::forget::Erased;
use crate::ids::{ConsolidationId, EventId, Generation, MemoryId, Seq, StepNumber};
use crate::memory::{Memory, Revision};
use crate::position::{Anchor, Offset, Partition};
use crate::rules::Rules;
use crate::subject::Handle;
use crate::time::Timestamp;
use crate::turn::{NotKept, Turn};

/// One step of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub subject: Handle,
    pub number: StepNumber,
    pub body: Body,
    /// How far `consolidations` was consumed when this was decided. It names the log that the offset belongs to.
    pub consumed: Option<Consumed>,
}

impl Step {
    fn rows(&self) -> impl Iterator<Item = &Row> {
        let (changes, rows): (&[Change], &[Row]) = match &self.body {
            Body::Changes { changes, .. } => (changes, &[]),
            Body::Snapshot { rows, .. } => (&[], rows),
        };
        let changed = changes.iter().filter_map(|change| match change {
            Change::Put(row) => Some(row),
            Change::Delete(_) => None,
        });
        changed.chain(rows)
    }

    /// The events of which it tells what became of them.
    pub fn events(&self) -> impl Iterator<Item = &EventId> {
        self.rows().filter_map(|row| if let Row::Fate(fate) = row { Some(&fate.event_id) } else { None })
    }

    /// Whose step it is, if it says so. Every step of changes does.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.rows().find_map(|row| if let Row::Subject(subject) = row { subject.owner.as_ref() } else { None })
    }
}

/// What a step says of itself without being opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    pub subject: Handle,
    pub number: StepNumber,
    pub consumed: Option<Consumed>,
    pub shape: Shape,
}

/// Which body a step has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    Changes { consolidation: ConsolidationId, from: Seq, to: Seq },
    Snapshot { part: u32, parts: u32, erased: Option<Erased> },
}

impl Step {
    #[must_use]
    pub fn frame(&self) -> Frame {
        let shape = match &self.body {
            Body::Changes { consolidation, from, to, .. } => {
                Shape::Changes { consolidation: *consolidation, from: *from, to: *to }
            }
            Body::Snapshot { part, parts, erased, .. } => {
                Shape::Snapshot { part: *part, parts: *parts, erased: erased.clone() }
            }
        };
        Frame { subject: self.subject, number: self.number, consumed: self.consumed.clone(), shape }
    }

    /// The snapshot's last part of a forget says what it erases.
    #[must_use]
    pub const fn erased(&self) -> Option<&Erased> {
        match &self.body {
            Body::Snapshot { erased, .. } => erased.as_ref(),
            Body::Changes { .. } => None,
        }
    }

    /// Whether nothing in it tells of anybody, so that it needs no key. Of several parts none is bare: the rows of all of
    /// them are sealed with the key of the last.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        match &self.body {
            Body::Snapshot { parts, rows, .. } => *parts == 1 && rows.iter().all(Row::is_bare),
            Body::Changes { .. } => false,
        }
    }
}

impl Frame {
    /// The step whose content is gone: it counts, and holds nothing.
    #[must_use]
    pub fn empty(self) -> Step {
        let body = match self.shape {
            Shape::Changes { consolidation, from, to } => {
                Body::Changes { consolidation, from, to, changes: Vec::new() }
            }
            Shape::Snapshot { part, parts, erased } => Body::Snapshot { part, parts, rows: Vec::new(), erased },
        };
        Step { subject: self.subject, number: self.number, body, consumed: self.consumed }
    }
}

/// A position in `consolidations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumed {
    pub log: uuid::Uuid,
    pub partition: Partition,
    pub next: Offset,
    /// The newest record that had been read then; `None` in steps of before this was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
}

/// What a step holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The rows that one consolidation changed.
    Changes { consolidation: ConsolidationId, from: Seq, to: Seq, changes: Vec<Change> },
    /// Part `part` of `parts` of all rows of the subject. Complete, it replaces everything before it.
    /// The last part of one that carries a forget out says so.
    Snapshot { part: u32, parts: u32, rows: Vec<Row>, erased: Option<Erased> },
}

/// One changed row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly every change is a put of a row that size")]
pub enum Change {
    Put(Row),
    Delete(RowKey),
}

/// A row of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "most rows are memories and sources, and a box for each would cost more than it saves"
)]
pub enum Row {
    Subject(SubjectRow),
    Memory(Memory),
    Revision(Revision),
    /// A kept source: the turn or control that a memory came from.
    Source(Turn),
    /// A window of which at least one source was kept.
    Window(WindowRow),
    Rules(RulesRow),
    Fate(FateRow),
}

/// The name of a row within its subject. The order is the order of the canonical dump.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKey {
    Subject,
    Memory(MemoryId),
    Revision(MemoryId, u32),
    Source(Seq),
    Window(Seq),
    Rules(u64),
    Fate(EventId),
}

impl Row {
    /// Whether it tells of nobody: the subject row of a skeleton.
    #[must_use]
    pub const fn is_bare(&self) -> bool {
        matches!(self, Self::Subject(SubjectRow { owner: None, .. }))
    }

    #[must_use]
    pub fn key(&self) -> RowKey {
        match self {
            Self::Subject(_) => RowKey::Subject,
            Self::Memory(memory) => RowKey::Memory(memory.id),
            Self::Revision(revision) => RowKey::Revision(revision.memory_id, revision.version),
            Self::Source(turn) => RowKey::Source(turn.seq),
            Self::Window(window) => RowKey::Window(window.from),
            Self::Rules(row) => RowKey::Rules(row.rules.fingerprint()),
            Self::Fate(fate) => RowKey::Fate(fate.event_id.clone()),
        }
    }
}

/// What is known of the subject as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectRow {
    /// `None` when the subject was forgotten and nothing came since.
    pub owner: Option<Owner>,
    pub generation: Generation,
    /// The sequence number that the next consolidation begins at.
    pub next: Seq,
    /// When the last forget of everything arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<Timestamp>,
}

/// A window of kept sources, so that a re-fold takes them in the windows they were recorded in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowRow {
    pub from: Seq,
    pub to: Seq,
    pub consolidation: ConsolidationId,
    pub trigger: Trigger,
    /// [`Rules::fingerprint`] of the rules it was folded under.
    pub rules: u64,
}

/// The rules that some window was folded under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesRow {
    pub rules: Rules,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FateRow {
    pub event_id: EventId,
    pub fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It became this memory.
    Kept(MemoryId),
    /// It reinforced or changed this memory.
    Merged(MemoryId),
    NotKept(NotKept),
    /// A control that took effect.
    Applied,
    /// A control that named nothing that exists.
    NoSuchMemory,
    /// The memory that it had become was deleted.
    Deleted,
}
