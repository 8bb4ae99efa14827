//! Which of two writers' steps count (law L05): a subject's steps are a chain, and each names the step it was decided on.
//!
//! A step says which step its writer had read back last, and by whom that was written; whatever lies between the two
//! is the writer's own. So it names its predecessor, and it counts only if that is the step which counts. A number alone
//! would not do: what a writer decided after a step that lost could bear the number that happens to be next, though it
//! was decided on a history that never was.
//!
//! A reader from the beginning may find steps missing: a snapshot replaced them, and compaction took some of them before
//! others. What it cannot connect it leaves out until that snapshot comes. It is never mistaken for a loser of the log's
//! living part, because what lost is buried before what was replaced (see [`crate::Store::losers`]): who misses a step that
//! counted meets no step that lost to it.

use event_log::envelope::After;
use memory_core::StepNumber;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where a subject's steps stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The number that the next step must have.
    pub next: StepNumber,
    /// Who wrote the step before that; `None` while there is none.
    pub last: Option<Uuid>,
}

/// What a record of a step says of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub number: StepNumber,
    pub writer: Uuid,
    pub after: Option<After>,
    /// It is the first part of a snapshot, which needs nothing before it.
    pub begins_snapshot: bool,
}

/// How a step continues a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is the next one.
    Next,
    /// Its number is taken: it was read before, or lost.
    Taken,
    /// It was decided on a step that lost.
    Astray,
    /// Steps before it are missing.
    Missing,
}

impl Chain {
    #[must_use]
    pub fn place(&self, link: &Link) -> Place {
        if link.number < self.next {
            return Place::Taken;
        }
        // From here on the chain that it was decided on is the writer's own.
        let own = link.after.map_or(StepNumber::FIRST, |after| after.number.next());
        if own > link.number {
            return Place::Astray;
        }
        // Whom that chain names as the writer of the last step that counts here; `None` where it tells nothing of it.
        let named = match (self.last, link.after) {
            (Some(_), _) if own < self.next => Some(link.writer),
            (Some(_), Some(after)) if own == self.next => Some(after.writer),
            (Some(_) | None, _) => None,
        };
        if named.is_some() && named != self.last {
            return Place::Astray;
        }
        if link.number == self.next && (named.is_some() || self.next == StepNumber::FIRST) || link.begins_snapshot {
            return Place::Next;
        }
        Place::Missing
    }

    /// The chain after a step that counts.
    #[must_use]
    pub const fn then(&self, link: &Link) -> Self {
        Self { next: link.number.next(), last: Some(link.writer) }
    }

    /// What a step that is decided now must say it was decided on.
    #[must_use]
    pub fn after(&self) -> Option<After> {
        let number = StepNumber::new(self.next.get().checked_sub(1)?);
        self.last.map(|writer| After { number, writer })
    }
}
