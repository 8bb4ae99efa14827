//! A closed window of a subject: what `consolidations` holds and [`crate::consolidate()`] decides on.

use serde::{Deserialize, Serialize};

use crate::ids::{ConsolidationId, Generation, Seq};
use crate::position::{Continuation, Interval};
use crate::rules::Rules;
use crate::subject::Handle;
use crate::turn::Turn;

/// Why a window was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The session was said to be over.
    SessionEnd,
    /// The next event happened long after the last.
    Gap,
    /// The window was full.
    Size,
    /// A turn mattered so much that it should be consolidated at once.
    Salient,
    /// A control event: what it asks for should take effect now.
    Control,
    /// Nothing came for a while.
    Tick,
}

impl Trigger {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionEnd => "session_end",
            Self::Gap => "gap",
            Self::Size => "size",
            Self::Salient => "salient",
            Self::Control => "control",
            Self::Tick => "tick",
        }
    }
}

/// One closed window: every accepted event of the subject in `[from, to)`, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consolidation {
    pub id: ConsolidationId,
    pub subject: Handle,
    /// `None` where all that named it was forgotten.
    pub owner: Option<Owner>,
    pub generation: Generation,
    /// Keys of the subject that seal from here on seal it.
    pub key_since: Seq,
    pub from: Seq,
    pub to: Seq,
    pub trigger: Trigger,
    pub rules: Rules,
    pub turns: Vec<Turn>,
}

/// What a window is to whoever stands at a sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    /// All of it was there before.
    Known,
    /// This much of it is news; it begins where the reader stands.
    News(Consolidation),
    /// Something between the reader and its beginning is missing.
    Gap(Consolidation),
}

impl Consolidation {
    /// What of the window is news at `next`.
    ///
    /// Mostly all of it or nothing. A window may also begin below the position and end above it: a former owner of the
    /// subject, under other rules, closed windows that end elsewhere. Both count the subject's events alike, so the events
    /// at and above the position are those that no window before has covered, and they are consolidated, once (law L05).
    #[must_use]
    pub fn rest(mut self, next: Seq) -> Rest {
        match (Interval { from: self.from, to: self.to }).after(next) {
            Continuation::Known => Rest::Known,
            Continuation::Gap => Rest::Gap(self),
            Continuation::Next => {
                self.from = next;
                self.turns.retain(|turn| turn.seq >= next);
                Rest::News(self)
            }
        }
    }
}

/// Who the subject is, in the words of its events. Derived keys hold only the handle.
pub type Owner = crate::subject::Subject;
